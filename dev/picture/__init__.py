"""The picture of the dashboard, drawn from synthetic data."""
