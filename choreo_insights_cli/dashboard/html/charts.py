"""Draws the panels as Vega-Lite charts, which the page fills with rows.

A chart names its data (`rows`, and `hover` for what the pointer meets) and leaves a list with one
word such as `$colours` where the page has to say something. The page makes rows with the fields
`x0`, `x1`, `y0`, `y1`, `value`, `text`, `series` and `tip`; `tip` has a title and rows of a label
and a text.
"""

from typing import Any

import altair as alt

from choreo_insights_cli.dashboard.description import SCALE, Kind, Panel, Unit, ValuePart

HEIGHT = 230
# Placeholders, which the page replaces.
COLOURED, COLOURS = "$coloured", "$colours"
ACROSS, DOWN, SCALED = "$across", "$down", "$scale"
TICKS, EXTENT = "$ticks", "$extent"
# An axis names the day at midnight and the hour in between.
_TIMES = "utcFormat(datum.value, utchours(datum.value) ? '%H:%M' : '%b %d')"
# The letters K and B, as in the figures of the page, not D3's k and G.
_COUNTS = (
    "replace(replace(format(datum.value, datum.value < 1000 ? '~f' : '~s'), 'k', 'K'), 'G', 'B')"
)
_TICKS = 5
_AXIS_TITLES = {Unit.PERCENT: "%", Unit.MILLISECONDS: "ms", Unit.HOURS: "hours"}
_WIDE = 240
# Of a long name the middle is left out, as versions stand at the end. The page has the number.
# A mark's place is the number of its name, as `marks.js` says.
_NAME = "replace(slice(($names)[toNumber(datum.label)], 1), regexp('^https?://'), '')"
_NAMES = (
    f"length({_NAME}) > $letters ? slice({_NAME}, 0, floor($letters * 0.6)) + '…'"
    f" + slice({_NAME}, -floor($letters * 0.4)) : {_NAME}"
)

Layers = alt.LayerChart | alt.FacetChart


def chart(panel: Panel) -> dict[str, Any]:
    """The chart of a panel that is neither a figure nor a table."""
    drawn = {
        Kind.LINE: _line,
        Kind.STACKED: _stacked,
        Kind.BAR: _bar,
        Kind.HEATMAP: _heatmap,
    }[panel.kind](panel)
    size = alt.AutoSizeParams(type="fit", contains="padding")
    sized = drawn.properties(width="container", height=HEIGHT, autosize=size)
    # The tests validate the schema: doing so here takes longer than drawing.
    made: dict[str, Any] = sized.to_dict(validate=False)
    return made


def _colour() -> alt.Color:
    # The page draws the legend: it has room for long names.
    scale = alt.Scale(domain=[COLOURED], range=[COLOURS])
    return alt.Color("series:N", scale=scale, legend=None)


def _time() -> alt.X:
    axis = alt.Axis(
        title=None, grid=False, labelOverlap=True, values=[TICKS], labelExpr=_TIMES, labelAngle=0
    )
    return alt.X("x0:T", scale=alt.Scale(type="utc"), axis=axis)


def _amount(panel: Panel, field: str) -> alt.Y:
    unit = panel.measures[0].unit
    title = _AXIS_TITLES.get(unit)
    texts = _COUNTS if unit is Unit.COUNT else "format(datum.value, ',~f')"
    step = 1 if unit is Unit.COUNT else alt.Undefined
    axis = alt.Axis(title=title, labelExpr=texts, tickCount=_TICKS, tickMinStep=step)
    return alt.Y(f"{field}:Q", axis=axis, scale=alt.Scale(zero=True, nice=_TICKS))


def _hover() -> alt.Chart:
    """Invisible columns over all marks of a time: a thin mark is hard to point at."""
    pointed = alt.selection_point(name="pointed", on="pointerover", clear="pointerout", empty=False)
    columns: alt.Chart = (
        alt.Chart(alt.NamedData("hover"))
        .mark_rect(color="#888888")
        .encode(
            x=_time(),
            x2="x1:T",
            tooltip=alt.Tooltip("tip:N"),
            opacity=alt.condition(pointed, alt.value(0.25), alt.value(0)),
        )
        .add_params(pointed)
    )
    return columns


def _line(panel: Panel) -> Layers:
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=_time(), y=_amount(panel, "value"), color=_colour()
    )
    seen = alt.condition("datum.dot", alt.value(1), alt.value(0))
    dots = base.mark_point(filled=True, size=36).encode(opacity=seen)
    return alt.layer(_lines(panel, base), dots, _hover())


def _lines(panel: Panel, base: alt.Chart) -> alt.Chart:
    lines: alt.Chart = base.mark_line()
    if panel.series:
        return lines
    # Measures of the same requests can be equal: a dashed line shows the one below it.
    labels = [measure.label for measure in panel.measures]
    dashes = alt.Scale(
        domain=[str(n) for n in range(len(labels))],
        range=[[4 * (n % 2), 4 * (n % 2)] for n in range(len(labels))],
    )
    return lines.encode(strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=None))


def _stacked(panel: Panel) -> Layers:
    bars = (
        alt.Chart(alt.NamedData("rows"))
        .mark_rect()
        .encode(x=_time(), x2="x1:T", y=_amount(panel, "y0"), y2="y1:Q", color=_colour())
    )
    return alt.layer(bars, _hover())


def _bar(panel: Panel) -> Layers:
    names = alt.Axis(title=None, labelLimit=_WIDE, labelExpr=_NAMES, ticks=False, domain=False)
    base = alt.Chart(alt.NamedData("rows")).encode(
        y=alt.Y("x0:N", sort=None, axis=names),
        x=alt.X("value:Q", axis=None, scale=alt.Scale(domain=[EXTENT])),
        tooltip=alt.Tooltip("tip:N"),
    )
    bars = base.mark_bar(cornerRadiusEnd=2).encode(color=_colour())
    return alt.layer(bars, base.mark_text(align="left", dx=4).encode(text="text:N"))


def _heatmap(panel: Panel) -> Layers:
    across = alt.X(
        "x0:N",
        scale=alt.Scale(domain=[ACROSS]),
        axis=alt.Axis(
            title=panel.x.label if panel.x else None,
            labelLimit=_WIDE // 2,
            labelExpr="slice(($across)[toNumber(datum.label)], 1)",
            labelAngle=0,
            labelOverlap=panel.x is not None and panel.x.part is ValuePart.HOUR_OF_DAY,
        ),
    )
    names = alt.Axis(title=None, labelLimit=_WIDE, labelExpr=_NAMES, ticks=False, domain=False)
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=across,
        y=alt.Y("y0:N", scale=alt.Scale(domain=[DOWN]), axis=names),
        tooltip=alt.Tooltip("tip:N"),
    )
    scale = alt.Scale(range=[SCALED], domainMin=0)
    cells = base.mark_rect().encode(color=alt.Color("value:Q", scale=scale, legend=None))
    texts = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.deep", alt.value("#ffffff"), alt.value("#111111")),
    )
    return alt.layer(cells, texts)


def scale(*, dark: bool) -> tuple[str, ...]:
    """The colours from few to many: the most stands out from the background."""
    return tuple(reversed(SCALE)) if dark else SCALE
