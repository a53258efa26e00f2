"""What an update changes in a dataset that is there already, and how older days follow."""
