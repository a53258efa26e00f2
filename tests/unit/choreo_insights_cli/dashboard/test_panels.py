"""The panels fit the views: every column is there, and is aggregated as it may be."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from choreo_insights_cli import dashboard
from choreo_insights_cli.dashboard.data import key_of, panels_of
from choreo_insights_cli.dashboard.description import (
    PALETTE,
    REST,
    Aggregation,
    Dimension,
    Filter,
    Kind,
    Panel,
    Unit,
    ValuePart,
)
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.sql.duckdb import all_views
from tests.unit.choreo_insights_cli.dashboard import sight

PANELS = panels_of(SHEETS)
PAGE = Path(dashboard.__file__).parent / "html"
NUMBERS = {"bigint", "double"}
UNIT_TYPES = {
    Unit.DAY: {"date"},
    Unit.INSTANT: {"timestamp"},
    Unit.TEXT: {"string"},
}
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)


def types(panel: Panel) -> dict[str, str]:
    return {column.name: column.type for column in all_views()[panel.view].columns}


def dimensions(panel: Panel) -> list[Dimension]:
    return [d for d in (panel.x, panel.y, panel.series, *panel.dimensions) if d]


def test_the_sheets_are_those_of_the_console_and_the_data_health() -> None:
    assert [sheet.title for sheet in SHEETS] == [
        *("Overview", "Traffic", "Errors", "Latency", "Cache"),
        *("Devices and Geo", "Alerts", "Reports", "Data health"),
    ]


def test_ids_are_of_one_panel() -> None:
    assert [*(Counter(p.id for p in PANELS) - Counter({p.id for p in PANELS}))] == []


@each_panel
def test_every_dimension_is_a_column_of_a_fitting_type(panel: Panel) -> None:
    there = types(panel)
    for dimension in dimensions(panel):
        expected = {
            ValuePart.WHOLE: UNIT_TYPES[dimension.unit],
            ValuePart.HOUR: {"timestamp"},
            ValuePart.HOUR_OF_DAY: {"timestamp"},
        }.get(dimension.part, {"date", "timestamp"})
        assert there[dimension.column] in expected, dimension
        assert key_of(dimension) in there


@each_panel
def test_every_measure_is_a_column_of_a_fitting_type(panel: Panel) -> None:
    there = types(panel)
    for measure in panel.measures:
        if measure.aggregation is Aggregation.COUNT:
            assert measure.column in there
            continue
        for column in (measure.column, *measure.whole):
            assert there[column] in UNIT_TYPES.get(measure.unit, NUMBERS), measure
        assert bool(measure.whole) == (measure.aggregation is Aggregation.PERCENT)


@each_panel
def test_what_may_not_be_added_up_is_not(panel: Panel) -> None:
    meanings = {column.name: column.meaning for column in all_views()[panel.view].columns}
    for measure in panel.measures:
        if measure.aggregation in (Aggregation.SUM, Aggregation.PERCENT):
            for column in (measure.column, *measure.whole):
                assert types(panel)[column] == "bigint", column
                assert "Not additive" not in meanings[column]
                assert "percentile" not in meanings[column].lower()


@each_panel
def test_every_filter_and_condition_is_a_column(panel: Panel) -> None:
    there = types(panel)
    for choice in panel.filters:
        assert there[choice.value] == ("date" if choice is Filter.DATES else "string")
    for only in panel.only:
        assert there[only.column] == "string"
    # What can be chosen is: a view with the column obeys the filter.
    for choice in (Filter.ORGANIZATION, Filter.DATES):
        assert choice in panel.filters or choice.value not in there


@each_panel
def test_labels_and_orders_are_clear(panel: Panel) -> None:
    labels = [*(d.label for d in dimensions(panel)), *(m.label for m in panel.measures)]
    assert len(labels) == len(set(labels))
    assert {order.by for order in panel.order} <= set(labels)
    assert panel.title
    assert panel.subtitle.endswith(".")
    assert panel.nothing.endswith(".")


@each_panel
def test_a_kind_has_what_it_needs(panel: Panel) -> None:
    one = len(panel.measures) == 1
    assert (panel.x is not None) == (panel.kind not in (Kind.FIGURE, Kind.TABLE))
    assert (panel.y is not None) == (panel.kind is Kind.HEATMAP)
    assert bool(panel.dimensions) == (panel.kind is Kind.TABLE)
    assert one or panel.kind in (Kind.TABLE, Kind.LINE, Kind.STACKED)
    assert one or not panel.series
    if panel.kind is Kind.STACKED:
        assert {m.aggregation for m in panel.measures} <= {Aggregation.SUM, Aggregation.COUNT}


def test_colours_are_of_one_value() -> None:
    for panel in PANELS:
        for dimension in dimensions(panel):
            colours = [value.colour for value in dimension.known]
            assert len(set(colours)) == len(colours)


@pytest.mark.parametrize("eyes", sight.EYES)
def test_colours_are_told_apart(eyes: str) -> None:
    for one, other in combinations((*PALETTE, REST), 2):
        assert sight.difference(one, other, eyes) > 15, (one, other)


def test_every_table_and_organisation_is_on_the_health_sheet() -> None:
    freshness = next(panel for panel in PANELS if panel.id == "freshness")
    shown = {measure.column for measure in freshness.measures}
    assert {"last_success", "age_hours", "days_missing", "days_failed"} <= shown
    assert [d.column for d in freshness.dimensions] == ["organization", "table_name"]
    assert freshness.top is None
