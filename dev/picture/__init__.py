"""The pictures of docs/, drawn from synthetic data."""
