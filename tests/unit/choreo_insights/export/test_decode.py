"""Replies into columns."""

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.catalogue import Table
from choreo_insights.errors import MAX_REPLY, BadAnswer
from choreo_insights.export.decode import Reader, within
from choreo_insights.times import microseconds, parse_instant

SPAN = "2026-11-20T05:00:00.0000000Z"
LATER = "2026-11-20T06:00:00.0000000Z"


def read(table: Table, value: object):
    return Reader(table).read(json.dumps(value).encode())


def summary(**changes: object) -> dict[str, object]:
    row = {"timeSpan": SPAN, "requestCount": 3, **changes}
    return {"granularity": "1h", "summary": [{k: v for k, v in row.items() if v is not ...}]}


def series(spans: list[list[str]]) -> list[dict[str, object]]:
    return [
        {"apiId": "a", "granularity": "1h", "usage": [{"timeSpan": t, "count": 1} for t in times]}
        for times in spans
    ]


def test_unfolds_nested_lists_into_rows(by_api: Table):
    points = [{"timeSpan": SPAN, "count": 1}, {"timeSpan": LATER, "count": 2}]
    answer = read(
        by_api,
        [
            {"apiId": "a", "granularity": "1h", "usage": points},
            {"apiId": None, "granularity": "1h", "usage": None},
            {"apiId": "b - 1.0", "granularity": "1h", "usage": points[:1]},
        ],
    )
    assert answer.columns["answered_api_id"] == ["a", "a", "b - 1.0"]
    assert answer.columns["count"] == [1, 2, 1]
    assert answer.items == 3
    assert answer.granularities == {"1h"}


def test_one_object_may_come_in_place_of_a_list(by_api: Table):
    usage = {"apiId": "a", "granularity": "1h", "usage": [{"timeSpan": SPAN, "count": 1}]}
    one, listed = read(by_api, usage), read(by_api, [usage])
    assert (one.columns, one.items) == (listed.columns, listed.items)


@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.lists(st.integers(0, 2**31)))))
def test_every_leaf_is_one_row_with_its_parents_values(by_api: Table, items):
    value = [
        {
            "apiId": api,
            "granularity": "1h",
            "usage": None
            if counts is None
            else [{"timeSpan": SPAN, "count": count} for count in counts],
        }
        for api, counts in items
    ]
    answer = read(by_api, value)
    rows = [(api, count) for api, counts in items for count in counts or ()]
    assert (
        list(zip(answer.columns["answered_api_id"], answer.columns["count"], strict=True)) == rows
    )


@pytest.mark.parametrize(
    ("spans", "repeats"),
    [
        ([[SPAN, LATER], [SPAN]], False),
        ([[SPAN], [SPAN]], False),
        ([[SPAN], [LATER, SPAN, LATER]], True),
        ([[SPAN, SPAN], [LATER]], True),
        ([], False),
    ],
)
def test_a_time_that_stands_twice_in_one_series_is_told(by_api: Table, spans, repeats: bool):
    assert read(by_api, series(spans)).repeats is repeats


@given(st.lists(st.lists(st.lists(st.sampled_from([SPAN, LATER]), max_size=3), max_size=4)))
def test_series_keep_their_own_times_whatever_came_before(by_api: Table, replies):
    reader = Reader(by_api)
    for spans in replies:
        answer = reader.read(json.dumps(series(spans)).encode())
        assert answer.columns["time_span"] == [parse_instant(t) for each in spans for t in each]
        assert answer.repeats is any(len(set(each)) < len(each) for each in spans)


def test_what_is_paged_may_tell_of_an_hour_more_than_once(compiled):
    table = compiled(
        "errors_details",
        """query q($time: TimeFilter!, $data: DataFilter!, $limit: Int, $offset: Int) {
          getErrorsDetails(timeFilter: $time dataFilter: $data errorsDetailsFilter: {
            granularity: "1h", paginationFilter: { limit: $limit, offset: $offset } }) {
            usage { timeSpan reason count } pagination { total limit } } }""",
    )
    rows = [{"timeSpan": SPAN, "reason": reason, "count": 1} for reason in "ab"]
    value = {"usage": rows, "pagination": {"total": 2, "limit": 20}}
    assert read(table, value).repeats is False


def test_a_root_that_is_null_is_no_empty_list(hourly: Table):
    with pytest.raises(BadAnswer, match="getSuccessSummary is null"):
        read(hourly, None)


