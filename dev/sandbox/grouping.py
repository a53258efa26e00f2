"""Cells by the values of group-by fields, for custom reports."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dev.sandbox.memory import Memory
from dev.sandbox.traffic import Cell

# Grouped cells kept in memory, about 25 MB beside the cells themselves.
_KEPT_CELLS = 300_000

Buckets = Mapping[int, Sequence[Cell]]
Values = tuple[str, ...]


def _target_code(cell: Cell) -> str:
    """Status that the target answered with; -1 where it got no request. Of split cells only."""
    if not cell.errors:
        return "200"
    return str(cell.kind.status) if cell.kind.target else "-1"


GROUP_BY: Mapping[str, Callable[[Cell], str]] = {
    "API_NAME": lambda cell: cell.stream.api.name,
    "API_VERSION": lambda cell: cell.stream.api.version,
    "API_RESOURCE_TEMPLATE": lambda cell: cell.stream.template,
    "API_METHOD": lambda cell: cell.stream.method,
    "API_CREATOR": lambda cell: cell.stream.api.provider,
    "APPLICATION_NAME": lambda cell: cell.stream.application.name,
    "APPLICATION_OWNER": lambda cell: cell.stream.application.owner,
    "DESTINATION": lambda cell: cell.stream.api.backend,
    "USER_AGENT": lambda cell: cell.stream.user_agent,
    "PLATFORM": lambda cell: cell.stream.platform,
    "TARGET_RESPONSE_CODE": _target_code,
}


def by_outcome(cells: Iterable[Cell]) -> list[Cell]:
    """Each cell in two, its successes and its errors, so that a cell has one status."""
    split = []
    for cell in cells:
        stream, ok, errors, kind, hits, bits = cell
        if not errors or not (ok or hits):
            split.append(cell)
            continue
        # A part of an hour may have hits without a success of its own.
        if ok:
            split.append(Cell(stream, ok, 0, kind, hits, bits))
        split.append(Cell(stream, 0, errors, kind, 0, bits))
    return split


def different(cells: Iterable[Cell]) -> list[Cell]:
    """One split cell for all of those that are equal in every field."""
    last = {(cell.stream, cell.ok > 0, cell.errors and cell.kind): cell for cell in cells}
    return by_outcome(last.values())


def values_of(cell: Cell, fields: Sequence[str]) -> Values:
    """The values of the group-by fields for a split cell."""
    return tuple(GROUP_BY[name](cell) for name in fields)


@dataclass(frozen=True)
class _Grouped:
    starts: Sequence[int]
    cells: Mapping[Values, Mapping[int, list[Cell]]]
    size: int


class Groups:
    """The cells of the most recent ranges, split by outcome. Safe to share among threads."""

    def __init__(self) -> None:
        self._kept: Memory[_Grouped] = Memory(_KEPT_CELLS, lambda grouped: grouped.size)

    def series(
        self, about: Hashable, fields: Sequence[str], values: Values, make: Callable[[], Buckets]
    ) -> list[tuple[int, list[Cell]]]:
        """Each bucket's start, and those of its cells whose `fields` have these values.

        `make` gives the buckets; `about` is everything that they depend on.
        """
        grouped = self._kept.get((about, *fields), lambda: _grouped(make(), fields))
        of_values = grouped.cells.get(values, {})
        return [(start, of_values.get(start, [])) for start in grouped.starts]


def _grouped(buckets: Buckets, fields: Sequence[str]) -> _Grouped:
    groups: dict[Values, dict[int, list[Cell]]] = {}
    size = 0
    for start, cells in buckets.items():
        split = by_outcome(cells)
        size += len(split)
        for cell in split:
            groups.setdefault(values_of(cell, fields), {}).setdefault(start, []).append(cell)
    return _Grouped(tuple(buckets), groups, size)
