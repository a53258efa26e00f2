"""The ledger `runs`: what each run tried, as a table of the dataset."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Any, Literal

import msgspec

from choreo_insights.catalogue import Column
from choreo_insights.dataset.parquet import appended, batches, encode
from choreo_insights.dataset.partitions import day_of, day_prefix
from choreo_insights.dataset.store import Dataset, Overtaken
from choreo_insights.errors import InsightsError, Retriable
from choreo_insights.times import microseconds

log = logging.getLogger(__name__)

Status = Literal["exported", "unchanged", "failed", "kept", "overtaken"]

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
        "exported; unchanged (a list of today with the same rows: not written again); failed; kept "
        "(the source now gives less, so the stored rows stay); overtaken (a newer run was faster).",
    ),
    Column(
        "final",
        "boolean",
        "Whether the day was closed by this: it is not queried again. With the status kept, closed "
        "as unconfirmed. Null where nothing was decided, and in older rows.",
    ),
    Column(
        "covers",
        "string",
        "What the partition covers: day; past_day (a day, queried only when it has ended); month "
        "(from the day on); list (as it was on the day). Null in older rows.",
    ),
    Column("rows", "bigint", "Rows written; null where nothing was."),
    Column("bytes", "bigint", "Size of the object written; null where nothing was."),
    Column("requests", "bigint", "Requests that carried a query of the partition."),
    Column("seconds", "double", "From the first query to the end."),
    Column("started", "timestamp", "When the partition's first query was sent (UTC)."),
    Column("error", "string", "Why it failed or was kept."),
    Column("exported_at", "timestamp", "When the partition was done (UTC)."),
)

_MAX_ERROR = 500
# Each conflict means that another run has written the object; more runs than this never write one
# at a time.
_ATTEMPTS = 10
_THREADS = 8
# Days in between are listed too, where that saves a request.
_MAX_GAP = timedelta(days=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The columns that identify an entry.
_IDENTITY = ("run", "table", "organization", "environment_id", "status", "exported_at")

Key = tuple[str, str, str | None, date]


class Entry(msgspec.Struct, frozen=True):
    """The outcome of a partition in a run. `run` and `exported_at` are set by `Ledger.add`.

    `started` is when its first query was sent, `exported_at` when it was done; `seconds` is the
    time between. `final`: the object was closed by this, so that no later run queries it.
    """

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
    final: bool | None = None
    covers: str | None = None
    run: str = ""
    exported_at: datetime = _EPOCH

    @property
    def key(self) -> Key:
        """What identifies the partition: table, organisation, environment's id and day."""
        return self.table, self.organization, self.environment_id, self.day


class Ledger:
    """Appends the outcomes of a run to the objects of the data days; so may other runs at once.

    An object holds the outcomes of the runs of one UTC date for one data day. Nothing is deleted.
    """

    def __init__(self, dataset: Dataset, run_id: str, now: Callable[[], datetime]) -> None:
        self._dataset = dataset
        self._run_id = run_id
        self._now = now
        # Of the run, not of the flush: entries whose PUT had no response must not be appended to
        # another object after midnight.
        self._date = now().astimezone(UTC).date()
        self._pending: dict[date, list[Entry]] = {}
        # Guards `_pending`. Taken last.
        self._lock = Lock()
        # Taken before `_lock`, and held while S3 answers: two flushes must not append to one
        # object.
        self._one_flush = Lock()

    def add(self, entry: Entry) -> None:
        """Records an entry in memory, until the next flush. Any thread may call this."""
        entry = msgspec.structs.replace(
            entry, run=self._run_id, exported_at=self._now(), error=_bounded(entry.error)
        )
        with self._lock:
            self._pending.setdefault(entry.day, []).append(entry)

    def flush(self) -> None:
        """Writes the entries since the last flush, to the objects of their days.

        What cannot be written stays for the next flush. Raises what `Dataset` does, Retriable
        where others write an object again and again, and InsightsError for an object that cannot
        be read; the other days are written all the same.
        """
        with self._one_flush:
            with self._lock:
                pending, self._pending = self._pending, {}
            failures: dict[date, BaseException] = {}
            with ThreadPoolExecutor(_THREADS) as threads:
                writes = {day: threads.submit(self._append, day, pending[day]) for day in pending}
            for day, write in writes.items():
                if failure := write.exception():
                    failures[day] = failure
            with self._lock:
                for day in failures:
                    self._pending[day] = pending[day] + self._pending.get(day, [])
        # The first one stands for all: the others stay pending too.
        for failure in failures.values():
            raise failure

    def _append(self, day: date, entries: Sequence[Entry]) -> None:
        key = object_key(day, self._date)
        for _ in range(_ATTEMPTS):
            stored = self._dataset.read(key)
            try:
                missing = _missing(stored.body, entries) if stored else entries
                body = encode_entries(missing)
                if stored:
                    body = appended(stored.body, body)
            except ValueError as error:
                raise InsightsError(_unreadable(key, error)) from error
            # An earlier PUT of this flush was done, although its response was lost.
            if not missing:
                return
            over = stored.etag if stored else None
            try:
                self._dataset.replace(
                    key, body, over=over, queried_at=self._now(), run=self._run_id
                )
            except Overtaken:
                continue
            return
        raise Retriable(f"{key} was written by other runs {_ATTEMPTS} times meanwhile")

    def newest(self, days: Iterable[date]) -> dict[Key, Entry]:
        """The newest entry of each partition of these data days, of all runs, also of 0.1.0's.

        Entries that wait for a flush are not among them. An object that cannot be read is logged
        and left out. Raises what `Dataset` does.
        """
        wanted = set(days)
        keys = [
            key
            for first, last in _spans(wanted)
            for key in self._dataset.listing(RUNS, first, last)
            if day_of(key) in wanted
        ]
        newest: dict[Key, Entry] = {}
        with ThreadPoolExecutor(_THREADS) as threads:
            for entries in threads.map(self._newest_of, keys):
                _keep_newest(newest, entries.values())
        return newest

    def _newest_of(self, key: str) -> dict[Key, Entry]:
        newest: dict[Key, Entry] = {}
        stored = self._dataset.read(key)
        try:
            _keep_newest(newest, read_entries(stored.body, day_of(key)) if stored else ())
        except ValueError as error:
            log.error("%s", _unreadable(key, error))  # noqa: TRY400 - the trace says no more
        return newest


