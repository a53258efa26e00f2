"""What a file of prices may hold, and what is said of one that is wrong."""

from datetime import date
from decimal import Decimal

import pytest

from choreo_insights.errors import ConfigurationError
from choreo_insights.report.prices import Assignment, PricePlan, read
from choreo_insights.report.targets import read as read_targets

TEXT = """
currency = "EUR"
environments = ["Production"]
count_failed = false

[[plans]]
name = "Gold"
fee = 99
included = 100_000
per_thousand = 0.10

[[plans]]
name = "Free"

[[applications]]
organization = "acme"
application = "Mobile"
plan = "Gold"
since = 2026-01-15

[[applications]]
organization = "acme"
application = "Mobile"
since = 2026-03-01
"""


def test_amounts_are_the_decimals_that_are_written() -> None:
    prices = read(TEXT)
    assert prices.plans[0] == PricePlan("Gold", Decimal("99"), 100_000, Decimal("0.10"))
    assert prices.plans[1] == PricePlan("Free", Decimal(0), 0, Decimal(0))
    assert (prices.currency, prices.decimals, prices.count_failed) == ("EUR", 2, False)
    assert prices.consumers("acme") == {
        ("Mobile", None): [
            Assignment("acme", "Mobile", date(2026, 1, 15), "Gold"),
            Assignment("acme", "Mobile", date(2026, 3, 1), None),
        ]
    }
    assert prices.consumers("globex") == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"EUR"', '"Euro"', "currency is 'Euro'"),
        ('"EUR"', '"EUR"\ndecimals = 9', "decimals is 9"),
        ('"EUR"', '"EUR"\ncolour = "red"', "unknown field `colour`"),
        ("fee = 99", "fee = -1", "fee of the plan 'Gold' is -1"),
        ("fee = 99", "fee = inf", "fee of the plan 'Gold' is Infinity"),
        ("fee = 99", 'fee = "much"', r"plans\[0\]\.fee"),
        ("0.10", "nan", "per_thousand of the plan 'Gold' is NaN"),
        ("100_000", "-5", "included of the plan 'Gold' is -5"),
        ("100_000", "1.5", r"plans\[0\]\.included"),
        ('name = "Free"', 'name = "Gold"', "the plan 'Gold' is there twice"),
        ('plan = "Gold"', 'plan = "Silver"', "'Mobile' is on the plan 'Silver', which is not"),
        ("2026-03-01", "2026-01-15", "'Mobile' of acme has two plans since 2026-01-15"),
        ("2026-03-01", '"soon"', r"applications\[1\]\.since"),
        ('currency = "EUR"', "currency = ", "Invalid value"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(ConfigurationError, match=rf"prices\.toml cannot be used: .*{said}"):
        read(TEXT.replace(old, new))


@pytest.mark.parametrize(
    "text", ["p95_ms = 0", "availability_percent = 101", "x = 1", "[[apis]]\np95_ms = 1", "="]
)
def test_targets_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"targets\.toml cannot be used"):
        read_targets(text)


def test_an_apis_own_targets_go_before_those_of_all() -> None:
    targets = read_targets(
        'availability_percent = 99.9\np95_ms = 500\n[[apis]]\napi = "Orders"\np95_ms = 800\n'
        '[[apis]]\napi = "id-1"\nversion = "2.0"\navailability_percent = 99\n'
    )
    one = targets.of("id-1", "Orders", "1.0")
    assert (one.availability_percent, one.p95_ms) == (99.9, 800)
    two = targets.of("id-1", "Orders", "2.0")
    assert (two.availability_percent, two.p95_ms) == (99, 800)
    assert targets.of("id-2", None, None).p95_ms == 500
