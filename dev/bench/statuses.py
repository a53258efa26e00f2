"""`insights status` over a year, relative to reading the ledger that it is about."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from choreo_insights.catalogue import load
from choreo_insights.dataset.coverage import wanted
from choreo_insights.dataset.ledger import RUNS, Entry, encode_entries, object_key
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import Partition
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.store import Dataset
from choreo_insights_cli.commands.status.reading import gather, settings
from choreo_insights_cli.commands.status.show import lines
from dev.bench.errors import BenchError
from dev.bench.memory_s3 import MemoryS3
from dev.bench.world import HANDLE

ENVIRONMENTS = 3
_NOW = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
_SINCE = _NOW.date() - timedelta(days=364)
_TIMES = 3


class YearStatus(NamedTuple):
    """Processor time of a status, and of decoding the year's ledger; how many objects there are."""

    seconds: float
    decoding: float
    objects: int


def measure() -> YearStatus:
    """A year of all tables, in an S3 in memory. Raises BenchError where something is missing."""
    s3: Any = MemoryS3(_NOW)
    dataset = Dataset(s3, "bench")
    _fill(s3, dataset)
    chosen = settings(_PARAMETERS, load())

    def status() -> None:
        found = gather("bench", chosen, dataset, _NOW, everything=False)
        text = "\n".join(str(line) for line in lines(found, everything=False))
        if "0 missing" not in text and "All is well" not in text:
            raise BenchError(f"the synthetic year is not whole:\n{text}")

    def decoding() -> None:
        for key, kept in s3.objects.items():
            if f"/{RUNS}/" in key:
                decode(kept["body"])

    return YearStatus(_least(status), _least(decoding), len(s3.objects))


_PARAMETERS = {
    "Tables": "all",
    "Organizations": HANDLE,
    "ExportSince": _SINCE.isoformat(),
    "SettleHours": "24",
    "StaleAfterHours": "6",
}


def _least(work: Callable[[], None]) -> float:
    def once() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return min(once() for _ in range(_TIMES))


def _fill(s3: MemoryS3, dataset: Dataset) -> None:
    """Objects without content, with a ledger and a registry that know them."""
    registry = Registry(dataset, "bench", lambda: _NOW)
    names = [f"Environment {number}" for number in range(ENVIRONMENTS)]
    rows = [{"environment_id": n, "environment_name": n, "type": "CHOREO"} for n in names]
    registry.environments(HANDLE, rows, _NOW.date(), force=False)
    by_day: dict[date, list[Entry]] = {}
    for partition in _partitions(registry):
        at = min(_NOW, datetime.combine(partition.last_day, _NOW.time(), UTC) + timedelta(days=3))
        s3.now = at
        s3.put_object(Key=partition.key, Body=b"")
        by_day.setdefault(partition.day, []).append(_entry(partition, at))
    for day, entries in by_day.items():
        s3.put_object(Key=object_key(day, day), Body=encode_entries(entries))


def _partitions(registry: Registry) -> Iterator[Partition]:
    today = _NOW.date()
    environments = [known.environment for known in registry.known(HANDLE)]
    for table in (each for each in load().tables if not each.off and not each.per_project):
        for environment in environments if table.scope == "environment" else (None,):
            yield from wanted(table, HANDLE, environment, first=_SINCE, last=today, today=today)


def _entry(partition: Partition, at: datetime) -> Entry:
    environment = partition.environment
    return Entry(
        table=partition.table_name,
        organization=partition.organization,
        environment=environment.name if environment else None,
        environment_id=environment.id if environment else None,
        day=partition.day,
        status="exported",
        started=at - timedelta(seconds=20),
        seconds=20.0,
        rows=100,
        bytes=1000,
        requests=1,
        final=True,
        covers=partition.table.covers,
        run="20260331T183000000000-5e7ec7ed",
        exported_at=at,
    )
