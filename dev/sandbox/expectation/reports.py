"""Custom reports, whole (asked for each set of values) and as the ten largest."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dev.sandbox.expectation.day import Day, Key, Row
from dev.sandbox.traffic import Cell, percentile

_TOP = 10


@dataclass(frozen=True)
class ExpectedReport:
    """What a report is grouped by and what it measures.

    `key` and `value` get a cell and whether its errors are meant (else its successes).
    Without `percent` the values are summed; with it, they are a percentile over requests.
    `columns` are what the table calls the groups, `measure` what it calls the values.
    """

    columns: tuple[str, ...]
    measure: str
    key: Callable[[Cell, bool], tuple[str, ...]]
    value: Callable[[Cell, bool], int]
    percent: int | None = None

    def grouped(self, day: Day) -> dict[Key, dict[datetime, list[tuple[int, int]]]]:
        """Values with their weights, for each group and hour."""
        found: dict[Key, dict[datetime, list[tuple[int, int]]]] = {}
        for time, cells in day.hours:
            for cell in cells:
                for failed, weight in ((False, cell.ok), (True, cell.errors)):
                    if weight:
                        hours = found.setdefault(self.key(cell, failed), {})
                        hours.setdefault(time, []).append((self.value(cell, failed), weight))
        return found

    def measured(self, pairs: Iterable[tuple[int, int]]) -> float:
        """One figure for these values: a count, or milliseconds."""
        if self.percent is None:
            return sum(count for count, _ in pairs)
        return float(percentile(pairs, self.percent) or 0)

    def whole(self, day: Day) -> list[Row]:
        """Every group by hour."""
        return [
            {
                **dict(zip(self.columns, group, strict=True)),
                "time_span": time,
                self.measure: self.measured(pairs),
                "granularity": "1h",
            }
            for group, hours in self.grouped(day).items()
            for time, pairs in hours.items()
        ]

    def top(self, day: Day) -> list[Row]:
        """The ten groups that are largest over the day, by hour."""
        groups = self.grouped(day)
        sizes = {
            group: self.measured(pair for pairs in hours.values() for pair in pairs)
            for group, hours in groups.items()
        }
        top = sorted((g for g in sizes if sizes[g]), key=lambda g: (-sizes[g], g))[:_TOP]
        return [
            {
                "group_by_value": " - ".join(group),
                "time_span": time,
                "value": self.measured(pairs),
                "granularity": "1h",
            }
            for group in top
            for time, pairs in groups[group].items()
        ]


def _target_code(cell: Cell, failed: bool) -> str:
    if not failed:
        return "200"
    return str(cell.kind.status) if cell.kind.target else "-1"


REPORTS: Mapping[str, ExpectedReport] = {
    "hits_by_api_and_application": ExpectedReport(
        ("api_name", "application_name"),
        "hits",
        lambda cell, _: (cell.stream.api.name, cell.stream.application.name),
        lambda cell, failed: cell.errors if failed else cell.ok,
    ),
    "hits_by_application_and_target_response_code": ExpectedReport(
        ("application_name", "target_response_code"),
        "hits",
        lambda cell, failed: (cell.stream.application.name, _target_code(cell, failed)),
        lambda cell, failed: cell.errors if failed else cell.ok,
    ),
    "errors_by_api_and_target_response_code": ExpectedReport(
        ("api_name", "target_response_code"),
        "errors",
        lambda cell, failed: (cell.stream.api.name, _target_code(cell, failed)),
        lambda cell, failed: cell.errors if failed and cell.kind.target else 0,
    ),
    "total_latency_by_api_and_version": ExpectedReport(
        ("api_name", "api_version"),
        "total_latency",
        lambda cell, _: (cell.stream.api.name, cell.stream.api.version),
        lambda cell, _: cell.latencies.response,
        percent=95,
    ),
}
TABLES: Mapping[str, Callable[[Day], list[Row]]] = {
    name: report.whole for name, report in REPORTS.items()
}
_BY_USER_AGENT = ExpectedReport(
    ("user_agent",),
    "hits",
    lambda cell, _: (cell.stream.user_agent,),
    lambda cell, failed: cell.errors if failed else cell.ok,
)


def _by_user_agent(day: Day) -> list[Row]:
    """The shipped one, under the names that its document gives."""
    return [
        {
            "user_agent": row["group_by_value"],
            "time_span": row["time_span"],
            "hits": row["value"],
            "granularity": row["granularity"],
        }
        for row in _BY_USER_AGENT.top(day)
    ]


# Those of `getCustomReportTopOvertime`.
TOP_TABLES: Mapping[str, Callable[[Day], list[Row]]] = {
    **{f"top_{name}": report.top for name, report in REPORTS.items()},
    "top_hits_by_user_agent": _by_user_agent,
}
