"""The dashboard: its panels described once, and a file drawn from them."""
