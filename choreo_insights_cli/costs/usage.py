"""Models what a stack does by the exporter's own rules: its runs, its objects, its seconds."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from choreo_insights.catalogue import Catalogue, Table
from choreo_insights.dataset.coverage import is_closed, is_due, wanted
from choreo_insights.dataset.cross_checks import is_checked
from choreo_insights.dataset.partitions import Environment
from choreo_insights_cli.costs.inputs import Counts, Inputs
from choreo_insights_cli.costs.partition_size import object_bytes, query_count, rows

DAYS_A_MONTH = 365 / 12

# How long things take, in seconds: a cold start, a page of a listing, an object read or written.
START_SECONDS = 2.0
LIST_SECONDS = 0.12
GET_SECONDS = 0.03
PUT_SECONDS = 0.04
KEYS_A_PAGE = 1000
# The export function, as the template and the exporter have it.
INVOCATION_SECONDS = 900.0
STORES = 4
# What an invocation keeps for requests under way and for the ledger.
KEPT_SECONDS = 95.0

# Bytes of an object of the table `checks`, and of the ledger: for itself, and for each row.
_CHECKS_BYTES = 4_600
_LEDGER_BYTES, _LEDGER_ROW_BYTES = 3_600, 25
# Older versions of objects are kept for so long.
_OLD_DAYS = 30
_ENVIRONMENT = Environment("", "", "CHOREO", (), "")
# A week, so that a schedule that does not divide a day evenly passes through all its phases.
_WEEK = 7
_FIRST = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class RunsPerDay:
    """How many runs export one day of a table: all, and those that replace a day that is over."""

    runs: float = 0
    again: float = 0


@dataclass(frozen=True)
class MeanRun:
    """The mean of the scheduled runs.

    `listing` is how long listing takes, `work` everything else, both in seconds.
    """

    queries: float
    requests: float
    listing: float
    work: float
    most_seconds: float

    @property
    def left(self) -> float:
        """What an invocation has for work."""
        return INVOCATION_SECONDS - KEPT_SECONDS - START_SECONDS - self.listing

    @property
    def seconds(self) -> float:
        """From start to end. A run is one invocation; the state machine exports the rest."""
        return min(START_SECONDS + self.listing + self.work, INVOCATION_SECONDS)

    @property
    def keeps_up(self) -> bool:
        """Whether it exports all that is due before the next run starts."""
        return self.work <= self.left and self.seconds <= self.most_seconds


class Usage:
    """What a stack of this size does. Figures without another unit are per day.

    Counts replace what the rules say.
    """

    def __init__(self, inputs: Inputs, catalogue: Catalogue, counts: Counts | None = None) -> None:
        self.inputs = inputs
        self.counts = counts or Counts()
        self.tables = catalogue.chosen(inputs.tables)
        self.daily = [table for table in self.tables if table.daily]
        self.glue_tables = len(catalogue.tables)
        self.names = catalogue.table("apis")
        self._lists = [catalogue.table("environments"), self.names]

    def a_day(self, name: str, modelled: float) -> float:
        """The daily count of this name, or else what the rules say."""
        counted: float | None = getattr(self.counts, name)
        return modelled if counted is None else counted / self.counts.days

    def copies(self, table: Table) -> int:
        """The partitions of a table per day."""
        if table.on_prem_key and not self.inputs.on_prem_key:
            return 0
        if table.scope == "organization":
            return self.inputs.organizations
        types = table.environment_types
        return 0 if types and _ENVIRONMENT.type not in types else self.inputs.places

    def runs_of(self, table: Table) -> RunsPerDay:
        """How many runs export one day of this table."""
        inputs = self.inputs
        key = (table.covers, table.kept_days, inputs.runs_a_day, inputs.settle_hours)
        if key not in _walked:
            _walked[key] = _walk(table, inputs.runs_a_day, inputs.settle_hours)
        return _walked[key]

    @cached_property
    def days_touched(self) -> float:
        """Days that runs write to, each counted once per run."""
        return max((self.runs_of(t).runs for t in self.tables if self.copies(t)), default=0)

    @cached_property
    def ledger_objects(self) -> float:
        """Ledger objects per day: one for each UTC date on which runs write to it."""
        return min(self.days_touched, 2 + math.ceil(self.inputs.settle_hours / 24))

    @property
    def _ledger_bytes(self) -> float:
        return _LEDGER_BYTES * self.ledger_objects + _LEDGER_ROW_BYTES * self._tried

    @cached_property
    def _places_checked(self) -> dict[str, float]:
        """Days of environments and of organisations whose tables are compared, by scope."""
        scopes = {table.scope: table for table in self.daily if self.copies(table)}
        return {scope: self.runs_of(t).runs * self.copies(t) for scope, t in scopes.items()}

    @property
    def places_checked(self) -> float:
        """Days of environments and organisations whose tables are compared."""
        return sum(self._places_checked.values())

    @cached_property
    def queries(self) -> float:
        """The queries that the API answers."""
        size = self.inputs.size
        tables = {table.name: table for table in (*self._lists, *self.tables)}
        return sum(
            query_count(table, size) * self._times(table) * self.copies(table)
            for table in tables.values()
        )

    @cached_property
    def queries_of_a_day(self) -> float:
        """The queries of exporting one day that is over, once."""
        kept = [table for table in self.daily if table.kept_days is None]
        return sum(query_count(t, self.inputs.size) * self.copies(t) for t in kept)

    def _times(self, table: Table) -> float:
        # Every run exports the lists that other tables depend on.
        return self.inputs.runs_a_day if table in self._lists else self.runs_of(table).runs

    @cached_property
    def requests(self) -> float:
        """The HTTP requests that carry these queries.

        Each run has two for the lists, and a last one that is not full, for each organisation.
        """
        more = 2 * self.inputs.runs_a_day * self.inputs.organizations
        return self.a_day("requests", self.queries / self.inputs.batch_size + more)

    @cached_property
    def _tried(self) -> float:
        """Partitions that runs query: each is a row of the ledger."""
        return sum(self.runs_of(table).runs * self.copies(table) for table in self.tables)

    @cached_property
    def written(self) -> float:
        """Objects of tables that are written; a list changes seldom, and is written once a day."""
        modelled = sum(
            (self.runs_of(table).runs if table.daily else min(self.runs_of(table).runs, 1))
            * self.copies(table)
            for table in self.tables
        )
        return self.a_day("written", modelled)

    @cached_property
    def puts(self) -> float:
        """Objects written: tables, checks and the ledger."""
        return self.written + self.places_checked + self.days_touched

    @cached_property
    def gets(self) -> float:
        """Objects read: what is compared before it is replaced, to compare tables, and the ledger.

        A run reads that of its open days when it begins, and each object before it appends to it.
        """
        before = sum(self.runs_of(table).again * self.copies(table) for table in self.daily)
        before += sum(
            max(self.runs_of(table).runs - 1, 0) * self.copies(table)
            for table in self.tables
            if not table.daily
        )
        checks = sum(times * self.checked[scope] for scope, times in self._places_checked.items())
        ledger = self.days_touched * (1 + (self.ledger_objects + 1) / 2)
        return before + checks + ledger

    @cached_property
    def checked(self) -> Counter[str]:
        """How many tables the checks of a day read, by scope."""
        return Counter(table.scope for table in self.daily if is_checked(table))

    @cached_property
    def pages(self) -> int:
        """Pages of listings in one invocation: each table since the first day."""
        if self.counts.objects is not None:
            return len(self.tables) + int(self.counts.objects / KEYS_A_PAGE)
        return sum(max(1, math.ceil(self.objects_of(t) / KEYS_A_PAGE)) for t in self.tables)

    def objects_of(self, table: Table) -> float:
        """The objects of a table after all the days."""
        return self.copies(table) * self.inputs.history_days

    @cached_property
    def run(self) -> MeanRun:
        each = 1 / self.inputs.runs_a_day if self.inputs.runs_a_day else 0.0
        requests = self.requests * each
        reading = (self.places_checked * PUT_SECONDS + self.gets * GET_SECONDS) * each / STORES
        writing = self.written * PUT_SECONDS * each / STORES
        return MeanRun(
            self.queries * each,
            requests,
            self.pages * LIST_SECONDS,
            max(_request_seconds(requests, self.inputs), writing) + reading,
            86_400 * each or math.inf,
        )

    @property
    def objects(self) -> float:
        """Objects after all the days."""
        if self.counts.objects is not None:
            return self.counts.objects
        of_tables = sum(map(self.objects_of, self.tables))
        others = self.inputs.places * bool(self.daily) + self.ledger_objects
        return of_tables + others * self.inputs.history_days

    @cached_property
    def bytes_a_day(self) -> float:
        """Bytes that a day adds to the dataset."""
        return (
            self._bytes(self.daily)
            + self._bytes(table for table in self.tables if not table.daily)
            + _CHECKS_BYTES * self.inputs.places * bool(self.daily)
            + self._ledger_bytes
        )

    def _bytes(self, tables: Iterable[Table]) -> float:
        return sum(object_bytes(t, self.inputs.size) * self.copies(t) for t in tables)

    def table_bytes(self, table: Table) -> float:
        """A table's bytes after all the days."""
        return self._bytes([table]) * self.inputs.history_days

    @cached_property
    def stored_bytes(self) -> float:
        """Bytes stored: the newest versions, and the older ones of a month."""
        if self.counts.stored_bytes is not None:
            return self.counts.stored_bytes
        rewritten = sum(
            object_bytes(table, self.inputs.size)
            * self.copies(table)
            * max(0, self.runs_of(table).runs - 1)
            for table in self.tables
        )
        checks = _CHECKS_BYTES * max(0, self.places_checked - self.inputs.places)
        # Every run's rows make an older version of what was there, which grew from nothing.
        ledger = self._ledger_bytes / max(1, self.ledger_objects) * self.days_touched / 2
        old_days = min(_OLD_DAYS, self.inputs.history_days)
        return (
            self.bytes_a_day * self.inputs.history_days + (rewritten + checks + ledger) * old_days
        )

    @cached_property
    def rows_a_day(self) -> float:
        """Rows that a day adds."""
        return sum(rows(table, self.inputs.size) * self.copies(table) for table in self.daily)

    @property
    def most_rows(self) -> float:
        """Rows that a day adds to the table that has the most."""
        return max((rows(t, self.inputs.size) * self.copies(t) for t in self.daily), default=0)

    @property
    def mints(self) -> float:
        """Tokens minted per day: when a run starts or continues and the last one has expired."""
        life = self.inputs.token_minutes * 60
        a_run = 1 + self.run.seconds // life
        return self.inputs.organizations * min(86_400 / life, self.inputs.runs_a_day * a_run)


