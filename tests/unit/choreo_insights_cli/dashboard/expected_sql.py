"""What SQL says that a panel shows: asked of the views directly, not of the file's frames."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from choreo_insights_cli.dashboard.description import (
    Aggregation,
    Dimension,
    Filter,
    Measure,
    Panel,
    Unit,
    ValuePart,
)
from choreo_insights_cli.dashboard.panels import HOURS_UP_TO_DAYS

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Choice:
    """What a reader chose; empty for all."""

    first: date
    last: date
    organization: str = ""
    environment: str = ""
    api_name: str = ""

    @property
    def script(self) -> dict[str, Any]:
        """The same for the page."""
        epoch = date(1970, 1, 1)
        return {
            "organization": self.organization,
            "environment": self.environment,
            "api_name": self.api_name,
            "from": (self.first - epoch).days,
            "to": (self.last - epoch).days,
        }

    @property
    def coarse(self) -> bool:
        """Whether days stand in place of hours."""
        return (self.last - self.first).days + 1 > HOURS_UP_TO_DAYS


def _dimension(dimension: Dimension, choice: Choice) -> str:
    column = f'"{dimension.column}"'
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
    tests, values = ["true"], []
    for only in panel.only:
        tests.append(f'"{only.column}" = ?')
        values.append(only.value)
    for name in ("organization", "environment", "api_name"):
        if (wanted := getattr(choice, name)) and Filter(name) in panel.filters:
            tests.append(f'"{name}" = ?')
            values.append(wanted)
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
