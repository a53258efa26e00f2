"""What an update changes in an existing dataset, and how older days are migrated."""
