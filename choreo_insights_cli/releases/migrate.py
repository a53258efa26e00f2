"""Gives existing objects today's columns, and reports which they lack.

A name needs no source: an object is rewritten with its columns renamed, so no day is lost that
Choreo has forgotten. A value that was never queried can only come from there.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Literal

from choreo_insights.catalogue import Catalogue, Column, Table
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.coverage import is_closed
from choreo_insights.dataset.ledger import RUNS, Ledger
from choreo_insights.dataset.parquet import names, under_todays_names, without
from choreo_insights.dataset.partitions import day_of, last_day, table_prefix
from choreo_insights.dataset.store import Dataset, Kept, Overtaken, Stored
from choreo_insights.errors import InsightsError
from choreo_insights_cli.releases.changes import backfill
from choreo_insights_cli.releases.entries import entry_of

# Requests to S3 under way at a time.
_THREADS = 32
_BEGINNING = date(2000, 1, 1)
# Readers take it from the folder's name, and fail on a column of the same name in the file.
_PARTITION_COLUMN = "day"
_UNCONFIRMED = "no run queries it any more: it was never confirmed after its day had settled"


@dataclass(frozen=True)
class TableShape:
    """A table as it is today, and how its objects come to be written again.

    daily: until their day is closed. list: on their own day. never: once written, they stay.
    """

    name: str
    columns: Sequence[Column]
    queried: Literal["daily", "list", "never"]
    table: Table | None = None

    @property
    def renamed(self) -> dict[str, str]:
        """Today's names by the former ones."""
        return {former: column.name for column in self.columns for former in column.former}


