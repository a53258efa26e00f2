"""How many queries a partition takes and how much it holds, by the exporter's own code."""

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.export.decode import GROUPS, Answer
from choreo_insights.export.queries import PAGE_SIZE, Query, collect

_FILE = Path(__file__).with_name("traffic.toml")
_OTHER = "other"
# What a Parquet object takes for each column, and for each value in it, compressed: fitted to
# objects of 1 to 4,000 rows of synthetic traffic.
_BYTES_A_COLUMN = 300
_BYTES_A_VALUE = 0.45


@dataclass(frozen=True)
class Size:
    """An environment: its APIs, and the applications that call them."""

    apis: int
    applications: int


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fixed: float = 0
    api: float = 0
    application: float = 0
    most: float = math.inf
    groups: float = 0

    def rows(self, size: Size) -> float:
        grown = self.fixed + self.api * size.apis + self.application * size.applications
        return min(self.most, grown)


@cache
def rules() -> dict[str, _Rule]:
    """How the tables grow, by name."""
    return msgspec.convert(tomllib.loads(_FILE.read_text("utf-8")), dict[str, _Rule])


def _rule(table: Table) -> _Rule:
    return rules().get(table.name) or rules()[_OTHER]


def rows(table: Table, size: Size) -> int:
    """The rows of a day of an environment."""
    return math.ceil(_rule(table).rows(size))


def groups(table: Table, size: Size) -> int:
    """The sets of values that a custom report is fanned out over."""
    return math.ceil(_rule(table).groups * size.apis)


def object_bytes(table: Table, size: Size) -> float:
    """The size of a partition's object."""
    return len(table.columns) * (_BYTES_A_COLUMN + _BYTES_A_VALUE * rows(table, size))


def apis(size: Size) -> tuple[ApiNames, ...]:
    """As many APIs."""
    return tuple(ApiNames.of_id(f"api-{number}") for number in range(size.apis))


_counts: dict[tuple[str, str, Size], int] = {}


def query_count(table: Table, size: Size) -> int:
    """The number of queries that `choreo_insights.export.queries` makes for one partition.

    Pages follow from the rows, fan-outs from the APIs and the groups.
    """
    key = (table.name, table.root, size)
    if key not in _counts:
        _counts[key] = _count(table, size)
    return _counts[key]


def _count(table: Table, size: Size) -> int:
    variables = dict.fromkeys({*table.variables, *_of_sources(table)}, "")
    collecting = collect(table, variables, apis(size))
    count = 0
    try:
        queries = next(collecting)
        while True:
            count += len(queries)
            answers = _answers(table, size, queries)
            queries = collecting.send(answers)
    except StopIteration:
        return count


def _of_sources(table: Table) -> Iterator[str]:
    for fan in table.fan_out:
        yield from fan.source.variables if fan.source else ()


def _answers(table: Table, size: Size, queries: list[Query]) -> list[Answer | None]:
    if queries and queries[0].table is not table:
        (source,) = {fan.columns for fan in table.fan_out if fan.source}
        sets = [[f"{n}"] * len(source) for n in range(groups(table, size))]
        return [Answer({GROUPS: sets}, len(sets), frozenset())]
    if not table.paged:
        return [Answer({}, 0, frozenset())] * len(queries)
    return [_page(query, rows_a_member(table, size)) for query in queries]


def rows_a_member(table: Table, size: Size) -> int:
    """The rows of a paged table for each value that it is fanned out over."""
    members = math.prod(len(fan.values) for fan in table.fan_out if fan.over == "values")
    return math.ceil(rows(table, size) / members)


def _page(query: Query, total: int) -> Answer:
    first = int(query.variables["offset"])
    page = range(first, min(first + PAGE_SIZE, total))
    return Answer({"row": page}, len(page), frozenset(), total)
