"""What the dataset should hold: the sandbox's truth, and how one version of it may follow another.

Nothing here uses the exporter's code: keys, counts and the layout are written down once more.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import pyarrow.parquet as pq

Row = Mapping[str, Any]
LISTS = ("environments", "apis", "applications")
# Per daily table: what tells its rows apart, and its counts. One without counts loses only by
# becoming empty: percentiles move, and others may become the largest few.
SHAPES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "success_summary": (("time_span",), ("request_count",)),
    "total_traffic_by_api": (("api_id",), ("total_traffic_by_api",)),
    "api_usage_over_time": (("api_id", "time_span"), ("count",)),
    "latency": (("api_id", "time_span"), ()),
    "errors_details": (
        ("api_id", "time_span", "application_id", "application_name", "reason"),
        ("count",),
    ),
    "top_platforms": (("platform",), ()),
}
TABLES = (*LISTS, *SHAPES)
PER_API = ("total_traffic_by_api", "api_usage_over_time", "latency")
FIELDS = {
    "success_summary": "getSuccessSummary",
    "total_traffic_by_api": "getTotalTrafficByAPI",
    "api_usage_over_time": "getAPIUsageOverTime",
    "latency": "getLatency",
    "errors_details": "getErrorsDetails",
    "top_platforms": "getTopPlatforms",
}
# The function's longest run: what is written so long after settling was asked for after it.
MARGIN = timedelta(minutes=15)
# Columns that say nothing of the source, or change with a name.
_APART = ("exported_at", "environment", "api_id_resolved", "answered_api_id", "granularity")


@dataclass(frozen=True)
class Place:
    """What a key says: table, day, and the last part, of organisation and environment."""

    table: str
    day: date
    name: str

    @property
    def organization(self) -> str:
        """The organisation's handle (those of the tests are safe as they are)."""
        return self.name.partition(".")[0]


def place_of(key: str) -> Place | None:
    """Where a data object lies; None for anything else."""
    parts = key.split("/")
    if len(parts) != 4 or parts[0] != "insights" or not parts[2].startswith("day="):
        return None
    if parts[1] not in TABLES:
        return None
    day = date.fromisoformat(parts[2].removeprefix("day="))
    return Place(parts[1], day, parts[3].removesuffix(".parquet"))


@lru_cache(maxsize=4096)
def columns_of(body: bytes) -> tuple[str, ...]:
    """The names in a Parquet file."""
    return tuple(pq.read_schema(io.BytesIO(body)).names)


@lru_cache(maxsize=4096)
def rows_of(body: bytes) -> tuple[Row, ...]:
    """The rows of a Parquet file, as it is, without partition columns."""
    return tuple(pq.ParquetFile(io.BytesIO(body)).read().to_pylist())


def keyed(table: str, rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    """Rows by what tells them apart. Raises AssertionError where two are the same."""
    names, _ = SHAPES[table]
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row.get(name) for name in names)
        assert key not in found, f"{table}: two rows are {key}"
        found[key] = row
    return found


def lost(table: str, old: Iterable[Row], new: Iterable[Row]) -> str | None:
    """What `new` has less of than `old`, or None."""
    before, after = keyed(table, by_id(table, old)), keyed(table, by_id(table, new))
    _, counts = SHAPES[table]
    if not counts:
        return "all rows" if before and not after else None
    for key, row in before.items():
        if key not in after:
            return f"row {key}"
        for name in counts:
            now, stored = after[key].get(name) or 0, row.get(name) or 0
            if now < stored:
                return f"{name} of {key}: {now} in place of {stored}"
    return None


def by_id(table: str, rows: Iterable[Row]) -> Iterable[Row]:
    """Rows per API with its id, where release 0.1.0 stored what it was called in the response."""
    for row in rows:
        resolved = row.get("api_id_resolved") if table in PER_API else None
        yield {**row, "api_id": resolved} if resolved else row


def plain(row: Row) -> dict[str, Any]:
    """A row for comparing: without what the source does not say. A missing column is null."""
    return {n: _plain(v) for n, v in row.items() if n not in _APART and v is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def day_end(day: date) -> datetime:
    """The first instant after a day."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def settled(day: date, settle_hours: float) -> datetime:
    """From when on an answer for this day is final."""
    return day_end(day) + timedelta(hours=settle_hours)


def is_closed(written: datetime, day: date, settle_hours: float) -> bool:
    """Whether an object that was written then is closed."""
    return written >= settled(day, settle_hours) + MARGIN
