"""What an update changes in a dataset that is there already, and how its older days follow."""
