"""The dashboard as one HTML file."""
