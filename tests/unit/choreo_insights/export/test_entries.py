"""The entries of an answer about one API: whose they are, and how several become one series."""

from collections.abc import Mapping
from typing import Any

import pytest

from choreo_insights.catalogue import Table
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.dataset.columns import Runs, Series
from choreo_insights.errors import BadAnswer
from choreo_insights.export.decode import Answer
from choreo_insights.export.queries import Query
from tests.unit.choreo_insights.export.test_queries import drive

A = ApiNames("a", ("a", "orders - v1"), frozenset({"a", "orders - v1", "orders"}))
NAMES = ("a", "orders - v1")
SHARED = ApiNames("a", NAMES, frozenset(NAMES), shared=frozenset({"orders - v1"}))
B = ApiNames("b", ("b",), frozenset({"b", "bills - v1"}))
# Counts by hour, by the name of the entry.
Entries = list[tuple[str | None, dict[int, int]]]


def answer(*entries: tuple[str | None, dict[int, int]]) -> Answer:
    sizes = [len(hours) for _, hours in entries]
    columns: Mapping[str, Any] = {
        "answered_api_id": Runs([name for name, _ in entries], sizes),
        "granularity": Runs(["1h"] * len(entries), sizes),
        "time_span": Series([list(hours) for _, hours in entries]),
        "count": [count for _, hours in entries for count in hours.values()],
    }
    return Answer(dict(columns), len(entries), frozenset({"1h"}))


def found(
    table: Table, api: ApiNames, by_names: Entries, by_id: Entries = ()
) -> tuple[dict[int, int], int]:
    """The API's counts by hour, and the number of queries that it took."""
    queries: list[Query] = []

    def answered(query: Query) -> Answer:
        queries.append(query)
        names = query.variables["apiNames"]
        if names == ["b"]:
            return answer()
        return answer(*(by_names if names == list(api.names) and len(queries) < 3 else by_id))

    rows = drive(table, answered, [api, B])
    assert set(rows.columns.get("api_id", ())) <= {"a"}
    counts = dict(zip(rows.columns["time_span"], rows.columns["count"], strict=True))
    assert len(counts) == rows.count
    return counts, len(queries) - 1


BY_NAMES: dict[str, Entries] = {
    "by its id": [("a", {1: 5, 2: 6})],
    "by its name": [("orders - v1", {1: 5, 2: 6})],
    "by none": [(None, {1: 5, 2: 6})],
    "by both keys": [("a", {1: 5, 2: 6}), ("orders - v1", {1: 5, 2: 6})],
    "by one key and then the other": [("orders - v1", {1: 5}), ("a", {2: 6})],
    "in the hour of the switch by both": [("orders - v1", {1: 5, 2: 2}), ("a", {2: 4})],
    "in the hour of the switch by equal parts": [
        ("orders - v1", {0: 1, 1: 4, 2: 3}),
        ("a", {2: 3, 3: 1}),
    ],
    "with an entry without rows": [("x - v9", {}), ("a", {1: 5, 2: 6})],
}


@pytest.mark.parametrize("name", BY_NAMES)
def test_entries_under_any_name_are_one_series(by_api: Table, name: str):
    expected = {0: 1, 1: 4, 2: 6, 3: 1} if "equal parts" in name else {1: 5, 2: 6}
    assert found(by_api, A, BY_NAMES[name]) == (expected, 1)


WITH_DOUBT: dict[str, tuple[ApiNames, Entries, Entries]] = {
    "another API beside it": (A, [("a", {1: 1}), ("bills - v1", {1: 7})], [("a", {1: 5, 2: 6})]),
    "another API, where the index has names": (
        A, [("orders - v1", {1: 5, 2: 6}), ("bills - v1", {1: 7})], []
    ),
    "a sum to which a shared name belongs": (SHARED, [(None, {1: 9})], [(None, {1: 5, 2: 6})]),
    "a sum under a shared name alone": (SHARED, [(None, {1: 5, 2: 6})], []),
    "a name that is not sent": (A, [("orders", {1: 9})], [("orders", {1: 5, 2: 6})]),
    "two sums": (A, [(None, {1: 5}), (None, {2: 6})], [("a", {1: 5, 2: 6})]),
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_DOUBT)
def test_an_api_is_queried_by_its_id_alone_where_it_is_not_clear_whose_rows_came(
    by_api: Table, name: str
):
    api, by_names, by_id = WITH_DOUBT[name]
    assert found(by_api, api, by_names, by_id) == ({1: 5, 2: 6}, 2)


def test_a_shared_name_beside_the_id_may_hold_rows_of_the_other_api(by_api: Table):
    by_both: Entries = [("a", {1: 5, 2: 6}), ("orders - v1", {0: 9, 1: 9, 2: 6})]
    assert found(by_api, SHARED, by_both) == ({1: 5, 2: 6}, 1)
    switched: Entries = [("a", {2: 4, 3: 1}), ("orders - v1", {1: 5, 2: 2})]
    assert found(by_api, SHARED, switched) == ({1: 5, 2: 6, 3: 1}, 1)


def test_another_api_alone_means_that_there_is_nothing(by_api: Table):
    assert drive(by_api, lambda q: answer(*(() if len(q.variables["apiNames"]) == 1 else
                 [("bills - v1", {1: 7})])), [A, B]).count == 0  # fmt: skip


@pytest.mark.parametrize(
    ("by_names", "by_id"),
    [
        ([("bills - v1", {1: 7})], [("bills - v1", {1: 7})]),
        ([("x - v9", {1: 7})], []),
        ([("x - v9", {1: 7})], [(None, {1: 5}), (None, {2: 5})]),
    ],
)
def test_rows_of_another_api_are_refused(by_api: Table, by_names: Entries, by_id: Entries):
    with pytest.raises(BadAnswer, match="come back for the API a"):
        found(by_api, A, by_names, by_id)


def test_more_than_one_hour_that_differs_is_refused(by_api: Table):
    differing: Entries = [("a", {1: 5, 2: 6}), ("orders - v1", {1: 4, 2: 4})]
    with pytest.raises(BadAnswer, match="entries of a, orders - v1 have different figures"):
        found(by_api, A, differing)
