"""The table `checks`: whether the tables of one day have the same numbers. No AWS, no network.

Each table of a day is queried by itself, and several count the same requests in different ways.
The numbers that must agree are compared; one that may differ for a known reason is `lower`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from choreo_insights.catalogue import ANSWERED, RESOLVED, TENANT, Column, Table
from choreo_insights.dataset.comparisons import (
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
    once,
)
from choreo_insights.dataset.parquet import Constant, encode
from choreo_insights.dataset.partitions import Environment, day_end, day_prefix, day_start
from choreo_insights.times import microseconds

Verdict = Literal["ok", "lower", "open", "mismatch", "skipped", "warning"]
# The columns of a table's partition, instants as microseconds since 1970; None: no object.
Read = Callable[[str], Mapping[str, Sequence[Any]] | None]

CHECKS = "checks"
CHECKS_DESCRIPTION = (
    "Whether the tables of a day tell the same numbers, as far as they should. A row for each "
    "comparison, of the last time that the day was exported."
)
CHECKS_COLUMNS: tuple[Column, ...] = (
    Column("what", "string", "What was compared; <= where the left side may be lower."),
    Column("organization", "string", "Handle of the organisation."),
    Column("environment", "string", "Name of the environment; null for tables of an organisation."),
    Column("environment_id", "string", "Id of the environment."),
    Column("expected", "bigint", "What there should be; null where it was not compared."),
    Column("found", "bigint", "What there is; null where it was not compared."),
    Column(
        "verdict",
        "string",
        "ok; lower (allowed, the explanation says why); open (a small difference on a day that "
        "still fills); mismatch; skipped (a table is not there); warning (a setting leaves data "
        "out).",
    ),
    Column("explanation", "string", "Why the figures differ, or were not compared."),
    Column("tables", "string", "The tables that were compared, with commas."),
    Column("exported_at", "timestamp", "When the row was written (UTC)."),
)
_COMPARED = frozenset(part.table for part in SUMS)


def is_checked(table: Table) -> bool:
    """Whether checks look at a table: at the shipped ones of days that have sums or keys.

    The key of a row is unknown in users' own tables.
    """
    if table.own or table.monthly:
        return False
    return table.name in _COMPARED or bool(key_columns(table))


class Check(msgspec.Struct, frozen=True):
    """The outcome of one comparison. `tables` are all that it looked at."""

    what: str
    tables: tuple[str, ...]
    verdict: Verdict
    expected: int | None = None
    found: int | None = None
    explanation: str | None = None


_HOUR = 3_600_000_000
_COMMON = (
    *("organization", "environment", "environment_id", "exported_at", "granularity"),
    *(RESOLVED, ANSWERED),
)
_INT64 = 2**63 - 1
_MOST_TEXT = 500
_FILLING = "asked for at different moments of a day that still fills"


def check_day(read: Read, tables: Iterable[Table], day: date, *, final: bool) -> list[Check]:
    """Compares the tables of one organisation, environment and UTC day.

    `tables` are those of the catalogue; those that are checked are read, each once and one after
    the other. `final` says that all of their objects hold everything that comes late; else they
    may have been queried at different moments of an open day, and a difference that
    an hour's traffic can explain is `open`. A comparison of which a table is missing is `skipped`,
    one of which all are is left out.
    """
    seen = _Seen()
    found: list[Check] = []
    for table in tables:
        if is_checked(table) and (columns := read(table.name)) is not None:
            seen.add(table.name, columns)
            found += _structure(table, columns, day)
    sums = (seen.compared(comparison, final=final) for comparison in COMPARISONS)
    hours = (seen.hours(each, final=final) for each in HOURS)
    return [*filter(None, (*sums, *hours)), *found]


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


def suspicious(checks: Iterable[Check]) -> tuple[str, ...]:
    """The tables of all mismatches, to be queried again at the same moment."""
    return once(name for check in mismatches(checks) for name in check.tables)


def mismatches(checks: Iterable[Check]) -> list[Check]:
    """The checks that need attention."""
    return [check for check in checks if check.verdict == "mismatch"]


def key(day: date, place: str) -> str:
    """The key of a day's checks; `place` as in the key of a partition."""
    return f"{day_prefix(CHECKS, day)}{place}.parquet"


def file(
    checks: Sequence[Check],
    *,
    organization: str,
    environment: Environment | None,
    now: datetime,
) -> bytes:
    """The checks of a day as Parquet. The day is in the object's key alone."""
    values: dict[str, Sequence[Any] | Constant] = {
        "what": [check.what for check in checks],
        "organization": Constant(organization),
        "environment": Constant(environment.name if environment else None),
        "environment_id": Constant(environment.id if environment else None),
        "expected": [_bounded(check.expected) for check in checks],
        "found": [_bounded(check.found) for check in checks],
        "verdict": [check.verdict for check in checks],
        "explanation": [check.explanation for check in checks],
        "tables": [",".join(check.tables) for check in checks],
        "exported_at": Constant(microseconds(now)),
    }
    return encode(CHECKS_COLUMNS, values, len(checks))


def key_columns(table: Table) -> tuple[str, ...]:
    """The columns that identify a row of a table; none where a row has nothing else."""
    named = [c for c in table.columns if c.name not in _COMMON]
    keys = tuple(c.name for c in named if c.type in ("string", "timestamp"))
    return keys if len(keys) < len(named) and keys != (TENANT,) else ()


def _bounded(value: int | None) -> int | None:
    # A sum of 64-bit numbers can be beyond them.
    return None if value is None else max(-_INT64, min(value, _INT64))


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
        if missing := once(part.table for part in parts if part not in self._sums):
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
        told = sum((self._hours[name] for name in compared.others), Counter[int]())
        gaps = sorted(told.keys() - set().union(*(self._hours[name] for name in compared.tables)))
        verdict: Verdict = "mismatch"
        explanation: str | None = f"nothing in {', '.join(map(_clock, gaps))}"
        if not gaps:
            verdict, explanation = "ok", None
        elif not final and sum(told[hour] for hour in gaps) <= self._allowance(compared.counts):
            verdict, explanation = "open", f"{_FILLING}: {explanation}"
        return Check(what, every, verdict, len(told), len(told) - len(gaps), explanation)

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
        told = [sum((self._hours.get(n, Counter()) for n in group), Counter()) for group in groups]
        most = max((max(hours.values(), default=0) for hours in told), default=0)
        return most, max(map(len, told), default=0)


def _has(columns: Mapping[str, Sequence[Any]], names: Iterable[str]) -> bool:
    return all(name in columns for name in names)


def _by_hour(columns: Mapping[str, Sequence[Any]], counted: Sequence[str]) -> Counter[int]:
    """The count of each hour with requests, by its start."""
    found: Counter[int] = Counter()
    for name in counted:
        for instant, count in zip(columns["time_span"], columns[name], strict=True):
            if instant is not None and count:
                found[instant - instant % _HOUR] += count
    return found


def _clock(instant: int) -> str:
    return f"{instant // _HOUR % 24:02}:00"


def _structure(table: Table, columns: Mapping[str, Sequence[Any]], day: date) -> Iterator[Check]:
    """The checks of one table by itself, which hold at any moment."""
    time = table.time_column
    if table.granularity == "1h" and time and time in columns:
        yield _buckets(table.name, columns[time], day)
    if table.resolves_apis and _has(columns, ("api_id", RESOLVED)):
        yield _unresolved(table.name, columns["api_id"], columns[RESOLVED])
    keys = key_columns(table)
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
