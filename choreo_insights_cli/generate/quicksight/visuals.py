"""Panels as QuickSight's visuals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from choreo_insights_cli.dashboard.description import (
    SCALE,
    Aggregation,
    Dimension,
    Kind,
    Measure,
    Order,
    Panel,
    Unit,
    ValuePart,
)
from choreo_insights_cli.generate.quicksight.datasets import DataSet, column_of

Json = dict[str, Any]

_GRANULARITIES = {ValuePart.HOUR: "HOUR", ValuePart.DAY: "DAY", ValuePart.MONTH: "MONTH"}
_DATE_FORMATS = {
    ValuePart.HOUR: "YYYY-MM-DD HH:mm",
    ValuePart.DAY: "YYYY-MM-DD",
    ValuePart.MONTH: "YYYY-MM",
}
_UNIT_FORMATS = {Unit.INSTANT: "YYYY-MM-DD HH:mm", Unit.DAY: "YYYY-MM-DD"}
# Decimal places and what follows the number.
_NUMBERS: Mapping[Unit, tuple[int, str]] = {
    Unit.COUNT: (0, ""),
    Unit.BYTES: (0, ""),
    Unit.PERCENT: (2, " %"),
    Unit.MILLISECONDS: (0, " ms"),
    Unit.HOURS: (1, " h"),
}


@dataclass(frozen=True)
class Drawing:
    """A panel with the sheet that it stands on and the data set that it is drawn from."""

    sheet: str
    panel: Panel
    data: DataSet

    @property
    def id(self) -> str:
        return f"{self.sheet}-{self.panel.id}"

    def column(self, name: str) -> Json:
        """A column of the data set, or a calculated field."""
        return {"DataSetIdentifier": self.data.name, "ColumnName": name}

    def field_id(self, name: str) -> str:
        """The id of a field by its label, `x`, `y` or `series`."""
        panel = self.panel
        labels = [each.label for each in panel.dimensions]
        labels += [each.label for each in panel.measures]
        # Panels have ids of their own, and numbers are short: a definition has a limit of size.
        return f"{panel.id}.{['x', 'y', 'series', *labels].index(name)}"


def calculated(measure: Measure) -> str:
    """The calculated field of a percentage."""
    return f"{measure.column} in percent of {' and '.join(measure.whole)}"


def expression(measure: Measure) -> str:
    """The percentage in QuickSight's words; null where the whole is nothing.

    As on the page, it is of the rows that have all of its figures.
    """
    columns = dict.fromkeys((measure.column, *measure.whole))
    sums = {
        column: " AND ".join(f"isNotNull({{{other}}})" for other in columns if other != column)
        for column in columns
    }
    part, *whole = (
        f"sumIf({{{column}}}, {sums[column]})" for column in (measure.column, *measure.whole)
    )
    total = " + ".join(whole)
    return f"ifelse(({total}) > 0, 100.0 * {part} / ({total}), null)"


def visual(drawing: Drawing) -> Json:
    """The visual that shows the panel."""
    panel = drawing.panel
    by_kind = {
        Kind.FIGURE: ("KPIVisual", _figure),
        Kind.LINE: ("LineChartVisual", _lines),
        Kind.STACKED: ("BarChartVisual", _stacked_bars),
        Kind.BAR: ("BarChartVisual", _bars),
        Kind.HEATMAP: ("HeatMapVisual", _heat_map),
        Kind.TABLE: ("TableVisual", _table),
    }
    name, draw = by_kind[panel.kind]
    if panel.kind is Kind.STACKED and panel.x and panel.x.part is ValuePart.HOUR:
        # Hundreds of hours are too many bars.
        name, draw = "LineChartVisual", _areas
    said = explanation(panel)
    return {
        name: {
            "VisualId": drawing.id,
            # Both are shown by default, and the definition is near its limit of size.
            "Title": {"FormatText": {"PlainText": panel.title}},
            "Subtitle": {"FormatText": {"PlainText": said}},
            "ChartConfiguration": draw(drawing),
            "VisualContentAltText": f"{panel.title}. {panel.subtitle}",
        }
    }


def explanation(panel: Panel) -> str:
    """The panel's subtitle, and the meaning of an empty panel."""
    words = [panel.subtitle]
    if panel.kind is Kind.TABLE and panel.top:
        words.append(f"The rows go on beyond {panel.top}.")
    nothing = panel.nothing
    if panel.unavailable:
        nothing = f"{panel.unavailable.reason} Else: {nothing}"
    return " ".join([*words, f"If empty: {nothing}"])


