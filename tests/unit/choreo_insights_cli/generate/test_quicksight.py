"""QuickSight's template without an account: the requests it makes, and all that it names."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from xml.etree import ElementTree

import botocore.session
import pytest
from botocore.validate import ParamValidator

from choreo_insights_cli.dashboard.description import Aggregation, Filter, Kind
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.dashboard.spans import DaySpan
from choreo_insights_cli.generate import quicksight
from choreo_insights_cli.generate.quicksight.access import (
    OWN_DASHBOARD,
    OWN_DATA_SET,
    OWN_DATA_SOURCE,
    OWN_THEME,
)
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.sql import shipped
from choreo_insights_cli.sql.duckdb import connect
from choreo_insights_cli.sql.translation import translated
from choreo_insights_cli.template import Template

Json = dict[str, Any]
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
TEMPLATE = Template(ROOT / "generated/quicksight.yaml")
MODEL = botocore.session.Session().get_service_model("quicksight")
PARAMETERS = {
    "StackName": "choreo-insights",
    "DatabaseName": "choreo_insights",
    "WorkGroupName": "choreo-insights",
    "BucketName": "choreo-insights-dataset-abc",
    "ResultsBucketName": "choreo-insights-results-abc",
    "PrincipalArn": "arn:aws:quicksight:eu-central-1:111122223333:group/default/analysts",
    "HistoryDays": "400",
    "Rules": "true",
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
}
# What CloudFormation calls otherwise than the API, or has of its own.
RENAMED = {"TimeZone": "Timezone"}
OF_CLOUDFORMATION = {
    "AWS::QuickSight::DataSet": ("IngestionWaitPolicy", "DataSetRefreshProperties"),
}
OPERATIONS = {
    "AWS::QuickSight::DataSource": "CreateDataSource",
    "AWS::QuickSight::DataSet": "CreateDataSet",
    "AWS::QuickSight::RefreshSchedule": "CreateRefreshSchedule",
    "AWS::QuickSight::Theme": "CreateTheme",
    "AWS::QuickSight::Dashboard": "CreateDashboard",
}
KINDS = {
    "KPIVisual": {Kind.FIGURE},
    "LineChartVisual": {Kind.LINE, Kind.STACKED},
    "BarChartVisual": {Kind.BAR, Kind.STACKED},
    "HeatMapVisual": {Kind.HEATMAP},
    "TableVisual": {Kind.TABLE},
}
# The calculated field of the days that are chosen.
IN_SPAN = "In the span"
ID = re.compile(r"[\w\-]{1,512}", re.ASCII)
VIEWS = shipped.views()
MEANINGS = {(view.name, column.name): column.meaning for view in VIEWS for column in view.columns}
PANELS = {
    f"{sheet.id}-{panel.id}": panel
    for sheet in quicksight.in_quicksight(SHEETS)
    for panel in sheet.panels
}


def resolved(node: Any) -> Any:  # noqa: PLR0911 - one for each function of CloudFormation
    """The node with sample values in the place of functions."""
    if isinstance(node, list):
        return [resolved(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Ref"}:
        return PARAMETERS[node["Ref"]]
    if node.keys() == {"Fn::Sub"}:
        return re.sub(r"\$\{([^}]+)\}", lambda match: PARAMETERS[match[1]], node["Fn::Sub"])
    if node.keys() == {"Fn::If"}:
        return resolved(node["Fn::If"][1])
    if node.keys() == {"Fn::GetAtt"}:
        resource, attribute = node["Fn::GetAtt"]
        assert resource in TEMPLATE.resources
        return f"arn:aws:sample:eu-central-1:111122223333:{resource}/{attribute}"
    if node.keys() == {"Fn::If"}:
        condition, then, otherwise = node["Fn::If"]
        assert condition in TEMPLATE.body["Conditions"]
        assert otherwise == {"Ref": "AWS::NoValue"}
        return resolved(then)
    return {RENAMED.get(key, key): resolved(value) for key, value in node.items()}


def request(name: str) -> tuple[str, Json]:
    """The request that CloudFormation makes for a resource: its operation and parameters."""
    resource = TEMPLATE.resources[name]
    parameters = resolved(resource["Properties"])
    for own in OF_CLOUDFORMATION.get(resource["Type"], ()):
        parameters.pop(own)
    return OPERATIONS[resource["Type"]], parameters


def complaints(operation: str, parameters: Json) -> str:
    """What botocore has against a request, which it checks before it sends it."""
    shape = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(parameters, shape)
    return str(report.generate_report()) + "\n".join(broken(parameters, shape, operation))


def broken(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Values that break an enumeration, a pattern or the most of something.

    botocore leaves these to the service.
    """
    bounds = shape.metadata
    if shape.type_name == "string":
        yield from broken_text(value, shape, path)
    elif shape.type_name in ("integer", "long"):
        if not bounds.get("min", value) <= value <= bounds.get("max", value):
            yield f"{path}: {value} is out of range"
    elif isinstance(value, (list, dict)) and len(value) > bounds.get("max", len(value)):
        yield f"{path}: {len(value)} are too many"
    for name, item, of_item in inside(value, shape):
        yield from broken(item, of_item, f"{path}.{name}")


