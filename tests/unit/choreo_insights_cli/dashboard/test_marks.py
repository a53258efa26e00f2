"""What is seen of a chart is as large as the rows that the other tests compare with SQL."""

import re
from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pytest

from choreo_insights_cli.dashboard.data import panels_of
from choreo_insights_cli.dashboard.description import Kind, Panel
from choreo_insights_cli.dashboard.panels import SHEETS
from dev.picture.browser import Browser
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW, SINCE
from tests.unit.choreo_insights_cli.dashboard.expected_sql import Choice
from tests.unit.choreo_insights_cli.dashboard.reader import choose, drawn, legend, show

# The marks of a panel in the order of its data: their colours, places and sizes.
MARKS = (
    "[...document.querySelectorAll('#panel-{} .mark')].map((mark) => {{"
    " const box = mark.getBoundingClientRect();"
    " return {{ colour: getComputedStyle(mark).fill, x: box.x + box.width / 2,"
    " y: box.y + box.height / 2, width: box.width, height: box.height }}; }})"
)
TEXTS = "[...document.querySelectorAll('#panel-{} .value')].map((text) => text.textContent)"
AXIS = (
    "[[...document.querySelectorAll('#panel-{0} .grid')]"
    ".map((line) => line.getBoundingClientRect().y),"
    " [...document.querySelectorAll('#panel-{0} [data-value]')].map((l) => l.dataset.value)]"
)
PIXEL = 1.1
LAST = NOW.date()
SHEET_OF = {panel.id: sheet.id for sheet in SHEETS for panel in sheet.panels}

Marks = list[dict[str, Any]]
Rows = list[dict[str, Any]]


def of_kind(kind: Kind) -> pytest.MarkDecorator:
    panels = [panel for panel in panels_of(SHEETS) if panel.kind is kind]
    return pytest.mark.parametrize("panel", panels, ids=lambda panel: panel.id)


def seen(browser: Browser, panel: Panel, last: date) -> tuple[Rows, Marks]:
    """The rows of a panel and its marks."""
    choose(browser, Choice(SINCE, last, organization="acme"))
    show(browser, SHEET_OF[panel.id])
    marks: Marks = browser.run(MARKS.format(panel.id))
    return drawn(browser, panel.id)["rows"], marks


def are(sizes: list[float], values: list[float], pixels: float) -> None:
    """Each size is its value, of so many pixels each, to the pixel."""
    assert len(sizes) == len(values) > 0
    assert sizes == pytest.approx([value * pixels for value in values], abs=PIXEL)


def axis(browser: Browser, panel: Panel) -> tuple[float, float, float]:
    """Where the axis begins and with what, and how many pixels above are 1, by its own words."""
    lines, said = browser.run(AXIS.format(panel.id))
    first, *_, last = map(float, said)
    assert first == 0 or (panel.kind is Kind.LINE and first > 40)
    return max(lines), first, (max(lines) - min(lines)) / (last - first)


def by_colour(browser: Browser, panel: Panel, rows: Rows, marks: Marks) -> tuple[Rows, Marks]:
    """Rows and marks in the same order: by name or its colour, then by time."""
    colours = legend(browser, panel.id)
    assert len({*colours.values()}) == len(colours) > 0
    names = [*colours]
    places = {colour: n for n, colour in enumerate(colours.values())}
    return (
        sorted(rows, key=lambda row: (names.index(row["key"]), row["x"])),
        sorted(marks, key=lambda mark: (places[mark["colour"]], mark["x"])),
    )


@of_kind(Kind.BAR)
def test_bars_are_as_long_as_their_figures(opened: Browser, panel: Panel) -> None:
    rows, bars = seen(opened, panel, LAST)
    values = [row["value"] for row in rows]
    longest = max(bar["width"] for bar in bars)
    assert longest > 200
    are([bar["width"] for bar in bars], values, longest / max(values))
    texts = opened.run(TEXTS.format(panel.id))
    said = [float(re.sub(r" .*|,", "", text)) for text in texts]
    assert said == pytest.approx(values, abs=0.5)


@of_kind(Kind.STACKED)
def test_stacked_parts_are_as_high_as_their_figures(opened: Browser, panel: Panel) -> None:
    rows, parts = by_colour(opened, panel, *seen(opened, panel, LAST))
    bottom, _, pixels = axis(opened, panel)
    are([part["height"] for part in parts], [row["value"] for row in rows], pixels)
    # On top of each other, without a gap or an overlap.
    columns = defaultdict(list)
    for part in parts:
        columns[round(part["x"])].append(part)
    for column in columns.values():
        top = min(part["y"] - part["height"] / 2 for part in column)
        assert bottom - top == pytest.approx(sum(part["height"] for part in column), abs=PIXEL)


@of_kind(Kind.LINE)
def test_lines_are_as_high_as_their_figures(opened: Browser, panel: Panel) -> None:
    # Over more than 60 hours the points are left out.
    two_days = SINCE + timedelta(days=1)
    rows, points = by_colour(opened, panel, *seen(opened, panel, two_days))
    bottom, first, pixels = axis(opened, panel)
    above = [row["value"] - first for row in rows]
    are([bottom - point["y"] for point in points], above, pixels)


@of_kind(Kind.HEATMAP)
def test_cells_are_as_deep_as_their_figures(opened: Browser, panel: Panel) -> None:
    rows, cells = seen(opened, panel, LAST)
    assert len(rows) == len(cells) > 1
    red = [int(cell["colour"].removeprefix("rgb(").split(",")[0]) for cell in cells]
    order = sorted(range(len(rows)), key=lambda n: rows[n]["value"])
    assert [red[n] for n in order] == sorted(red, reverse=True)
    assert red[order[-1]] < red[order[0]]
