"""Compares the tables of one day with each other, and writes the outcome to the table `checks`.

Each table of a day is queried by itself, and several count the same requests in different ways:
`cross_checks` says which. Numbers that must agree are compared; one that may differ for a known
reason is `lower`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from choreo_insights.catalogue import RESOLVED, Catalogue, Table
from choreo_insights.dataset import checks_table
from choreo_insights.dataset.checks_table import Check, Verdict
from choreo_insights.dataset.common_columns import row_key
from choreo_insights.dataset.cross_checks import (
    COMPARISONS,
    ERRORS_BY_HOUR,
    HOURLY,
    HOURS,
    REQUESTS_BY_HOUR,
    SUMS,
    Comparison,
    Counts,
    Hours,
    Sum,
    distinct,
    is_checked,
)
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import Environment, Partition, day_end, day_start
from choreo_insights.dataset.store import Dataset
from choreo_insights.times import microseconds

# The columns of a table's partition, instants as microseconds since 1970; None: no object.
Read = Callable[[str], Mapping[str, Sequence[Any]] | None]

_HOUR = 3_600_000_000
_MOST_TEXT = 500
_FILLING = "asked for at different moments of a day that still fills"


class PlaceDay(msgspec.Struct, frozen=True):
    """One day of one environment, or of an organisation's own tables."""

    organization: str
    environment: Environment | None
    day: date

    @classmethod
    def of(cls, partition: Partition) -> "PlaceDay":
        """The place and day of a partition."""
        return cls(partition.organization, partition.environment, partition.day)

    def partition(self, table: Table) -> Partition:
        return Partition(table, table.name, self.organization, self.environment, self.day)


class Audit(msgspec.Struct, frozen=True):
    """Checks days of the dataset. Raises what `Dataset` does.

    `tables` are those that are exported (None: all): old objects of others prove nothing.
    """

    dataset: Dataset
    catalogue: Catalogue
    run: str
    tables: tuple[str, ...] | None = None

    def check(self, place: PlaceDay, *, final: bool) -> list[Check]:
        """The checks of a day, from its present objects."""

        def read(name: str) -> Mapping[str, Sequence[Any]] | None:
            table = self.catalogue.table(name)
            kept = self.dataset.read(place.partition(table).key)
            return decode(kept.body, renamed=table.renamed) if kept else None

        scope = "environment" if place.environment else "organization"
        tables = [
            table
            for table in self.catalogue.chosen(self.tables)
            if table.daily and not table.monthly and table.scope == scope
        ]
        return check_day(read, tables, place.day, final=final)

    def write(self, place: PlaceDay, checks: Sequence[Check], now: datetime) -> None:
        """Keeps the outcome in place of the one before."""
        body = checks_table.file(
            checks,
            organization=place.organization,
            environment=place.environment,
            now=now,
        )
        any_table = place.partition(self.catalogue.tables[0])
        self.dataset.put(
            checks_table.key(place.day, any_table.place), body, queried_at=now, run=self.run
        )


def check_day(read: Read, tables: Iterable[Table], day: date, *, final: bool) -> list[Check]:
    """Compares the tables of one organisation, environment and UTC day.

    `tables` are those of the catalogue; those that are checked are read, each once and one after
    the other. `final` says that all of their objects hold everything that comes late; else they
    may have been queried at different moments of an open day, and a difference that
    an hour's traffic can explain is `open`. A comparison of which a table is missing is `skipped`,
    one of which all are is left out.
    """
    seen = _Seen()
    structure: list[Check] = []
    for table in tables:
        if is_checked(table) and (columns := read(table.name)) is not None:
            seen.add(table.name, columns)
            structure += _structure(table, columns, day)
    sums = (seen.compared(comparison, final=final) for comparison in COMPARISONS)
    hours = (seen.hours(each, final=final) for each in HOURS)
    return [*filter(None, (*sums, *hours)), *structure]


def tenants_check(exported: int, others: Mapping[str, int], days: int) -> Check:
    """Whether every listed tenant with traffic is exported.

    `exported` are the requests of the exported tenants in some days up to now, `others` those of
    each listed tenant that is not exported.
    """
    what = f"requests of all listed tenants in {days} days are of exported ones"
    missing = [f"{name} has {count}" for name, count in sorted(others.items()) if count]
    expected = exported + sum(others.values())
    if not missing:
        return Check(what, ("tenants",), "ok", expected, exported)
    text = f"not exported: {', '.join(missing)} requests. Add it to the parameter Tenant"
    return Check(what, ("tenants",), "warning", expected, exported, text[:_MOST_TEXT])