def broken_text(value: str, shape: Any, path: str) -> Iterator[str]:
    """The same for a text."""
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value} is none of {shape.enum}"
    if len(value) > shape.metadata.get("max", len(value)):
        yield f"{path}: {len(value)} characters are too many"
    if not re.fullmatch(shape.metadata.get("pattern", "(?s:.*)"), value, re.ASCII):
        yield f"{path}: {value} does not fit {shape.metadata['pattern']}"


def inside(value: Any, shape: Any) -> Iterator[tuple[Any, Any, Any]]:
    """What a value holds: name or number, item and shape."""
    if shape.type_name == "structure":
        known = value.keys() & shape.members
        yield from ((name, value[name], shape.members[name]) for name in known)
    elif shape.type_name == "list":
        yield from ((number, item, shape.member) for number, item in enumerate(value))
    elif shape.type_name == "map":
        yield from ((key, item, shape.value) for key, item in value.items())


CREATED = [name for name, each in TEMPLATE.resources.items() if each["Type"] in OPERATIONS]
DASHBOARD: Json = request("Dashboard")[1]
DEFINITION: Json = DASHBOARD["Definition"]
VISUALS = {
    (sheet["SheetId"], body["VisualId"]): (kind, body)
    for sheet in DEFINITION["Sheets"]
    for visual in sheet["Visuals"]
    for kind, body in visual.items()
}
DATA_SETS = {
    table["CustomSql"]["Name"]: properties
    for properties in TEMPLATE.of_type("AWS::QuickSight::DataSet").values()
    for table in properties["PhysicalTableMap"].values()
    if table["CustomSql"]["Name"] != "access_rules"
}


def sql_of(name: str) -> Json:
    """The query of a data set with its columns."""
    ((_, table),) = DATA_SETS[name]["PhysicalTableMap"].items()
    return dict(table["CustomSql"])


COLUMNS = {
    name: {column["Name"]: column["Type"] for column in sql_of(name)["Columns"]}
    for name in DATA_SETS
}
CALCULATED = {
    (each["DataSetIdentifier"], each["Name"]): each["Expression"]
    for each in DEFINITION["CalculatedFields"]
}


def found(node: Any, key: str) -> Iterator[Any]:
    """Every value of a key below a node."""
    if isinstance(node, list):
        for item in node:
            yield from found(item, key)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from found(value, key)


class TestRequests:
    @pytest.mark.parametrize("name", CREATED)
    def test_botocore_takes_what_would_be_sent(self, name: str) -> None:
        assert complaints(*request(name)) == ""

    @pytest.mark.parametrize("name", TEMPLATE.of_type("AWS::QuickSight::DataSet"))
    def test_botocore_takes_the_refreshs_properties(self, name: str) -> None:
        properties = resolved(TEMPLATE.resources[name]["Properties"])
        names = ("AwsAccountId", "DataSetId", "DataSetRefreshProperties")
        sent = {each: properties[each] for each in names}
        assert complaints("PutDataSetRefreshProperties", sent) == ""

    def test_what_is_wrong_is_complained_of(self) -> None:
        operation, parameters = request("Dashboard")
        assert "Unknown parameter" in complaints(operation, parameters | {"Colour": "blue"})
        assert "does not fit" in complaints(operation, parameters | {"DashboardId": "a b"})
        options = {"AdHocFilteringOption": {"AvailabilityStatus": "ON"}}
        wrong = parameters | {"DashboardPublishOptions": options}
        assert "none of" in complaints(operation, wrong)

    def test_every_resource_is_one_of_them_or_the_role(self) -> None:
        others = TEMPLATE.resources.keys() - set(CREATED)
        kinds = {TEMPLATE.resources[name]["Type"] for name in others}
        assert kinds == {"AWS::IAM::Role", "AWS::IAM::Policy"}

    def test_the_owner_gets_whole_sets_of_actions(self) -> None:
        for kind, actions in {
            "AWS::QuickSight::DataSource": OWN_DATA_SOURCE,
            "AWS::QuickSight::DataSet": OWN_DATA_SET,
            "AWS::QuickSight::Theme": OWN_THEME,
            "AWS::QuickSight::Dashboard": OWN_DASHBOARD,
        }.items():
            for properties in TEMPLATE.of_type(kind).values():
                (permission,) = properties["Permissions"]
                assert permission["Principal"] == {"Ref": "PrincipalArn"}
                assert permission["Actions"] == [f"quicksight:{each}" for each in actions]


