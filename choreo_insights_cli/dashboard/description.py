"""Describes panels, independently of the tool that draws them."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """How a panel shows its figures."""

    FIGURE = "figure"  # one number
    LINE = "line"  # measures over the time `x`, a line for each series or measure
    STACKED = "stacked"  # counts over the time `x`, series or measures on top of each other
    BAR = "bar"  # one measure for each value of `x`; with `series`, parts of each bar
    HEATMAP = "heatmap"  # the measure as colour, `x` across and `y` down
    TABLE = "table"  # `dimensions`, then measures


class Aggregation(StrEnum):
    """How rows of the view become one figure. Percentiles have no sum and no average."""

    SUM = "sum"
    COUNT = "count"  # rows
    MAX = "max"
    MIN = "min"
    PERCENT = "percent"  # 100 * sum(column) / sum(whole)
    AS_IS = "as is"  # each row of the table is a row of the view


class Unit(StrEnum):
    """The unit of a figure, which decides how it is formatted."""

    COUNT = "count"  # 1,234
    PERCENT = "percent"  # of 0 to 100: 12.34 %
    MILLISECONDS = "ms"  # 1,234 ms
    HOURS = "hours"  # 1.2 h
    BYTES = "bytes"  # 1,234
    DAY = "day"  # 2026-03-01
    INSTANT = "instant"  # 2026-03-01 12:30, UTC
    TEXT = "text"


class ValuePart(StrEnum):
    """The part of a column's value that a dimension groups by."""

    WHOLE = "whole"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    HOUR_OF_DAY = "hour of day"  # 0 to 23, UTC
    WEEKDAY = "weekday"  # 1 to 7, Monday is 1


class Filter(StrEnum):
    """A choice at the top of every sheet, by the column of the view that it filters."""

    ORGANIZATION = "organization"
    ENVIRONMENT = "environment"
    API = "api_name"
    DATES = "day"


class Colour(StrEnum):
    """Colours that colour-blind people can tell apart, as those of Okabe and Ito (2008).

    Theirs are moved as far as it takes for a contrast of 3 to 1 on white and on the dark theme's
    cards, which WCAG 2.2 wants of what is drawn (1.4.11). The tests measure both.
    """

    BLUE = "#006AB3"
    ORANGE = "#D08103"
    GREEN = "#209C4C"
    PURPLE = "#B179A8"
    SKY = "#3A96FF"
    VERMILION = "#B73F00"
    # Replaces their black, which is invisible on black.
    GREY = "#676767"


# For values without a colour of their own, in this order.
PALETTE = (
    Colour.BLUE,
    Colour.ORANGE,
    Colour.GREEN,
    Colour.PURPLE,
    Colour.SKY,
    Colour.VERMILION,
)
# For the others together.
REST = Colour.GREY
# From few to many, for heat maps: one hue, as lightness is seen by everybody.
SCALE = ("#DEEBF7", "#08519C")


@dataclass(frozen=True)
class Value:
    """A known value of a column, with its label."""

    value: str
    label: str
    colour: Colour


@dataclass(frozen=True)
class Dimension:
    """A column to group rows by."""

    column: str
    label: str
    part: ValuePart = ValuePart.WHOLE
    unit: Unit = Unit.TEXT
    known: tuple[Value, ...] = ()
    # What stands for null and for empty text.
    absent: str = "(none)"
    # The columns that tell apart what has one name: two organisations may have a Development, two
    # environments an API, and an API two versions.
    also: tuple[str, ...] = ()
    # What its values are together. With this a value that is clicked at filters all sheets.
    plural: str = ""


@dataclass(frozen=True)
class Measure:
    """A figure: an aggregation over a column, or for PERCENT over two."""

    label: str
    column: str
    aggregation: Aggregation = Aggregation.SUM
    unit: Unit = Unit.COUNT
    # The columns that together are the 100 percent; `column` is the part.
    whole: tuple[str, ...] = ()
    colour: Colour | None = None
    # Whether a figure above 0 needs attention.
    bad: bool = False
    # Whether a table shows each figure's part of the sum beside it.
    share: bool = False


@dataclass(frozen=True)
class Order:
    """By which column or measure's label rows are sorted."""

    by: str
    descending: bool = True


@dataclass(frozen=True)
class Only:
    """Keeps the rows of the view that have this value."""

    column: str
    value: str


@dataclass(frozen=True)
class Unavailable:
    """When the source has no data for a panel, and the text that says so.

    `environment_type`: only environments of this type have figures.
    `where_tried`: an organisation without the on-prem key is not queried.
    """

    reason: str
    environment_type: str = ""
    where_tried: bool = False


ALL_FILTERS = (Filter.ORGANIZATION, Filter.ENVIRONMENT, Filter.API, Filter.DATES)
PLACE_AND_DATES = (Filter.ORGANIZATION, Filter.ENVIRONMENT, Filter.DATES)
PLACE = (Filter.ORGANIZATION, Filter.ENVIRONMENT)


@dataclass(frozen=True)
class Panel:
    """One figure, chart or table.

    `top` limits the values of `x` (`y` of a heat map, the rows of a table) to the largest by
    `order`. `top_series` limits the series; with sums, `Other` adds up the rest. The panel shows
    `nothing` where data were exported but hold no row. A table that `compares` shows the days
    before beside those chosen, as many. `target` is the field of `targets.toml` with the figure
    that should be met.
    """

    id: str
    title: str
    subtitle: str
    view: str
    kind: Kind
    measures: tuple[Measure, ...]
    nothing: str
    x: Dimension | None = None
    y: Dimension | None = None
    series: Dimension | None = None
    dimensions: tuple[Dimension, ...] = ()
    only: tuple[Only, ...] = ()
    filters: tuple[Filter, ...] = PLACE_AND_DATES
    order: tuple[Order, ...] = ()
    top: int | None = None
    top_series: int | None = None
    unavailable: Unavailable | None = None
    compares: bool = False
    target: str = ""


@dataclass(frozen=True)
class Sheet:
    """A page of the dashboard."""

    id: str
    title: str
    subtitle: str
    panels: tuple[Panel, ...] = field(default=())
