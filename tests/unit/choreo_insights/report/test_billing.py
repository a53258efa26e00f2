"""Amounts: by hand, against the sandbox's traffic, and for usage drawn at random."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.dataset.partitions import Environment
from choreo_insights.errors import ConfigurationError
from choreo_insights.report.billing import Bill, bill
from choreo_insights.report.figures import Figures, MonthlyUsage
from choreo_insights.report.month import Month
from choreo_insights.report.prices import Assignment, PriceList, PricePlan
from tests.unit.choreo_insights.report.conftest import MONTH, Dataset

JUNE = Month(2026, 6)
PRODUCTION = Environment("id-p", "Production", "CHOREO", ("id-p",), "Production")
GOLD = PricePlan("Gold", Decimal("30.00"), 3000, Decimal("1.25"))
FLAT = PricePlan("Flat", Decimal("7.77"))


def usage(
    day: int, requests: int, api: str = "Orders", app: str = "Mobile", **more: object
) -> MonthlyUsage:
    """Requests on a day of June."""
    made = MonthlyUsage(
        PRODUCTION, "Production", f"id of {app}", app, "kim", f"id of {api}", api, "1.0",
        date(2026, 6, day), requests,
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


def on(plan: str | None, day: int = 1, app: str = "Mobile", **more: str) -> Assignment:
    """An application's plan since a day of June."""
    return Assignment("acme", app, date(2026, 6, day), plan, **more)


def prices(*assigned: Assignment, **more: object) -> PriceList:
    return PriceList("EUR", (GOLD, FLAT), assigned, **more)  # type: ignore[arg-type]


def lines(found: Bill) -> list[tuple[object, ...]]:
    """What is easily checked by hand."""
    return [
        (
            x.consumer,
            x.plan,
            x.api,
            x.requests,
            x.included,
            x.billed,
            None if x.price is None else str(x.price),
        )
        for x in found.lines
    ]


def by_plan(found: Bill) -> dict[str | None, int]:
    """Requests by plan."""
    return {line.plan: line.requests for line in found.lines if line.api}


def test_a_whole_month_by_hand() -> None:
    found = bill("acme", JUNE, [usage(1, 2500), usage(30, 500), usage(9, 2100, "Pay")],
                 prices(on("Gold")))  # fmt: skip
    assert lines(found) == [
        ("Mobile", "Gold", None, 0, 0, 0, "30.00"),
        ("Mobile", "Gold", "Orders", 3000, 3000, 0, "0.00"),
        # 2,100 times 1.25 / 1,000 is 2.625.
        ("Mobile", "Gold", "Pay", 2100, 0, 2100, "2.63"),
    ]
    assert found.total == Decimal("32.63")
    assert found.without_plan == []


def test_a_part_of_the_month_by_hand() -> None:
    calls = [usage(10, 100), usage(11, 5000), usage(20, 7), usage(21, 900)]
    assigned = prices(on("Gold", 11), on("Flat", 21))
    assert lines(bill("acme", JUNE, calls, assigned)) == [
        # Ten of thirty days: 10.00, and 1,000 requests are included.
        ("Mobile", "Gold", None, 0, 0, 0, "10.00"),
        ("Mobile", "Gold", "Orders", 5007, 1000, 4007, "5.01"),
        ("Mobile", "Flat", None, 0, 0, 0, "2.59"),
        ("Mobile", "Flat", "Orders", 900, 0, 900, "0.00"),
        ("Mobile", None, "Orders", 100, 0, 0, None),
    ]


def test_applications_without_a_plan_are_named_and_not_billed() -> None:
    calls = [usage(1, 5, app="Batch"), usage(2, 6, app="UNKNOWN", application_id=None, owner=None)]
    found = bill("acme", JUNE, calls, prices(on("Gold")))
    assert found.without_plan == ["Batch", "UNKNOWN"]
    assert found.total == GOLD.fee  # a fee is due without a call
    assert {(x.consumer, x.requests, x.billed, x.price) for x in found.lines if not x.plan} == {
        ("Batch", 5, 0, None),
        ("UNKNOWN", 6, 0, None),
    }


def test_failed_requests_count_or_not() -> None:
    calls = [usage(1, 10_000, failed=400)]
    for count_failed, requests in ((True, 10_000), (False, 9_600)):
        found = bill("acme", JUNE, calls, prices(on("Flat"), count_failed=count_failed))
        assert sum(line.requests for line in found.lines) == requests


def test_only_the_environments_that_count_are_billed() -> None:
    test = Environment("id-t", "Test", "CHOREO", (), "Test")
    calls = [usage(1, 10), usage(1, 5, shown="Test", environment=test)]
    for names, requests in ((("Production",), 10), (("id-t",), 5), ((), 15), (("Nowhere",), 0)):
        found = bill("acme", JUNE, calls, prices(on("Gold"), environments=names))
        assert sum(line.requests for line in found.lines) == requests


def test_an_id_goes_before_a_name_and_an_owner_tells_names_apart() -> None:
    kims = usage(1, 10)
    lees = usage(1, 20, application_id="id-2", owner="lee")
    by_owner = prices(on("Gold", owner="kim"), on("Flat", owner="lee"))
    assert by_plan(bill("acme", JUNE, [kims, lees], by_owner)) == {"Gold": 10, "Flat": 20}
    by_id = prices(on("Gold", app="id-2"), on("Flat"))
    assert by_plan(bill("acme", JUNE, [kims, lees], by_id)) == {"Gold": 20, "Flat": 10}
    with pytest.raises(ConfigurationError, match=r"several owners \(kim, lee\) in acme: add"):
        bill("acme", JUNE, [kims, lees], prices(on("Gold")))


