"""Which partitions there should be, and the state of each. No AWS, no clock.

The listing of an object is enough: a partition is closed when its object was written late
enough after the end of its last day, which for most tables is its only one.
The export, `insights status` and the tests of the views take it from here.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

from choreo_insights.catalogue import Table
from choreo_insights.dataset.partitions import (
    Environment,
    Partition,
    day_end,
    days,
    last_day,
)
from choreo_insights.dataset.store import Stored

State = Literal["missing", "open", "closed"]

# A run lasts 15 minutes at most, the longest that Lambda allows. What was written so long after an
# instant was requested after it.
LONGEST_RUN = timedelta(minutes=15)
# Late events of a day become fewer with time: an open day that is over is refreshed when it ends,
# after some hours, and when it closes, not in every run.
_REFRESHED_AFTER = (timedelta(0), timedelta(hours=2), timedelta(hours=8))
# A source that returns less than is stored may still recover, but hardly after a week.
_RECOVERS_WITHIN = timedelta(days=7)


def closes_at(day: date, settle_hours: float) -> datetime:
    """The instant from which on a write closes a partition: it was requested after settling.

    `day` is the partition's last UTC day, here and below.
    """
    return day_end(day) + timedelta(hours=settle_hours) + LONGEST_RUN


def gives_up_at(day: date, settle_hours: float) -> datetime:
    """The instant from which on a day that its source never confirms is closed as unconfirmed."""
    return closes_at(day, settle_hours) + _RECOVERS_WITHIN


def is_closed(written: datetime, day: date, settle_hours: float) -> bool:
    """Whether an object that was written then holds all late data of its day.

    `written` is LastModified. An accepted response for a past day is always written, also when it
    equals what is stored, so that the write confirms it; a refused one is not.
    """
    return written >= closes_at(day, settle_hours)


def state(stored: Stored | None, day: date, settle_hours: float) -> State:
    """The state of a partition, by its object in the listing."""
    if stored is None:
        return "missing"
    return "closed" if is_closed(stored.written, day, settle_hours) else "open"


def is_due(
    queried: datetime, now: datetime, day: date, settle_hours: float, *, kept: bool = False
) -> bool:
    """Whether an open day that was last queried at `queried` is queried again.

    The current day in every run, a past one after each of its checkpoints: its end, 2 and 8 hours
    later, and when it closes. If the newest response was refused as smaller (`kept`), once a UTC
    day after that, as the source may still recover.
    """
    end, closes = day_end(day), closes_at(day, settle_hours)
    if now < end:
        return True
    if now >= closes:
        return queried < closes or (kept and queried.date() < now.date())
    newest = max(end + after for after in _REFRESHED_AFTER if end + after <= now)
    return queried < newest


def wanted(
    table: Table,
    organization: str,
    environment: Environment | None,
    *,
    first: date,
    last: date,
    today: date,
) -> Iterator[Partition]:
    """The partitions of a table that should exist for these days, newest first.

    What the service has only for some types of environment is wanted for these.
    """
    types = table.environment_types
    if environment and types and environment.type not in types:
        return
    for day in wanted_days(table, first, last, today):
        yield Partition(table, table.name, organization, environment, day)


def wanted_days(table: Table, first: date, last: date, today: date) -> Iterator[date]:
    """The days of a table's partitions within these days, newest first.

    A list is known for today alone. What the service keeps for some days only is wanted for
    those. A month is wanted where its first day lies within the bounds.
    """
    if not table.daily:
        first = max(first, today)
    elif table.kept_days is not None:
        first = max(first, today - timedelta(days=table.kept_days))
    for day in days(first, min(last, today)):
        is_early = table.past_only and last_day(table, day) >= today
        if not is_early and (day.day == 1 or not table.monthly):
            yield day
