"""`insights doctor`: asks the real endpoints: what works, what differs, what to change."""
