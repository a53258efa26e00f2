"""Brings objects back, so that what is restored claims no more than what it was."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Literal

from choreo_insights.catalogue import Table
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.coverage import LONGEST_RUN, closes_at, is_closed
from choreo_insights.dataset.ledger import RUNS, Entry, Ledger
from choreo_insights.dataset.parquet import names
from choreo_insights.dataset.partitions import day_end, day_of, last_day
from choreo_insights.dataset.store import Dataset, Kept, Overtaken
from choreo_insights_cli.commands.restore.sources import (
    RestoreTask,
    Verdict,
    is_partition,
    table_of,
)
from choreo_insights_cli.releases.changes import backfill
from choreo_insights_cli.releases.entries import entry_of

# Requests to S3 under way at a time, and objects in memory.
_THREADS = 16
# A kill loses the ledger's entries of so many objects.
_CHUNK = 500
# The exporter's own tables, of whose objects the ledger has no entries.
_OWN = (RUNS, CHECKS)
_UNCONFIRMED = "restored as it was before its source confirmed it: export the day again"

# What became of an object.
Became = Verdict | Literal["overtaken", "unreadable"]


@dataclass
class RestoreCounts:
    """What became of a table's objects, in counts by verdict.

    `unconfirmed` are days whose restored object was requested before the day had settled. `moved`
    counts the restored objects under a former key of their environment.
    """

    table: str
    counts: dict[Became, int] = field(default_factory=dict)
    unconfirmed: set[date] = field(default_factory=set)
    moved: int = 0


@dataclass(frozen=True)
class Restored:
    """An object, and what became of it."""

    found: RestoreTask
    became: Became
    unconfirmed: bool = False
    moved: bool = False


@dataclass(frozen=True)
class Restore:
    """Brings objects from `source` to `dataset`, which may be the same bucket.

    `bound_key` gives the part of keys that an organisation's environment is bound to, by its id.
    `tables` are those of the catalogue by name. `from_copy`: the source's
    LastModified says nothing. With `dry` nothing is written.
    """

    source: Dataset
    dataset: Dataset
    ledger: Ledger
    now: Callable[[], datetime]
    settle_hours: float
    bound_key: Callable[[str, str], str | None]
    tables: Mapping[str, Table]
    from_copy: bool
    dry: bool

    def run(self, objects: Iterator[RestoreTask]) -> Iterator[Restored]:
        """What became of each object, as it goes on.

        Every object that is brought back gets an entry in the ledger. Raises what `Dataset` does.
        """
        with ThreadPoolExecutor(_THREADS) as threads:
            while chunk := list(islice(objects, _CHUNK)):
                try:
                    yield from threads.map(self._restored, chunk)
                finally:
                    self.ledger.flush()

    def _restored(self, found: RestoreTask) -> Restored:
        if found.verdict != "restore" or found.source is None:
            return Restored(found, found.verdict)
        version = found.source.version
        if version is None:
            kept = self.source.read(found.key)
        else:
            kept = self.source.read_version(found.key, version)
        try:
            return self._written(found, kept) if kept else Restored(found, "unreadable")
        except ValueError:
            return Restored(found, "unreadable")
        except Overtaken:
            return Restored(found, "overtaken")

    def _written(self, found: RestoreTask, kept: Kept) -> Restored:
        """Writes the object. Raises ValueError where it is no Parquet file, and Overtaken."""
        closes = self._closes(found.key)
        unconfirmed = closes and kept.confirmed and not self._was_closed(found, kept)
        confirmed = kept.confirmed and not unconfirmed
        entries = self._entries(found.key, kept, confirmed=confirmed, closes=closes)
        if not self.dry:
            self.dataset.replace(
                found.key,
                kept.body,
                over=found.etag,
                queried_at=kept.queried_at,
                run=kept.run,
                confirmed=confirmed,
            )
            for entry in entries:
                self.ledger.add(entry)
        moved = bool(entries) and self._is_moved(entries[0], found.key)
        return Restored(found, "restore", unconfirmed, moved)

    def _entries(self, key: str, kept: Kept, *, confirmed: bool, closes: bool) -> list[Entry]:
        """The rows that are there now, and then that no source confirmed them, if so."""
        if not is_partition(key) or table_of(key) in _OWN:
            names(kept.body)
            return []
        of_object = partial(entry_of, key, kept.body, kept.queried_at)
        entries = [of_object("exported", final=closes and confirmed)]
        if not confirmed:
            entries.append(of_object("kept", final=closes, error=_UNCONFIRMED))
        return entries

    def _is_moved(self, entry: Entry, key: str) -> bool:
        """Whether the environment's objects have another key by now, as migrate merged them."""
        if entry.environment_id is None:
            return False
        bound = self.bound_key(entry.organization, entry.environment_id)
        name = key.rpartition("/")[2].removesuffix(".parquet")
        return bound is not None and bound != name.partition(".")[2]

    def _closes(self, key: str) -> bool:
        """Whether writing the object now closes its day, however early it was requested."""
        table = self.tables.get(table_of(key))
        is_list = table is not None and not table.daily
        if not is_partition(key) or is_list or table_of(key) in _OWN:
            return False
        # The time that a request takes, and more.
        return self.now() + LONGEST_RUN >= closes_at(self._last_day(key), self.settle_hours)

    def _last_day(self, key: str) -> date:
        """The last day that an object covers."""
        return last_day(self.tables.get(table_of(key)), day_of(key))

    def _was_closed(self, found: RestoreTask, kept: Kept) -> bool:
        """Whether the object was requested after its day had settled."""
        day = self._last_day(found.key)
        if kept.queried_at == kept.written:
            # No export wrote it: its age is all that is known, and a copy's age is none.
            return not self.from_copy and is_closed(kept.written, day, self.settle_hours)
        return kept.queried_at >= day_end(day) + timedelta(hours=self.settle_hours)


def counted(restored: Iterable[Restored]) -> list[RestoreCounts]:
    """What became of the tables, by name."""
    outcomes: dict[str, RestoreCounts] = {}
    for each in restored:
        table = table_of(each.found.key)
        outcome = outcomes.setdefault(table, RestoreCounts(table))
        outcome.counts[each.became] = outcome.counts.get(each.became, 0) + 1
        outcome.moved += each.moved
        if each.unconfirmed:
            outcome.unconfirmed.add(day_of(each.found.key))
    return [outcomes[table] for table in sorted(outcomes)]


def commands(outcomes: Iterable[RestoreCounts], queried: Collection[str]) -> Iterator[str]:
    """What confirms the days that were restored as unconfirmed; `queried` are today's tables."""
    tables: dict[tuple[date, date], list[str]] = {}
    for outcome in outcomes:
        if outcome.table in queried:
            for span in _spans(outcome.unconfirmed):
                tables.setdefault(span, []).append(outcome.table)
    for (first, last), names_ in sorted(tables.items()):
        yield backfill(first, last, names_)


def _spans(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """The days as spans without gaps."""
    first = last = None
    for day in sorted(days):
        if first and last and day - last > timedelta(days=1):
            yield first, last
            first = day
        first, last = first or day, day
    if first and last:
        yield first, last
