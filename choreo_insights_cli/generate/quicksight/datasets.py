"""The data sets: each view that a panel shows, as SPICE imports it.

The SQL writes the labels of values, and a text for null, so that filters,
colours and charts all know one text.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from choreo_insights.dataset.access_rules import ACCESS_RULES, ACCESS_RULES_COLUMNS
from choreo_insights_cli.dashboard.description import Dimension, Filter, Panel, Sheet, ValuePart
from choreo_insights_cli.generate.glue import logical_id
from choreo_insights_cli.generate.quicksight.access import OWN_DATA_SET, granted
from choreo_insights_cli.sql.model import View

# The view whose values the filters list.
CHOICES: Mapping[Filter, str] = {
    Filter.ORGANIZATION: "environment_names",
    Filter.ENVIRONMENT: "environment_names",
    Filter.API: "api_names",
}
# Days that an hourly refresh reads again: the open day, and those that late data change.
LOOK_BACK_DAYS = 3
# The condition under which the table `access_rules` says who sees what.
HAS_RULES = "HasRules"
_TYPES: Mapping[str, str] = {
    "string": "STRING",
    "bigint": "INTEGER",
    "double": "DECIMAL",
    "timestamp": "DATETIME",
    "boolean": "STRING",
    "date": "DATETIME",
}
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DERIVED = {
    ValuePart.HOUR_OF_DAY: ("hour_of_day", "Hour of the day (UTC), 00 to 23."),
    ValuePart.WEEKDAY: ("weekday", "Weekday (UTC), 1 Mon to 7 Sun."),
}


@dataclass(frozen=True)
class Field:
    """A column of a data set: QuickSight's type, its SQL expression and its description."""

    name: str
    type: str
    sql: str
    meaning: str


@dataclass(frozen=True)
class DataSet:
    """A view as QuickSight has it."""

    name: str
    fields: tuple[Field, ...]

    @property
    def logical_id(self) -> str:
        return logical_id(self.name, "DataSet")

    @property
    def types(self) -> Mapping[str, str]:
        return {each.name: each.type for each in self.fields}

    @property
    def by_day(self) -> bool:
        """Whether it has the column that a refresh can look back by."""
        return "day" in self.types

    @property
    def sql(self) -> str:
        """Its query; `${DatabaseName}` and `${HistoryDays}` are filled in by the stack."""
        columns = ",\n".join(f'  {each.sql} AS "{each.name}"' for each in self.fields)
        lines = ["SELECT", columns, f'FROM "${{DatabaseName}}"."{self.name}"']
        if self.by_day:
            lines.append("WHERE \"day\" >= current_date - INTERVAL '${HistoryDays}' DAY")
        return "\n".join(lines)


@dataclass
class _Shown:
    """The dimensions that panels make of a view's columns."""

    whole: dict[str, Dimension] = field(default_factory=dict)
    parts: set[tuple[str, ValuePart]] = field(default_factory=set)
    # Those whose name alone does not tell what it is of.
    labels: dict[str, Dimension] = field(default_factory=dict)


def column_of(dimension: Dimension) -> str:
    """The data set's column that a dimension is drawn from."""
    if dimension.part in _DERIVED:
        return f"{dimension.column}_{_DERIVED[dimension.part][0]}"
    return f"{dimension.column}_label" if dimension.also else dimension.column


def dimensions_of(panel: Panel) -> Iterator[Dimension]:
    for each in (panel.x, panel.y, panel.series, *panel.dimensions):
        if each is not None:
            yield each


def data_sets(sheets: Iterable[Sheet], views: Iterable[View]) -> list[DataSet]:
    """A data set for each view that is shown or chosen from, in the order of the views.

    Raises ValueError where a panel names an unknown view, or panels that show one column disagree
    on the labels of its values.
    """
    panels = [panel for sheet in sheets for panel in sheet.panels]
    known = {view.name: view for view in views}
    needed = {panel.view for panel in panels} | set(CHOICES.values())
    if unknown := sorted(needed - known.keys()):
        message = f"panels show {', '.join(unknown)}, not a view in choreo_insights_cli/sql/views/"
        raise ValueError(message)
    shown = _shown(panels)
    return [
        DataSet(name, tuple(_fields(view, shown.get(name, _Shown()))))
        for name, view in known.items()
        if name in needed
    ]


