"""The data of the panels, aggregated as far as every choice of the reader allows.

A frame holds a view's rows, grouped by the columns that any panel needs. The page filters a frame
and aggregates it further, which sums, counts, maxima and minima allow; a percentage comes from two
sums. Nothing else is aggregated.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import duckdb

from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights.report.targets import ApiTarget, Targets
from choreo_insights_cli.dashboard.description import (
    Aggregation,
    Dimension,
    Filter,
    Measure,
    Panel,
    Sheet,
    ValuePart,
)
from choreo_insights_cli.dashboard.panels.shared import API
from choreo_insights_cli.sql.duckdb import all_views, tables_of

_EPOCH_DAY = date(1970, 1, 1)
_DAYS_AT_ONCE = 100
_ROWS_AT_ONCE = 100_000
# How a value is written, by its type.
_PLAIN = {
    "hour": "epoch_ms({}) // 3600000",
    "TIMESTAMP": "epoch_ms({})",
    "DATE": "{} - DATE '1970-01-01'",
    "HUGEINT": "CAST({} AS BIGINT)",
}
_OF_HOUR = (ValuePart.HOUR, ValuePart.HOUR_OF_DAY)
_FUNCTIONS = {Aggregation.SUM: "sum", Aggregation.MAX: "max", Aggregation.MIN: "min"}


@dataclass(frozen=True)
class Frame:
    """The columns that panels of one view share. With `is_raw` each row is a row of the view."""

    view: str
    is_raw: bool
    keys: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.view}.rows" if self.is_raw else self.view

    def sql(self, condition: str = "true") -> str:
        """The query for its rows that fulfil a condition, on DuckDB."""
        columns = [f'"{key}"' for key in self.keys]
        columns += [f'{_expression(value)} AS "{value}"' for value in self.values]
        keys = ", ".join(str(number + 1) for number in range(len(self.keys)))
        grouped = "" if self.is_raw else f" GROUP BY {keys}"
        # The names come from this project's own files, none from outside.
        return f'SELECT {", ".join(columns)} FROM "{self.view}" WHERE {condition}{grouped}'  # nosec B608


def key_of(dimension: Dimension) -> str:
    """The column of a frame that a dimension reads."""
    if dimension.part in _OF_HOUR:
        return "hour"
    return dimension.column if dimension.part is ValuePart.WHOLE else "day"


def values_of(measure: Measure) -> tuple[str, ...]:
    """The columns of a frame that a measure reads; for a percentage the part comes first.

    A percentage counts only rows that have all of its figures: a part without its whole would make
    it too high, a whole without its part too low.
    """
    match measure.aggregation:
        case Aggregation.PERCENT:
            columns = (measure.column, *measure.whole)
            needed = {column: sorted({*columns} - {column}) for column in columns}
            return tuple("&".join([f"sum:{column}", *needed[column]]) for column in columns)
        case Aggregation.COUNT:
            return ("count:*",)
        case Aggregation.AS_IS:
            return (measure.column,)
        case other:
            return (f"{_FUNCTIONS[other]}:{measure.column}",)


def is_raw(panel: Panel) -> bool:
    """Whether a panel shows rows of its view as they are."""
    return any(measure.aggregation is Aggregation.AS_IS for measure in panel.measures)


def frames(panels: Iterable[Panel]) -> dict[str, Frame]:
    """The frames of these panels by their names."""
    by_name: dict[str, Frame] = {}
    for panel in panels:
        dimensions = dimensions_of(panel)
        keys = [choice.value for choice in panel.filters]
        keys += [column for dimension in dimensions for column in dimension.also]
        if Filter.API in panel.filters:
            keys += API.also
        keys += [only.column for only in panel.only]
        keys += [key_of(dimension) for dimension in dimensions]
        values = [value for measure in panel.measures for value in values_of(measure)]
        frame = Frame(panel.view, is_raw(panel), (), ())
        known = by_name.get(frame.name, frame)
        by_name[frame.name] = Frame(
            panel.view,
            frame.is_raw,
            tuple(sorted({*known.keys, *keys}, key=_key_order)),
            tuple(sorted({*known.values, *values})),
        )
    return by_name


def _key_order(key: str) -> tuple[bool, str]:
    # Sorted by time, most values equal those of the row before, and gzip packs them well.
    return key not in ("day", "hour"), key


def _expression(value: str) -> str:
    function, colon, columns = value.partition(":")
    if not colon:
        return f'"{value}"'
    if columns == "*":
        return "count(*)"
    column, *needed = columns.split("&")
    known = " AND ".join(f'"{name}" IS NOT NULL' for name in needed)
    return f'{function}("{column}")' + (f" FILTER (WHERE {known})" if known else "")


def filled(database: duckdb.DuckDBPyConnection, frame: Frame) -> str:
    """A frame's columns as JSON. A text is an index into `texts`; null stays null.

    Days and hours are counted since 1970, other instants are milliseconds; all UTC.
    """
    first, *others = _conditions(database, frame)
    database.execute(f"CREATE OR REPLACE TEMP TABLE parts AS {frame.sql(first)}")
    for condition in others:
        database.execute(f"INSERT INTO parts {frame.sql(condition)}")
    # The database writes the JSON: a year of a large organisation has millions of values, and
    # Python would make an object of each.
    kinds = {row[0]: row[1] for row in database.execute("DESCRIBE parts").fetchall()}
    texts = {
        name: _texts(database, name, number)
        for number, (name, kind) in enumerate(kinds.items())
        if kind == "VARCHAR"
    }
    # Sorted as numbers, which takes a part of the time that texts take.
    columns = ", ".join(
        f'{_value(name, kind, number)} AS "{name}"'
        for number, (name, kind) in enumerate(kinds.items())
    )
    sort = f"CREATE OR REPLACE TEMP TABLE filled AS SELECT {columns} FROM parts ORDER BY ALL"  # nosec B608
    database.execute(sort)
    database.execute("DROP TABLE parts")
    lists = (
        f'"{name}":{{{texts.get(name, "")}"values":[{",".join(parts)}]}}'
        for name, parts in zip(kinds, _listed(database, kinds), strict=True)
    )
    return f"{{{','.join(lists)}}}"


def _listed(database: duckdb.DuckDBPyConnection, names: Iterable[str]) -> Iterator[list[str]]:
    """The values of each column as JSON, in parts: at once they take hundreds of MB."""
    # All in one query: they have to be in one order, whichever that is.
    lists = ", ".join(f'CAST(to_json(list("{name}")) AS VARCHAR)' for name in names)
    # In a transaction, rowids begin with a very large number.
    ends = database.execute("SELECT min(rowid), max(rowid) + 1 FROM filled").fetchall()[0]
    first, end = (ends[0] or 0), (ends[1] or 1)
    parts = [
        database.execute(
            f"SELECT {lists} FROM filled WHERE rowid >= ? AND rowid < ?",  # nosec B608
            [start, start + _ROWS_AT_ONCE],
        ).fetchall()[0]
        for start in range(first, end, _ROWS_AT_ONCE)
    ]
    for column in zip(*parts, strict=True):
        yield [part[1:-1] for part in column if part]


def _texts(database: duckdb.DuckDBPyConnection, name: str, number: int) -> str:
    """The different texts of a column, which becomes a type of its own."""
    column = f'"{name}"'
    distinct = f"SELECT DISTINCT {column} FROM parts WHERE {column} IS NOT NULL ORDER BY 1"  # nosec B608
    database.execute(f"CREATE OR REPLACE TEMP TYPE coded_{number} AS ENUM ({distinct})")
    listed = f"SELECT CAST(to_json(enum_range(NULL::coded_{number})) AS VARCHAR)"
    return f'"texts":{database.execute(listed).fetchall()[0][0]},'


def _value(name: str, kind: str, number: int) -> str:
    if kind == "VARCHAR":
        return f'enum_code(CAST("{name}" AS coded_{number}))'
    return _PLAIN.get("hour" if name == "hour" else kind, "{}").format(f'"{name}"')


def _conditions(database: duckdb.DuckDBPyConnection, frame: Frame) -> list[str]:
    """Conditions that each row of a frame fulfils one of: so a view takes the memory of some days.

    A group has one day, so none is torn apart.
    """
    if "day" not in frame.keys:
        return ["true"]
    first, last = database.execute("SELECT min(day), max(day) FROM runs").fetchall()[0]
    if first is None or (last - first).days <= _DAYS_AT_ONCE:
        return ["true"]
    starts = [
        f"DATE '{first + timedelta(days=days)}'"
        for days in range(_DAYS_AT_ONCE, (last - first).days, _DAYS_AT_ONCE)
    ]
    between = [f"day >= {one} AND day < {other}" for one, other in pairwise(starts)]
    # Open at both ends: rows of days that the ledger does not know are rows too.
    return [f"day < {starts[0]} OR day IS NULL", *between, f"day >= {starts[-1]}"]


def dimensions_of(panel: Panel) -> list[Dimension]:
    every = (panel.x, panel.y, panel.series, *panel.dimensions)
    return [dimension for dimension in every if dimension]


def panels_of(sheets: Iterable[Sheet]) -> list[Panel]:
    return [panel for sheet in sheets for panel in sheet.panels]


def sources(panel: Panel) -> list[str]:
    """The partitioned tables that a panel's view reads."""
    named = tables_of(panel.view)
    # The registry has no days: it only adds names.
    return sorted(named - UNPARTITIONED)


