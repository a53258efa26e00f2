"""What is asked for a partition, and which answers add up to it."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from choreo_insights.catalogue import Table
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.errors import BadAnswer
from choreo_insights.export.decode import Answer
from choreo_insights.export.queries import MAX_PAGES, PAGE_SIZE, Query, Rows, collect

GIVEN = {"time": {"from": "a", "to": "b"}, "data": {"orgId": "o"}, "org": {"orgId": "o"}}
Page = Callable[[int, int], Answer]


def drive(
    table: Table,
    answer: Callable[[Query], Answer | None],
    apis: Sequence[str | ApiNames] = (),
) -> Rows:
    """Answers a table's queries until its rows are there."""
    named = [api if isinstance(api, ApiNames) else ApiNames.of_id(api) for api in apis]
    collecting = collect(table, GIVEN, named)
    answers: list[Answer | None] | None = None
    while True:
        try:
            queries = next(collecting) if answers is None else collecting.send(answers)
        except StopIteration as stop:
            return stop.value
        answers = [answer(query) for query in queries]


def one(query: Query, granularity: str = "1h") -> Answer:
    columns = {"granularity": [granularity], "count": [1]}
    if "apiNames" in query.variables:
        columns["answered_api_id"] = [query.variables["apiNames"][0]]
    return Answer(columns, 1, frozenset({granularity}))


@given(st.integers(0, 23))
def test_apis_are_queried_one_by_one_and_none_is_forgotten(by_api: Table, count: int):
    ids = [f"api-{i}" for i in range(count)]
    asked: list[list[str]] = []

    def answer(query: Query) -> Answer:
        asked.append(query.variables["apiNames"])
        return one(query)

    rows = drive(by_api, answer, ids)
    assert rows.columns.get("api_id", []) == ids
    assert rows.count == count
    assert asked == [[own_id] for own_id in ids]


def test_each_value_that_is_fanned_out_over_is_a_column(compiled):
    table = compiled(
        "errors_by_status_code",
        """query q($time: TimeFilter!, $data: DataFilter!, $apiId: String, $errorType: ErrorType!,
                   $limit: Int, $offset: Int) {
          getErrorsByStatusCode(timeFilter: $time dataFilter: $data
            errorCountByStatusCodeFilter: { apiId: $apiId, errorType: $errorType,
              paginationFilter: { limit: $limit, offset: $offset } }
          ) { errors { errorCountByCode { statusCode count } } pagination { total limit } } }""",
    )
    rows = drive(table, lambda query: Answer({"count": [1]}, 1, frozenset(), 1, 20), ["a", "b"])
    pairs = list(zip(rows.columns["api_id"], rows.columns["error_type"], strict=True))
    assert pairs == [("a", "PROXY"), ("a", "TARGET"), ("b", "PROXY"), ("b", "TARGET")]


def test_a_series_that_repeats_itself_is_asked_for_once_more(by_api: Table):
    asked: list[str] = []

    def answer(query: Query) -> Answer:
        first = query.variables["apiNames"][0]
        asked.append(first)
        return replace(one(query), repeats=first == "5" and asked.count(first) <= times)

    times = 1
    ids = [str(i) for i in range(11)]
    assert drive(by_api, answer, ids).count == 11
    assert asked == [*ids, "5"]
    times = 2
    asked.clear()
    with pytest.raises(BadAnswer, match="twice in one series"):
        drive(by_api, answer, ids)


def test_what_stands_twice_in_a_list_is_one(compiled):
    table = compiled(
        "apis",
        "query q($data: DataFilter!) { listAllAPI(dataFilter: $data) { id name } }",
    )
    columns = {"api_id": ["a", "b", "a"], "api_name": ["x", "y", "x"]}
    rows = drive(table, lambda query: Answer(columns, 3, frozenset()))
    assert rows.count == 2
    assert rows.columns == {"api_id": ["a", "b"], "api_name": ["x", "y"]}


def test_another_granularity_than_asked_for_is_refused(hourly: Table):
    with pytest.raises(BadAnswer, match="answers by 1d where 1h was requested"):
        drive(hourly, lambda query: one(query, "1d"))


