"""Instants as the dataset stores them: microseconds since 1970 in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_instant(text: str) -> int:
    """Microseconds since 1970 (UTC) of an ISO-8601 time; without a zone it is UTC.

    Choreo gives seven fraction digits and the zone of the filter. Raises ValueError.
    """
    instant = datetime.fromisoformat(text)
    return microseconds(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 (UTC) of an aware time."""
    return (instant - _EPOCH) // _MICROSECOND
