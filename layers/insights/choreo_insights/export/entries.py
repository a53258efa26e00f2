"""Which entries of an answer belong to the API that was queried, and how several are joined.

An API is queried under all of its names. Whether the index keys it by its id, by a name, by both or
by one and then the other is unknown [Choreo], so the answer may hold several entries, an entry
without an id (a sum over all that the filter matches), or that of another API.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import compress
from typing import Any

from msgspec.structs import replace

from choreo_insights.catalogue import ANSWERED, Table
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.dataset.columns import Runs, distinct
from choreo_insights.dataset.common_columns import row_key
from choreo_insights.errors import BadAnswer
from choreo_insights.export.decode import Answer

# The pages of one query, None for an optional one that failed.
Pages = list[Answer] | None
_SHOWN = 3


def is_certain(api: ApiNames, pages: Pages) -> bool:
    """Whether all entries are the API's own, so that it need not be queried by its id alone."""
    names = _entry_names(pages)
    if api.names == (api.id,):
        return _is_own_by_id(api, names)
    if None in names:
        # Where a name of several APIs was sent, it may be the sum over them.
        return len(names) == 1 and not api.shared
    return api.own.intersection(api.names).issuperset(names)


def settled(api: ApiNames, first: Pages, by_id: Pages, others: Set[str]) -> Pages:
    """The answer where `first` leaves doubts, after the API was queried by its id alone.

    `others` are the names of all other APIs. Raises BadAnswer where entries belong to none, or to
    another API although the query named the id alone.
    """
    if first is None or by_id is None:
        return None
    names = _entry_names(by_id)
    if names:
        if not _is_own_by_id(api, names):
            raise BadAnswer(f"entries of {_listed(names)} come back for the API {api.id}")
        return by_id
    # The index does not know the id: what came first, came under a name.
    names = _entry_names(first)
    if names == [None]:
        return first
    foreign = {name for name in names if name not in api.names}
    if not foreign <= others:
        raise BadAnswer(f"entries of {_listed(names)} come back for the API {api.id}")
    return [_without(page, foreign) for page in first]


def _is_own_by_id(api: ApiNames, names: Sequence[str | None]) -> bool:
    return len(names) <= 1 if None in names else api.own.issuperset(names)


def _entry_names(pages: Pages) -> list[str | None]:
    """The names of the entries that have rows: each once, null as often as it comes."""
    names: dict[str, None] = {}
    nulls = 0
    for page in pages or ():
        column = page.columns.get(ANSWERED, ())
        for name in _of_entries(column):
            if name is None:
                nulls += 1
            else:
                names[name] = None
    return [*names, *[None] * nulls]


def _of_entries(column: Sequence[Any]) -> Iterable[str | None]:
    if isinstance(column, Runs):
        return compress(column.values, column.counts)
    # A flat list has no entries, only rows: those without an id are one sum.
    return distinct(column)


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(str(name) for name in list(names)[:_SHOWN])


def _without(page: Answer, names: Set[str | None]) -> Answer:
    keep = [name not in names for name in page.columns[ANSWERED]]
    columns = {name: list(compress(values, keep)) for name, values in page.columns.items()}
    return replace(page, columns=columns)


def one_series(table: Table, api: ApiNames, pages: Sequence[Answer]) -> Sequence[Answer]:
    """The pages of one API, in which several entries became one.

    Rows that only one entry has are joined, and equal rows count once: the index has both keys. A
    bucket in which the entries differ is the one in which the index changed its key, and so is the
    only one that both have: its counts are added. Raises BadAnswer where they differ in more, or in
    a figure that cannot be added.
    """
    entries = [name for page in pages for name in _of_entries(page.columns.get(ANSWERED, ()))]
    if len(entries) <= 1 or (table.paged and len(set(entries)) <= 1):
        return pages
    rows = [row for page in pages for row in _rows(page.columns)]
    rows = _without_those_of_others(api, rows, table.time_column or "")
    try:
        united = _united(table, rows)
    except BadAnswer as error:
        raise BadAnswer(f"entries of {_listed(dict.fromkeys(entries))} {error}") from None
    columns = {name: [row[name] for row in united] for name in pages[0].columns}
    return [replace(pages[0], columns=columns)]


def _without_those_of_others(
    api: ApiNames, rows: list[dict[str, Any]], time: str
) -> list[dict[str, Any]]:
    """Without the entry of a shared name, where the index has the API's own entry beside it.

    Both have the same buckets then. One that changed its key has them one after the other.
    """
    of_name, own = (
        {row.get(time) for row in rows if (row[ANSWERED] in api.shared) is shared}
        for shared in (True, False)
    )
    if len(of_name & own) <= 1:
        return rows
    return [row for row in rows if row[ANSWERED] not in api.shared]


def unshared(table: Table, first: Pages, by_id: Pages, by_name: Pages) -> Pages:
    """The answer of an API that shares a name, where rows do not say whose they are.

    `first` came under all of its names. An index with both keys has the API's own rows under its id
    and under the shared name, in the same buckets: then the id alone gives them without those of
    another API. One that changed its key has them one after the other, and one that is keyed by
    names has none under the id.
    """
    if first is None or by_id is None or by_name is None:
        return None
    own, shared = (_buckets(table, pages) for pages in (by_id, by_name))
    # Without a time all rows are in one bucket.
    most = 1 if table.time_column else 0
    return by_id if len(own & shared) > most else first


def _buckets(table: Table, pages: Sequence[Answer]) -> set[Any]:
    """The times of the rows that count anything."""
    names = [column.name for column in table.columns if column.type in ("bigint", "double")]
    rows = (row for page in pages for row in _rows(page.columns))
    return {row.get(table.time_column or "") for row in rows if any(map(row.get, names))}


def _united(table: Table, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = row_key(table)
    switch = _switch(rows, table.time_column or "")
    kinds = {column.name: column.type for column in table.columns}
    united: dict[tuple[Any, ...], dict[str, Any]] = {}
    differing = set()
    for row in rows:
        before = united.setdefault(tuple(row.get(name) for name in keys), row)
        bucket = row.get(table.time_column or "")
        different = [
            name
            for name, value in row.items()
            if kinds[name] in ("bigint", "double") and (value != before[name] or bucket == switch)
        ]
        if before is row or not different:
            continue
        differing.add(bucket)
        if len(differing) > 1 or any(kinds[name] == "double" for name in different):
            raise BadAnswer(f"have different figures for the same {table.granularity or 'day'}")
        for name in different:
            before[name] = (before[name] or 0) + (row[name] or 0)
    return list(united.values())


def _switch(rows: Sequence[dict[str, Any]], time: str) -> int | None:
    """The bucket in which one entry ends and the other one begins, where there is one."""
    by_name: dict[str | None, set[int]] = {}
    for row in rows:
        if row.get(time) is not None:
            by_name.setdefault(row[ANSWERED], set()).add(row[time])
    if len(by_name) != 2:
        return None
    first, last = sorted(by_name.values(), key=min)
    is_switch = max(first) == min(last) and len(first) > 1 and len(last) > 1
    return min(last) if is_switch else None


def _rows(columns: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))
