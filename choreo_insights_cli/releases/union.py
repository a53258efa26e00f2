"""Merges several objects of one table, environment and day without losing a row. No AWS."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import compress
from typing import Any

import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.guard import Content, with_queried_ids
from choreo_insights.dataset.parquet import decode, encode
from choreo_insights.errors import InsightsError


class UnionFile(msgspec.Struct, frozen=True):
    """An object's body, when its rows were requested, and by which run."""

    key: str
    body: bytes
    queried_at: datetime
    run: str


def united(table: Table | None, files: Sequence[UnionFile]) -> UnionFile:
    """The newest file, with the rows that it lacks and the higher counts of the others.

    Of a list, a top list or an unknown table the newest file with rows is taken as it is. A file
    that needs nothing from others is returned itself.

    Raises InsightsError for a file that cannot be read.
    """
    older, *rest = sorted(files, key=lambda file: file.queried_at)
    for newer in rest:
        older = _pair(table, older, newer)
    return older


def _pair(table: Table | None, older: UnionFile, newer: UnionFile) -> UnionFile:
    if table is None or not table.daily or table.ranked:
        return newer if _rows(newer) or not _rows(older) else older
    old, new = (_content(table, file) for file in (older, newer))
    better = _better(old, new)
    if not better:
        return newer
    if better.issuperset(new.keys):
        return msgspec.structs.replace(older, queried_at=newer.queried_at)
    return _mixed(table, older, newer, (old, new), better)


def covers(table: Table | None, file: UnionFile, other: UnionFile) -> bool:
    """Whether a file has every row of another, with no lower count."""
    if file.body == other.body or not _rows(other):
        return True
    if table is None or not table.daily or table.ranked:
        return file.queried_at >= other.queried_at and _rows(file) > 0
    return not _better(_content(table, other), _content(table, file))


def _better(old: Content, new: Content) -> set[tuple[Any, ...]]:
    """The keys of rows that only `old` has, or has with a higher count or a known measure."""
    better = set(old.keys) - set(new.keys)
    for column in old.counts:
        now = new.totals(column)
        better |= {key for key, value in old.totals(column).items() if now.get(key, -1) < value}
    for column, values in old.measures.items():
        pairs = zip(new.keys, new.measures[column], strict=True)
        known = {key for key, value in pairs if value is not None}
        better |= {
            key
            for key, value in zip(old.keys, values, strict=True)
            if value is not None and key not in known
        }
    return better


def _mixed(
    table: Table,
    older: UnionFile,
    newer: UnionFile,
    contents: tuple[Content, Content],
    better: set[tuple[Any, ...]],
) -> UnionFile:
    old, new = contents
    parts = [
        (_queried(table, newer), [key not in better for key in new.keys]),
        (_queried(table, older), [key in better for key in old.keys]),
    ]
    values = {
        column.name: [
            value
            for columns, keep in parts
            for value in compress(columns.get(column.name) or [None] * len(keep), keep)
        ]
        for column in table.columns
    }
    rows = sum(sum(keep) for _, keep in parts)
    return msgspec.structs.replace(newer, key="", body=encode(table.columns, values, rows))


def _queried(table: Table, file: UnionFile) -> Mapping[str, Sequence[Any]]:
    return with_queried_ids(table, _decoded(file, table.renamed))


def _content(table: Table, file: UnionFile) -> Content:
    columns = _decoded(file, table.renamed)
    return Content.of(table, columns, _rows(file), lambda _: None)


def _rows(file: UnionFile) -> int:
    columns = _decoded(file, {}, ("organization",))
    return max(map(len, columns.values()), default=0)


def _decoded(
    file: UnionFile, renamed: Mapping[str, str], names: Sequence[str] | None = None
) -> dict[str, list[Any]]:
    try:
        return decode(file.body, names, renamed)
    except ValueError as error:
        raise InsightsError(f"{file.key} cannot be read: {error}") from error
