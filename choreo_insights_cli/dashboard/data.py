"""What the panels need of the views, as small as it can be for every choice of the reader.

A frame holds a view's rows added up over all that no panel tells apart. The reader's choices
filter a frame and add it up further, which sums, counts, maxima and minima allow; a percentage
comes from two sums. Nothing else is ever added up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb

from choreo_insights.dataset.cross_checks import CHECKS
from choreo_insights.dataset.registry import UNPARTITIONED
from choreo_insights_cli.dashboard.description import (
    Aggregation,
    Dimension,
    Measure,
    Panel,
    Part,
    Sheet,
)
from choreo_insights_cli.sql.duckdb import all_views, tables_of

_EPOCH_DAY = date(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_HOUR = (Part.HOUR, Part.HOUR_OF_DAY)
_FUNCTIONS = {Aggregation.SUM: "sum", Aggregation.MAX: "max", Aggregation.MIN: "min"}


@dataclass(frozen=True)
class Frame:
    """Columns that panels of one view share. `rows_given`: each row is a row of the view."""

    view: str
    rows_given: bool
    keys: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in the file."""
        return f"{self.view}.rows" if self.rows_given else self.view

    @property
    def sql(self) -> str:
        """The query that fills it, on DuckDB."""
        columns = [f'"{key}"' for key in self.keys]
        columns += [f'{_expression(value)} AS "{value}"' for value in self.values]
        keys = ", ".join(str(number + 1) for number in range(len(self.keys)))
        grouped = "" if self.rows_given else f" GROUP BY {keys}"
        # Names of this project's own files; nothing of it comes from outside.
        return f'SELECT {", ".join(columns)} FROM "{self.view}"{grouped} ORDER BY ALL'  # nosec B608


def key_of(dimension: Dimension) -> str:
    """The column of a frame that a dimension is made of."""
    if dimension.part in _OF_HOUR:
        return "hour"
    return dimension.column if dimension.part is Part.WHOLE else "day"


def values_of(measure: Measure) -> tuple[str, ...]:
    """The columns of a frame that a measure is made of; of a percentage first the part.

    A percentage is of the rows that have all of its figures: a part whose whole is not known would
    make it too high, and a whole whose part is not known too low.
    """
    match measure.aggregation:
        case Aggregation.PERCENT:
            columns = (measure.column, *measure.whole)
            needed = {column: sorted({*columns} - {column}) for column in columns}
            return tuple("&".join([f"sum:{column}", *needed[column]]) for column in columns)
        case Aggregation.COUNT:
            return ("count:*",)
        case Aggregation.GIVEN:
            return (measure.column,)
        case other:
            return (f"{_FUNCTIONS[other]}:{measure.column}",)


def rows_given(panel: Panel) -> bool:
    """Whether a panel shows rows of its view as they are."""
    return any(measure.aggregation is Aggregation.GIVEN for measure in panel.measures)


def frames(panels: Iterable[Panel]) -> dict[str, Frame]:
    """The frames of these panels by their names."""
    found: dict[str, Frame] = {}
    for panel in panels:
        dimensions = (panel.x, panel.y, panel.series, *panel.dimensions)
        keys = [choice.value for choice in panel.filters]
        keys += [only.column for only in panel.only]
        keys += [key_of(dimension) for dimension in dimensions if dimension]
        values = [value for measure in panel.measures for value in values_of(measure)]
        frame = Frame(panel.view, rows_given(panel), (), ())
        known = found.get(frame.name, frame)
        found[frame.name] = Frame(
            panel.view,
            frame.rows_given,
            tuple(sorted({*known.keys, *keys}, key=_key_order)),
            tuple(sorted({*known.values, *values})),
        )
    return found


def _key_order(key: str) -> tuple[bool, str]:
    # Sorted by time first, the columns are mostly like the row before, and pack well.
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


def filled(database: duckdb.DuckDBPyConnection, frame: Frame) -> dict[str, Any]:
    """A frame's columns: `texts` are those of `values` by number, null as null.

    Days are whole days and hours whole hours since 1970, other instants milliseconds; all UTC.
    """
    rows = database.execute(frame.sql).fetchall()
    names = (*frame.keys, *frame.values)
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {name: _column(name, values) for name, values in zip(names, columns, strict=True)}


def _column(name: str, values: Sequence[Any]) -> dict[str, Any]:
    if not any(isinstance(value, str) for value in values):
        return {"values": [_plain(name, value) for value in values]}
    numbers: dict[str, int] = {}
    coded = [None if v is None else numbers.setdefault(v, len(numbers)) for v in values]
    return {"texts": list(numbers), "values": coded}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        since = value.replace(tzinfo=UTC) - _EPOCH
        whole = timedelta(hours=1) if name == "hour" else timedelta(milliseconds=1)
        return since // whole
    return (value - _EPOCH_DAY).days if isinstance(value, date) else value


def panels_of(sheets: Iterable[Sheet]) -> list[Panel]:
    """All panels of these sheets."""
    return [panel for sheet in sheets for panel in sheet.panels]


def sources(panel: Panel) -> list[str]:
    """The tables of a panel's view of which each day has its own rows."""
    named = tables_of(panel.view)
    # The registry gives names, and does not say what a day holds.
    return sorted(named - UNPARTITIONED)


def needed_tables(sheets: Iterable[Sheet]) -> frozenset[str]:
    """The tables of the dataset that the file is made of."""
    read = {*(panel.view for panel in panels_of(sheets)), "export_days", "environment_names"}
    return frozenset(table for view in read for table in tables_of(view))


def coverage(database: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """For each table, organisation and environment the days with an export, from the ledger.

    `days` are pairs of the first and last day in a row. A table that was tried in vain has none.
    The comparisons of tables are not in the ledger: their days are those with any.
    """
    rows = database.execute(
        "SELECT table_name, organization, environment, day, state IS DISTINCT FROM 'missing'"
        " FROM export_days"
        " UNION SELECT ?, organization, environment, day, true FROM data_checks"
        " ORDER BY ALL",
        [CHECKS],
    ).fetchall()
    found: dict[tuple[str, str, str | None], list[list[int]]] = {}
    for table, organization, environment, day, there in rows:
        ranges = found.setdefault((table, organization, environment), [])
        number = _plain("day", day)
        if there and ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        elif there:
            ranges.append([number, number])
    return [
        {"table": table, "organization": organization, "environment": environment, "days": days}
        for (table, organization, environment), days in found.items()
    ]


def environments(database: duckdb.DuckDBPyConnection) -> list[dict[str, str]]:
    """The environments and their types."""
    rows = database.execute(
        "SELECT organization, environment, environment_type FROM environment_names ORDER BY ALL"
    ).fetchall()
    return [{"organization": o, "environment": e, "type": kind} for o, e, kind in rows]


def everything(database: duckdb.DuckDBPyConnection, sheets: Iterable[Sheet]) -> dict[str, Any]:
    """All that the file holds of the dataset."""
    needed = frames(panels_of(sheets))
    return {
        "frames": {name: filled(database, frame) for name, frame in needed.items()},
        "coverage": coverage(database),
        "environments": environments(database),
    }


def unknown_columns(panel: Panel) -> Iterator[str]:
    """Columns that a panel names and its view has not."""
    there = {column.name for column in all_views()[panel.view].columns}
    frame = next(iter(frames([panel]).values()))
    for name in (*frame.keys, *frame.values):
        for column in name.rpartition(":")[2].split("&"):
            if column not in {*there, "*"}:
                yield column
