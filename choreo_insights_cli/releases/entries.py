"""Ledger entries of objects that are written without querying Choreo."""

from datetime import datetime

from choreo_insights.dataset.ledger import Entry, Status
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import day_of

_PLACE = ("organization", "environment", "environment_id")


def entry_of(
    key: str,
    body: bytes,
    queried_at: datetime,
    status: Status,
    *,
    final: bool,
    error: str | None = None,
) -> Entry:
    """The entry of an object of a table, requested at `queried_at`, with its rows and size.

    Reads organisation and environment from the rows, or from the key where there are none. Raises
    ValueError where the body is not a Parquet file.
    """
    columns = decode(body, _PLACE)
    rows = max(map(len, columns.values()), default=0)
    name = key.rpartition("/")[2].removesuffix(".parquet")
    organization, _, environment = name.partition(".")
    # A list of an organisation names an environment in each row.
    place = {n: values[0] for n, values in columns.items() if values} if environment else {}
    return Entry(
        table=key.split("/", 2)[1],
        organization=(columns.get("organization") or [organization])[0],
        environment=place.get("environment", environment or None),
        environment_id=place.get("environment_id"),
        day=day_of(key),
        status=status,
        started=queried_at,
        seconds=0.0,
        rows=rows if status == "exported" else None,
        bytes=len(body) if status == "exported" else None,
        error=error,
        final=final,
    )