def _figure(drawing: Drawing) -> Json:
    return {
        "FieldWells": {"Values": [_measure(drawing, each) for each in drawing.panel.measures]},
        "KPIOptions": {"PrimaryValueDisplayType": "ACTUAL"},
    }


def _lines(drawing: Drawing) -> Json:
    return {
        "Type": "LINE",
        **_line_chart(drawing),
        "PrimaryYAxisDisplayOptions": _missing("SHOW_AS_BLANK"),
    }


def _areas(drawing: Drawing) -> Json:
    return {
        "Type": "STACKED_AREA",
        **_line_chart(drawing),
        "PrimaryYAxisDisplayOptions": _missing("SHOW_AS_ZERO"),
    }


def _missing(treatment: str) -> Json:
    return {"MissingDataConfigurations": [{"TreatmentOption": treatment}]}


def _line_chart(drawing: Drawing) -> Json:
    return {
        "FieldWells": {"LineChartAggregatedFieldWells": _wells(drawing)},
        "SortConfiguration": {
            "CategorySort": [_sort(drawing.field_id("x"), descending=False)],
            **_limit("ColorItemsLimitConfiguration", drawing.panel, drawing.panel.top_series),
        },
        "XAxisLabelOptions": _labelled(drawing, {"x": _x(drawing.panel)}),
        "PrimaryYAxisLabelOptions": _measure_labels(drawing),
        **_colours_and_legend(drawing),
    }


def _stacked_bars(drawing: Drawing) -> Json:
    return {
        "Orientation": "VERTICAL",
        "BarsArrangement": "STACKED",
        **_bar_chart(drawing),
        "SortConfiguration": {
            "CategorySort": [_sort(drawing.field_id("x"), descending=False)],
            **_colour_order(drawing),
        },
    }


def _bars(drawing: Drawing) -> Json:
    panel = drawing.panel
    return {
        "Orientation": "HORIZONTAL",
        "BarsArrangement": "STACKED" if panel.series else "CLUSTERED",
        **_bar_chart(drawing),
        "SortConfiguration": {
            "CategorySort": [_ordered(drawing, order) for order in panel.order],
            **_limit("CategoryItemsLimit", panel, panel.top, others=False),
            **_colour_order(drawing),
        },
        "DataLabels": {"Visibility": "VISIBLE", "Overlap": "DISABLE_OVERLAP"},
    }


def _bar_chart(drawing: Drawing) -> Json:
    return {
        "FieldWells": {"BarChartAggregatedFieldWells": _wells(drawing)},
        "CategoryLabelOptions": _labelled(drawing, {"x": _x(drawing.panel)}),
        "ValueLabelOptions": _measure_labels(drawing),
        **_colours_and_legend(drawing),
    }


def _colour_order(drawing: Drawing) -> Json:
    panel = drawing.panel
    if panel.series is None:
        return {}
    return {
        "ColorSort": [_sort(drawing.field_id(panel.measures[0].label), descending=True)],
        **_limit("ColorItemsLimit", panel, panel.top_series),
    }


def _wells(drawing: Drawing) -> Json:
    panel = drawing.panel
    wells: Json = {
        "Category": [_dimension(drawing, "x", _x(panel))],
        "Values": [_measure(drawing, each) for each in panel.measures],
    }
    if panel.series:
        wells["Colors"] = [_dimension(drawing, "series", panel.series)]
    return wells


def _x(panel: Panel) -> Dimension:
    if panel.x is None:
        message = f"{panel.id}: a {panel.kind} needs an x"
        raise ValueError(message)
    return panel.x


def _limit(name: str, panel: Panel, top: int | None, *, others: bool = True) -> Json:
    """At most so many values; only sums may be put together as the others."""
    if top is None:
        return {}
    adds_up = all(
        each.aggregation in (Aggregation.SUM, Aggregation.COUNT) for each in panel.measures
    )
    rest = "INCLUDE" if others and adds_up else "EXCLUDE"
    return {name: {"ItemsLimit": top, "OtherCategories": rest}}


