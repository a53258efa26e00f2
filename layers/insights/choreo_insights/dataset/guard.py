"""Finds the rows and counts that a new response would lose. No AWS, no clock.

Rows are identified by their key: all texts and instants of a row, an API by its resolved id, an
entity that has an id by that id and not by a name, which may change.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

import msgspec

from choreo_insights.catalogue import ANSWERED, RESOLVED, TENANT, Table
from choreo_insights.dataset.common_columns import NOT_IN_KEY

Columns = Mapping[str, Sequence[Any]]
Resolve = Callable[[str | None], str | None]

# Rows of several tenants are compared together: those of one tenant alone are stored without its
# name, so that nothing seems lost when a second tenant is added.
_NOT_IN_KEY = (*NOT_IN_KEY, TENANT)
# The name of an entity with an id, which may change from one query to the next.
_CALLED = ("_name", "_owner", "_version")
API = "api_id"


class Content(msgspec.Struct, frozen=True):
    """A partition's rows, as far as they are compared: each with its key, API and figures."""

    keys: Sequence[tuple[Any, ...]]
    apis: Sequence[str | None]
    counts: Mapping[str, Sequence[int | None]]
    measures: Mapping[str, Sequence[float | None]]

    @classmethod
    def of(cls, table: Table, columns: Columns, rows: int, resolve: Resolve) -> "Content":
        """From columns as a file holds them; a column that an older file lacks is null."""
        apis = _apis(columns, rows, resolve)
        parts: list[Sequence[Any]] = []
        for name in key_columns(table):
            values = apis if name == API else _column(columns, name, rows)
            ids = _id_column(table, name)
            if ids:
                pairs = zip(values, _column(columns, ids, rows), strict=True)
                values = [value if own_id is None else None for value, own_id in pairs]
            parts.append(values)
        keys = list(zip(*parts, strict=True)) if parts else [()] * rows
        counts, measures = (
            {name: _column(columns, name, rows) for name in _columns(table, kind)}
            for kind in ("bigint", "double")
        )
        return cls(keys, apis, counts, measures)

    def only(self, api: str | None) -> "Content":
        """The rows of one API."""
        mine = [each == api for each in self.apis]
        return Content(
            list(compress(self.keys, mine)),
            [api] * sum(mine),
            {name: list(compress(values, mine)) for name, values in self.counts.items()},
            {name: list(compress(values, mine)) for name, values in self.measures.items()},
        )

    def totals(self, column: str) -> dict[tuple[Any, ...], int]:
        """The sum of a count by key. A null is unknown, and counts as nothing known."""
        totals: dict[tuple[Any, ...], int] = {}
        for key, value in zip(self.keys, self.counts[column], strict=True):
            if value is not None:
                totals[key] = totals.get(key, 0) + value
        return totals


def _columns(table: Table, kind: str) -> list[str]:
    """The columns of a type. Whole numbers are counts, which add up and only grow.

    Latencies and percentages are doubles, also where the service returns `Int`.
    """
    return [column.name for column in table.columns if column.type == kind]


def key_columns(table: Table) -> list[str]:
    """The columns that identify a row."""
    texts = (c.name for c in table.columns if c.type in ("string", "timestamp"))
    return [name for name in texts if name not in _NOT_IN_KEY]


def compared_columns(table: Table) -> list[str]:
    """The columns that a comparison reads; one that every file has is among them."""
    figures = [*_columns(table, "bigint"), *_columns(table, "double")]
    return [*key_columns(table), *figures, RESOLVED, ANSWERED, "organization"]


def lost(table: Table, old: Content, new: Content) -> str | None:
    """Describes what `new` lacks of `old`, or None.

    A row that disappears, or a count that falls. A percentile or a percentage may move, and other
    entries may make a top list: such a table loses only by becoming empty.
    """
    if old.keys and not new.keys:
        return f"no rows instead of {len(old.keys)}"
    for column, values in old.measures.items():
        if _is_known(values) and not _is_known(new.measures[column]):
            return f"no {column}, which was known"
    # A top list of nine or ten: an entry that leaves it is not lost. Percentiles do not only grow.
    if table.ranked or (old.measures and not old.counts):
        return None
    # Rows of one key may become one row with the sum; without counts each row stands for itself.
    gone = Counter(set(old.keys) if old.counts else old.keys) - Counter(new.keys)
    if gone:
        return f"{len(new.keys)} rows, without {gone.total()} of the {len(old.keys)} stored ones"
    for column in old.counts:
        before, now = old.totals(column), new.totals(column)
        fallen = [(now.get(key, -1), value) for key, value in before.items()]
        fallen = [(found, stored) for found, stored in fallen if found < stored]
        if fallen:
            found, stored = fallen[0]
            example = f"{'unknown' if found < 0 else found} instead of {stored}"
            return f"a lower {column} in {len(fallen)} of {len(before)} rows: {example}"
    return None