def needed_tables(sheets: Iterable[Sheet]) -> frozenset[str]:
    """The tables of the dataset that the panels read."""
    read = {*(panel.view for panel in panels_of(sheets)), "export_days", "environment_names"}
    return frozenset(table for view in read for table in tables_of(view))


def coverage(database: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The exported days of each table, organisation and environment, from the ledger.

    `days` are pairs: the first and last day of each unbroken range. A table whose export failed has
    none. `checks` is not in the ledger: its days are those that have any.
    """
    rows = database.execute(
        "SELECT table_name, organization, environment, day, state IS DISTINCT FROM 'missing'"
        " FROM export_days"
        " UNION SELECT ?, organization, environment, day, true FROM data_checks"
        " ORDER BY ALL",
        [CHECKS],
    ).fetchall()
    by_place: dict[tuple[str, str, str | None], list[list[int]]] = {}
    for table, organization, environment, day, there in rows:
        ranges = by_place.setdefault((table, organization, environment), [])
        number = (day - _EPOCH_DAY).days
        if there and ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        elif there:
            ranges.append([number, number])
    return [
        {"table": table, "organization": organization, "environment": environment, "days": days}
        for (table, organization, environment), days in by_place.items()
    ]


def environments(database: duckdb.DuckDBPyConnection) -> list[dict[str, str]]:
    """The environments and their types."""
    rows = database.execute(
        "SELECT organization, environment, environment_type FROM environment_names ORDER BY ALL"
    ).fetchall()
    return [{"organization": o, "environment": e, "type": kind} for o, e, kind in rows]


def targets_of(database: duckdb.DuckDBPyConnection, targets: Targets) -> dict[str, Any]:
    """What all APIs should reach, and what those do that have targets of their own."""
    rows = database.execute(
        "SELECT DISTINCT api_id, api_name, api_version, environment, organization FROM api_names"
        " ORDER BY ALL"
    ).fetchall()
    own = {}
    for api_id, *key in rows if targets.apis else ():
        target = targets.of(api_id, key[0], key[1])
        if (target.availability_percent, target.p95_ms) != (
            targets.availability_percent,
            targets.p95_ms,
        ):
            own[_json(key)] = _figures(target)
    return {**_figures(targets), "apis": own}


def _figures(of: Targets | ApiTarget) -> dict[str, float | None]:
    return {"availability_percent": of.availability_percent, "p95_ms": of.p95_ms}


def everything(database: duckdb.DuckDBPyConnection, sheets: Iterable[Sheet]) -> Iterator[str]:
    """The data of the page, as JSON in pieces."""
    yield '{"frames":{'
    for number, (name, frame) in enumerate(frames(panels_of(sheets)).items()):
        yield f'{"," * bool(number)}"{name}":{filled(database, frame)}'
    yield f'}},"coverage":{_json(coverage(database))}'
    yield f',"environments":{_json(environments(database))}}}'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def unknown_columns(panel: Panel) -> Iterator[str]:
    """The columns that a panel names and its view lacks."""
    there = {column.name for column in all_views()[panel.view].columns}
    frame = next(iter(frames([panel]).values()))
    for name in (*frame.keys, *frame.values):
        for column in name.rpartition(":")[2].split("&"):
            if column not in {*there, "*"}:
                yield column
