"""Which days of a month are final, and which are not, from the objects' own states."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Literal

import msgspec

from choreo_insights.report.month import Month
from choreo_insights.report.objects import State

DayState = Literal["closed", "unconfirmed", "open", "missing", "to come"]
# From good to bad: a day is as good as the worst of its tables.
_ORDER: tuple[DayState, ...] = ("closed", "unconfirmed", "open", "missing", "to come")


class DayOf(msgspec.Struct, frozen=True):
    """A day of an environment, with the tables that are not closed."""

    environment: str
    day: date
    state: DayState
    tables: tuple[str, ...] = ()


class Finality(msgspec.Struct, frozen=True):
    """Whether a month's figures can still change. `since` is its first day with data."""

    month: Month
    since: date
    days: tuple[DayOf, ...]

    @property
    def is_final(self) -> bool:
        """Whether every day of every environment is there, closed and confirmed by its source."""
        return bool(self.days) and all(each.state == "closed" for each in self.days)

    def of(self, state: DayState) -> list[date]:
        """The days that stand so in any environment."""
        return sorted({each.day for each in self.days if each.state == state})

    @property
    def words(self) -> str:
        """`final`, or `not final yet` with the days that are in the way."""
        if self.is_final:
            return "final"
        parts = [f"{state}: {spans(self.of(state))}" for state in _ORDER[1:] if self.of(state)]
        return "not final yet" + (f" ({'; '.join(parts)})" if parts else " (no data)")


def spans(days: Iterable[date]) -> str:
    """Days as text; three or more in a row as the first and the last."""
    found: list[list[date]] = []
    for day in sorted(days):
        if found and day - found[-1][-1] == timedelta(days=1):
            found[-1].append(day)
        else:
            found.append([day])
    texts = [
        f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in found
    ]
    return ", ".join(texts)


def finality(
    month: Month,
    since: date,
    today: date,
    wanted: Mapping[str, Iterable[str]],
    states: Mapping[tuple[str, str, date], State],
) -> Finality:
    """How the days of a month stand.

    `wanted` are the tables that each environment should have by its shown name; `states` are those
    of the objects by table, environment and day. What is not there but in `states` alone, as of an
    environment that is gone, counts too.
    """
    first = max(month.first, since)
    by_day: dict[tuple[str, date], dict[str, DayState]] = {}
    for table, environment, day in states:
        by_day.setdefault((environment, day), {})[table] = states[table, environment, day]
    for environment, tables in wanted.items():
        for table in tables:
            for number in range((month.last - first).days + 1):
                day = first + timedelta(days=number)
                absent: DayState = "to come" if day > today else "missing"
                by_day.setdefault((environment, day), {}).setdefault(table, absent)
    return Finality(month, first, tuple(_days(by_day)))


def _days(by_day: Mapping[tuple[str, date], Mapping[str, DayState]]) -> Iterator[DayOf]:
    for (environment, day), tables in sorted(by_day.items()):
        worst = max(tables.values(), key=_ORDER.index)
        others = sorted(table for table, state in tables.items() if state != "closed")
        yield DayOf(environment, day, worst, tuple(others))