def test_an_unknown_field_is_ignored_and_told(hourly: Table):
    answer = read(hourly, summary(colour="red"))
    assert answer.unknown_fields
    assert answer.columns["request_count"] == [3]
    assert not read(hourly, summary()).unknown_fields


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"requestCount": "3"}, r"Expected `int`, got `str` - at `\$\.summary\[0\]\.requestCount`"),
        ({"requestCount": 1.5}, "requestCount"),
        ({"requestCount": None}, "requestCount"),
        ({"requestCount": ...}, "requestCount"),
        ({"requestCount": 2**63}, "requestCount"),
        ({"requestCount": -(2**63) - 1}, "requestCount"),
        ({"requestCount": True}, "requestCount"),
        ({"timeSpan": 5}, "timeSpan"),
        ({"timeSpan": "yesterday"}, "time_span is not an ISO-8601 time but 'yesterday'"),
    ],
)
def test_what_is_not_of_its_type_names_its_path(hourly: Table, changes, says):
    with pytest.raises(BadAnswer, match=says):
        read(hourly, summary(**changes))


@pytest.mark.parametrize("count", [-(2**63), -1, 0, 2**63 - 1])
def test_counts_of_64_bits_are_kept(hourly: Table, count: int):
    assert read(hourly, summary(requestCount=count)).columns["request_count"] == [count]


@pytest.mark.parametrize("field", ["summary", "unknown"])
def test_what_is_nested_too_deeply_is_refused(hourly: Table, field: str):
    deep = b"[" * 100_000 + b"]" * 100_000
    body = b'{"granularity":"1h","summary":[],"%s":%s}' % (field.encode(), deep)
    with pytest.raises(BadAnswer, match="getSuccessSummary") as raised:
        Reader(hourly).read(body)
    assert raised.value.reply == body


def test_of_a_large_answer_that_cannot_be_read_the_beginning_is_kept(hourly: Table):
    body = b'{"granularity":5,"summary":"' + b"x" * 2 * MAX_REPLY + b'"}'
    with pytest.raises(BadAnswer) as raised:
        Reader(hourly).read(body)
    assert raised.value.reply == body[:MAX_REPLY]


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"granularity":"1h","summary":[NaN]}', b""])
def test_what_is_no_json_or_another_shape_is_refused(hourly: Table, body: bytes):
    with pytest.raises(BadAnswer):
        Reader(hourly).read(msgspec.Raw(body))


def test_whole_milliseconds_become_doubles_without_losing_digits(compiled):
    table = compiled(
        "slow",
        """query q($time: TimeFilter!, $data: DataFilter!) {
          topSlowestAPIs(filter: $time, dataFilter: $data, limit: 10) { apiId latency } }""",
    )
    assert {c.name: c.type for c in table.columns}["latency"] == "double"
    for exact in (12, 2**53, -(2**53)):
        assert read(table, [{"apiId": "a", "latency": exact}]).columns["latency"] == [exact]
    for inexact in (2**53 + 1, -(2**53) - 1):
        with pytest.raises(BadAnswer, match="latency"):
            read(table, [{"apiId": "a", "latency": inexact}])


def test_a_plain_number_fills_a_column_of_the_tables_name(compiled):
    table = compiled(
        "total_traffic",
        """query q($time: TimeFilter!, $data: DataFilter!) {
          getTotalTraffic(filter: $time, dataFilter: $data) }""",
    )
    assert read(table, 7).columns == {"total_traffic": [7]}
    assert read(table, None).columns == {"total_traffic": [None]}


def test_a_list_of_texts_has_the_singular(compiled):
    table = compiled(
        "tenants",
        "query q($tenantData: TenantDataFilter!) { listTenants(tenantDataFilter: $tenantData) }",
    )
    assert read(table, ["a", "b"]).columns == {"tenant": ["a", "b"]}


def test_pages_tell_their_total(paged: Table):
    usage = [{"apiId": "a", "apiMethod": "", "apiResourceTemplate": "/x", "count": 1}]
    answer = read(paged, {"usage": usage, "pagination": {"total": 9, "limit": 1}})
    assert (answer.items, answer.total, answer.limit) == (1, 9, 1)


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - zones come next
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 9),
)
def test_an_instant_is_the_same_in_every_zone(moment: datetime, minutes: int, tenth: int):
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = zoned.strftime(f"%Y-%m-%dT%H:%M:%S.{zoned.microsecond:06d}{tenth}")
    sign = "-" if minutes < 0 else "+"
    text += f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    assert parse_instant(text) == microseconds(zoned.astimezone(UTC))


def test_an_instant_without_a_zone_is_utc():
    assert parse_instant("1970-01-01T00:00:01.0000000") == 1_000_000


@given(st.lists(st.none() | st.integers(-50, 150)), st.integers(-10, 60), st.integers(60, 110))
def test_rows_of_other_days_are_left_out_and_counted(instants, start, end):
    columns = {"t": instants, "n": list(range(len(instants)))}
    kept, dropped = within(columns, "t", start, end)
    assert all(t is None or start <= t < end for t in kept["t"])
    assert len(kept["n"]) == len(kept["t"]) == len(instants) - dropped
    outside = [t for t in instants if t is not None and not start <= t < end]
    assert len(outside) == dropped