class TestDataSets:
    def test_are_the_views_that_panels_show_or_choices_are_listed_from(self) -> None:
        shown = {panel.view for panel in PANELS.values()}
        assert COLUMNS.keys() == shown | {"environment_names", "api_names"}

    @pytest.mark.parametrize("name", COLUMNS)
    def test_have_the_columns_of_the_view_with_their_types(self, name: str) -> None:
        of_view = {c.name: c.type for view in VIEWS if view.name == name for c in view.columns}
        types = {
            "string": "STRING",
            "boolean": "STRING",
            "bigint": "INTEGER",
            "double": "DECIMAL",
            "timestamp": "DATETIME",
            "date": "DATETIME",
        }
        expected = {column: types[kind] for column, kind in of_view.items()}
        assert COLUMNS[name].items() >= expected.items()
        assert all(COLUMNS[name][derived] == "STRING" for derived in COLUMNS[name].keys() - of_view)

    @pytest.mark.parametrize("name", COLUMNS)
    def test_the_query_selects_those_columns_of_the_last_days(self, name: str) -> None:
        query = sql_of(name)["SqlQuery"]["Fn::Sub"]
        assert re.findall(r' AS "(\w+)",?\n', query) == list(COLUMNS[name])
        assert f'FROM "${{DatabaseName}}"."{name}"' in query
        assert ("INTERVAL '${HistoryDays}' DAY" in query) == ("day" in COLUMNS[name])

    @pytest.mark.parametrize("name", COLUMNS)
    def test_are_refreshed_every_hour_and_wholly_every_day(self, name: str) -> None:
        schedules = [
            each["Schedule"]
            for each in TEMPLATE.of_type("AWS::QuickSight::RefreshSchedule").values()
            if each["DataSetId"] == DATA_SETS[name]["DataSetId"]
        ]
        refreshes = {
            (each["ScheduleFrequency"]["Interval"], each["RefreshType"]) for each in schedules
        }
        properties = DATA_SETS[name]["DataSetRefreshProperties"]
        if "day" not in COLUMNS[name]:
            assert refreshes == {("HOURLY", "FULL_REFRESH")}
            assert "RefreshConfiguration" not in properties
            return
        assert refreshes == {("HOURLY", "INCREMENTAL_REFRESH"), ("WEEKLY", "FULL_REFRESH")}
        (window,) = found(properties, "LookbackWindow")
        assert COLUMNS[name][window["ColumnName"]] == "DATETIME"
        for each in schedules:
            time = each["ScheduleFrequency"].get("TimeOfTheDay", "00:00")
            assert re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", time)

    @pytest.mark.parametrize("name", COLUMNS)
    def test_a_failed_import_neither_stops_the_stack_nor_stays_unseen(self, name: str) -> None:
        properties = DATA_SETS[name]
        assert properties["IngestionWaitPolicy"] == {"WaitForSpiceIngestion": False}
        alert = properties["DataSetRefreshProperties"]["FailureConfiguration"]["EmailAlert"]
        assert alert == {"AlertStatus": "ENABLED"}

    @pytest.mark.parametrize("name", COLUMNS)
    def test_every_column_is_told(self, name: str) -> None:
        (table,) = DATA_SETS[name]["LogicalTableMap"].values()
        operations = [each["TagColumnOperation"] for each in table["DataTransforms"]]
        assert [each["ColumnName"] for each in operations] == list(COLUMNS[name])
        assert table["Source"]["PhysicalTableId"] in DATA_SETS[name]["PhysicalTableMap"]