def _colours_and_legend(drawing: Drawing) -> Json:
    panel = drawing.panel
    single = len(panel.measures) == 1
    options: Json = {}
    if panel.series is None and single and panel.measures[0].colour:
        options["VisualPalette"] = {"ChartColor": str(panel.measures[0].colour)}
    elif panel.series is None:
        colours = [colour for each in panel.measures for colour in _colours(drawing, each)]
        options |= {"VisualPalette": {"ColorMap": colours}} if colours else {}
    hidden = panel.series is None and single
    options["Legend"] = {
        "Visibility": "HIDDEN" if hidden else "VISIBLE",
        "Position": "BOTTOM",
        "Title": {"Visibility": "HIDDEN"},
    }
    return options


def _colours(drawing: Drawing, measure: Measure) -> list[Json]:
    """A measure's colour, under its label and under its column: either may be its name."""
    if measure.colour is None:
        return []
    names = dict.fromkeys((measure.label, _measured(measure)))
    field_id = drawing.field_id(measure.label)
    return [
        {"Color": str(measure.colour), "Element": {"FieldId": field_id, "FieldValue": name}}
        for name in names
    ]


def _heat_map(drawing: Drawing) -> Json:
    panel = drawing.panel
    if panel.y is None:
        message = f"{panel.id}: a heat map needs a y"
        raise ValueError(message)
    (measure,) = panel.measures
    rows = [_ordered(drawing, order) for order in panel.order]
    low, high = SCALE
    return {
        "FieldWells": {
            "HeatMapAggregatedFieldWells": {
                "Rows": [_dimension(drawing, "y", panel.y)],
                "Columns": [_dimension(drawing, "x", _x(panel))],
                "Values": [_measure(drawing, measure)],
            }
        },
        "SortConfiguration": {
            "HeatMapRowSort": rows or [_sort(drawing.field_id("y"), descending=False)],
            "HeatMapColumnSort": [_sort(drawing.field_id("x"), descending=False)],
            **_limit("HeatMapRowItemsLimitConfiguration", panel, panel.top, others=False),
        },
        "RowLabelOptions": _labelled(drawing, {"y": panel.y}),
        "ColumnLabelOptions": _labelled(drawing, {"x": _x(panel)}),
        "ColorScale": {
            "ColorFillType": "GRADIENT",
            "Colors": [{"Color": low.upper()}, {"Color": high.upper()}],
        },
        "DataLabels": {"Visibility": "VISIBLE", "Overlap": "DISABLE_OVERLAP"},
    }


def _table(drawing: Drawing) -> Json:
    panel = drawing.panel
    is_raw = any(each.aggregation is Aggregation.AS_IS for each in panel.measures)
    labels = [*(each.label for each in panel.dimensions), *(each.label for each in panel.measures)]
    return {
        "FieldWells": _rows(drawing) if is_raw else _groups(drawing),
        "SortConfiguration": {"RowSort": [_ordered(drawing, order) for order in panel.order]},
        "FieldOptions": {
            "SelectedFieldOptions": [
                {"FieldId": drawing.field_id(label), "CustomLabel": label} for label in labels
            ],
            "Order": [drawing.field_id(label) for label in labels],
        },
        # A total of percentages or of highest values would be none.
        "TotalOptions": {"TotalsVisibility": "HIDDEN"},
    }


def _groups(drawing: Drawing) -> Json:
    panel = drawing.panel
    return {
        "TableAggregatedFieldWells": {
            "GroupBy": [_dimension(drawing, each.label, each) for each in panel.dimensions],
            "Values": [_measure(drawing, each) for each in panel.measures],
        }
    }


def _rows(drawing: Drawing) -> Json:
    panel = drawing.panel
    values = [
        _unaggregated(drawing, each.label, column_of(each), each.unit) for each in panel.dimensions
    ]
    values += [
        _unaggregated(drawing, each.label, each.column, each.unit) for each in panel.measures
    ]
    return {"TableUnaggregatedFieldWells": {"Values": values}}


