"""Views and saved queries, and what reads them."""