@given(total=st.integers(0, 130), size=st.integers(1, 30))
def test_pages_are_asked_until_total_is_reached(paged: Table, total: int, size: int):
    items = [f"r{i}" for i in range(total)]
    asked = 0

    def answer(query: Query) -> Answer:
        nonlocal asked
        asked += 1
        start = query.variables["offset"]
        page = items[start : start + min(size, query.variables["limit"])]
        return Answer({"api_id": page}, len(page), frozenset(), total, size)

    rows = drive(paged, answer)
    assert rows.columns["api_id"] == items
    assert asked == max(1, -(-total // min(size, PAGE_SIZE)))


def pages(*tries: Sequence[tuple[int, list[str]]]) -> Callable[[Query], Answer]:
    """A server that gives (total, rows) page by page, another list at each try."""
    left = [page for pages_of_try in tries for page in pages_of_try]

    def answer(query: Query) -> Answer:
        total, rows = left.pop(0)
        return Answer({"api_id": rows}, len(rows), frozenset(), total, 2)

    return answer


GOOD = [(3, ["a", "b"]), (3, ["c"])]
BAD = {
    "shrinking": ([(3, ["a", "b"]), (2, [])], "total was 2 and then 3"),
    "growing": ([(3, ["a", "b"]), (4, ["c", "d"])], "total was 3 and then 4"),
    "short": ([(3, ["a", "b"]), (3, [])], "2 items came where total says 3"),
    "overlapping": (
        [(6, ["a", "b", "b"]), (6, ["c", "d", "d"])],
        "a page is too long, and a row came twice",
    ),
    "empty": ([(3, [])], "0 items came where total says 3"),
}


@pytest.mark.parametrize(("again", "taken"), [(["b", "b"], True), (["a", "b"], True),
                                              (["c", "c"], False)])  # fmt: skip
def test_a_row_that_moves_between_pages_is_asked_for_again(
    paged: Table, again: list[str], *, taken: bool
):
    tries = [["b", "b"], again]
    left = [(api, count) for apis in tries for count, api in enumerate(apis)]

    def answer(query: Query) -> Answer:
        api, count = left.pop(0)
        return Answer({"api_id": [api], "count": [count]}, 1, frozenset(), 2, 1)

    if taken:
        assert drive(paged, answer).columns["api_id"] == again
    else:
        with pytest.raises(BadAnswer, match="a row came twice"):
            drive(paged, answer)
    assert left == []


@pytest.mark.parametrize(
    "alike",
    [
        [(2, ["a", "a"])],
        [(3, ["a", "b"]), (3, ["b"])],
        [(5, ["a", "b"]), (5, ["b", "b"]), (5, ["a"])],
        [(3, ["a", "b", "b"])],
    ],
)
def test_rows_that_look_alike_are_taken_where_a_second_reading_shows_the_same(
    paged: Table, alike: list[tuple[int, list[str]]]
):
    rows = [row for _, page in alike for row in page]
    assert drive(paged, pages(alike, alike)).columns["api_id"] == rows


def test_rows_that_look_alike_are_read_again_before_they_are_taken(paged: Table):
    moved = [(3, ["a", "b"]), (3, ["b"])]
    assert drive(paged, pages(moved, GOOD)).columns["api_id"] == ["a", "b", "c"]
    other = [(3, ["a", "b"]), (3, ["a"])]
    with pytest.raises(BadAnswer, match="do not add up: a row came twice"):
        drive(paged, pages(moved, other))


def test_pages_may_be_longer_than_was_requested(paged: Table):
    assert drive(paged, pages([(3, ["a", "b", "c"])])).count == 3


@pytest.mark.parametrize("total", [20 * MAX_PAGES + 1, 9 * 10**15, 2**63 - 1])
def test_a_list_of_too_many_pages_is_refused_before_they_are_made(paged: Table, total: int):
    page = Answer({"api_id": ["a"] * 20}, 20, frozenset(), total, 20)
    with pytest.raises(BadAnswer, match=rf"has {total} rows: more than {MAX_PAGES} pages"):
        drive(paged, lambda query: page)


def test_an_api_that_is_not_listed_may_have_no_answer(by_api: Table):
    queries: list[Query] = []

    def answer(query: Query) -> Answer | None:
        queries.append(query)
        return None if query.variables["apiNames"] == ["gone"] else one(query)

    gone, there = (replace(ApiNames.of_id(each), listed=False) for each in ("gone", "there"))
    rows = drive(by_api, answer, ["a", "b", gone, there])
    assert [(q.variables["apiNames"], q.optional) for q in queries] == [
        (["a"], False), (["b"], False), (["gone"], True), (["there"], True)
    ]  # fmt: skip
    assert list(rows.columns["api_id"]) == ["a", "b", "there"]
    assert rows.unanswered == ["gone"]


def test_queries_that_differ_in_their_time_alone_are_of_one_kind(hourly: Table, by_api: Table):
    def query(table: Table, **values: object) -> Query:
        return Query(table, {**GIVEN, **values}, {})

    other_day = {"from": "b", "to": "c"}
    assert query(hourly).kind == query(hourly, time=other_day).kind
    kinds = {query(hourly).kind, query(by_api).kind, query(hourly, data={"orgId": "p"}).kind,
             query(replace(hourly, field="getOther")).kind}  # fmt: skip
    assert len(kinds) == 4


@pytest.mark.parametrize("name", BAD)
def test_pages_that_do_not_add_up_are_asked_for_once_more(paged: Table, name: str):
    bad, says = BAD[name]
    assert drive(paged, pages(bad, GOOD)).columns["api_id"] == ["a", "b", "c"]
    with pytest.raises(BadAnswer, match=f"pages of getResourceUsage do not add up: {says}"):
        drive(paged, pages(bad, bad))
