"""What the views say where figures are missing: null, never 0."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from choreo_insights_cli.sql.duckdb import connect
from tests.unit.choreo_insights.export.test_run import NOW, TODAY, Place
from tests.unit.choreo_insights_cli.sql.conftest import written
from tests.unit.choreo_insights_cli.sql.literal import Literal, Row

HOUR = datetime(2026, 11, 18, 5, tzinfo=UTC)
DAY = HOUR.date()
NEXT_DAY = HOUR + timedelta(hours=19)


@pytest.fixture
def dataset(tmp_path: Path) -> Literal:
    return Literal(tmp_path)


def at(hour: int, minute: int = 0) -> datetime:
    """An instant of the day."""
    return datetime(2026, 11, 18, hour, minute, tzinfo=UTC)


def successes(hour: int, count: int, asked: datetime = NOW) -> Row:
    return {"time_span": at(hour), "request_count": count, "exported_at": asked}


def errors(hour: int, count: int, asked: datetime = NOW) -> Row:
    return {"time_span": at(hour), "error_count": count, "exported_at": asked}


def traffic(dataset: Literal) -> list[tuple[Any, ...]]:
    return dataset.rows(
        "SELECT hour(hour), requests, successes, errors, error_percent"
        " FROM traffic_hourly ORDER BY hour"
    )


def test_errors_that_were_not_exported_are_not_none(dataset: Literal):
    dataset.table("success_summary", DAY, successes(5, 9))
    assert traffic(dataset) == [(5, None, 9, None, None)]
    # The day's total says that there were some: only that of the hour is not known.
    dataset.table("total_errors", DAY, {"total_errors": 4})
    assert traffic(dataset) == [(5, None, 9, None, None)]


def test_no_errors_are_none_where_the_total_says_so(dataset: Literal):
    dataset.table("success_summary", DAY, successes(5, 9))
    dataset.table("total_errors", DAY, {"total_errors": 0})
    assert traffic(dataset) == [(5, 9, 9, 0, 0.0)]


def test_an_hour_without_errors_among_others_has_none(dataset: Literal):
    dataset.table("success_summary", DAY, successes(5, 9), successes(6, 6))
    dataset.table("error_summary", DAY, errors(6, 2))
    assert traffic(dataset) == [(5, 9, 9, 0, 0.0), (6, 8, 6, 2, 25.0)]


def test_an_hour_that_was_not_queried_is_not_known(dataset: Literal):
    """success_summary fails in every run after the one at 09:05, error_summary does not."""
    dataset.table("success_summary", DAY, *(successes(hour, 90, at(9, 5)) for hour in (6, 8)))
    dataset.table("error_summary", DAY, *(errors(hour, 10, at(12, 5)) for hour in range(7, 12)))
    assert traffic(dataset) == [
        (6, 90, 90, 0, 0.0),
        (7, 10, 0, 10, 100.0),
        (8, 100, 90, 10, 10.0),
        # Had it had no success, that would not be known at five past.
        (9, None, None, 10, None),
        (10, None, None, 10, None),
        (11, None, None, 10, None),
    ]


def test_the_end_of_an_hour_is_the_first_instant_at_which_it_is_known(dataset: Literal):
    dataset.table("success_summary", DAY, successes(5, 9, at(8)))
    dataset.table("error_summary", DAY, errors(6, 1, at(8)), errors(7, 1, at(8)))
    assert [row[:3] for row in traffic(dataset)] == [(5, 9, 9), (6, 1, 0), (7, 1, 0)]


def test_parts_of_an_hour_do_not_add_up_with_the_whole_of_it(dataset: Literal):
    """In the hour of its query a table has what came so far."""
    dataset.table("success_summary", DAY, successes(8, 90, at(9, 5)), successes(9, 7, at(9, 5)))
    dataset.table("error_summary", DAY, errors(8, 10, at(9, 59)), errors(9, 9, at(9, 59)))
    # Both are of the hour so far.
    assert traffic(dataset) == [(8, 100, 90, 10, 10.0), (9, 16, 7, 9, 56.25)]
    dataset.table("error_summary", DAY, errors(9, 1, at(10)))
    # The errors are of the whole hour now.
    assert traffic(dataset) == [(8, 100, 90, 10, 10.0), (9, None, 7, 10, None)]


def test_days_and_environments_know_nothing_of_each_other(dataset: Literal):
    other = {"environment_id": "e2", "environment": "Dev"}
    dataset.table("success_summary", DAY, successes(5, 9))
    dataset.table("error_summary", DAY, {**errors(6, 2), **other})
    before = DAY - timedelta(days=1)
    dataset.table("error_summary", before, {**errors(6, 2), "time_span": at(6) - timedelta(days=1)})
    assert traffic(dataset) == [
        (6, None, None, 2, None),
        (5, None, 9, None, None),
        (6, None, None, 2, None),
    ]


@pytest.mark.parametrize(
    ("requests_at", "errors_at", "expected"),
    [
        # All requests failed, as counted at the same moment or for the whole day.
        (at(13), at(13), 0),
        (at(13), at(12), 0),
        (NOW, NOW + timedelta(minutes=1), 0),
        # Of the requests at eight there may have been some that did not fail.
        (at(8), at(13), None),
        # The hour ended after the requests were counted.
        (at(5, 59), at(5, 58), None),
    ],
)
def test_no_successes_are_none_where_the_totals_say_so(
    dataset: Literal, requests_at: datetime, errors_at: datetime, expected: int | None
):
    dataset.table("error_summary", DAY, errors(5, 4, at(14)))
    dataset.table("total_traffic", DAY, {"total_traffic": 4, "exported_at": requests_at})
    dataset.table("total_errors", DAY, {"total_errors": 4, "exported_at": errors_at})
    ((_, requests, found, _, _),) = traffic(dataset)
    assert found == expected
    assert requests == (None if expected is None else 4)


def test_a_day_of_which_half_is_there_has_no_rate(dataset: Literal):
    dataset.table("total_traffic", DAY, {"total_traffic": 9, "exported_at": at(9)})
    found = dataset.rows(
        "SELECT requests, successes, errors, error_percent, requests_as_of, errors_as_of"
        " FROM traffic_daily"
    )
    assert found == [(9, None, None, None, at(9).replace(tzinfo=None), None)]


def test_a_null_stays_null(dataset: Literal):
    dataset.table("latency", DAY, {"time_span": HOUR, "api_id": "a1", "response": 12.0})
    dataset.table("errors_details", DAY, {"time_span": HOUR, "reason": "none", "count": 3})
    dataset.table("total_traffic_by_api", DAY, {"api_id": "a1", "total_traffic_by_api": 5})
    found = dataset.rows("SELECT response_p95_ms, backend_p95_ms FROM api_latency_hourly")
    assert found == [(12.0, None)]
    found = dataset.rows("SELECT api_id, api_name, application_name, errors FROM error_details")
    assert found == [(None, None, None, 3)]
    found = dataset.rows("SELECT requests, errors, error_percent FROM api_usage_daily")
    assert found == [(5, None, None)]


def test_an_application_that_called_apis_unknown_did_not_call_none(dataset: Literal):
    known, unknown = {"api_id": "a1", "count": 2}, {"api_id": None, "count": 3}
    dataset.table(
        "apis_usage_by_applications",
        DAY,
        {**known, "application_id": "p1"},
        {**known, "application_id": "p1", "api_id": "a2"},
        {**unknown, "application_id": "p2"},
        {**known, "application_id": "p3"},
        {**unknown, "application_id": "p3"},
    )
    found = dataset.rows("SELECT application_id, apis, requests FROM application_usage_daily")
    assert sorted(found) == [("p1", 2, 4), ("p2", None, 3), ("p3", None, 5)]


def test_rows_of_an_api_add_up_under_each_of_its_names(dataset: Literal):
    usage = {"time_span": HOUR, "granularity": "1h"}
    dataset.names({"id": "a1", "name": "Ordering"}, {"id": "a2", "name": "Old", "version": "v1"})
    dataset.table(
        "api_usage_over_time",
        DAY,
        {**usage, "api_id": "a1", "api_id_resolved": "a1", "count": 1},
        # The same API, named otherwise: its requests are added.
        {**usage, "api_id": "Orders - v1", "api_id_resolved": "a1", "count": 2},
        {**usage, "api_id": "a2", "api_id_resolved": "a2", "count": 4},
        {**usage, "api_id": "Gone - v9", "api_id_resolved": None, "count": 8},
    )
    assert dataset.rows(
        "SELECT api_id, api_name, api_version, requests FROM api_usage_hourly ORDER BY requests"
    ) == [
        ("a1", "Ordering", None, 3),
        ("a2", "Old", "v1", 4),
        ("Gone - v9", "Gone - v9", None, 8),
    ]


def remainder(dataset: Literal, view: str) -> list[Any]:
    found = dataset.rows(f"SELECT requests FROM {view} WHERE is_remainder")
    return [requests for (requests,) in found]


@pytest.mark.parametrize(
    ("listed", "asked", "left"),
    [
        (5, NEXT_DAY, [4]),
        # Nothing is left, or more than nothing came late.
        (9, NEXT_DAY, []),
        (11, NEXT_DAY, [None]),
        # The day was not over.
        (5, NEXT_DAY - timedelta(minutes=1), [None]),
        (None, NEXT_DAY, [None]),
    ],
)
def test_the_remainder_of_a_day(dataset: Literal, listed: int | None, asked: datetime, left: Any):
    dataset.table("total_traffic", DAY, {"total_traffic": 9, "exported_at": NEXT_DAY})
    usage = {"api_id": "a1", "total_traffic_by_api": listed, "exported_at": asked}
    dataset.table("total_traffic_by_api", DAY, usage)
    assert remainder(dataset, "api_usage_daily") == left


@pytest.mark.parametrize(("minute", "left"), [(60, [4]), (59, [None])])
def test_the_remainder_of_an_hour(dataset: Literal, minute: int, left: Any):
    asked = HOUR + timedelta(minutes=minute)
    late = {"time_span": HOUR, "exported_at": HOUR + timedelta(hours=1)}
    dataset.table("success_summary", DAY, {"request_count": 8, **late})
    dataset.table("error_summary", DAY, {"error_count": 1, **late})
    usage = {"api_id": "a1", "count": 5, "time_span": HOUR, "exported_at": asked}
    dataset.table("api_usage_over_time", DAY, usage)
    assert remainder(dataset, "api_usage_hourly") == left


def test_all_is_left_where_no_api_has_any(dataset: Literal):
    dataset.table("total_traffic", DAY, {"total_traffic": 9, "exported_at": NEXT_DAY})
    later = {"time_span": HOUR, "exported_at": NEXT_DAY}
    dataset.table("success_summary", DAY, {"request_count": 8, **later})
    dataset.table("error_summary", DAY, {"error_count": 1, **later})
    for view in ("api_usage_daily", "api_usage_hourly"):
        # Whether the table was queried is not known.
        assert remainder(dataset, view) == []
    for table in ("total_traffic_by_api", "api_usage_over_time"):
        dataset.ledger(DAY, {"table": table, "exported_at": NEXT_DAY})
    for view in ("api_usage_daily", "api_usage_hourly"):
        assert remainder(dataset, view) == [9]


def test_an_api_has_its_display_name_and_its_slug(dataset: Literal):
    dataset.names({"id": "a1", "name": "orders", "version": "v1", "display_name": "All Orders"})
    dataset.table("total_traffic_by_api", DAY, {"api_id": "a1", "total_traffic_by_api": 5})
    found = dataset.rows("SELECT api_name, api_slug, api_version FROM api_usage_daily")
    assert found == [("All Orders", "orders", "v1")]


def test_a_table_that_fails_is_told_with_its_reason(troubled: tuple[Place, Path]):
    place, folder = troubled
    place.dataset.broken = {f"insights/error_summary/day={TODAY - timedelta(days=1)}"}
    report = place.run()
    assert report.failures
    place.now = NOW + timedelta(hours=5)
    database = connect(written(place.dataset, folder), place.now)
    failed = database.execute(
        "SELECT DISTINCT table_name, day, last_success, error FROM export_failures"
    ).fetchall()
    assert failed == [("error_summary", TODAY - timedelta(days=1), None, "no space")]
    found = database.execute(
        "SELECT DISTINCT days_exported, days_missing, days_failed, age_hours, last_error"
        " FROM export_freshness WHERE table_name = 'error_summary'"
    ).fetchall()
    assert found == [(2, 1, 1, 5.0, "no space")]
    found = database.execute(
        "SELECT DISTINCT days_missing, days_failed, last_error FROM export_freshness"
        " WHERE table_name <> 'error_summary'"
    ).fetchall()
    assert found == [(0, 0, None)]
    ((rows, *known),) = database.execute(
        "SELECT count(*), count(errors), count(requests) FROM traffic_hourly"
        f" WHERE day = DATE '{TODAY - timedelta(days=1)}' AND environment = 'Production'"
    ).fetchall()
    assert rows > 0
    assert known == [0, 0]


# The saved queries


def days(count: int, last: date = TODAY - timedelta(days=1)) -> list[date]:
    return [last - timedelta(days=back) for back in range(count)]


def test_a_percentage_is_of_days_with_both_figures(dataset: Literal):
    first, second, third = days(3)
    for day in (first, second):
        dataset.table("total_traffic_by_api", day, {"api_id": "a1", "total_traffic_by_api": 100})
    for day in (second, third):
        dataset.table("total_errors_by_api", day, {"api_id": "a1", "proxy": 10})
    for query in ("apis_that_fail_most", "busiest_apis"):
        (row,) = dataset.saved(query)
        assert (row["requests"], row["errors"], row["error_percent"]) == (200, 20, 10.0)


def test_a_change_needs_all_days_of_both_weeks(dataset: Literal):
    for number, day in enumerate(days(14)):
        usage = {"total_traffic_by_api": 3 if number < 7 else 2}
        dataset.table("total_traffic_by_api", day, {**usage, "api_id": "a1"})
        if number != 12:
            dataset.table("total_traffic_by_api", day, {**usage, "api_id": "a2"})
    found = [
        (row["api_name"], row["requests"], row["requests_before"], row["change"])
        for row in dataset.saved("this_week_against_last")
    ]
    assert found == [("a1", 21, 14, 7), ("a2", 21, 12, None)]
    assert dataset.saved("this_week_against_last")[0]["change_percent"] == 50.0


def among_the_slowest(dataset: Literal) -> dict[str, int | None]:
    return {r["api_name"]: r["days_among_the_slowest"] for r in dataset.saved("slowest_apis")}


def test_an_api_is_not_among_the_slowest_only_where_these_are_known(dataset: Literal):
    (day,) = days(1)
    hour = datetime.combine(day, datetime.min.time(), UTC)
    slow = {"time_span": hour, "response": 9.0}
    dataset.table("latency", day, {**slow, "api_id": "a1"}, {**slow, "api_id": "a2"})
    assert among_the_slowest(dataset) == {"a1": None, "a2": None}
    dataset.table("top_slowest_apis", day, {"api_id": "a1", "latency": 9.0})
    assert among_the_slowest(dataset) == {"a1": 1, "a2": 0}


def test_hours_that_were_not_queried_are_no_quiet_hours(dataset: Literal):
    whole, half, failed = days(3)
    for day, until, count in ((whole, NOW, 10), (half, at(9), 1), (failed, NOW, 1)):
        begin = datetime.combine(day, datetime.min.time(), UTC)
        dataset.table("success_summary", day, {"time_span": begin, "request_count": count})
        dataset.table("error_summary", day, {"time_span": begin, "error_count": 2})
        status = "failed" if day == failed else "exported"
        dataset.ledger(
            day,
            {"table": "success_summary", "exported_at": until},
            {"table": "error_summary", "exported_at": until, "status": status},
        )
    (row,) = dataset.saved("busiest_hours")
    assert (row["hour_of_day"], row["mean_requests"], row["most_requests"]) == (0, 12.0, 12)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ({"404": 100}, (8, 2, 0)),
        ({"404": 100, "503": 1}, (8, 1, 1)),
        ({"404": 1, "503": 100}, (8, 0, 2)),
    ],
)
def test_codes_under_the_name_of_another_api_too_are_no_more_than_its_own_errors(
    dataset: Literal, codes: dict[str, int], expected: tuple[int, ...]
):
    dataset.table("total_traffic_by_api", DAY, {"api_id": "a1", "total_traffic_by_api": 10})
    dataset.table("total_errors_by_api", DAY, {"api_id": "a1", "proxy": 2})
    rows = [
        {"api_id": "a1", "error_type": "PROXY", "status_code": code, "count": count}
        for code, count in codes.items()
    ]
    dataset.table("errors_by_status_code", DAY, *rows)
    found = dataset.rows("SELECT available, limited, down FROM availability_daily")
    assert found == [expected]
