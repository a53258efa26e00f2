"""`prices.toml`: the plans, and which application is on which plan since when."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec

from choreo_insights.errors import ConfigurationError
from choreo_insights.shapes import Shape

KEY = "config/prices.toml"
_MOST_DECIMALS = 4


class PricePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a plan costs in a month: its fee, and each thousand requests beyond the included."""

    name: str
    fee: Decimal = Decimal(0)
    included: int = 0
    per_thousand: Decimal = Decimal(0)


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the day `since` on, an application (its id or name) is on a plan; without one, on none.

    `owner` distinguishes applications of one name.
    """

    organization: str
    application: str
    since: date
    plan: str | None = None
    owner: str | None = None

    @property
    def consumer(self) -> tuple[str, str, str | None]:
        """Whom it is of."""
        return self.organization, self.application, self.owner


class PriceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All prices. Amounts are rounded half up to `decimals` places, each row by itself.

    `environments` are names or ids of those that count, all of them where it is empty.
    """

    currency: str
    plans: tuple[PricePlan, ...]
    applications: tuple[Assignment, ...] = ()
    environments: tuple[str, ...] = ()
    count_failed: bool = True
    decimals: int = 2

    def plan(self, name: str) -> PricePlan:
        """The plan of a name."""
        return next(plan for plan in self.plans if plan.name == name)

    def consumers(self, organization: str) -> Mapping[tuple[str, str | None], list[Assignment]]:
        """The assignments of each application (and owner) of an organisation, oldest first."""
        found: dict[tuple[str, str | None], list[Assignment]] = {}
        for each in sorted(
            self.applications, key=lambda a: (a.application, a.owner or "", a.since)
        ):
            if each.organization == organization:
                found.setdefault((each.application, each.owner), []).append(each)
        return found


_PRICES = Shape(PriceList)


def read(text: str) -> PriceList:
    """The prices of a file's text. Raises ConfigurationError with all that is wrong in it."""
    try:
        body = tomllib.loads(text, parse_float=Decimal)
        prices = _PRICES.convert(_with_decimals(body))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ArithmeticError) as error:
        raise ConfigurationError(_wrong(str(error))) from error
    if faults := list(_faults(prices)):
        raise ConfigurationError(_wrong("; ".join(faults)))
    return prices


def _with_decimals(body: dict[str, Any]) -> dict[str, Any]:
    """Amounts as texts, which are read as decimals: whole numbers are amounts too."""
    for plan in body.get("plans", ()):
        for name in ("fee", "per_thousand"):
            if isinstance(plan, dict) and type(plan.get(name)) in (int, Decimal):
                plan[name] = str(plan[name])
    return body


def _faults(prices: PriceList) -> Iterator[str]:
    if not re.fullmatch(r"[A-Z]{3}", prices.currency):
        yield f"currency is {prices.currency!r}: use three capitals, as in EUR"
    if not 0 <= prices.decimals <= _MOST_DECIMALS:
        yield f"decimals is {prices.decimals}: use 0 to {_MOST_DECIMALS}"
    yield from _faults_of_plans(prices.plans)
    names = {plan.name for plan in prices.plans}
    for each in prices.applications:
        if each.plan is not None and each.plan not in names:
            yield f"{each.application!r} is on the plan {each.plan!r}, which is not in the file"
    ordered = sorted(prices.applications, key=lambda a: (*map(str, a.consumer), a.since))
    for one, other in pairwise(ordered):
        if one.consumer == other.consumer and one.since == other.since:
            yield f"{one.application!r} of {one.organization} has two plans since {one.since}"


def _faults_of_plans(plans: Sequence[PricePlan]) -> Iterator[str]:
    names = [plan.name for plan in plans]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the plan {name!r} is there twice"
    for plan in plans:
        for name in ("fee", "per_thousand", "included"):
            value = Decimal(getattr(plan, name))
            if not value.is_finite() or value < 0:
                yield f"{name} of the plan {plan.name!r} is {value}: use 0 or more"


def _wrong(what: str) -> str:
    return f"prices.toml cannot be used: {what}. Its keys are in docs/report.md"
