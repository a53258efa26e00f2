"""What SQL says that a panel shows: asked of the views directly, not of the file's frames."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from choreo_insights_cli.dashboard.data import frames, panels_of
from choreo_insights_cli.dashboard.description import (
    Aggregation,
    Dimension,
    Filter,
    Measure,
    Panel,
    Unit,
    ValuePart,
)
from choreo_insights_cli.dashboard.panels import HOURS_UP_TO_DAYS, SHEETS
from choreo_insights_cli.dashboard.panels.shared import API, APPLICATION, ENVIRONMENT
from choreo_insights_cli.sql.duckdb import all_views

FRAMES = frames(panels_of(SHEETS))
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Choice:
    """What a reader chose; empty for all."""

    first: date
    last: date
    organization: str = ""
    # A name and its organisation.
    environment: tuple[str, str] | None = None
    # A name, its version, environment and organisation.
    api_name: tuple[str, str, str, str] | None = None
    application_name: tuple[str, str, str] | None = None

    @property
    def script(self) -> dict[str, Any]:
        """The same for the page."""
        epoch = date(1970, 1, 1)
        return {
            "organization": self.organization,
            "environment": key(self.environment),
            "api_name": key(self.api_name),
            "application_name": key(self.application_name),
            "from": (self.first - epoch).days,
            "to": (self.last - epoch).days,
        }

    @property
    def coarse(self) -> bool:
        """Whether days stand in place of hours."""
        return (self.last - self.first).days + 1 > HOURS_UP_TO_DAYS


def key(parts: tuple[str, ...] | None) -> str:
    """A choice of what a name alone does not tell apart, as the page has it."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":")) if parts else ""


ALSO = {each.column: each.also for each in (ENVIRONMENT, API, APPLICATION)}


def _dimension(dimension: Dimension, choice: Choice) -> str:
    column = f'"{dimension.column}"'
    if dimension.also:
        parts = ", ".join(f'"{name}"' for name in (dimension.column, *dimension.also))
        return f"CASE WHEN {column} IS NOT NULL THEN CAST(to_json([{parts}]) AS VARCHAR) END"
    expressions = {
        ValuePart.HOUR: f"date_trunc('day', {column})" if choice.coarse else column,
        ValuePart.DAY: f"CAST(date_trunc('day', {column}) AS DATE)",
        ValuePart.MONTH: f"CAST(date_trunc('month', {column}) AS DATE)",
        ValuePart.HOUR_OF_DAY: f"hour({column})",
        ValuePart.WEEKDAY: f"isodow({column})",
        ValuePart.WHOLE: f"nullif({column}, '')" if dimension.unit is Unit.TEXT else column,
    }
    return expressions[dimension.part]


def _measure(measure: Measure) -> str:
    column = f'"{measure.column}"'
    match measure.aggregation:
        case Aggregation.PERCENT:
            whole = " + ".join(f'"{name}"' for name in measure.whole)
            # A sum of columns is null where one of them is.
            return (
                f"100e0 * sum(CASE WHEN {whole} IS NOT NULL THEN {column} END)"
                f" / nullif(sum(CASE WHEN {column} IS NOT NULL THEN {whole} END), 0)"
            )
        case Aggregation.COUNT:
            return "count(*)"
        case Aggregation.AS_IS:
            return column
        case other:
            return f"{other.value}({column})"


def rows(
    database: duckdb.DuckDBPyConnection,
    panel: Panel,
    dimensions: list[Dimension],
    choice: Choice,
) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Keys and values of the panel's rows, all of them, in no order."""
    given = any(m.aggregation is Aggregation.AS_IS for m in panel.measures)
    keys = [_dimension(dimension, choice) for dimension in dimensions]
    columns = [*keys, *map(_measure, panel.measures)]
    tests: list[str] = ["true"]
    values: list[Any] = []
    frame = FRAMES[next(iter(frames([panel])))]
    for only in panel.only:
        tests.append(f'"{only.column}" = ?')
        values.append(only.value)
    there = {column.name for column in all_views()[panel.view].columns}
    if choice.organization:
        tests.append("organization = ?")
        values.append(choice.organization)
    for name, also in ALSO.items():
        wanted = getattr(choice, name)
        # Every panel that knows applications follows them.
        if wanted and (
            Filter(name) in panel.filters
            if name in {*Filter}
            else name in there and name in frame.keys
        ):
            tests += [f'"{column}" = ?' for column in (name, *also)]
            values += wanted
    if Filter.DATES in panel.filters:
        tests.append("day BETWEEN ? AND ?")
        values += [choice.first, choice.last]
    grouped = "" if given or not keys else " GROUP BY ALL"
    sql = f'SELECT {", ".join(columns)} FROM "{panel.view}" WHERE {" AND ".join(tests)}{grouped}'
    if not keys:
        sql += " HAVING count(*) > 0"
    found = database.execute(sql, values).fetchall()
    count = len(keys)
    return [(row[:count], row[count:]) for row in found]


def shown(dimension: Dimension, value: Any, choice: Choice) -> str:
    """A value of a dimension as a reader sees it."""
    if value is None:
        return dimension.absent
    if dimension.part is ValuePart.WEEKDAY:
        return WEEKDAYS[value - 1]
    forms = {
        ValuePart.HOUR: "%Y-%m-%d" if choice.coarse else "%Y-%m-%d %H:%M",
        ValuePart.MONTH: "%Y-%m",
        ValuePart.HOUR_OF_DAY: "02",
    }
    if isinstance(value, date):
        return format(value, forms.get(dimension.part, "%Y-%m-%d"))
    known = {known.value: known.label for known in dimension.known}
    return known.get(value, format(value, forms.get(dimension.part, "")))
