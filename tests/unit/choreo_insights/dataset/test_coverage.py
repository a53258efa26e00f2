"""Which partitions there should be, and when a day is closed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.catalogue import Table
from choreo_insights.dataset.coverage import (
    closes_at,
    gives_up_at,
    is_closed,
    is_due,
    state,
    wanted,
    wanted_days,
)
from choreo_insights.dataset.partitions import Environment, last_day
from choreo_insights.dataset.store import Stored

DAY = date(2026, 11, 20)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
DAYS = st.dates(date(2024, 1, 1), date(2027, 1, 1))
DOCUMENT = """query q($time: TimeFilter!, $data: DataFilter!) {
  getOverallLatency(filter: $time, dataFilter: $data)
}"""
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


@pytest.mark.parametrize(
    ("day", "last"),
    [
        (date(2026, 11, 1), date(2026, 11, 30)),
        (date(2026, 12, 1), date(2026, 12, 31)),
        (date(2024, 2, 1), date(2024, 2, 29)),
    ],
)
def test_a_month_ends_with_its_last_day(
    compiled: Callable[[str, str], Table], day: date, last: date
):
    assert last_day(compiled("probe", DOCUMENT), day) == day
    assert last_day(compiled("probe", DOCUMENT.replace("{", "@monthly {", 1)), day) == last


@given(DAYS, st.integers(0, 100), st.integers(0, 100))
def test_months_and_past_days_within_the_bounds(
    compiled: Callable[[str, str], Table], first: date, more: int, back: int
):
    last = first + timedelta(days=more)
    today = last + timedelta(days=10 - back)
    every = set(wanted_days(compiled("probe", DOCUMENT), first, last, today))
    past = compiled("probe", DOCUMENT.replace("{", "@pastOnly {", 1))
    months = compiled("probe", DOCUMENT.replace("{", "@monthly {", 1))
    both = compiled("probe", DOCUMENT.replace("{", "@monthly @pastOnly {", 1))
    assert set(wanted_days(past, first, last, today)) == every - {today}
    assert set(wanted_days(months, first, last, today)) == {d for d in every if d.day == 1}
    ended = {d for d in every if d.day == 1 and (d.year, d.month) < (today.year, today.month)}
    assert set(wanted_days(both, first, last, today)) == ended


def test_how_a_partition_stands():
    def stood(written: datetime) -> str:
        return state(Stored(written, "1"), DAY, 24)

    assert state(None, DAY, 24) == "missing"
    assert stood(MIDNIGHT + timedelta(hours=24, minutes=14)) == "open"
    assert stood(MIDNIGHT + timedelta(hours=24, minutes=15)) == "closed"


def hours(count: float) -> datetime:
    """So many hours after the day's end."""
    return MIDNIGHT + timedelta(hours=count)


@pytest.mark.parametrize(
    ("queried", "now", "due"),
    [
        # While the day lasts, in every run.
        (-2, -1, True),
        # Then after each checkpoint: the end of the day, 2 and 8 hours later, and its closing.
        (-1, 0.5, True),
        (0.1, 1.9, False),
        (0.1, 2.1, True),
        (2.1, 7.9, False),
        (2.1, 8.1, True),
        (8.1, 24.2, False),
        (8.1, 24.25, True),
        (24.2, 24.3, True),
        (24.25, 72, False),
    ],
)
def test_an_open_day_is_queried_after_each_checkpoint(queried: float, now: float, due: bool):
    assert is_due(hours(queried), hours(now), DAY, 24) is due


def test_a_day_that_closes_early_has_no_later_checkpoint():
    assert is_due(hours(-1), hours(0.1), DAY, 0)
    assert not is_due(hours(0.1), hours(0.2), DAY, 0)
    assert is_due(hours(0.1), hours(0.25), DAY, 0)
    assert not is_due(hours(0.3), hours(9), DAY, 0)


@pytest.mark.parametrize(
    ("queried", "now", "due"),
    [(1, 1.5, False), (1, 2, True), (24.1, 25, True), (25, 26, False), (25, 48.1, True)],
)
def test_a_refused_partition_is_queried_once_a_day_after_it_settled(
    queried: float, now: float, due: bool
):
    assert is_due(hours(queried), hours(now), DAY, 24, kept=True) is due


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