def _unaggregated(drawing: Drawing, label: str, column: str, unit: Unit) -> Json:
    entry: Json = {"FieldId": drawing.field_id(label), "Column": drawing.column(column)}
    kind = drawing.data.types[column]
    if kind == "DATETIME":
        entry["FormatConfiguration"] = {"DateTimeFormatConfiguration": _date_format(unit)}
    elif kind != "STRING":
        entry["FormatConfiguration"] = {"NumberFormatConfiguration": _number_format(unit)}
    return entry


def _dimension(drawing: Drawing, name: str, dimension: Dimension) -> Json:
    column = column_of(dimension)
    entry: Json = {"FieldId": drawing.field_id(name), "Column": drawing.column(column)}
    kind = drawing.data.types[column]
    if kind != "DATETIME":
        return {
            "CategoricalDimensionField" if kind == "STRING" else "NumericalDimensionField": entry
        }
    part = dimension.part if dimension.part in _GRANULARITIES else ValuePart.DAY
    entry["DateGranularity"] = _GRANULARITIES[part]
    entry["FormatConfiguration"] = {"DateTimeFormat": _DATE_FORMATS[part]}
    return {"DateDimensionField": entry}


def _measured(measure: Measure) -> str:
    if measure.aggregation is Aggregation.PERCENT:
        return calculated(measure)
    return measure.column


def _measure(drawing: Drawing, measure: Measure) -> Json:
    entry: Json = {
        "FieldId": drawing.field_id(measure.label),
        "Column": drawing.column(_measured(measure)),
    }
    if measure.aggregation is Aggregation.PERCENT:
        entry["FormatConfiguration"] = _number_format(measure.unit)
        return {"NumericalMeasureField": entry}
    function = measure.aggregation.upper()
    kind = drawing.data.types[measure.column]
    if kind == "STRING":
        return {"CategoricalMeasureField": {**entry, "AggregationFunction": function}}
    if kind == "DATETIME":
        entry |= {
            "AggregationFunction": function,
            "FormatConfiguration": _date_format(measure.unit),
        }
        return {"DateMeasureField": entry}
    entry |= {
        "AggregationFunction": {"SimpleNumericalAggregation": function},
        "FormatConfiguration": _number_format(measure.unit),
    }
    return {"NumericalMeasureField": entry}


def _number_format(unit: Unit) -> Json:
    places, suffix = _NUMBERS[unit]
    display: Json = {
        "DecimalPlacesConfiguration": {"DecimalPlaces": places},
        "SeparatorConfiguration": {
            "DecimalSeparator": "DOT",
            "ThousandsSeparator": {"Symbol": "COMMA", "Visibility": "VISIBLE"},
        },
        "NumberScale": "NONE",
        "NullValueFormatConfiguration": {"NullString": "-"},
    }
    if suffix:
        display["Suffix"] = suffix
    return {"FormatConfiguration": {"NumberDisplayFormatConfiguration": display}}


def _date_format(unit: Unit) -> Json:
    return {
        "DateTimeFormat": _UNIT_FORMATS[unit],
        "NullValueFormatConfiguration": {"NullString": "-"},
    }


def _sort(field_id: str, *, descending: bool) -> Json:
    return {"FieldSort": {"FieldId": field_id, "Direction": "DESC" if descending else "ASC"}}


def _ordered(drawing: Drawing, order: Order) -> Json:
    panel = drawing.panel
    wells = {each.label: name for name, each in (("x", panel.x), ("y", panel.y)) if each}
    return _sort(drawing.field_id(wells.get(order.by, order.by)), descending=order.descending)


def _labelled(drawing: Drawing, dimensions: Mapping[str, Dimension]) -> Json:
    return _labels(
        drawing,
        {name: (each.label, column_of(each)) for name, each in dimensions.items()},
    )


def _measure_labels(drawing: Drawing) -> Json:
    measures = drawing.panel.measures
    return _labels(drawing, {each.label: (each.label, _measured(each)) for each in measures})


def _labels(drawing: Drawing, fields: Mapping[str, tuple[str, str]]) -> Json:
    return {
        "Visibility": "VISIBLE",
        "AxisLabelOptions": [
            {
                "CustomLabel": label,
                "ApplyTo": {
                    "FieldId": drawing.field_id(name),
                    "Column": drawing.column(column),
                },
            }
            for name, (label, column) in fields.items()
        ],
    }