DAYS = st.integers(1, 30)
PLANS = st.sampled_from(["Gold", "Flat", None])
USAGE = st.builds(
    usage, DAYS, st.integers(0, 10**12), st.sampled_from(["Orders", "Pay", "Käse"]),
    st.sampled_from(["Mobile", "Batch"]),
)  # fmt: skip
ASSIGNED = st.dictionaries(DAYS, PLANS, max_size=4)
TERMS = st.builds(
    PricePlan, st.just("Gold"), st.decimals(0, 10**6, places=3), st.integers(0, 10**7),
    st.decimals(0, 100, places=4),
)  # fmt: skip


@given(st.lists(USAGE, max_size=12), ASSIGNED, DAYS, TERMS)
@settings(max_examples=150, deadline=None)
def test_a_plan_that_is_split_at_any_day_costs_the_same(
    calls: list[MonthlyUsage], assigned: dict[int, str | None], day: int, gold: PricePlan
) -> None:
    """The same plan again from a day within it is the same plan."""
    at = [on(plan, since) for since, plan in assigned.items()]
    current = max((since for since in assigned if since <= day), default=None)
    plan = assigned[current] if current else None
    split = at if day in assigned else [*at, on(plan, day)]
    whole, parts = (PriceList("EUR", (gold, FLAT), tuple(each)) for each in (at, split))
    # Without any assignment before, the split says what holds anyway: no plan.
    assert bill("acme", JUNE, calls, whole).total == bill("acme", JUNE, calls, parts).total
    if at:
        assert bill("acme", JUNE, calls, whole) == bill("acme", JUNE, calls, parts)


@given(st.lists(USAGE, max_size=12), ASSIGNED, TERMS)
@settings(max_examples=150, deadline=None)
def test_every_request_is_in_one_line_and_the_total_is_the_sum_of_the_lines(
    calls: list[MonthlyUsage], assigned: dict[int, str | None], gold: PricePlan
) -> None:
    at = tuple(on(plan, since) for since, plan in assigned.items())
    found = bill("acme", JUNE, calls, PriceList("EUR", (gold, FLAT), at))
    assert sum(line.requests for line in found.lines) == sum(each.requests for each in calls)
    assert all(line.included + line.billed in (0, line.requests) for line in found.lines)
    terms = {"Gold": gold, "Flat": FLAT}
    for line in found.lines:
        if line.plan and line.api:
            exact = Decimal(line.billed) * terms[line.plan].per_thousand / 1000
            assert line.price == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    for name, plan in terms.items():
        of_plan = [line for line in found.lines if line.plan == name and line.api]
        assert sum(line.included for line in of_plan) <= plan.included
    assert found.total == sum((line.price or Decimal(0) for line in found.lines), Decimal(0))


@given(st.lists(USAGE, min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_what_is_read_means_nothing(calls: list[MonthlyUsage], random: object) -> None:
    mixed = list(calls)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    terms = prices(on("Gold"), on("Flat", app="Batch"))
    assert bill("acme", JUNE, calls, terms) == bill("acme", JUNE, mixed, terms)


@pytest.mark.parametrize("count_failed", [True, False])
def test_the_sandboxs_month_to_the_last_request_and_cent(
    filled: Dataset, february: Figures, *, count_failed: bool
) -> None:
    """The generator's own rows, priced by a few lines of arithmetic that know no plan twice."""
    rows = filled.rows("apis_usage_by_applications", "Production", MONTH)
    failed: dict[tuple[date, str, str], int] = {}
    if not count_failed:
        for row in filled.rows("errors_details", "Production", MONTH):
            key = row["day"], row["application_id"], row["api_id"]
            failed[key] = failed.get(key, 0) + row["count"]
    name = rows[0]["application_name"]
    owner = rows[0]["application_owner"]
    changed = date(2026, 2, 11)
    assigned = (
        Assignment("acme", name, date(2025, 1, 1), "Gold", owner),
        Assignment("acme", name, changed, "Flat", owner),
    )
    found = bill(
        "acme", MONTH, february.usage,
        PriceList("EUR", (GOLD, FLAT), assigned, ("Production",), count_failed),
    )  # fmt: skip

    by_api: dict[str, int] = {}
    for row in rows:
        of_consumer = (row["application_name"], row["application_owner"]) == (name, owner)
        if of_consumer and row["day"] < changed:
            key = row["day"], row["application_id"], row["api_id"]
            requests = row["count"] - failed.get(key, 0)
            by_api[row["api_id"]] = by_api.get(row["api_id"], 0) + requests
    left, expected = 3000 * 10 // 28, [Decimal("30.00") * 10 / 28, Decimal("7.77") * 18 / 28]
    for requests in sorted(by_api.values(), reverse=True):
        billed = max(0, requests - left)
        left -= requests - billed
        expected.append(Decimal(billed) * Decimal("1.25") / 1000)
    cents = [amount.quantize(Decimal("0.01"), ROUND_HALF_UP) for amount in expected]
    assert found.total == sum(cents)
    gold = [line for line in found.lines if line.plan == "Gold" and line.api]
    assert sum(line.requests for line in gold) == sum(by_api.values()) > 10_000
    every = sum(row["count"] for row in rows)
    all_failed = sum(u.failed for u in february.usage if u.shown == "Production")
    uncounted = 0 if count_failed else all_failed
    assert sum(line.requests for line in found.lines) == every - uncounted
    assert found.without_plan
