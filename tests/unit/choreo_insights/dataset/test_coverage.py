"""Which partitions there should be, and when a day is closed."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.catalogue import Table
from choreo_insights.dataset.coverage import (
    closes_at,
    gives_up_at,
    is_closed,
    retries_kept,
    state,
    wanted,
)
from choreo_insights.dataset.partitions import Environment
from choreo_insights.dataset.store import Stored

DAY = date(2026, 11, 20)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
DAYS = st.dates(date(2024, 1, 1), date(2027, 1, 1))
PRODUCTION = Environment("e1", "Production", "CHOREO", ("e1",), "Production")


@pytest.mark.parametrize("settle_hours", [0, 0.5, 24])
def test_a_day_is_closed_by_what_was_requested_after_it_settled(settle_hours: float):
    closes = MIDNIGHT + timedelta(hours=settle_hours, minutes=15)
    assert closes_at(DAY, settle_hours) == closes
    assert is_closed(closes, DAY, settle_hours)
    # A run of 15 minutes that writes now may have requested it before the day settled.
    assert not is_closed(closes - timedelta(microseconds=1), DAY, settle_hours)


def test_a_source_has_a_week_to_recover():
    assert gives_up_at(DAY, 24) == MIDNIGHT + timedelta(days=8, minutes=15)


def test_how_a_partition_stands():
    def stood(written: datetime) -> str:
        return state(Stored(written, "1"), DAY, 24)

    assert state(None, DAY, 24) == "missing"
    assert stood(MIDNIGHT + timedelta(hours=24, minutes=14)) == "open"
    assert stood(MIDNIGHT + timedelta(hours=24, minutes=15)) == "closed"


@pytest.mark.parametrize(
    ("tried", "now", "retries"),
    [
        # Before the day closes, in every run.
        (MIDNIGHT + timedelta(hours=1), MIDNIGHT + timedelta(hours=2), True),
        (MIDNIGHT + timedelta(hours=24, minutes=5), MIDNIGHT + timedelta(hours=25), True),
        # Then once a day.
        (MIDNIGHT + timedelta(hours=25), MIDNIGHT + timedelta(hours=26), False),
        (MIDNIGHT + timedelta(hours=25), MIDNIGHT + timedelta(hours=48, minutes=5), True),
    ],
)
def test_a_refused_partition_is_queried_once_a_day_after_it_settled(tried, now, retries):
    assert retries_kept(tried, now, DAY, 24) is retries


@given(first=DAYS, last=DAYS, today=DAYS)
def test_each_day_is_wanted_once_newest_first_and_none_of_the_future(
    hourly: Table, first: date, last: date, today: date
):
    found = [p.day for p in wanted(hourly, "o", PRODUCTION, first=first, last=last, today=today)]
    end = min(last, today)
    count = max(0, (end - first).days + 1)
    assert found == [end - timedelta(days=i) for i in range(count)]


@given(first=DAYS, last=DAYS, today=DAYS)
def test_a_list_is_wanted_for_today_alone(compiled, first: date, last: date, today: date):
    table = compiled("apis", "query q($data: DataFilter!) { listAllAPI(dataFilter: $data) { id } }")
    found = [p.day for p in wanted(table, "o", PRODUCTION, first=first, last=last, today=today)]
    assert found == ([today] if first <= today <= last else [])


def test_what_the_service_forgets_is_not_asked_for(compiled):
    table = compiled(
        "alerts",
        """query q($time: TimeFilter!, $data: DataFilter!) @kept(days: 7) {
             getTotalTraffic(filter: $time, dataFilter: $data) }""",
    )
    found = list(
        wanted(table, "o", PRODUCTION, first=DAY - timedelta(days=30), last=DAY, today=DAY)
    )
    assert found[-1].day == DAY - timedelta(days=7)


def test_what_only_some_environments_have_is_asked_there_alone(compiled):
    table = compiled(
        "geo",
        """query q($time: TimeFilter!, $data: DataFilter!) @environments(types: [ON_PREM]) {
             getTotalTraffic(filter: $time, dataFilter: $data) }""",
    )
    assert not list(wanted(table, "o", PRODUCTION, first=DAY, last=DAY, today=DAY))