class TestRules:
    """Row-level security: who is in no rule sees nothing, in any of the data sets."""

    RULES = TEMPLATE.resources["AccessRulesDataSet"]

    def test_every_data_set_is_under_the_rules_where_they_are_wanted(self) -> None:
        wanted = {"Fn::Equals": [{"Ref": "Rules"}, "true"]}
        assert TEMPLATE.body["Conditions"]["HasRules"] == wanted
        for properties in DATA_SETS.values():
            condition, rules, otherwise = properties["RowLevelPermissionDataSet"]["Fn::If"]
            assert (condition, otherwise) == ("HasRules", {"Ref": "AWS::NoValue"})
            assert rules == {
                "Arn": {"Fn::GetAtt": ["AccessRulesDataSet", "Arn"]},
                "FormatVersion": "VERSION_1",
                "PermissionPolicy": "GRANT_ACCESS",
                "Status": "ENABLED",
            }

    def test_every_data_set_has_the_columns_that_rules_speak_of(self) -> None:
        for columns in COLUMNS.values():
            assert columns["organization"] == columns["environment_id"] == "STRING"

    def test_the_rules_are_a_data_set_of_their_own_without_rules(self) -> None:
        assert self.RULES["Condition"] == "HasRules"
        assert "RowLevelPermissionDataSet" not in self.RULES["Properties"]
        ((_, table),) = self.RULES["Properties"]["PhysicalTableMap"].items()
        assert [(each["Name"], each["Type"]) for each in table["CustomSql"]["Columns"]] == [
            (name, "STRING") for name in ("UserName", "GroupName", "organization", "environment_id")
        ]

    def test_their_query_gives_nulls_which_mean_everything(self) -> None:
        ((_, table),) = self.RULES["Properties"]["PhysicalTableMap"].items()
        query = table["CustomSql"]["SqlQuery"]["Fn::Sub"].replace('"${DatabaseName}".', "")
        database = connect([])
        database.execute("INSERT INTO access_rules VALUES (NULL, 'partners', 'acme', NULL)")
        answer = database.sql(translated(query, NOW))
        assert answer.columns == ["UserName", "GroupName", "organization", "environment_id"]
        assert answer.fetchall() == [(None, "partners", "acme", None)]

    def test_what_stands_for_no_environment_is_no_id_of_one(self) -> None:
        """A data set shows (all) or (none) for a null: such a row is for rules of all of them."""
        for name in DATA_SETS:
            assert 'AS "environment_id"' in sql_of(name)["SqlQuery"]["Fn::Sub"]


class TestQueries:
    """Run on DuckDB, over the dataset's tables."""

    def answered(self, name: str, *rows: str) -> Any:
        database = connect([])
        for row in rows:
            database.execute(row)
        query = sql_of(name)["SqlQuery"]["Fn::Sub"].replace('"${DatabaseName}".', "")
        return database.sql(translated(query.replace("${HistoryDays}", "400"), NOW))

    @pytest.mark.parametrize("name", COLUMNS)
    def test_give_the_columns_with_their_types(self, name: str) -> None:
        types = {
            "VARCHAR": "STRING",
            "BIGINT": "INTEGER",
            "DOUBLE": "DECIMAL",
            "TIMESTAMP": "DATETIME",
            "DATE": "DATETIME",
        }
        answer = self.answered(name)
        given = {
            column: types[str(kind)]
            for column, kind in zip(answer.columns, answer.types, strict=True)
        }
        assert given == COLUMNS[name]

    def test_give_values_as_a_reader_sees_them(self) -> None:
        # A Wednesday; and a day that is too long ago.
        rows = [
            "INSERT INTO errors_by_category (day, organization, environment, time_span, throttled)"
            f" VALUES ('{day}', 'acme', NULL, '{day} 07:30:00', 3)"
            for day in ("2026-03-04", "2025-01-01")
        ]
        answer = self.answered("errors_by_category_hourly", *rows).filter("errors > 0")
        (row,) = [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]
        assert (row["day"], row["environment"]) == (date(2026, 3, 4), "(all)")
        assert (row["category"], row["errors"]) == ("Throttled", 3)

    def test_give_hours_and_weekdays_that_sort(self) -> None:
        answer = self.answered(
            "traffic_hourly",
            "INSERT INTO success_summary (day, organization, environment, time_span, request_count)"
            " VALUES ('2026-03-04', 'acme', 'prod', '2026-03-04 07:00:00', 3)",
        )
        assert answer.select("hour_hour_of_day, hour_weekday").fetchall() == [("07", "3 Wed")]


