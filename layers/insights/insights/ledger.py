"""The ledger `runs`: what each run tried, as a table of the dataset."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from insights.catalogue import Column
from insights.decode import microseconds
from insights.parquet import Constant, encode
from insights.partitions import day_prefix

Status = Literal["exported", "failed", "kept", "overtaken"]

RUNS = "runs"
RUNS_DESCRIPTION = "The ledger: a row for each partition that a run of the export tried."
RUNS_COLUMNS: tuple[Column, ...] = (
    Column("run", "string", "Id of the run: when it began, and its invocation."),
    Column("table", "string", "Table of the partition."),
    Column("organization", "string", "Handle of the organisation."),
    Column("environment", "string", "Name of the environment; null for lists of an organisation."),
    Column("environment_id", "string", "Id of the environment."),
    Column(
        "status",
        "string",
        "exported; failed; kept (less than is there already, so that stays); overtaken (a newer "
        "run was faster).",
    ),
    Column("rows", "bigint", "Rows written; null where nothing was."),
    Column("bytes", "bigint", "Size of the object written; null where nothing was."),
    Column("requests", "bigint", "Requests that carried a question of the partition."),
    Column("seconds", "double", "From the first question to the end."),
    Column("started", "timestamp", "When the partition was begun (UTC)."),
    Column("error", "string", "Why it failed or was kept."),
    Column("exported_at", "timestamp", "When the row was written (UTC)."),
)
# In the file too, for readers that know nothing of the folder's name.
_IN_FILE = (
    *RUNS_COLUMNS[:5],
    Column("day", "string", "The partition's UTC day."),
    *RUNS_COLUMNS[5:],
)


class Entry(msgspec.Struct, frozen=True):
    """What became of a partition in a run; times in seconds."""

    table: str
    organization: str
    environment: str | None
    environment_id: str | None
    day: date
    status: Status
    started: datetime
    seconds: float
    rows: int | None = None
    bytes: int | None = None
    requests: int = 0
    error: str | None = None


def objects(run: str, entries: Iterable[Entry], now: datetime) -> Iterator[tuple[date, str, bytes]]:
    """The ledger's objects of a run, one for each day that it tried: day, key and body."""
    by_day: dict[date, list[Entry]] = {}
    for entry in entries:
        by_day.setdefault(entry.day, []).append(entry)
    for day, tried in by_day.items():
        yield day, f"{day_prefix(RUNS, day)}{run}.parquet", _file(run, tried, now)


def _file(run: str, entries: Sequence[Entry], now: datetime) -> bytes:
    values: dict[str, Sequence[Any] | Constant] = {
        column.name: [getattr(entry, column.name) for entry in entries]
        for column in _IN_FILE
        if column.name in Entry.__struct_fields__
    }
    values["run"] = Constant(run)
    values["day"] = [entry.day.isoformat() for entry in entries]
    values["started"] = [microseconds(entry.started) for entry in entries]
    values["exported_at"] = Constant(microseconds(now))
    return encode(_IN_FILE, values, len(entries))