def _shown(panels: Iterable[Panel]) -> dict[str, _Shown]:
    by_view: dict[str, _Shown] = {}
    for panel in panels:
        of_view = by_view.setdefault(panel.view, _Shown())
        for dimension in dimensions_of(panel):
            if dimension.part is not ValuePart.WHOLE:
                of_view.parts.add((dimension.column, dimension.part))
                continue
            if dimension.also:
                of_view.labels[dimension.column] = dimension
            before = of_view.whole.setdefault(dimension.column, dimension)
            if (before.known, before.absent) != (dimension.known, dimension.absent):
                message = f"{panel.id}: {panel.view}.{dimension.column} is shown in two ways"
                raise ValueError(message)
    return by_view


def _fields(view: View, shown: _Shown) -> Iterator[Field]:
    for column in view.columns:
        kind = _TYPES[column.type]
        sql = f'"{column.name}"'
        if column.type == "boolean":
            sql = f"CAST({sql} AS varchar)"
        elif kind == "STRING":
            sql = _text(sql, shown.whole.get(column.name, Dimension(column.name, "")))
        yield Field(column.name, kind, sql, column.meaning)
    there = {column.name for column in view.columns}
    for name, dimension in sorted(shown.labels.items()):
        meaning = f"{dimension.label} with what tells it apart from others of its name."
        yield Field(f"{name}_label", "STRING", _label(dimension, there), meaning)
    for column_name, part in sorted(shown.parts):
        if part in _DERIVED:
            suffix, meaning = _DERIVED[part]
            yield Field(f"{column_name}_{suffix}", "STRING", _part(column_name, part), meaning)


def _text(sql: str, dimension: Dimension) -> str:
    """The value as a reader sees it: never null nor empty."""
    text = f"coalesce(nullif({sql}, ''), {_literal(absent(dimension))})"
    labels = [(value.value, value.label) for value in dimension.known if value.value != value.label]
    if not labels:
        return text
    cases = " ".join(f"WHEN {_literal(value)} THEN {_literal(label)}" for value, label in labels)
    return f"CASE {sql} {cases} ELSE {text} END"


def _label(dimension: Dimension, there: Collection[str]) -> str:
    """The name, and behind it all that tells it apart; nulls are left out."""
    name = _text(f'"{dimension.column}"', dimension)
    also = [column for column in dimension.also if column in there]
    if "api_version" in also:
        name = f"concat_ws(' ', {name}, \"api_version\")"
    rest = [f'"{column}"' for column in also if column != "api_version"]
    return f"concat_ws(' · ', {', '.join([name, *rest])})"


def absent(dimension: Dimension) -> str:
    """The text for null, also where no panel shows the column."""
    return "(all)" if dimension.column == "environment" else dimension.absent


