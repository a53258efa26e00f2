"""When a day is closed, and when a refused partition is queried again."""

from datetime import UTC, date, datetime, timedelta

import pytest

from insights.coverage import closes_at, is_closed, retries_kept, state
from insights.dataset import Stored

DAY = date(2026, 11, 20)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("settle_hours", [0, 0.5, 24])
def test_a_day_is_closed_by_what_was_requested_after_it_settled(settle_hours: float):
    closes = MIDNIGHT + timedelta(hours=settle_hours, minutes=15)
    assert closes_at(DAY, settle_hours) == closes
    assert is_closed(closes, DAY, settle_hours)
    # A run of 15 minutes that writes now may have requested it before the day settled.
    assert not is_closed(closes - timedelta(microseconds=1), DAY, settle_hours)


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
