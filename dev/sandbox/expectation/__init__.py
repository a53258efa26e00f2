"""Tables computed from the traffic itself, without the query fields."""