def _request_seconds(requests: float, inputs: Inputs) -> float:
    """How long so many requests take, at most RequestsPerMinute of them in a minute."""
    at_once = inputs.seconds_a_request / inputs.concurrency
    minutes, last = divmod(requests, inputs.requests_per_minute)
    return max(requests * at_once, minutes * 60 + last * at_once)


_walked: dict[tuple[str, int | None, float, float], RunsPerDay] = {}


def _walk(table: Table, runs_a_day: float, settle_hours: float) -> RunsPerDay:
    """Follows a week of days through the runs until each is final, or no longer exported."""
    if not runs_a_day:
        return RunsPerDay()
    if table.monthly:
        # The month that is open, in each run.
        return RunsPerDay(runs_a_day, runs_a_day)
    runs = again = 0
    between = timedelta(days=1 / runs_a_day)
    for number in range(_WEEK):
        day = (_FIRST + timedelta(days=number)).date()
        run = math.ceil(timedelta(days=number) / between)
        written: datetime | None = None
        while written is None or not is_closed(written, day, settle_hours):
            now = _FIRST + run * between
            today = now.date()
            if table.past_only and today <= day:
                run += 1
                continue
            place = None if table.scope == "organization" else _ENVIRONMENT
            if not any(wanted(table, "", place, first=day, last=day, today=today)):
                break
            if written is not None and not is_due(written, now, day, settle_hours):
                run += 1
                continue
            runs += 1
            again += written is not None and today > day
            written, run = now, run + 1
    return RunsPerDay(runs / _WEEK, again / _WEEK)
