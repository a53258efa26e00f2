"""`make doctor`: asks the real endpoints and says what works, what differs and what to change."""
