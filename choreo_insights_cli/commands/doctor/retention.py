"""How far back each query field answers: a bisection of days, of all fields at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from choreo_insights.catalogue import Table
from choreo_insights.dataset.partitions import Environment
from choreo_insights.errors import InsightsError
from choreo_insights.export.decode import Answer
from choreo_insights.export.insights_api import time_filter
from choreo_insights.export.queries import Query
from choreo_insights_cli.commands.doctor.behaviour import MOST_DAYS
from choreo_insights_cli.commands.doctor.documents import Document
from choreo_insights_cli.commands.doctor.usage import ProbedApi

# The answer to each query, None where none was asked for any more.
Send = Callable[[Sequence[Query]], Sequence[Answer | InsightsError | None]]
_WEEK = 7


def probed_tables(documents: Iterable[Document], environment: Environment) -> list[Table]:
    """One table of each query field whose days can be examined, by its last document."""
    found: dict[str, Table] = {}
    for document in documents:
        table = document.table
        types = table.environment_types
        known = found.get(table.field)
        if table.scope != "environment" or not table.daily or table.monthly or table.off:
            continue
        if table.on_prem_key or table.kept_days or any(f.over == "groups" for f in table.fan_out):
            continue
        if (types and environment.type not in types) or (known and known.name != table.name):
            continue
        found[table.field] = table
    return list(found.values())


class _Open(NamedTuple):
    """A table that has data so many days ago, and none so many more."""

    table: Table
    low: int
    high: int

    @property
    def is_done(self) -> bool:
        return self.high - self.low <= 1

    @property
    def middle(self) -> int:
        """A day between, on the same day of the week as the lower one while they are far apart."""
        weeks = (self.high - self.low) // (2 * _WEEK)
        return self.low + _WEEK * weeks if weeks else (self.low + self.high) // 2

    def half(self, has_data: bool) -> "_Open":
        """What is left when it is known whether the day between has data."""
        middle = self.middle
        return self._replace(low=middle) if has_data else self._replace(high=middle)


class Retention:
    """Bisects the days back to which tables have data."""

    def __init__(self, send: Send, data: Mapping[str, Any], api: ProbedApi, today: date) -> None:
        self._send = send
        self._data = data
        self._api = api
        self._today = today

    def days(self, tables: Sequence[Table], busy: int) -> dict[str, int]:
        """By query field the days back to which it answers, where that was found out.

        So many days ago was a busy day, and so are those of the same day of the week, as far as
        can be known.
        """
        most = MOST_DAYS - _WEEK + busy
        seen = self._with_data({table.field: (table, busy) for table in tables})
        open_ = {t.field: _Open(t, busy, most + 1) for t in tables if seen.get(t.field)}
        oldest = self._with_data({name: (each.table, most) for name, each in open_.items()})
        found = {name: MOST_DAYS for name, has_data in oldest.items() if has_data}
        open_ = {name: each for name, each in open_.items() if not oldest.get(name, True)}
        while open_:
            answers = self._with_data({n: (each.table, each.middle) for n, each in open_.items()})
            halves = {name: open_[name].half(has) for name, has in answers.items()}
            found |= {name: each.low for name, each in halves.items() if each.is_done}
            open_ = {name: each for name, each in halves.items() if not each.is_done}
        return found

    def _with_data(self, ages: Mapping[str, tuple[Table, int]]) -> dict[str, bool]:
        """Whether each field has data of its day; those that were not answered are left out."""
        queries = [self._query(table, age) for table, age in ages.values()]
        answers = self._send(queries)
        return {
            name: any(_figures(table, answer))
            for (name, (table, _)), answer in zip(ages.items(), answers, strict=True)
            if isinstance(answer, Answer)
        }

    def _query(self, table: Table, age: int) -> Query:
        day = self._today - timedelta(days=age)
        values: dict[str, Any] = {
            "time": time_filter(day, day),
            "data": self._data,
            "apiId": self._api.id,
            "apiNames": self._api.names,
            "limit": 1,
            "offset": 0,
        }
        values |= {fan.variable: fan.values[0] for fan in table.fan_out if fan.over == "values"}
        return Query(table, {name: values[name] for name in table.variables}, {})


def _figures(table: Table, answer: Answer) -> Iterator[float]:
    """The counts and latencies of an answer."""
    for column in table.columns:
        if column.type in ("bigint", "double"):
            yield from (value for value in answer.columns.get(column.name, ()) if value)
