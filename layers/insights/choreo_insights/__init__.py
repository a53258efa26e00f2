"""Choreo Insights data into your own S3: what both functions are made of."""
