"""What only developers need. Nothing of it is deployed or installed."""
