"""What a run queries: the wanted partitions that are missing or open, by what the bucket shows."""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial

import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.checks_table import CHECKS, doubted_tables
from choreo_insights.dataset.checks_table import key as checks_key
from choreo_insights.dataset.coverage import LONGEST_RUN, closes_at, is_closed, is_due, wanted
from choreo_insights.dataset.cross_checks import is_checked
from choreo_insights.dataset.ledger import RUNS, Entry, Ledger
from choreo_insights.dataset.partitions import (
    Environment,
    Partition,
    day_of,
    days,
    last_day,
    place_of,
)
from choreo_insights.dataset.store import Dataset, Stored
from choreo_insights.export.event import Bounds

log = logging.getLogger(__name__)

# Objects of checks that are read at a time.
_THREADS = 8
# Days whose ledger is read at the start of a run, at most: the newest of them.
_LEDGER_DAYS = 60
# Stands for every object of a closed day that this run leaves alone: there may be many.
_CLOSED = Stored(datetime.max.replace(tzinfo=UTC), "")


class Unrecorded(msgspec.Struct, frozen=True):
    """An object that the ledger does not know: its run was killed before it wrote that down."""

    partition: Partition
    stored: Stored
    closed: bool


class Plan:
    """The objects within the bounds as they were before the run, and what follows from them.

    `settled` and `left` count the partitions that `due` went past: those that need nothing, and
    those left to the catch-up that runs. `unrecorded` grows in the same way.
    """

    def __init__(self, bounds: Bounds, settle_hours: float, now: datetime) -> None:
        self._bounds = bounds
        self._settle_hours = settle_hours
        self._now = now
        self._stored: dict[str, dict[str, Stored]] = {}
        self._ledger_days: frozenset[date] = frozenset()
        self._newest: Mapping[tuple[str, str, str | None, date], Entry] = {}
        self._recorded: dict[date, datetime] = {}
        # The newest object of the tables that are checked, by place and day.
        self._written: dict[tuple[str, date], datetime] = {}
        self._checked: dict[str, Stored] = {}
        # Places and days of which an object is open.
        self._open: set[tuple[str, date]] = set()
        self._doubted: Mapping[str, frozenset[str]] = {}
        self.settled = 0
        self.left = 0
        self.unrecorded: list[Unrecorded] = []

    def load(self, dataset: Dataset, ledger: Ledger) -> None:
        """Lists the objects, and reads the ledger of the days in sight. Raises what they do."""
        first, last = self._bounds.first, self._bounds.last
        in_sight: set[date] = set()
        for key, stored in dataset.listing(RUNS, first, last).items():
            day = day_of(key)
            self._recorded[day] = max(self._recorded.get(day, stored.written), stored.written)
        for table in self._bounds.tables:
            self._stored[table.name] = {
                key: self._seen(table, key, stored, in_sight)
                for key, stored in dataset.listing(table.name, first, last).items()
            }
        self._checked = dataset.listing(CHECKS, first, last)
        self._doubted = self._doubts(dataset)
        if self._repeats and self._bounds.since:
            # An earlier round of this part may have tried what shows in the ledger alone.
            in_sight.update(days(first, last))
        self._ledger_days = frozenset(sorted(in_sight)[-_LEDGER_DAYS:])
        self._newest = ledger.newest(self._ledger_days)

    def _seen(self, table: Table, key: str, stored: Stored, in_sight: set[date]) -> Stored:
        day = day_of(key)
        place = key.rpartition("/")[2].removesuffix(".parquet"), day
        if is_checked(table) and table.daily:
            self._written[place] = max(self._written.get(place, stored.written), stored.written)
        ends = last_day(table, day)
        closed = is_closed(stored.written, ends, self._settle_hours)
        if not closed or self._may_be_unrecorded(day, stored):
            in_sight.add(day)
            if not closed:
                self._open.add(place)
            return stored
        # One shared object for all closed days: a backfill of years lists very many.
        return stored if self._repeats else _CLOSED

    def _doubts(self, dataset: Dataset) -> dict[str, frozenset[str]]:
        """The tables of open past days whose figures did not agree, by the key of their checks."""
        keys = [
            key
            for name, day in self._open & self._written.keys()
            if day < self._now.date() and (key := checks_key(day, name)) in self._checked
        ]
        with ThreadPoolExecutor(_THREADS, "doubts") as threads:
            return dict(zip(keys, threads.map(partial(_doubted, dataset), keys), strict=True))

    def _may_be_unrecorded(self, day: date, stored: Stored) -> bool:
        """Whether a run may have been killed before it recorded what it wrote.

        The ledger of a day is written after its objects. Where others have written it since, for
        other environments, the next round of the part that was killed reads it.
        """
        recorded = self._recorded.get(day)
        return self._bounds.part or recorded is None or recorded < stored.written

    @property
    def _repeats(self) -> bool:
        return self._bounds.force or self._bounds.again

    def has_open(self, organization: str, environment: Environment) -> bool:
        """Whether a day of an environment is open within the bounds."""
        place = place_of(organization, environment)
        return any(place == each for each, _ in self._open)

    def holds(self, partition: Partition) -> bool:
        """Whether a list is stored: the bounds cover it, and no earlier round has written it."""
        bounds, stored = self._bounds, self.stored(partition)
        if bounds.since and stored and stored.written >= bounds.since:
            return False
        return partition.table_name in self._stored and bounds.first <= partition.day <= bounds.last

    def stored(self, partition: Partition) -> Stored | None:
        """The object of a due partition, as it was before the run."""
        return self._stored.get(partition.table_name, {}).get(partition.key)

    def urgency(self, partition: Partition) -> tuple[int, float]:
        """Sorts due partitions: the newest day first, and of a day what was written longest ago.

        So a run that never has time for all leaves out others than the last one did. A part of a
        backfill begins with its oldest day, which the service forgets first.
        """
        stored = self.stored(partition)
        day = partition.day.toordinal()
        order = day if self._bounds.part else -day
        return order, stored.written.timestamp() if stored else 0.0

    def due(
        self,
        table: Table,
        organization: str,
        environment: Environment | None,
        *,
        stored_only: bool = False,
    ) -> Iterator[Partition]:
        """The partitions of a table that this run queries, sorted by `urgency`.

        With `stored_only` those alone of which there is an object: the environment is gone.
        """
        bounds = self._bounds
        partitions = wanted(
            table,
            organization,
            environment,
            first=bounds.first,
            last=bounds.last,
            today=self._now.date(),
        )
        for partition in reversed([*partitions]) if bounds.part else partitions:
            stored = self.stored(partition)
            if stored is None and stored_only:
                continue
            entry = self._entry(partition)
            if stored and partition.day in self._ledger_days:
                self._note(partition, stored, entry)
            if self._is_done(partition, stored, entry):
                self.settled += 1
            elif stored is None and self._is_left(partition):
                self.left += 1
            else:
                yield partition

    def _entry(self, partition: Partition) -> Entry | None:
        environment = partition.environment
        place = partition.organization, environment.id if environment else None
        return self._newest.get((partition.table_name, *place, partition.day))

    def _note(self, partition: Partition, stored: Stored, entry: Entry | None) -> None:
        closed = is_closed(stored.written, partition.last_day, self._settle_hours)
        under_way = stored.written > self._now - LONGEST_RUN
        if stored is _CLOSED or (closed and under_way and not self._bounds.part):
            # Recorded, or still to be recorded by the run that wrote it.
            return
        # The object is newer than the entry by more than a run takes: the run that wrote it was
        # killed before it recorded it.
        older = entry is not None and not under_way and stored.written - LONGEST_RUN > entry.started
        if entry is None or older or (closed and entry.status != "failed" and not entry.final):
            self.unrecorded.append(Unrecorded(partition, stored, closed))

    def _is_done(self, partition: Partition, stored: Stored | None, entry: Entry | None) -> bool:
        day, since = partition.last_day, self._bounds.since
        if since and stored and stored.written >= since:
            return True
        kept = entry is not None and entry.status in ("kept", "overtaken")
        if since and entry and kept and entry.started >= since:
            return True
        if self._repeats or stored is None:
            return False
        if is_closed(stored.written, day, self._settle_hours) or partition.table.per_project:
            return True
        is_kept = entry is not None and entry.status == "kept"
        waits = is_kept and self._now >= closes_at(day, self._settle_hours)
        if not waits and (self._bounds.named_days or self._is_doubted(partition)):
            return False
        queried = max(stored.written, entry.started) if entry and is_kept else stored.written
        return not is_due(queried, self._now, day, self._settle_hours, kept=is_kept)

    def _is_doubted(self, partition: Partition) -> bool:
        """Whether the table's figures did not agree with others of the day."""
        key = checks_key(partition.day, partition.place)
        return partition.table_name in self._doubted.get(key, ())

    def _is_left(self, partition: Partition) -> bool:
        """Whether the catch-up that runs exports a partition that is missing."""
        closes = closes_at(partition.last_day, self._settle_hours)
        return self._bounds.open_only and self._now >= closes

    def unchecked(self, organization: str, environment: Environment | None) -> Iterator[date]:
        """The days of which an object is newer than their checks, newest first.

        The run that wrote it had no time for them, or was killed.
        """
        name = place_of(organization, environment)
        days = sorted((day for place, day in self._written if place == name), reverse=True)
        for day in days:
            checked = self._checked.get(checks_key(day, name))
            if checked is None or checked.written < self._written[name, day]:
                yield day


def _doubted(dataset: Dataset, key: str) -> frozenset[str]:
    kept = dataset.read(key)
    try:
        return doubted_tables(kept.body) if kept else frozenset()
    except (KeyError, ValueError) as error:
        log.warning("%s cannot be read, and is written anew at the next checkpoint: %s", key, error)
        return frozenset()