def object_key(day: date, run_date: date) -> str:
    """The key of the entries of the runs of one UTC date for a data day."""
    return f"{day_prefix(RUNS, day)}{run_date.isoformat()}.parquet"


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """A ledger object of these entries, which are of one data day."""
    values: dict[str, list[Any]] = {
        column.name: [getattr(entry, column.name) for entry in entries] for column in RUNS_COLUMNS
    }
    for name in ("started", "exported_at"):
        values[name] = [microseconds(instant) for instant in values[name]]
    return encode(RUNS_COLUMNS, values, len(entries))


def read_entries(body: bytes, day: date) -> Iterator[Entry]:
    """The entries of a ledger object of a data day, of 0.1.0's too, in their order.

    Raises ValueError where the bytes are not a Parquet file or lack a column of all releases.
    """
    names = [column.name for column in RUNS_COLUMNS]
    for batch in batches(body, names):
        for values in zip(*batch.values(), strict=True):
            yield _entry(dict(zip(batch, values, strict=True)), day)


def _entry(row: Mapping[str, Any], day: date) -> Entry:
    # Texts repeat in thousands of rows.
    values: dict[str, Any] = {n: sys.intern(v) if type(v) is str else v for n, v in row.items()}
    values |= {name: _instant(row.get(name)) for name in ("started", "exported_at")}
    try:
        return Entry(day=day, **values)
    except TypeError as error:
        msg = f"columns are missing: {error}"
        raise ValueError(msg) from error


def _instant(micros: int | None) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros or 0)
    except OverflowError as error:
        msg = f"{micros} is not an instant"
        raise ValueError(msg) from error


def _keep_newest(newest: dict[Key, Entry], entries: Iterable[Entry]) -> None:
    for entry in entries:
        known = newest.get(entry.key)
        # Of two at the same instant the later row is the newer one.
        if known is None or known.exported_at <= entry.exported_at:
            newest[entry.key] = entry


def _missing(body: bytes, entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries that a ledger object lacks.

    It has some where an earlier PUT was done although its response never arrived.
    """
    there = {
        row
        for batch in batches(body, _IDENTITY)
        for row in zip(*batch.values(), strict=True)
        # The run's own rows are few; the others would take memory for nothing.
        if row[0] == entries[0].run
    }
    return [entry for entry in entries if _identity(entry) not in there] if there else entries


def _identity(entry: Entry) -> tuple[Any, ...]:
    return (*(getattr(entry, name) for name in _IDENTITY[:-1]), microseconds(entry.exported_at))


def _spans(days: Iterable[date]) -> list[tuple[date, date]]:
    """First and last days of the listings that cover these days."""
    spans: list[tuple[date, date]] = []
    for day in sorted(days):
        if spans and day - spans[-1][1] <= _MAX_GAP:
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return spans


def _bounded(error: str | None) -> str | None:
    if error is None or len(error) <= _MAX_ERROR:
        return error
    return f"{error[: _MAX_ERROR - 3]}..."


def _unreadable(key: str, error: ValueError) -> str:
    return f"{key} in the dataset bucket cannot be read ({error}): restore its earlier version"