class TestNames:
    def test_every_data_set_is_declared_once_and_used(self) -> None:
        declared = [each["Identifier"] for each in DEFINITION["DataSetIdentifierDeclarations"]]
        assert sorted(declared) == sorted(DATA_SETS)
        assert set(found(DEFINITION, "DataSetIdentifier")) == set(declared)

    def test_every_column_is_one_of_its_data_set_or_calculated(self) -> None:
        named = [
            node
            for key in ("Column", "LinkToDataSetColumn", "ColumnToMatch")
            for node in found(DEFINITION, key)
        ]
        assert len(named) > 300
        for column in named:
            name = column["DataSetIdentifier"], column["ColumnName"]
            assert name in CALCULATED or name[1] in COLUMNS[name[0]]

    @pytest.mark.parametrize(
        ("field", "types"),
        [
            ("CategoricalDimensionField", {"STRING"}),
            ("DateDimensionField", {"DATETIME"}),
            ("CategoricalMeasureField", {"STRING"}),
            ("DateMeasureField", {"DATETIME"}),
            ("NumericalMeasureField", {"INTEGER", "DECIMAL"}),
            ("CategoryFilter", {"STRING"}),
        ],
    )
    def test_every_field_and_filter_has_a_column_of_its_type(
        self, field: str, types: set[str]
    ) -> None:
        fields = list(found(DEFINITION, field))
        assert fields
        for each in fields:
            column = each["Column"]
            data_set, name = column["DataSetIdentifier"], column["ColumnName"]
            assert (data_set, name) in CALCULATED or COLUMNS[data_set][name] in types

    def test_what_is_calculated_is_a_percentage_of_numbers_that_are_there(self) -> None:
        percentages = {key: text for key, text in CALCULATED.items() if key[1] != IN_SPAN}
        assert percentages
        for (data_set, _), text in percentages.items():
            columns = re.findall(r"\{(\w+)\}", text)
            assert columns
            assert all(COLUMNS[data_set][each] == "INTEGER" for each in columns)
        assert CALCULATED["traffic_daily", "errors in percent of requests"] == (
            "ifelse((sumIf({requests}, isNotNull({errors}))) > 0, 100.0 * sumIf({errors},"
            " isNotNull({requests})) / (sumIf({requests}, isNotNull({errors}))), null)"
        )
        # Only such a field is a measure without a function of its own.
        for each in found(DEFINITION, "NumericalMeasureField"):
            name = each["Column"]["DataSetIdentifier"], each["Column"]["ColumnName"]
            assert (name in percentages) == ("AggregationFunction" not in each)

    def test_every_span_can_be_chosen_and_is_a_condition_on_days(self) -> None:
        expressions = {key: text for key, text in CALCULATED.items() if key[1] == IN_SPAN}
        assert len(set(expressions.values())) == 1
        assert {*expressions} == {
            (each["Column"]["DataSetIdentifier"], each["Column"]["ColumnName"])
            for each in found(DEFINITION, "NumericEqualityFilter")
        }
        for data_set, _ in expressions:
            assert COLUMNS[data_set]["day"] == "DATETIME"
        text = next(iter(expressions.values()))
        named = [span for span in DaySpan if span not in (DaySpan.ALL, DaySpan.CUSTOM)]
        for span in named:
            assert f"(${{Span}}='{span.label}' AND {span.quicksight})" in text
        labels = [span.label for span in DaySpan]
        assert re.findall(r"\$\{Span\}='([^']+)'", text) == labels
        (first,) = [
            each["StringParameterDeclaration"]["DefaultValues"]["StaticValues"]
            for each in DEFINITION["ParameterDeclarations"]
            if "Span" in found(each, "Name")
        ]
        assert first == [DaySpan.LAST_7_DAYS.label]
        offered = [
            each["SelectableValues"]["Values"]
            for each in found(DEFINITION, "Dropdown")
            if each["SourceParameterName"] == "Span"
        ]
        assert offered == [labels] * len(DEFINITION["Sheets"])

    def test_every_parameter_is_declared_and_used_by_controls_and_filters(self) -> None:
        declared = {
            next(iter(each.values()))["Name"] for each in DEFINITION["ParameterDeclarations"]
        }
        filtered = {*found(DEFINITION, "ParameterName")}
        for text in CALCULATED.values():
            filtered.update(re.findall(r"\$\{(\w+)\}", text))
        controlled = set(found(DEFINITION, "SourceParameterName"))
        assert declared == filtered == controlled

    def test_every_parameter_has_the_type_that_its_filter_and_control_take(self) -> None:
        declared = {
            body["Name"]: kind.removesuffix("ParameterDeclaration")
            for each in DEFINITION["ParameterDeclarations"]
            for kind, body in each.items()
        }
        for kind, key, wanted in (
            ("CategoryFilter", "ParameterName", "String"),
            ("Dropdown", "SourceParameterName", "String"),
            ("DateTimePicker", "SourceParameterName", "DateTime"),
        ):
            names = [name for each in found(DEFINITION, kind) for name in found(each, key)]
            assert names
            assert {declared[name] for name in names} == {wanted}

    def test_no_id_is_given_twice(self) -> None:
        keys = ("SheetTextBoxId", "ParameterControlId", "FilterGroupId", "FilterId")
        sheets = [sheet["SheetId"] for sheet in DEFINITION["Sheets"]]
        for ids in (
            sheets,
            [visual for _, visual in VISUALS],
            *([*found(DEFINITION, key)] for key in keys),
        ):
            assert ids
            assert [name for name, times in Counter(ids).items() if times > 1] == []
            assert all(ID.fullmatch(name) for name in ids)
        logical = [properties["DataSetId"]["Fn::Sub"] for properties in DATA_SETS.values()]
        assert len(set(logical)) == len(logical)

    def test_fields_are_told_apart_and_every_sort_and_label_knows_its_field(self) -> None:
        ids: list[str] = []
        for _, body in VISUALS.values():
            chart = body["ChartConfiguration"]
            own = list(found(chart["FieldWells"], "FieldId"))
            ids += own
            assert set(found(chart, "FieldId")) <= set(own)
            assert set(*found(chart.get("FieldOptions", {}), "Order") or [[]]) <= set(own)
        assert len(set(ids)) == len(ids)


