"""What a stack costs in a month, how that grows, and which limits it meets.

An estimate: `estimate` fills each price of `prices.toml` with a quantity, which follows from the
stack's sizes and settings by the exporter's own rules, or from what was counted of it. It knows
neither AWS nor a terminal.
"""

from choreo_insights_cli.costs.bill import Estimate, Item, backfill, estimate
from choreo_insights_cli.costs.growth import Grown, growth
from choreo_insights_cli.costs.inputs import Counts, Inputs, runs_a_day
from choreo_insights_cli.costs.limits import Limit, Met, beyond, limits
from choreo_insights_cli.costs.prices import Prices, load

__all__ = [
    "Counts",
    "Estimate",
    "Grown",
    "Inputs",
    "Item",
    "Limit",
    "Met",
    "Prices",
    "backfill",
    "beyond",
    "estimate",
    "growth",
    "limits",
    "load",
    "runs_a_day",
]
