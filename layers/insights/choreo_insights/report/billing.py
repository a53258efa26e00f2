"""What a month's usage costs: lines that can be checked by hand.

Of a plan that an application is on for a part of the month, the fee and the included requests are
shared out by days; included requests are rounded down. A line's amount is its billed requests times
the price of a thousand, divided by a thousand; it is rounded half up, and a total is the sum of the
rounded lines. Included requests are used up in the order of the lines, the largest first.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

import msgspec

from choreo_insights.errors import ConfigurationError
from choreo_insights.report.figures import MonthlyUsage
from choreo_insights.report.month import Month
from choreo_insights.report.prices import Assignment, PriceList, PricePlan

# More digits than any product of 64-bit counts and prices has.
_PRECISION = 80


class Line(msgspec.Struct, frozen=True):
    """Requests of a consumer to an API under a plan; of the plan's fee, without an API.

    `days` are the days of the month on the plan. `plan` and `price` are None for a consumer
    without a plan, whose requests are not billed.
    """

    consumer: str
    owner: str | None
    plan: str | None
    days: int
    environment: str | None
    api: str | None
    version: str | None
    requests: int
    included: int
    billed: int
    price: Decimal | None


class Bill(msgspec.Struct, frozen=True):
    """The lines of an organisation's month."""

    currency: str
    decimals: int
    count_failed: bool
    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.price for line in self.lines if line.price is not None), Decimal(0))

    @property
    def without_plan(self) -> list[str]:
        """The consumers that have no plan on some day on which they called."""
        return sorted({line.consumer for line in self.lines if line.plan is None})


# Environment, API and version as shown, and their ids, which distinguish equal names.
_Api = tuple[str, str, str | None, str, str | None]


def bill(organization: str, month: Month, usage: Iterable[MonthlyUsage], prices: PriceList) -> Bill:
    """The bill of a month's usage.

    Raises ConfigurationError where the name of an application stands for several owners' ones.
    """
    counted = [each for each in usage if _counts(each, prices)]
    consumers = prices.consumers(organization)
    owners: dict[tuple[str, str | None], set[str | None]] = defaultdict(set)
    by_consumer: dict[tuple[str, str | None], list[MonthlyUsage]] = {key: [] for key in consumers}
    others: dict[tuple[str, str | None], list[MonthlyUsage]] = {}
    for each in counted:
        key = next((key for key in _keys(each) if key in consumers), (each.application, each.owner))
        if key in consumers:
            owners[key].add(each.owner if key[0] != each.application_id else None)
        (by_consumer if key in consumers else others).setdefault(key, []).append(each)
    for (name, _), of in owners.items():
        if len(of) > 1:
            shown = ", ".join(sorted(str(owner) for owner in of))
            raise ConfigurationError(
                f"prices.toml: {name!r} is the name of applications of several owners ({shown}) in"
                f" {organization}: add `owner`, or give the application's id"
            )
    lines: list[Line] = []
    with localcontext(prec=_PRECISION):
        for key, assigned in consumers.items():
            lines += _of_consumer(key, assigned, by_consumer[key], month, prices)
        for key, calls in sorted(others.items(), key=lambda item: (item[0][0], item[0][1] or "")):
            lines += _unbilled(key, calls, month.days, prices)
        return Bill(prices.currency, prices.decimals, prices.count_failed, tuple(lines))


def _counts(usage: MonthlyUsage, prices: PriceList) -> bool:
    wanted = prices.environments
    return not wanted or bool(
        {usage.shown, usage.environment.name, usage.environment.id} & {*wanted}
    )


def _keys(usage: MonthlyUsage) -> Iterator[tuple[str, str | None]]:
    """How a file may name an application, from the surest on."""
    for name in filter(None, (usage.application_id, usage.application)):
        yield name, usage.owner
        yield name, None


def plan_on(assigned: Sequence[Assignment], day: date) -> str | None:
    """The plan on a day, by the newest of the assignments (oldest first) that began by then."""
    plan = None
    for each in assigned:
        if each.since <= day:
            plan = each.plan
    return plan


def _of_consumer(
    key: tuple[str, str | None],
    assigned: Sequence[Assignment],
    usage: Sequence[MonthlyUsage],
    month: Month,
    prices: PriceList,
) -> Iterator[Line]:
    on = {
        day: plan_on(assigned, day)
        for day in (month.first + timedelta(days=number) for number in range(month.days))
    }
    # A plan that is left and taken up again in the month is one plan: what counts are its days.
    for name in dict.fromkeys(plan for plan in on.values() if plan is not None):
        days = sum(plan == name for plan in on.values())
        calls = [each for each in usage if on[each.day] == name]
        yield from _on_plan(key, prices.plan(name), days, month.days, calls, prices)
    yield from _unbilled(
        key,
        [each for each in usage if on[each.day] is None],
        sum(plan is None for plan in on.values()),
        prices,
    )


def _on_plan(
    key: tuple[str, str | None],
    plan: PricePlan,
    days: int,
    of_days: int,
    usage: Sequence[MonthlyUsage],
    prices: PriceList,
) -> Iterator[Line]:
    left = plan.included * days // of_days
    fee = _rounded(plan.fee * days / of_days, prices)
    yield Line(*key, plan.name, days, None, None, None, 0, 0, 0, fee)
    for (environment, api, version, *_), requests in _by_api(usage, prices):
        included = min(left, requests)
        left -= included
        billed = requests - included
        price = _rounded(billed * plan.per_thousand / 1000, prices)
        yield Line(
            *key, plan.name, days, environment, api, version, requests, included, billed, price
        )


def _unbilled(
    key: tuple[str, str | None], usage: Sequence[MonthlyUsage], days: int, prices: PriceList
) -> Iterator[Line]:
    for (environment, api, version, *_), requests in _by_api(usage, prices):
        yield Line(*key, None, days, environment, api, version, requests, 0, 0, None)


def _by_api(usage: Iterable[MonthlyUsage], prices: PriceList) -> list[tuple[_Api, int]]:
    """Requests by API, the most first."""
    found: defaultdict[_Api, int] = defaultdict(int)
    for each in usage:
        api = each.shown, each.api, each.version, each.environment.id, each.api_id
        found[api] += each.requests - (0 if prices.count_failed else each.failed)
    return sorted(found.items(), key=lambda item: (-item[1], *map(str, item[0])))


def _rounded(amount: Decimal, prices: PriceList) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-prices.decimals), ROUND_HALF_UP)
