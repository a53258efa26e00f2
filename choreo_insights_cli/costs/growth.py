"""How a stack grows: its runs, its objects and its bill, by APIs, organisations and years."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from choreo_insights.catalogue import Catalogue, load
from choreo_insights_cli.costs.bill import estimate
from choreo_insights_cli.costs.inputs import Inputs
from choreo_insights_cli.costs.prices import Prices
from choreo_insights_cli.costs.quantities import backfill_minutes
from choreo_insights_cli.costs.usage import Usage

APIS = (20, 100, 1_000)
ORGANIZATIONS = (1, 3, 10)
DAYS = (180, 3 * 365)


@dataclass(frozen=True)
class Grown:
    """A stack of this size: its mean scheduled run, what it stores, and a month's bill.

    `requests` and `seconds` are of a run. `backfill_days` is the time of a whole backfill.
    """

    apis: int
    organizations: int
    history_days: int
    requests: float
    seconds: float
    keeps_up: bool
    objects: float
    stored_bytes: float
    backfill_days: float
    usd: float
    usd_after_free: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def growth(
    inputs: Inputs,
    prices: Prices,
    *,
    apis: Sequence[int] = APIS,
    organizations: Sequence[int] = ORGANIZATIONS,
    history_days: Sequence[int] = DAYS,
    catalogue: Catalogue | None = None,
) -> Iterator[Grown]:
    """The stack with each of these sizes in place of its own. Raises as `estimate` does."""
    catalogue = catalogue or load()
    for handles in organizations:
        for count in apis:
            for days in history_days:
                yield _grown(
                    replace(inputs, organizations=handles, apis=count, history_days=days),
                    prices,
                    catalogue,
                )


def _grown(inputs: Inputs, prices: Prices, catalogue: Catalogue) -> Grown:
    usage = Usage(inputs, catalogue)
    bill = estimate(inputs, None, prices, catalogue=catalogue)
    return Grown(
        apis=inputs.apis,
        organizations=inputs.organizations,
        history_days=inputs.history_days,
        requests=usage.run.requests,
        seconds=usage.run.seconds,
        keeps_up=usage.run.keeps_up,
        objects=usage.objects,
        stored_bytes=usage.stored_bytes,
        backfill_days=backfill_minutes(usage) / 1440,
        usd=bill.usd,
        usd_after_free=bill.usd_after_free,
    )