class _Seen:
    """The sums and the hourly counts of each table, for the comparisons."""

    def __init__(self) -> None:
        self._tables: set[str] = set()
        self._sums: dict[Sum, int | None] = {}
        self._hours: dict[str, Counter[int]] = {}

    def add(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Keeps the sums and counts of a table, not its rows."""
        self._tables.add(name)
        for wanted in SUMS:
            if wanted.table == name and _has(columns, wanted.needs):
                self._sums[wanted] = wanted.of(columns)
        hourly = HOURLY.get(name)
        if hourly and _has(columns, (*hourly.columns, "time_span")):
            self._hours[name] = _by_hour(columns, hourly.columns)

    def compared(self, comparison: Comparison, *, final: bool) -> Check | None:
        """The outcome of a comparison of sums."""
        what, tables = str(comparison), comparison.tables
        parts = (*comparison.found, *comparison.expected)
        if missing := distinct(part.table for part in parts if part not in self._sums):
            return self._skipped(what, tables, missing)
        expected, found = (self._total(side) for side in (comparison.expected, comparison.found))
        have, want = found or 0, expected or 0
        verdict: Verdict = "mismatch"
        explanation: str | None = f"{abs(have - want)} {'more' if have > want else 'fewer'}"
        if have == want:
            verdict, explanation = "ok", None
        elif have < want and comparison.lower:
            verdict, explanation = "lower", comparison.lower
        elif not final and abs(have - want) <= self._allowance(comparison.counts):
            verdict, explanation = "open", _FILLING
        return Check(what, tables, verdict, expected, found, explanation)

    def hours(self, compared: Hours, *, final: bool) -> Check | None:
        """Whether every hour with requests in other tables has a row."""
        what = str(compared)
        every = (*compared.tables, *compared.others)
        if missing := tuple(name for name in every if name not in self._hours):
            return self._skipped(what, every, missing)
        others = sum((self._hours[name] for name in compared.others), Counter[int]())
        gaps = sorted(others.keys() - set().union(*(self._hours[name] for name in compared.tables)))
        verdict: Verdict = "mismatch"
        explanation: str | None = f"nothing in {', '.join(map(_clock, gaps))}"
        if not gaps:
            verdict, explanation = "ok", None
        elif not final and sum(others[hour] for hour in gaps) <= self._allowance(compared.counts):
            verdict, explanation = "open", f"{_FILLING}: {explanation}"
        return Check(what, every, verdict, len(others), len(others) - len(gaps), explanation)

    def _skipped(
        self, what: str, tables: tuple[str, ...], missing: tuple[str, ...]
    ) -> Check | None:
        if self._tables.isdisjoint(tables):
            return None
        explanation = f"there is no data of {' and '.join(missing)}"
        return Check(what, tables, "skipped", explanation=explanation)

    def _total(self, parts: tuple[Sum, ...]) -> int | None:
        known = [value for part in parts if (value := self._sums[part]) is not None]
        return sum(known) if known else None

    def _allowance(self, counts: Counts) -> float:
        """How many requests may come between two queries: those of the busiest hour so far.

        A failed request is rarer than any, and comes in bursts: a tenth of all may be.
        """
        most, hours = self._busiest(REQUESTS_BY_HOUR)
        if hours < 2:
            # A day that has just begun has no hour to compare with.
            return float("inf")
        if counts == "errors":
            most = max(self._busiest(ERRORS_BY_HOUR)[0], most // 10)
        return most

    def _busiest(self, groups: Iterable[Sequence[str]]) -> tuple[int, int]:
        """The count of the busiest hour, and the number of hours with requests."""
        counts = [
            sum((self._hours.get(n, Counter()) for n in group), Counter()) for group in groups
        ]
        most = max((max(hours.values(), default=0) for hours in counts), default=0)
        return most, max(map(len, counts), default=0)


def _has(columns: Mapping[str, Sequence[Any]], names: Iterable[str]) -> bool:
    return all(name in columns for name in names)


def _by_hour(columns: Mapping[str, Sequence[Any]], counted: Sequence[str]) -> Counter[int]:
    """The count of each hour with requests, by its start."""
    counts: Counter[int] = Counter()
    for name in counted:
        for instant, count in zip(columns["time_span"], columns[name], strict=True):
            if instant is not None and count:
                counts[instant - instant % _HOUR] += count
    return counts


def _clock(instant: int) -> str:
    return f"{instant // _HOUR % 24:02}:00"


def _structure(table: Table, columns: Mapping[str, Sequence[Any]], day: date) -> Iterator[Check]:
    """The checks of one table by itself, which hold at any moment."""
    time = table.time_column
    if table.granularity == "1h" and time and time in columns:
        yield _buckets(table.name, columns[time], day)
    if table.resolves_apis and _has(columns, ("api_id", RESOLVED)):
        yield _unresolved(table.name, columns["api_id"], columns[RESOLVED])
    keys = row_key(table)
    if keys and _has(columns, keys):
        yield _keys(table.name, {name: columns[name] for name in keys})


def _buckets(table: str, instants: Sequence[int | None], day: date) -> Check:
    start, end = microseconds(day_start(day)), microseconds(day_end(day))
    wrong = sum(t is None or not start <= t < end or t % _HOUR != 0 for t in instants)
    explanation = f"{wrong} rows are of no whole hour of the day" if wrong else None
    verdict: Verdict = "mismatch" if wrong else "ok"
    return Check(f"rows beside the hours of {table}", (table,), verdict, 0, wrong, explanation)


def _unresolved(table: str, names: Sequence[str | None], ids: Sequence[str | None]) -> Check:
    """How many names stand for no API: several APIs have them, or none that was ever listed."""
    pairs = zip(names, ids, strict=True)
    unknown = sorted({name for name, own_id in pairs if name is not None and own_id is None})
    what = f"names without an API in {table}"
    if not unknown:
        return Check(what, (table,), "ok", 0, 0)
    explanation = f"of several APIs, or of none that was ever listed: {', '.join(unknown)}"
    return Check(what, (table,), "lower", 0, len(unknown), explanation[:_MOST_TEXT])


def _keys(table: str, columns: Mapping[str, Sequence[Any]]) -> Check:
    rows = list(zip(*columns.values(), strict=True))
    doubled = len(rows) - len(set(rows))
    explanation = None
    if doubled:
        row, times = Counter(rows).most_common(1)[0]
        named = ", ".join(f"{name}={value}" for name, value in zip(columns, row, strict=True))
        explanation = f"{times} times {named}"[:_MOST_TEXT]
    verdict: Verdict = "mismatch" if doubled else "ok"
    return Check(f"doubled keys of {table}", (table,), verdict, 0, doubled, explanation)
