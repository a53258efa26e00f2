"""A run of the export, from the event to the objects."""