class TestSheets:
    def test_are_the_pages_in_their_order(self) -> None:
        assert [sheet["Name"] for sheet in DEFINITION["Sheets"]] == [
            *("Overview", "Traffic", "Errors", "Latency", "Cache", "Devices and Geo"),
            *("Alerts", "Reports", "Data health"),
        ]

    def test_every_panel_is_drawn_once_with_its_kind_title_and_words(self) -> None:
        assert sorted(visual for _, visual in VISUALS) == sorted(PANELS)
        for (sheet, visual), (kind, body) in VISUALS.items():
            panel = PANELS[visual]
            assert visual.startswith(f"{sheet}-")
            assert panel.kind in KINDS[kind]
            assert body["Title"]["FormatText"]["PlainText"] == panel.title
            said = body["Subtitle"]["FormatText"]["PlainText"]
            assert said.startswith(panel.subtitle)
            assert panel.nothing in said
            assert panel.unavailable is None or panel.unavailable.reason in said

    def test_every_measure_and_dimension_is_in_a_well(self) -> None:
        for _, visual in VISUALS:
            panel = PANELS[visual]
            wells = VISUALS[visual.split("-")[0], visual][1]["ChartConfiguration"]["FieldWells"]
            named = list(found(wells, "ColumnName"))
            dimensions = [each for each in (panel.x, panel.y, panel.series) if each]
            assert len(named) == len(panel.measures) + len(panel.dimensions) + len(dimensions)
            assert set(found(wells, "DataSetIdentifier")) == {panel.view}

    def test_what_is_not_additive_is_not_summed(self) -> None:
        for visual, panel in PANELS.items():
            _, body = VISUALS[visual.split("-")[0], visual]
            functions = list(found(body, "SimpleNumericalAggregation"))
            expected = [
                each.aggregation.upper()
                for each in panel.measures
                if each.aggregation not in (Aggregation.PERCENT, Aggregation.AS_IS)
                and COLUMNS[panel.view][each.column] in ("INTEGER", "DECIMAL")
            ]
            assert functions == expected
            for each in panel.measures:
                summed = each.aggregation in (Aggregation.SUM, Aggregation.PERCENT)
                assert not (summed and "Not additive" in MEANINGS[panel.view, each.column])

    @pytest.mark.parametrize("sheet", DEFINITION["Sheets"], ids=lambda sheet: sheet["SheetId"])
    def test_has_its_controls(self, sheet: Json) -> None:
        controls = [next(iter(each.values())) for each in sheet["ParameterControls"]]
        names = {each["SourceParameterName"] for each in controls}
        assert names >= {"Organization", "Environment", "Span", "DateFrom", "DateTo"}
        panels = [panel for name, panel in PANELS.items() if name.startswith(sheet["SheetId"])]
        assert ("Api" in names) == any(Filter.API in panel.filters for panel in panels)
        ids = {each["ParameterControlId"] for each in controls}
        assert set(found(controls, "SourceSheetControlId")) <= ids

    @pytest.mark.parametrize("sheet", DEFINITION["Sheets"], ids=lambda sheet: sheet["SheetId"])
    def test_shows_everything_without_overlap(self, sheet: Json) -> None:
        places = placed(sheet["Layouts"])
        visuals = [next(iter(each.values()))["VisualId"] for each in sheet["Visuals"]]
        boxes = [each["SheetTextBoxId"] for each in sheet["TextBoxes"]]
        assert sorted(places) == sorted([*visuals, *boxes])
        cells = Counter(cell for rectangle in places.values() for cell in rectangle)
        assert max(cells.values()) == 1
        assert max(column for column, _ in cells) == 35

    @pytest.mark.parametrize("sheet", DEFINITION["Sheets"], ids=lambda sheet: sheet["SheetId"])
    def test_says_what_it_is_and_where_gaps_are_told(self, sheet: Json) -> None:
        (box,) = sheet["TextBoxes"]
        said = list(ElementTree.fromstring(box["Content"]).itertext())
        assert said[0] == sheet["Description"]
        assert "Data health" in said[1]

    def test_are_within_quicksights_bounds(self) -> None:
        # Of an analysis: 20 sheets, 50 visuals on each, 50 data sets, 2,000 filter groups.
        assert len(DEFINITION["Sheets"]) <= 20
        assert all(0 < len(sheet["Visuals"]) <= 50 for sheet in DEFINITION["Sheets"])
        assert len(DATA_SETS) <= 50
        assert len(DEFINITION["FilterGroups"]) <= 2000
        assert all(len(str(text)) <= 1024 for text in found(DEFINITION, "PlainText"))


