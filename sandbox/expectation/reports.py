"""Custom reports."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from sandbox.expectation.day import Day, Key, Row
from sandbox.traffic import Cell, percentile

_TOP = 10


def report_rows(
    day: Day,
    key: Callable[[Cell, bool], tuple[str, ...]],
    value: Callable[[Cell, bool], int],
    percent: int | None = None,
) -> list[Row]:
    """A top custom report by hour.

    `key` and `value` are told a cell and whether its errors are meant (else its successes).
    Without `percent` the values are summed; with it, they are a percentile over requests.
    """
    found: defaultdict[Key, defaultdict[datetime, list[tuple[int, int]]]]
    found = defaultdict(lambda: defaultdict(list))
    for time, cells in day.hours:
        for cell in cells:
            for failed, weight in ((False, cell.ok), (True, cell.errors)):
                if weight:
                    found[key(cell, failed)][time].append((value(cell, failed), weight))

    def measure(pairs: Iterable[tuple[int, int]]) -> int:
        if percent is None:
            return sum(count for count, _ in pairs)
        return percentile(pairs, percent) or 0

    whole = {
        name: measure([pair for pairs in times.values() for pair in pairs])
        for name, times in found.items()
    }
    top = sorted((n for n in whole if whole[n]), key=lambda n: (-whole[n], n))[:_TOP]
    return [
        {
            "group_by_value": " - ".join(name),
            "time_span": time,
            "value": measure(pairs),
            "granularity": "1h",
        }
        for name in top
        for time, pairs in found[name].items()
    ]


def _hits_by_api_and_application(day: Day) -> list[Row]:
    return report_rows(
        day,
        lambda cell, _: (cell.stream.api.name, cell.stream.application.name),
        lambda cell, failed: cell.errors if failed else cell.ok,
    )


def _errors_by_api_and_target_response_code(day: Day) -> list[Row]:
    def key(cell: Cell, failed: bool) -> tuple[str, ...]:
        code = "200"
        if failed:
            code = str(cell.kind.status) if cell.kind.target else "-1"
        return cell.stream.api.name, code

    return report_rows(
        day, key, lambda cell, failed: cell.errors if failed and cell.kind.target else 0
    )


def _total_latency_by_api_and_version(day: Day) -> list[Row]:
    return report_rows(
        day,
        lambda cell, _: (cell.stream.api.name, cell.stream.api.version),
        lambda cell, _: cell.latencies.response,
        percent=95,
    )


TABLES: Mapping[str, Callable[[Day], list[Row]]] = {
    "hits_by_api_and_application": _hits_by_api_and_application,
    "errors_by_api_and_target_response_code": _errors_by_api_and_target_response_code,
    "total_latency_by_api_and_version": _total_latency_by_api_and_version,
}