@dataclass
class MigrationCounts:
    """How many objects of a table were migrated, and the days whose objects lack a column.

    Objects with a former name of a column, or with a column of the partition's name, were
    `rewritten`, or `left` to the run that writes them again. `unconfirmed` of those rewritten are
    of days that were open, and that no run queries any more.
    """

    table: str
    daily: bool
    objects: int = 0
    rewritten: int = 0
    unconfirmed: int = 0
    left: int = 0
    lacking: dict[str, set[date]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Inspected:
    """An object: the columns that it lacks, and what was done."""

    day: date
    lacks: tuple[str, ...]
    became: Literal["current", "rewritten", "unconfirmed", "left"]


def shapes(
    catalogue: Catalogue, own: Iterable[tuple[str, str, Sequence[Column]]]
) -> list[TableShape]:
    """The tables of a catalogue, and the exporter's own by name, description and columns."""
    exported = [
        TableShape(t.name, t.columns, "daily" if t.daily else "list", t) for t in catalogue.tables
    ]
    return [*exported, *(TableShape(name, columns, "never") for name, _, columns in own)]


def _silent(table: str, done: int, of: int) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class Migration:
    """Migrates the whole dataset. With `dry` nothing is written.

    `is_wanted` says of a table and a key whether runs query that partition as long as it is open.
    """

    dataset: Dataset
    ledger: Ledger
    now: datetime
    settle_hours: float
    is_wanted: Callable[[str, str], bool]
    dry: bool

    def run(
        self,
        tables: Sequence[TableShape],
        checked: Iterable[str] = (),
        progress: Callable[[str, int, int], None] = _silent,
    ) -> list[MigrationCounts]:
        """Migrates the tables. Calls `progress` with a table, the objects done and their number.

        `checked` are the tables that the checks of a day read. Raises InsightsError where an
        object cannot be read or written.
        """
        checks = self._checks(checked)
        # The checks last: they are compared with the objects that they are about.
        last = sorted(tables, key=lambda shape: shape.name == CHECKS)
        with ThreadPoolExecutor(_THREADS) as threads:
            try:
                outcomes = [self._table(shape, checks, threads, progress) for shape in last]
            finally:
                # Also after a failure: what was rewritten so far is in the ledger.
                self.ledger.flush()
            if not self.dry:
                list(threads.map(self._touch, map(_checks_key, checks.overtaken)))
                # Runs look for what was not recorded where the ledger is older than its day.
                list(threads.map(self._touch, self._newest_ledgers(checks.rewritten)))
        return outcomes

    def _checks(self, tables: Iterable[str]) -> "_Checks":
        written: dict[str, datetime] = {}
        for table in tables:
            for key, stored in self._listing(table).items():
                name = _below(key)
                written[name] = max(written.get(name, stored.written), stored.written)
        listed = {_below(key): stored.written for key, stored in self._listing(CHECKS).items()}
        return _Checks(frozenset(n for n, at in listed.items() if at >= written.get(n, at)))

    def _listing(self, table: str) -> dict[str, Stored]:
        return self.dataset.listing(table, _BEGINNING, self.now.date())

    def _table(
        self,
        shape: TableShape,
        checks: "_Checks",
        threads: ThreadPoolExecutor,
        progress: Callable[[str, int, int], None],
    ) -> MigrationCounts:
        outcome = MigrationCounts(shape.name, shape.queried == "daily")
        listed = self._listing(shape.name)
        migrated = threads.map(partial(self._migrated, shape, checks), listed, listed.values())
        for number, (key, inspected) in enumerate(zip(listed, migrated, strict=True), 1):
            if inspected is not None:
                _count(outcome, inspected)
                if inspected.became in ("rewritten", "unconfirmed"):
                    checks.note(shape.name, key)
            progress(shape.name, number, len(listed))
        return outcome

    def _migrated(
        self, shape: TableShape, checks: "_Checks", key: str, stored: Stored
    ) -> _Inspected | None:
        if (kept := self.dataset.read(key)) is None:
            return None
        try:
            body = _todays(kept.body, shape)
            names_today = {shape.renamed.get(name, name) for name in names(kept.body)}
        except ValueError as error:
            raise InsightsError(f"{key} cannot be read: {error}") from error
        lacks = tuple(column.name for column in shape.columns if column.name not in names_today)
        inspected = _Inspected(day_of(key), lacks, "current")
        if body is None:
            return inspected
        if self._is_rewritten_by_a_run(shape, checks, key, stored):
            return replace(inspected, became="left")
        return self._rewritten(shape, key, kept, body, inspected)

    def _is_rewritten_by_a_run(
        self, shape: TableShape, checks: "_Checks", key: str, stored: Stored
    ) -> bool:
        """Whether a run rewrites the object by itself. Then it stays as it is.

        Rewritten here it would look closed, or checked, and late data would be missed.
        """
        if shape.name == CHECKS:
            return _below(key) not in checks.current and self.is_wanted(CHECKS, key)
        if shape.queried == "never":
            return False
        return not self._is_closed(shape, key, stored) and self.is_wanted(shape.name, key)

    def _is_closed(self, shape: TableShape, key: str, stored: Stored) -> bool:
        if shape.queried == "list":
            return day_of(key) < self.now.date()
        ends = last_day(shape.table, day_of(key))
        return shape.queried == "never" or is_closed(stored.written, ends, self.settle_hours)

    def _rewritten(
        self, shape: TableShape, key: str, kept: Kept, body: bytes, inspected: _Inspected
    ) -> _Inspected:
        """Rewrites an object. One that no run ever confirmed, and none will, is marked so."""
        confirmed = self._is_closed(shape, key, Stored(kept.written, kept.etag))
        if not self.dry:
            try:
                self._replace(key, kept, body, confirmed=confirmed and kept.confirmed)
            except Overtaken:
                return _Inspected(inspected.day, (), "left")
            if not confirmed:
                entry = entry_of(key, body, kept.queried_at, "kept", final=True, error=_UNCONFIRMED)
                self.ledger.add(entry)
        return replace(inspected, became="rewritten" if confirmed else "unconfirmed")

    def _replace(self, key: str, kept: Kept, body: bytes, *, confirmed: bool) -> None:
        self.dataset.replace(
            key, body, over=kept.etag, queried_at=kept.queried_at, run=kept.run, confirmed=confirmed
        )

    def _newest_ledgers(self, of: Collection[date]) -> Iterable[str]:
        newest: dict[date, tuple[datetime, str]] = {}
        for key, stored in self._listing(RUNS).items():
            if (day := day_of(key)) in of:
                newest[day] = max(newest.get(day, (stored.written, key)), (stored.written, key))
        return [key for _, key in newest.values()]

    def _touch(self, key: str) -> None:
        """Writes an object again as it is."""
        if kept := self.dataset.read(key):
            with suppress(Overtaken):
                self._replace(key, kept, kept.body, confirmed=kept.confirmed)


@dataclass(frozen=True)
class _Checks:
    """The names of the checks' objects below their table's folder.

    `current` were newer than all objects that they compare: the next run rewrites the others, as
    it sees in the listing. `overtaken` are older now than an object that was rewritten, of which no
    value changed. `rewritten` are the days of all such objects.
    """

    current: frozenset[str]
    overtaken: set[str] = field(default_factory=set)
    rewritten: set[date] = field(default_factory=set)

    def note(self, table: str, key: str) -> None:
        """Notes an object that was rewritten."""
        name = _below(key)
        if table not in (CHECKS, RUNS):
            self.rewritten.add(day_of(key))
        if table == CHECKS:
            self.overtaken.discard(name)
        elif name in self.current:
            self.overtaken.add(name)


def _checks_key(name: str) -> str:
    return f"{table_prefix(CHECKS)}{name}"


def _below(key: str) -> str:
    """A key below its table's folder: the day, and the place."""
    return "/".join(key.rsplit("/", 2)[1:])


def _todays(body: bytes, shape: TableShape) -> bytes | None:
    """The file with today's columns, or None where it has them. Raises ValueError."""
    renamed = under_todays_names(body, shape.renamed)
    return without(renamed or body, {_PARTITION_COLUMN}) or renamed


def _count(outcome: MigrationCounts, inspected: _Inspected) -> None:
    outcome.objects += 1
    outcome.rewritten += inspected.became in ("rewritten", "unconfirmed")
    outcome.unconfirmed += inspected.became == "unconfirmed"
    outcome.left += inspected.became == "left"
    for name in inspected.lacks:
        outcome.lacking.setdefault(name, set()).add(inspected.day)


def lines(outcomes: Iterable[MigrationCounts], *, dry: bool) -> Iterator[str]:
    """The report, line by line; empty where nothing needs a change."""
    grown: list[MigrationCounts] = []
    for outcome in outcomes:
        if outcome.rewritten:
            what = "to be rewritten" if dry else "rewritten"
            share = f"{outcome.rewritten} of {outcome.objects} objects"
            yield f"{outcome.table}: {share} {what} with today's columns."
        if outcome.unconfirmed:
            yield (
                f"{outcome.table}: {outcome.unconfirmed} of these are of days that no run queries"
                " any more, and that none confirmed: they are closed as unconfirmed."
            )
        if outcome.left:
            yield (
                f"{outcome.table}: {outcome.left} objects of days that are not closed keep former"
                " columns: the next run rewrites them."
            )
        for name, days in outcome.lacking.items():
            yield (
                f"{outcome.table}.{name}: null from {min(days)} to {max(days)} (days: {len(days)}),"
                " exported before there was such a column."
            )
        if outcome.lacking and outcome.daily:
            grown.append(outcome)
    if grown:
        yield "To export these columns, as far as Choreo still has them:"
    for outcome in grown:
        days = set().union(*outcome.lacking.values())
        yield f"  {backfill(min(days), max(days), [outcome.table])}"