def placed(layouts: list[Json]) -> dict[str, set[tuple[int, int]]]:
    """The cells of the grid that each element covers."""
    return {
        each["ElementId"]: {
            (column, row)
            for column in range(each["ColumnIndex"], each["ColumnIndex"] + each["ColumnSpan"])
            for row in range(each["RowIndex"], each["RowIndex"] + each["RowSpan"])
        }
        for elements in found(layouts, "Elements")
        for each in elements
    }


class TestFilters:
    def followed(self, column: str) -> set[str]:
        """The visuals that follow a choice."""
        names = {
            Filter.ORGANIZATION: "Organization",
            Filter.ENVIRONMENT: "Environment",
            Filter.API: "Api",
        }
        visuals: set[str] = set()
        for group in DEFINITION["FilterGroups"]:
            (one,) = group["Filters"]
            ((kind, body),) = one.items()
            dates = column == Filter.DATES
            name = IN_SPAN if dates else column
            chosen = [*found(body, "ParameterName")]
            if body["Column"]["ColumnName"] != name or not (dates or chosen):
                continue
            assert chosen == ([] if dates else [names[Filter(column)]])
            assert kind == ("NumericEqualityFilter" if dates else "CategoryFilter")
            for scope in group["ScopeConfiguration"]["SelectedSheets"][
                "SheetVisualScopingConfigurations"
            ]:
                every = [
                    name
                    for name, panel in PANELS.items()
                    if panel.view == body["Column"]["DataSetIdentifier"]
                    and (scope["SheetId"], name) in VISUALS
                ]
                assert ("VisualIds" in scope) == (scope["Scope"] == "SELECTED_VISUALS")
                for visual in scope.get("VisualIds", every):
                    assert PANELS[visual].view == body["Column"]["DataSetIdentifier"]
                    assert (scope["SheetId"], visual) in VISUALS
                    visuals.add(visual)
        return visuals

    @pytest.mark.parametrize("chosen", Filter)
    def test_a_choice_reaches_the_panels_that_follow_it_and_no_others(self, chosen: Filter) -> None:
        follow = {name for name, panel in PANELS.items() if chosen in panel.filters}
        assert self.followed(chosen) == follow

    def test_panels_that_take_a_part_of_their_view_are_filtered_for_it(self) -> None:
        taken = {
            (visual, body["Column"]["ColumnName"], value)
            for group in DEFINITION["FilterGroups"]
            for body in found(group, "CategoryFilter")
            for value in found(body, "CategoryValue")
            for visuals in found(group, "VisualIds")
            for visual in visuals
        }
        assert taken == {
            (name, only.column, only.value) for name, panel in PANELS.items() for only in panel.only
        }

    def test_columns_of_choices_are_never_null(self) -> None:
        # A filter leaves out what is null: what stands for it must be in the data set.
        for body in found(DEFINITION["FilterGroups"], "CategoryFilter"):
            column = body["Column"]
            query = sql_of(column["DataSetIdentifier"])["SqlQuery"]["Fn::Sub"]
            assert f"coalesce(nullif(\"{column['ColumnName']}\", ''), " in query


