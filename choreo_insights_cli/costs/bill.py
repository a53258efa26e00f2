"""The bill of a month, line by line: a quantity for each price."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from choreo_insights.catalogue import Catalogue, load
from choreo_insights_cli.costs.inputs import Counts, Inputs
from choreo_insights_cli.costs.prices import Price, Prices
from choreo_insights_cli.costs.quantities import backfill_quantities, monthly
from choreo_insights_cli.costs.usage import Usage


@dataclass(frozen=True)
class Item:
    """A line in US dollars: `usd` at list prices, `usd_after_free` where nothing else in the
    account takes the free amount.
    """

    id: str
    service: str
    what: str
    quantity: float
    unit: str
    unit_price: float
    usd: float
    usd_after_free: float


@dataclass(frozen=True)
class Estimate:
    """The cost of a month of a stack, or of one backfill. `counted` was counted, not modelled."""

    inputs: Inputs
    prices_of: str
    counted: Mapping[str, float]
    items: tuple[Item, ...]

    @property
    def usd(self) -> float:
        """All lines at list prices."""
        return sum(item.usd for item in self.items)

    @property
    def usd_after_free(self) -> float:
        """All lines where nothing else takes the free amounts."""
        return sum(item.usd_after_free for item in self.items)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "usd": self.usd, "usd_after_free": self.usd_after_free}


def estimate(
    inputs: Inputs, counts: Counts | None, prices: Prices, *, catalogue: Catalogue | None = None
) -> Estimate:
    """Estimates a month of a stack; counts replace what the model says.

    `catalogue` has the stack's tables (None: the shipped ones). Raises ValueError for a region
    without prices, and ConfigurationError for an unknown table.
    """
    usage = Usage(inputs, catalogue or load(), counts)
    return _estimate(usage, prices, monthly(usage))


def backfill(inputs: Inputs, prices: Prices, *, catalogue: Catalogue | None = None) -> Estimate:
    """Estimates one backfill of the whole history. Raises as `estimate` does."""
    usage = Usage(inputs, catalogue or load())
    return _estimate(usage, prices, backfill_quantities(usage))


def _estimate(usage: Usage, prices: Prices, quantities: Mapping[str, float]) -> Estimate:
    region = usage.inputs.region
    prices.check(region)
    items = tuple(
        _item(price, quantities[price.id], region)
        for price in prices.all
        if quantities.get(price.id)
    )
    return Estimate(usage.inputs, prices.date, usage.counts.as_dict(), items)


def _item(price: Price, quantity: float, region: str) -> Item:
    each = price.usd[region]
    paid = max(0.0, quantity - price.free)
    return Item(
        price.id,
        price.service,
        price.what,
        quantity,
        price.unit,
        each,
        quantity * each,
        paid * each,
    )
