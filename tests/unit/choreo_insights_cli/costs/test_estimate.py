"""The estimate: what it follows from, and what it never does."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.errors import ConfigurationError
from choreo_insights_cli import costs
from choreo_insights_cli.costs import Counts, Estimate, Inputs

ROOT = Path(__file__).parents[4]
PRICES = costs.load()
# What may run or not: it costs the same.
FIXED = {"kms-keys", "secrets", "alarms", "glue"}
SIZES = {
    "organizations": st.integers(0, 12),
    "environments": st.integers(0, 6),
    "apis": st.integers(0, 300),
    "applications": st.integers(0, 60),
    "history_days": st.integers(0, 2_000),
    "queries_a_day": st.integers(0, 2_000),
    "query_days": st.integers(0, 800),
    "authors": st.integers(0, 20),
    "readers": st.integers(0, 200),
    "quicksight_days": st.integers(1, 800),
    "token_bytes": st.integers(0, 8_000),
    "alarms_a_month": st.integers(0, 100),
}
COUNTED = {
    "invocations": "lambda-requests",
    "token_invocations": "lambda-requests",
    "seconds": "lambda-arm64",
    "requests": "transfer",
    "written": "s3-writes",
    "objects": "s3-writes",
    "stored_bytes": "s3-storage",
    "queries": "s3-reads",
    "scanned_bytes": "athena",
}


def bill(inputs: Inputs, counts: Counts | None = None) -> Estimate:
    return costs.estimate(inputs, counts, PRICES)


def amounts(estimate: Estimate) -> dict[str, float]:
    return {item.id: item.quantity for item in estimate.items}


@st.composite
def grown(draw: st.DrawFn) -> tuple[Inputs, Inputs, str]:
    """A stack, and the same one with one size larger."""
    smaller = {name: draw(of) for name, of in SIZES.items()}
    smaller["runs_a_day"] = draw(st.sampled_from([0.5, 1, 2, 4, 24]))
    # Not the number of runs: more of them may together wait less for the requests of a minute.
    name = draw(st.sampled_from([*SIZES]))
    more = smaller[name] + draw(SIZES[name])
    region = draw(st.sampled_from(PRICES.regions))
    one = Inputs(region=region, **smaller)
    return one, replace(one, **{name: more}), name


@settings(max_examples=150)
@given(grown())
def test_the_bill_never_falls_when_a_size_grows(sizes: tuple[Inputs, Inputs, str]):
    smaller, larger, name = sizes
    before, after = bill(smaller), bill(larger)
    assert after.usd >= before.usd * (1 - 1e-9)
    assert after.usd_after_free >= before.usd_after_free * (1 - 1e-9)
    quantities = amounts(after)
    for id_, quantity in amounts(before).items():
        # More authors bring more SPICE with them.
        if (name, id_) != ("authors", "spice"):
            assert quantities.get(id_, 0) >= quantity * (1 - 1e-9), id_


@given(st.integers(1, 12), st.sampled_from(PRICES.regions))
def test_without_any_use_there_is_what_is_fixed(organizations: int, region: str):
    idle = Inputs(
        region=region, organizations=organizations, history_days=0, runs_a_day=0,
        queries_a_day=0, alarms_a_month=0,
    )  # fmt: skip
    found = bill(idle)
    assert {item.id for item in found.items} == FIXED
    assert found.usd == pytest.approx(1.0 + 10 * 0.1 + 0.4 * organizations, abs=0.01)


def test_what_is_free_is_taken_off_each_line():
    items = {item.id: item for item in bill(Inputs()).items}
    assert items["lambda-arm64"].usd > 0
    assert items["lambda-arm64"].usd_after_free == 0
    assert items["metrics"].quantity == 5
    assert items["metrics"].usd_after_free == 0
    assert items["s3-writes"].usd_after_free == items["s3-writes"].usd


@pytest.mark.parametrize(("name", "id_"), COUNTED.items())
def test_what_was_counted_takes_the_place_of_the_model(name: str, id_: str):
    # Large enough for a table's listing to have pages, and for queries to read over 10 MB.
    inputs = Inputs(history_days=1_000, apis=100, query_days=600, authors=0)
    usual = amounts(bill(inputs))[id_]
    few = amounts(bill(inputs, Counts(days=10, **{name: 1.0})))[id_]
    many = amounts(bill(inputs, Counts(days=10, **{name: 1e12})))[id_]
    assert few < usual < many
    assert bill(inputs, Counts(days=10, **{name: 5.0})).counted == {"days": 10, name: 5.0}


def test_without_counts_it_is_all_modelled():
    assert bill(Inputs()).counted == {}
    assert bill(Inputs(), Counts(days=3)) == bill(Inputs())


def test_counts_are_of_so_many_days():
    of_ten = amounts(bill(Inputs(), Counts(days=10, seconds=1_000, token_invocations=0)))
    of_thirty = amounts(bill(Inputs(), Counts(days=30, seconds=3_000, token_invocations=0)))
    assert of_ten["lambda-arm64"] == pytest.approx(of_thirty["lambda-arm64"])
    # 100 seconds a day, by a function of 1769 MB.
    assert of_ten["lambda-arm64"] == pytest.approx(100 * 365 / 12 * 1769 / 1024)


def test_counted_requests_make_the_seconds_where_these_were_not_counted():
    slow = bill(Inputs(), Counts(days=1, requests=24 * 600.0))
    assert amounts(slow)["lambda-arm64"] > 2 * amounts(bill(Inputs()))["lambda-arm64"]


def test_it_is_plain_data():
    found = bill(Inputs(tables=("apis", "latency")), Counts(requests=3))
    as_json: dict[str, Any] = json.loads(json.dumps(found.as_dict()))
    assert as_json["inputs"]["tables"] == ["apis", "latency"]
    assert as_json["usd"] == pytest.approx(sum(item["usd"] for item in as_json["items"]))
    for grown_ in costs.growth(Inputs(), PRICES, apis=(5,), organizations=(1,)):
        assert json.loads(json.dumps(grown_.as_dict()))["apis"] == 5


def test_tables_that_are_left_out_cost_nothing():
    assert bill(Inputs(tables=("total_traffic",))).usd < bill(Inputs()).usd - 0.5
    with pytest.raises(ConfigurationError, match="unknown table"):
        bill(Inputs(tables=("nonsense",)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"apis": -1}, "apis is -1"),
        ({"concurrency": 0}, "more than 0"),
        ({"runs_a_day": float("inf")}, "runs_a_day is inf"),
        ({"seconds_a_request": float("nan")}, "seconds_a_request is nan"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        Inputs(**wrong)


def test_a_region_without_prices_is_refused():
    with pytest.raises(ValueError, match=r"no prices of mars-1.*eu-central-1, us-east-1"):
        bill(Inputs(region="mars-1"))


def test_a_backfill_is_paid_once_and_grows_with_its_days():
    year = costs.backfill(Inputs(history_days=365), PRICES)
    three = costs.backfill(Inputs(history_days=3 * 365), PRICES)
    assert 0 < year.usd < three.usd < 4 * year.usd
    assert {"lambda-arm64", "transitions", "s3-writes"} <= set(amounts(year))


@pytest.fixture(scope="module")
def met_limits() -> list[costs.LimitReached]:
    return costs.limits(Inputs())


def test_the_limits_are_told_in_the_order_in_which_they_are_met(
    met_limits: list[costs.LimitReached],
):
    found = met_limits
    assert json.loads(json.dumps(found[0].as_dict()))["apis"] > 20
    steps = [met.step for met in found]
    met = [step for step in steps if step is not None]
    assert steps == sorted(met) + [None] * (len(steps) - len(met))
    assert len(met) >= 5
    for each in found:
        assert (each.at_end > each.bound) == (each.step is not None and each.step <= 40)
        assert each.at_start <= each.bound or each.step == 0
        assert each.after.endswith(".")


def test_a_stack_is_told_the_limits_that_it_is_beyond():
    assert costs.beyond(Inputs()) == []
    large = Inputs(apis=1_000, organizations=10, history_days=1_000)
    assert {"one invocation of the function", "SPICE of one author"} <= {
        limit.name for limit in costs.beyond(large)
    }


def test_larger_settings_move_a_limit(met_limits: list[costs.LimitReached]):
    larger = costs.limits(Inputs(requests_per_minute=1_000, concurrency=32))
    usual, faster = ({m.name: m.step for m in found} for found in (met_limits, larger))
    name = "requests to Choreo between two runs"
    assert usual[name] is not None
    assert (faster[name] or 99) > usual[name]


def test_every_price_is_used_and_sourced():
    used = {
        item.id
        for inputs in (
            Inputs(authors=1, readers=1, history_days=1_000, apis=300, organizations=3),
            Inputs(architecture="x86_64", token_bytes=5_000),
        )
        for found in (bill(inputs), costs.backfill(inputs, PRICES))
        for item in found.items
    }
    assert used == {price.id for price in PRICES.all}
    for price in PRICES.all:
        assert set(price.usd) == set(PRICES.regions), price.id
        assert all(each > 0 for each in price.usd.values()), price.id
        assert price.source, price.id
        assert price.what, price.id
    assert asdict(Inputs())["region"] in PRICES.regions


def test_the_readme_and_the_page_say_what_the_model_does():
    readme = (ROOT / "README.md").read_text("utf-8")
    one = bill(Inputs())
    (whole, after_free) = re.search(
        r"about \*\*(\d+) US dollars\s+a month\*\*.*?about (\d+) where", readme, re.DOTALL
    ).groups()
    assert (int(whole), int(after_free)) == (round(one.usd), round(one.usd_after_free))
    (hundred,) = re.search(r"A hundred APIs\s+cost (\d+)", readme).groups()
    assert int(hundred) == round(bill(Inputs(apis=100)).usd)
    (more,) = re.search(r"a further organisation adds\s+(?:about )?(\d+)", readme).groups()
    assert int(more) == round(bill(Inputs(organizations=2)).usd - one.usd)
    page = (ROOT / "docs/scaling.md").read_text("utf-8")
    assert f"**{one.usd:.2f} US dollars**, {one.usd_after_free:.2f} where" in page
