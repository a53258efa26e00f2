"""All files that follow from documents, views and panels."""
