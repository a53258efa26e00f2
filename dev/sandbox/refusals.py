"""What the query endpoint refuses."""


class QueryError(Exception):
    """An error for `errors` in the reply, beside the data of other fields."""


class BadRequestError(Exception):
    """What the service answers with status 400, whatever else was queried."""