class TestColours:
    def test_the_theme_has_the_palette(self) -> None:
        colours = request("Theme")[1]["Configuration"]["DataColorPalette"]["Colors"]
        assert len(set(colours)) == len(colours) >= 7

    def test_a_value_that_is_known_has_its_label_and_colour(self) -> None:
        configured = {
            (each["Column"]["DataSetIdentifier"], each["Column"]["ColumnName"]): {
                colour.get("FieldValue"): colour["Color"]
                for colour in each["ColorsConfiguration"]["CustomColors"]
            }
            for each in DEFINITION["ColumnConfigurations"]
        }
        for panel in PANELS.values():
            for dimension in (panel.x, panel.y, panel.series, *panel.dimensions):
                for value in dimension.known if dimension else ():
                    assert dimension is not None
                    colours = configured[panel.view, dimension.column]
                    assert colours[value.label] == value.colour
                    query = sql_of(panel.view)["SqlQuery"]["Fn::Sub"]
                    renamed = f"WHEN '{value.value}' THEN '{value.label}'" in query
                    assert renamed == (value.value != value.label)


class TestRole:
    def test_reads_this_dataset_alone(self) -> None:
        (role,) = TEMPLATE.of_type("AWS::IAM::Role").values()
        (policy,) = TEMPLATE.of_type("AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == ["lakeformation:GetDataAccess"]:
                continue  # It knows no resource, and gives what Lake Formation grants to the role.
            for resource in resolved(statement["Resource"]):
                assert resource != "*"
                assert re.search(r"choreo[-_]insights|:catalog$|/AwsDataCatalog$", resource)
        writing = [
            action
            for statement in policy["PolicyDocument"]["Statement"]
            for action in statement["Action"]
            if "Put" in action or "Delete" in action
        ]
        assert writing == ["s3:PutObject"]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "quicksight.amazonaws.com"}
        own = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        assert trust["Condition"] == own


class TestTemplate:
    def test_the_definition_is_within_cloud_controls_bound(self) -> None:
        """A property has 262,144 bytes at the most, and panels are added."""
        (dashboard,) = TEMPLATE.of_type("AWS::QuickSight::Dashboard").values()
        size = len(json.dumps(dashboard["Definition"], separators=(",", ":")).encode())
        assert size < 0.95 * 262_144, "drop a panel, or what a visual has by default"

    def test_is_within_cloudformations_bounds(self) -> None:
        assert len(TEMPLATE.text.encode()) < 1_000_000
        assert len(TEMPLATE.resources) <= 500

    def test_the_title_says_that_the_dataset_has_ended(self) -> None:
        (dashboard,) = TEMPLATE.of_type("AWS::QuickSight::Dashboard").values()
        condition, _, ended = dashboard["Name"]["Fn::If"]
        equal = {"Fn::Equals": [{"Ref": "Frozen"}, "false"]}
        assert TEMPLATE.body["Conditions"][condition] == equal
        assert "ended: no newer days follow" in ended["Fn::Sub"]

    def test_every_schedule_waits_for_its_data_set_and_ends_with_the_dataset(self) -> None:
        for each in TEMPLATE.resources.values():
            if each["Type"] == "AWS::QuickSight::RefreshSchedule":
                assert each["Condition"] == "GoesOn"
                data_set = TEMPLATE.resources[each["DependsOn"]]
                assert data_set["Properties"]["DataSetId"] == each["Properties"]["DataSetId"]


class TestRefusals:
    def test_a_panel_of_no_view(self) -> None:
        with pytest.raises(
            ValueError, match=r"panels show alerts, .* in choreo_insights_cli/sql/views/"
        ):
            quicksight.render(SHEETS, [])
