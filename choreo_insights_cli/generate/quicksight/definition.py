"""The dashboard's definition: sheets, the reader's choices, filters and colours."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from choreo_insights_cli.dashboard.description import REST, Aggregation, Filter, Kind, Sheet
from choreo_insights_cli.dashboard.spans import DaySpan
from choreo_insights_cli.generate.quicksight.datasets import (
    CHOICES,
    DataSet,
    column_of,
    dimensions_of,
)
from choreo_insights_cli.generate.quicksight.visuals import (
    Drawing,
    Json,
    calculated,
    expression,
    visual,
)

# The span that a reader sees first, and the days that its own begin with (back from today).
FIRST_SPAN = DaySpan.LAST_7_DAYS
FIRST_DAYS = (7, 1)
COLUMNS = 36
_CHOSEN: Mapping[Filter, tuple[str, str]] = {
    Filter.ORGANIZATION: ("Organization", "Organisation"),
    Filter.ENVIRONMENT: ("Environment", "Environment"),
    Filter.API: ("Api", "API"),
}
_SPAN = "Span"
_DATES = (("DateFrom", "From (UTC day)"), ("DateTo", "To (UTC day)"))
# A calculated field of each data set with days, which a filter wants to be 1.
_IN_SPAN = "In the span"
# Rows of the grid, and how many panels stand beside each other.
_HEIGHTS = {
    Kind.FIGURE: 6,
    Kind.LINE: 11,
    Kind.STACKED: 11,
    Kind.BAR: 12,
    Kind.HEATMAP: 12,
    Kind.TABLE: 13,
}
_INTRODUCTION_HEIGHT = 3
_EMPTY = (
    "Where a panel is empty, the line below its title says what that can mean. Or its days are not"
    " exported yet: see the sheet Data health."
)


def definition(sheets: Sequence[Sheet], sets: Sequence[DataSet]) -> Json:
    """The dashboard of the sheets, drawn from the data sets."""
    by_name = {each.name: each for each in sets}
    drawings = [
        Drawing(sheet.id, panel, by_name[panel.view]) for sheet in sheets for panel in sheet.panels
    ]
    return {
        "DataSetIdentifierDeclarations": [
            {"Identifier": each.name, "DataSetArn": {"Fn::GetAtt": [each.logical_id, "Arn"]}}
            for each in sets
        ],
        "ParameterDeclarations": list(_parameters()),
        "CalculatedFields": [*_calculated_fields(drawings), *_in_span(drawings)],
        "ColumnConfigurations": list(_colours(drawings)),
        "FilterGroups": [*_chosen_filters(drawings), *_own_filters(drawings)],
        "Sheets": [_sheet(sheet, by_name) for sheet in sheets],
        "Options": {"Timezone": "UTC", "WeekStart": "MONDAY"},
    }


def _parameters() -> Iterator[Json]:
    for name, _ in _CHOSEN.values():
        yield {
            "StringParameterDeclaration": {
                "Name": name,
                "ParameterValueType": "MULTI_VALUED",
                # None chosen is all.
                "DefaultValues": {"StaticValues": []},
                "ValueWhenUnset": {"ValueWhenUnsetOption": "RECOMMENDED_VALUE"},
            }
        }
    yield {
        "StringParameterDeclaration": {
            "Name": _SPAN,
            "ParameterValueType": "SINGLE_VALUED",
            "DefaultValues": {"StaticValues": [FIRST_SPAN.label]},
            "ValueWhenUnset": {"ValueWhenUnsetOption": "RECOMMENDED_VALUE"},
        }
    }
    for (name, _), days in zip(_DATES, FIRST_DAYS, strict=True):
        today = "truncDate('DD', now())"
        first = f"addDateTime(-{days}, 'DD', {today})"
        yield {
            "DateTimeParameterDeclaration": {
                "Name": name,
                "TimeGranularity": "DAY",
                "DefaultValues": {"RollingDate": {"Expression": first}},
            }
        }


def _calculated_fields(drawings: Iterable[Drawing]) -> Iterator[Json]:
    expressions = {
        (drawing.data.name, calculated(measure)): expression(measure)
        for drawing in drawings
        for measure in drawing.panel.measures
        if measure.aggregation is Aggregation.PERCENT
    }
    for (data_set, name), text in expressions.items():
        yield {"DataSetIdentifier": data_set, "Name": name, "Expression": text}


def _in_span(drawings: Iterable[Drawing]) -> Iterator[Json]:
    """For each data set that follows the dates whether a day is in the span that is chosen."""
    text = f"ifelse({' OR '.join(f'({_chosen_span(span)})' for span in DaySpan)},1,0)"
    followed = {each.data.name: None for each in drawings if Filter.DATES in each.panel.filters}
    for data_set in followed:
        yield {"DataSetIdentifier": data_set, "Name": _IN_SPAN, "Expression": text}


def _chosen_span(span: DaySpan) -> str:
    is_chosen = f"${{{_SPAN}}}='{span.label}'"
    if span is DaySpan.ALL:
        return is_chosen
    if span is DaySpan.CUSTOM:
        (first, _), (last, _) = _DATES
        return f"{is_chosen} AND {{day}}>=${{{first}}} AND {{day}}<=${{{last}}}"
    return f"{is_chosen} AND {span.quicksight}"


def _colours(drawings: Iterable[Drawing]) -> Iterator[Json]:
    """The colours of known values, and grey for the group `Other`."""
    by_column: dict[tuple[str, str], list[Json]] = {}
    for drawing in drawings:
        for dimension in dimensions_of(drawing.panel):
            colours = [
                {"FieldValue": value.label, "Color": str(value.colour)} for value in dimension.known
            ]
            if dimension is drawing.panel.series and drawing.panel.top_series:
                colours.append({"SpecialValue": "OTHER", "Color": str(REST)})
            if colours:
                by_column[drawing.data.name, column_of(dimension)] = colours
    for (data_set, column), colours in by_column.items():
        yield {
            "Column": {"DataSetIdentifier": data_set, "ColumnName": column},
            "ColorsConfiguration": {"CustomColors": colours},
        }


def _chosen_filters(drawings: Sequence[Drawing]) -> Iterator[Json]:
    """For each data set and choice a filter over the visuals that follow the choice."""
    followers: dict[tuple[str, Filter], list[Drawing]] = {}
    for drawing in drawings:
        for chosen in drawing.panel.filters:
            followers.setdefault((drawing.data.name, chosen), []).append(drawing)
    for (data_set, chosen), following in followers.items():
        name, one = f"{data_set}-{chosen}", _chosen_filter(data_set, chosen)
        of_data = [drawing for drawing in drawings if drawing.data.name == data_set]
        yield _filter_group(name, one, following, of_data)


def _chosen_filter(data_set: str, chosen: Filter) -> Json:
    if chosen is Filter.DATES:
        in_span = {
            "Column": {"DataSetIdentifier": data_set, "ColumnName": _IN_SPAN},
            "Value": 1,
            "MatchOperator": "EQUALS",
            "NullOption": "NON_NULLS_ONLY",
        }
        return {"NumericEqualityFilter": in_span}
    column = {"DataSetIdentifier": data_set, "ColumnName": str(chosen)}
    # The data sets have no null in these columns.
    equal = {
        "MatchOperator": "EQUALS",
        "ParameterName": _CHOSEN[chosen][0],
        "NullOption": "NON_NULLS_ONLY",
    }
    return {
        "CategoryFilter": {
            "Column": column,
            "Configuration": {"CustomFilterConfiguration": equal},
        }
    }


def _own_filters(drawings: Iterable[Drawing]) -> Iterator[Json]:
    """The filters of a panel on its view."""
    for drawing in drawings:
        for only in drawing.panel.only:
            equal = {
                "MatchOperator": "EQUALS",
                "CategoryValue": only.value,
                "NullOption": "NON_NULLS_ONLY",
            }
            taken = {
                "CategoryFilter": {
                    "Column": drawing.column(only.column),
                    "Configuration": {"CustomFilterConfiguration": equal},
                }
            }
            yield _filter_group(f"{drawing.id}-{only.column}", taken, [drawing], ())


def _filter_group(
    name: str, one: Json, following: Iterable[Drawing], of_data: Iterable[Drawing]
) -> Json:
    """A filter over visuals; without their list where it is of all that show the data set."""
    ((kind, filtered),) = one.items()
    sheets, all_of = _by_sheet(following), _by_sheet(of_data)
    return {
        "FilterGroupId": name,
        "CrossDataset": "SINGLE_DATASET",
        "Status": "ENABLED",
        "Filters": [{kind: {"FilterId": f"{name}-f", **filtered}}],
        "ScopeConfiguration": {
            "SelectedSheets": {
                "SheetVisualScopingConfigurations": [
                    {"SheetId": sheet, "Scope": "ALL_VISUALS"}
                    if visuals == all_of.get(sheet)
                    else {"SheetId": sheet, "Scope": "SELECTED_VISUALS", "VisualIds": visuals}
                    for sheet, visuals in sheets.items()
                ]
            }
        },
    }


def _by_sheet(drawings: Iterable[Drawing]) -> dict[str, list[str]]:
    sheets: dict[str, list[str]] = {}
    for drawing in drawings:
        sheets.setdefault(drawing.sheet, []).append(drawing.id)
    return sheets


def _sheet(sheet: Sheet, sets: Mapping[str, DataSet]) -> Json:
    drawings = [Drawing(sheet.id, panel, sets[panel.view]) for panel in sheet.panels]
    followed = {chosen for panel in sheet.panels for chosen in panel.filters}
    controls = [*_lists(sheet, followed), _spans(sheet), *_pickers(sheet)]
    introduction = f"{sheet.id}-introduction"
    return {
        "SheetId": sheet.id,
        "Name": sheet.title,
        "Title": sheet.title,
        "Description": sheet.subtitle,
        "ContentType": "INTERACTIVE",
        "ParameterControls": controls,
        "TextBoxes": [{"SheetTextBoxId": introduction, "Content": _content(sheet)}],
        "Visuals": [visual(drawing) for drawing in drawings],
        "Layouts": [
            _grid(
                [
                    _element(introduction, "TEXT_BOX", 0, 0, COLUMNS, _INTRODUCTION_HEIGHT),
                    *_visual_elements(drawings),
                ]
            )
        ],
    }


def _content(sheet: Sheet) -> str:
    lines = "<br/>".join(
        f'<inline font-size="{size}">{escape(text, quote=False)}</inline>'
        for size, text in (("16px", sheet.subtitle), ("12px", _EMPTY))
    )
    return f"<text-box>{lines}</text-box>"


def _lists(sheet: Sheet, followed: set[Filter]) -> Iterator[Json]:
    before: list[Filter] = []
    for chosen, (parameter, title) in _CHOSEN.items():
        if chosen is Filter.API and chosen not in followed:
            continue
        control: Json = {
            "ParameterControlId": f"{sheet.id}-{parameter}",
            "Title": title,
            "SourceParameterName": parameter,
            "Type": "MULTI_SELECT",
            "SelectableValues": {"LinkToDataSetColumn": _choice(chosen, chosen)},
            "DisplayOptions": {
                "SelectAllOptions": {"Visibility": "VISIBLE"},
                "TitleOptions": {"Visibility": "VISIBLE"},
            },
        }
        if before:
            control["CascadingControlConfiguration"] = {
                "SourceControls": [
                    {
                        "SourceSheetControlId": f"{sheet.id}-{_CHOSEN[each][0]}",
                        "ColumnToMatch": _choice(chosen, each),
                    }
                    for each in before
                ]
            }
        before.append(chosen)
        yield {"Dropdown": control}


def _choice(chosen: Filter, column: Filter) -> Json:
    return {"DataSetIdentifier": CHOICES[chosen], "ColumnName": str(column)}


def _spans(sheet: Sheet) -> Json:
    return {
        "Dropdown": {
            "ParameterControlId": f"{sheet.id}-{_SPAN}",
            "Title": "Days (UTC)",
            "SourceParameterName": _SPAN,
            "Type": "SINGLE_SELECT",
            "SelectableValues": {"Values": [span.label for span in DaySpan]},
            "DisplayOptions": {"TitleOptions": {"Visibility": "VISIBLE"}},
        }
    }


def _pickers(sheet: Sheet) -> Iterator[Json]:
    for parameter, title in _DATES:
        yield {
            "DateTimePicker": {
                "ParameterControlId": f"{sheet.id}-{parameter}",
                "Title": title,
                "SourceParameterName": parameter,
                "DisplayOptions": {
                    "DateTimeFormat": "YYYY-MM-DD",
                    "TitleOptions": {"Visibility": "VISIBLE"},
                },
            }
        }


def _visual_elements(drawings: Sequence[Drawing]) -> Iterator[Json]:
    """Figures in a row, charts by two, tables over the whole width."""
    top = _INTRODUCTION_HEIGHT
    waiting = list(drawings)
    while waiting:
        row = _row(waiting)
        del waiting[: len(row)]
        width = COLUMNS // len(row)
        height = max(_HEIGHTS[drawing.panel.kind] for drawing in row)
        for number, drawing in enumerate(row):
            yield _element(drawing.id, "VISUAL", number * width, top, width, height)
        top += height


def _row(waiting: Sequence[Drawing]) -> Sequence[Drawing]:
    kind = waiting[0].panel.kind
    if kind is Kind.TABLE:
        return waiting[:1]
    figures = kind is Kind.FIGURE
    most = 4 if figures else 2
    fitting = 0
    for drawing in waiting[:most]:
        if drawing.panel.kind is Kind.TABLE or (drawing.panel.kind is Kind.FIGURE) is not figures:
            break
        fitting += 1
    return waiting[:fitting]


def _element(name: str, kind: str, column: int, row: int, width: int, height: int) -> Json:
    return {
        "ElementId": name,
        "ElementType": kind,
        "ColumnIndex": column,
        "ColumnSpan": width,
        "RowIndex": row,
        "RowSpan": height,
    }


def _grid(elements: list[Json]) -> dict[str, Any]:
    return {"Configuration": {"GridLayout": {"Elements": elements}}}