def _part(column: str, part: ValuePart) -> str:
    if part is ValuePart.HOUR_OF_DAY:
        return f"lpad(CAST(hour(\"{column}\") AS varchar), 2, '0')"
    days = " ".join(
        f"WHEN {number} THEN {_literal(f'{number} {name}')}"
        for number, name in enumerate(_WEEKDAYS, 1)
    )
    return f'CASE day_of_week("{column}") {days} END'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def resources(sets: Sequence[DataSet]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The data sets and their refreshes, by logical id."""
    for number, each in enumerate(sets):
        yield each.logical_id, _resource(each)
        if each.by_day:
            hourly, time = "INCREMENTAL_REFRESH", f"{1 + number // 30:02}:{number % 30 * 2:02}"
            weekly = {"Interval": "WEEKLY", "RefreshOnDay": {"DayOfWeek": "SUNDAY"}}
            yield _schedule(each, "Weekly", "FULL_REFRESH", weekly, time)
        else:
            hourly = "FULL_REFRESH"
        yield _schedule(each, "Hourly", hourly, {"Interval": "HOURLY"})


def _resource(each: DataSet) -> dict[str, Any]:
    properties = {
        **_data_set(each),
        "DataSetRefreshProperties": _refresh_properties(each),
        "RowLevelPermissionDataSet": {"Fn::If": [HAS_RULES, _rules(), {"Ref": "AWS::NoValue"}]},
    }
    return {"Type": "AWS::QuickSight::DataSet", "Properties": properties}


def _rules() -> dict[str, Any]:
    """The data set whose rows say who sees which rows.

    A rule is for the columns that its data set and this one have under the same name: every view
    has `organization` and `environment_id`.
    """
    return {
        "Arn": {"Fn::GetAtt": ["AccessRulesDataSet", "Arn"]},
        # By names of users and groups, not by their ARNs.
        "FormatVersion": "VERSION_1",
        "PermissionPolicy": "GRANT_ACCESS",
        "Status": "ENABLED",
    }


def rules_resource() -> dict[str, Any]:
    """The data set over the table `access_rules`. `insights access` has it imported."""
    # QuickSight wants capitals in two of the names; a null stays one, as it means everything.
    fields = [
        Field(c.name, "STRING", f'"{c.name.lower()}"', c.meaning) for c in ACCESS_RULES_COLUMNS
    ]
    each = DataSet(ACCESS_RULES, tuple(fields))
    return {
        "Type": "AWS::QuickSight::DataSet",
        "Condition": HAS_RULES,
        "Properties": {
            **_data_set(each),
            "DataSetRefreshProperties": _refresh_properties(each),
        },
    }


def _data_set(each: DataSet) -> dict[str, Any]:
    columns = [_input(column) for column in each.fields]
    return {
        "AwsAccountId": {"Ref": "AWS::AccountId"},
        "DataSetId": {"Fn::Sub": f"${{StackName}}-{each.name}"},
        "Name": {"Fn::Sub": f"${{StackName}} {each.name}"},
        "ImportMode": "SPICE",
        # Else the stack waits for the first import, and its failure would take the stack along.
        "IngestionWaitPolicy": {"WaitForSpiceIngestion": False},
        "PhysicalTableMap": {
            _table_id(each): {
                "CustomSql": {
                    "DataSourceArn": {"Fn::GetAtt": ["DataSource", "Arn"]},
                    "Name": each.name,
                    "SqlQuery": {"Fn::Sub": each.sql},
                    "Columns": columns,
                }
            }
        },
        "LogicalTableMap": {
            _table_id(each): {
                "Alias": each.name,
                "Source": {"PhysicalTableId": _table_id(each)},
                "DataTransforms": [_tag(column) for column in each.fields],
            }
        },
        "Permissions": [granted(OWN_DATA_SET)],
    }


def _table_id(each: DataSet) -> str:
    return each.name.replace("_", "-")


def _input(column: Field) -> dict[str, str]:
    entry = {"Name": column.name, "Type": column.type}
    if column.type == "DECIMAL":
        entry["SubType"] = "FLOAT"
    return entry


def _tag(column: Field) -> dict[str, Any]:
    tags: list[dict[str, Any]] = [{"ColumnDescription": {"Text": column.meaning[:500]}}]
    if column.name == "country":
        tags.append({"ColumnGeographicRole": "COUNTRY"})
    return {"TagColumnOperation": {"ColumnName": column.name, "Tags": tags}}


def _refresh_properties(each: DataSet) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "FailureConfiguration": {"EmailAlert": {"AlertStatus": "ENABLED"}}
    }
    if each.by_day:
        window = {"ColumnName": "day", "Size": LOOK_BACK_DAYS, "SizeUnit": "DAY"}
        properties["RefreshConfiguration"] = {"IncrementalRefresh": {"LookbackWindow": window}}
    return properties


def _schedule(
    each: DataSet, name: str, kind: str, frequency: dict[str, Any], time: str | None = None
) -> tuple[str, dict[str, Any]]:
    if time:
        frequency = {**frequency, "TimeOfTheDay": time}
    schedule = {
        "ScheduleId": name.lower(),
        "RefreshType": kind,
        "ScheduleFrequency": {**frequency, "TimeZone": "UTC"},
    }
    properties = {
        "AwsAccountId": {"Ref": "AWS::AccountId"},
        "DataSetId": {"Fn::Sub": f"${{StackName}}-{each.name}"},
        "Schedule": schedule,
    }
    resource = {
        "Type": "AWS::QuickSight::RefreshSchedule",
        "Condition": "GoesOn",
        "DependsOn": each.logical_id,
        "Properties": properties,
    }
    return logical_id(each.name, name), resource