def carried(table: Table, old: Content, new: Content, listed: Container[str]) -> frozenset[str]:
    """The APIs whose stored rows stay, as they are not listed any more and `new` has less of them.

    The service may refuse an API that was deleted, or forget it [Choreo].
    """
    if table.ranked:
        return frozenset()
    gone = {api for api in old.apis if api is not None and api not in listed}
    return frozenset(api for api in gone if lost(table, old.only(api), new.only(api)))


def merged(
    table: Table, old: Columns, new: Columns, carry: frozenset[str], resolve: Resolve
) -> tuple[dict[str, Sequence[Any]], int]:
    """The rows of `new`, but for those APIs the rows of `old`; and how many rows there are."""
    parts = []
    for columns, mine in ((new, False), (old, True)):
        rows = len(columns["organization"])
        keep = [(api in carry) is mine for api in _apis(columns, rows, resolve)]
        parts.append((columns, rows, keep))
    values: dict[str, Sequence[Any]] = {}
    for column in table.columns:
        values[column.name] = [
            value
            for columns, rows, keep in parts
            for value in compress(_column(columns, column.name, rows), keep)
        ]
    return values, sum(sum(keep) for _, _, keep in parts)


def with_queried_ids(table: Table, columns: Columns) -> Columns:
    """The columns of an older file, whose `api_id` was what the answer named the API.

    As they are for a table in which it still is, and for a file of today.
    """
    if not _is_older(table, columns):
        return columns
    answered = columns.get(API, ())
    ids = _column(columns, RESOLVED, len(answered))
    queried = [own_id or name for own_id, name in zip(ids, answered, strict=True)]
    return {**columns, API: queried, ANSWERED: answered}


def has_unnamed(table: Table, columns: Columns, resolve: Resolve) -> bool:
    """Whether an older file holds rows of which it is not known whose they are.

    A sum over five APIs, or a name of several. An answer of today has them under ids.
    """
    if not _is_older(table, columns):
        return False
    answered = columns.get(API, ())
    pairs = set(zip(answered, _column(columns, RESOLVED, len(answered)), strict=True))
    return any(not own_id and not resolve(name) for name, own_id in pairs)


def _is_older(table: Table, columns: Columns) -> bool:
    return ANSWERED not in columns and any(column.name == ANSWERED for column in table.columns)


def remembering(resolve: Resolve, stored: Columns) -> Resolve:
    """`resolve`, which also knows what a name stood for when these rows were stored.

    A name that two APIs share by now stands for neither, and the registry may know less than
    release 0.1.0 did. The rows of such a name are the same ones all the same.
    """
    answered, ids = stored.get(API, ()), stored.get(RESOLVED, ())
    before = {name: own_id for name, own_id in zip(answered, ids, strict=False) if own_id}
    return lambda name: resolve(name) or before.get(name)


def _is_known(values: Iterable[float | None]) -> bool:
    return any(value is not None for value in values)


def _apis(columns: Columns, rows: int, resolve: Resolve) -> list[str | None]:
    """The API of each row: resolved today, else as it was resolved then, else as answered."""
    answered = _column(columns, API, rows)
    stored = _column(columns, RESOLVED, rows)
    known: dict[Any, str | None] = {}
    apis = []
    for value, before in zip(answered, stored, strict=True):
        if value not in known:
            known[value] = resolve(value)
        apis.append(known[value] or before or value)
    return apis


def _column(columns: Columns, name: str, rows: int) -> Sequence[Any]:
    return columns[name] if name in columns else [None] * rows


def _id_column(table: Table, name: str) -> str | None:
    for end in _CALLED:
        ids = f"{name.removesuffix(end)}_id"
        if name.endswith(end) and any(column.name == ids for column in table.columns):
            return ids
    return None
