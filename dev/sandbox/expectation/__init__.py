"""Tables as the traffic itself tells them, without the query fields."""
