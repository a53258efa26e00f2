"""What a new response would lose of what is stored."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.catalogue import Table, load
from choreo_insights.dataset.guard import Content, carried, compared_columns, lost, merged

CATALOGUE = load()
ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)), max_size=6)


def content(table: Table, rows: list[dict], resolve: Callable = lambda _: None) -> Content:
    columns = {
        name: [row.get(name) for row in rows]
        for name in compared_columns(table)
        if any(name in row for row in rows)
    }
    return Content.of(table, columns, len(rows), resolve)


def backends(rows: list[tuple]) -> Content:
    table = CATALOGUE.table("api_usage_by_backend_over_time")
    return content(table, [{"backend": name, "time_span": 0, "count": n} for name, n in rows])


@given(old=ROWS, new=ROWS)
def test_a_row_that_disappears_or_a_count_that_falls_is_lost(old: list, new: list):
    table = CATALOGUE.table("api_usage_by_backend_over_time")
    before, after = Counter(), Counter()
    for rows, sums in ((old, before), (new, after)):
        for name, count in rows:
            sums[name] += count or 0
    unknown = {name for name, _ in new} - {name for name, count in new if count is not None}
    known = {name for name, count in old if count is not None}
    shrinks = any(
        name not in {key for key, _ in new}
        or before[name] > after[name]
        or (name in known and name in unknown)
        for name, _ in old
    )
    assert (lost(table, backends(old), backends(new)) is not None) is shrinks


def test_growth_of_one_row_excuses_no_loss_of_another():
    table = CATALOGUE.table("api_usage_by_backend_over_time")
    reason = lost(table, backends([("a", 5), ("b", 5)]), backends([("a", 4), ("b", 90)]))
    assert reason == "a lower count in 1 of 2 rows: 4 instead of 5"


@pytest.mark.parametrize(
    ("name", "old", "new", "loses"),
    [
        ("latency_summary", [{"time_span": 1, "latency_time": 9.0}], [{"time_span": 2}], True),
        (
            "latency_summary",
            [{"time_span": 1, "latency_time": 9.0}, {"time_span": 2, "latency_time": 9.0}],
            [{"time_span": 1, "latency_time": 3.0}],
            False,
        ),
        ("top_platforms", [{"platform": "a", "count": 9}], [{"platform": "b", "count": 1}], False),
        ("top_platforms", [{"platform": "a", "count": 9}], [], True),
        ("total_traffic", [{"total_traffic": 9}], [{"total_traffic": 8}], True),
        ("total_traffic", [{"total_traffic": 9}], [{"total_traffic": None}], True),
        ("total_traffic", [{"total_traffic": None}], [{"total_traffic": None}], False),
        (
            "cache_hits_and_misses",
            [{"time_span": 1, "hits": 1, "misses": 1, "hit_percentage": 50.0}],
            [{"time_span": 1, "hits": 1, "misses": 9, "hit_percentage": 10.0}],
            False,
        ),
        ("alert_summary", [{"message": "m"}, {"message": "m"}], [{"message": "m"}], True),
        ("alert_summary", [{"message": "m"}], [{"message": "m"}, {"message": "n"}], False),
    ],
)
def test_percentiles_and_top_lists_lose_by_becoming_empty_alone(
    name: str, old: list, new: list, loses: bool
):
    table = CATALOGUE.table(name)
    assert (lost(table, content(table, old), content(table, new)) is not None) is loses


def test_an_application_that_was_renamed_is_the_same():
    table = CATALOGUE.table("api_usage_by_app_over_time")
    row = {"application_id": "1", "application_name": "Shop", "time_span": 0, "count": 5}
    renamed = [{**row, "application_name": "Store", "application_owner": "someone"}]
    assert lost(table, content(table, [row]), content(table, renamed)) is None
    # Without an id the name is all there is.
    old, new = ([{**each, "application_id": None}] for each in (row, renamed[0]))
    assert lost(table, content(table, old), content(table, new)) is not None


def test_an_api_is_compared_by_its_resolved_id():
    table = CATALOGUE.table("resource_usage")
    ids = {"Orders - v1": "u1"}.get
    row = {"api_method": "GET", "api_resource_template": "/", "count": 5}
    by_name, by_id = ([{**row, "api_id": api}] for api in ("Orders - v1", "u1"))
    assert lost(table, content(table, by_name, ids), content(table, by_id, ids)) is None
    # A file keeps what was known when it was written.
    stored = content(table, [{**by_name[0], "api_id_resolved": "u1"}])
    assert lost(table, stored, content(table, by_id)) is None
    assert lost(table, content(table, by_name), content(table, by_id)) is not None


USAGE = [
    {"api_id": api, "api_id_resolved": api, "time_span": hour, "count": 5, "organization": "acme"}
    for api in ("kept", "gone")
    for hour in (1, 2)
]


def test_rows_of_an_api_that_is_gone_are_carried_over():
    table = CATALOGUE.table("api_usage_over_time")
    new = [{**row, "count": 7} for row in USAGE if row["api_id"] == "kept"]
    old_content, new_content = content(table, USAGE), content(table, new)
    carry = carried(table, old_content, new_content, listed={"kept"})
    assert carry == {"gone"}
    old, plain = ({name: [row[name] for row in rows] for name in USAGE[0]} for rows in (USAGE, new))
    values, rows = merged(table, old, plain, carry, lambda _: None)
    assert rows == 4
    counts = sorted(zip(values["api_id"], values["time_span"], values["count"], strict=True))
    assert counts == [("gone", 1, 5), ("gone", 2, 5), ("kept", 1, 7), ("kept", 2, 7)]


def test_an_api_that_is_gone_and_answers_as_much_is_not_carried_over():
    table = CATALOGUE.table("api_usage_over_time")
    new = content(table, [{**row, "count": 9} for row in USAGE])
    assert carried(table, content(table, USAGE), new, listed={"kept"}) == frozenset()


def test_an_api_that_is_listed_is_never_carried_over():
    table = CATALOGUE.table("api_usage_over_time")
    old, new = content(table, USAGE), content(table, USAGE[:1])
    assert carried(table, old, new, listed={"kept", "gone"}) == frozenset()
    assert lost(table, old, new) is not None


def test_a_top_list_carries_nothing_over():
    table = CATALOGUE.table("top_slowest_apis")
    old = content(table, [{"api_id": "gone", "latency": 9.0}])
    new = content(table, [{"api_id": "kept", "latency": 9.0}])
    assert carried(table, old, new, listed={"kept"}) == frozenset()


def test_only_counts_are_whole_numbers():
    """Every shipped column of whole numbers adds up: a measure would be taken for a count."""
    whole = {c.name for t in CATALOGUE.tables for c in t.columns if c.type == "bigint"}
    measures = ("latency", "percent", "median", "mediation", "average", "p95")
    assert not [name for name in whole if any(word in name for word in measures)]


def test_the_top_lists_of_the_catalogue():
    assert {table.name for table in CATALOGUE.tables if table.ranked} == {
        "top_apis_by_alert_count",
        "top_hits_by_user_agent",
        "top_platforms",
        "top_slowest_apis",
        "top_user_agents",
    }
