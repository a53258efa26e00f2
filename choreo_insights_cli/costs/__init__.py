"""Estimates what a stack costs in a month, how that grows, and which limits it meets.

`estimate` multiplies each price of `prices.toml` by a quantity, which follows from the stack's
sizes and settings by the exporter's own rules, or from counts. Nothing here calls AWS or prints.
"""

from choreo_insights_cli.costs.bill import Estimate, Item, backfill, estimate
from choreo_insights_cli.costs.growth import Grown, growth
from choreo_insights_cli.costs.inputs import Counts, Inputs, runs_a_day
from choreo_insights_cli.costs.limits import Limit, LimitReached, beyond, limits
from choreo_insights_cli.costs.prices import Prices, load

__all__ = [
    "Counts",
    "Estimate",
    "Grown",
    "Inputs",
    "Item",
    "Limit",
    "LimitReached",
    "Prices",
    "backfill",
    "beyond",
    "estimate",
    "growth",
    "limits",
    "load",
    "runs_a_day",
]
