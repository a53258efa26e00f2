"""Tables over a whole day: totals, tops, errors one by one, alerts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from dev.sandbox.expectation.day import Day, Key, Row, rows_of
from dev.sandbox.expectation.hourly import latencies_of, p95_of
from dev.sandbox.traffic import Cell

_SLOWEST = 10
_TOP = 9


def _total_traffic(day: Day) -> list[Row]:
    return [{"total_traffic": sum(cell.total for cell in day.cells)}]


def _total_errors(day: Day) -> list[Row]:
    return [{"total_errors": sum(cell.errors for cell in day.cells)}]


def _overall_latency(day: Day) -> list[Row]:
    p95 = p95_of(day.cells)
    return [{"overall_latency": None if p95 is None else float(p95)}]


def _overall_latency_by_month(day: Day) -> list[Row]:
    months = [replace(day, day=each) for each in _month(day.day)]
    p95 = p95_of(cell for each in months for cell in each.cells)
    return [{"overall_latency_by_month": None if p95 is None else float(p95)}]


def _month(first: date) -> list[date]:
    every = (first + timedelta(days=number) for number in range(31))
    return [day for day in every if day.month == first.month]


def _latency_daily_by_api(day: Day) -> list[Row]:
    start = datetime.combine(day.day, datetime.min.time(), UTC)
    return list(latencies_of(day, start, day.cells, "1d"))


def _total_traffic_by_api(day: Day) -> list[Row]:
    return [
        {"api_id": a.id, "total_traffic_by_api": sum(c.total for c in day.cells_of(a))}
        for a in day.queried
    ]


def _total_errors_by_api(day: Day) -> list[Row]:
    return [{"api_id": a.id, "proxy": sum(c.errors for c in day.cells_of(a))} for a in day.queried]


def _top_slowest_apis(day: Day) -> list[Row]:
    by_name: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in day.cells:
        by_name[day.shown(cell.stream.api)].append(cell)
    slowest = sorted((-(p95_of(cells) or 0), name) for name, cells in by_name.items())[:_SLOWEST]
    return [{"api_id": shown, "latency": float(-p95)} for p95, shown in slowest]


def _errors_details(day: Day) -> list[Row]:
    columns = ("api_id", "application_id", "application_name", "application_owner", "reason")
    counts: Counter[Key] = Counter()
    for time, cells in day.hours:
        for cell in cells:
            if not cell.errors:
                continue
            kind, app = cell.kind, cell.stream.application
            api = None if kind.without_api else day.shown(cell.stream.api, time)
            caller: Key = (app.id, app.name, app.owner)
            if kind.without_application:
                caller = (None, "UNKNOWN", None)
            counts[(time, api, *caller, kind.reason)] += cell.errors
    return [
        {"time_span": time, "count": count, **dict(zip(columns, key, strict=True))}
        for (time, *key), count in counts.items()
    ]


def _errors_by_status_code(day: Day) -> list[Row]:
    counts: Counter[Key] = Counter()
    for cell in day.cells:
        if cell.errors:
            source = "TARGET" if cell.kind.target else "PROXY"
            counts[day.shown(cell.stream.api), str(cell.kind.status), source] += cell.errors
    return rows_of(counts, "api_id", "status_code", "error_type")


def _counts(day: Day, key: Callable[[Cell], Key]) -> Counter[Key]:
    counts: Counter[Key] = Counter()
    for cell in day.cells:
        counts[key(cell)] += cell.total
    return counts


def _resource_usage(day: Day) -> list[Row]:
    counts = _counts(day, lambda c: (day.shown(c.stream.api), c.stream.template, c.stream.method))
    return rows_of(counts, "api_id", "api_resource_template", "api_method")


def _top(counts: Counter[Key], column: str) -> list[Row]:
    """The nine largest, and the rest as `Other`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [{column: key[0], "count": count} for key, count in ordered[:_TOP]]
    other = sum(count for _, count in ordered[_TOP:])
    return rows + ([{column: "Other", "count": other}] if other else [])


def _top_platforms(day: Day) -> list[Row]:
    return _top(_counts(day, lambda c: (c.stream.platform,)), "platform")


def _top_user_agents(day: Day) -> list[Row]:
    return _top(_counts(day, lambda c: (c.stream.user_agent,)), "user_agent")


def _api_usage_by_geo_location(day: Day) -> list[Row]:
    if day.environment.type != "ON_PREM":
        return []
    return rows_of(_counts(day, lambda c: (c.stream.country,)), "country")


def _apis_usage_by_applications(day: Day) -> list[Row]:
    def key(cell: Cell) -> Key:
        app = cell.stream.application
        return day.shown(cell.stream.api), app.id, app.name, app.owner

    columns = ("api_id", "application_id", "application_name", "application_owner")
    return rows_of(_counts(day, key), *columns)


def _success_apis_usage(day: Day) -> list[Row]:
    """Of the organisation's on-premise environment, whichever was queried."""
    place = day.organization.on_prem
    if place is None or day.place not in (None, place):
        return []
    counts: Counter[Key] = Counter()
    for _, cells in day.hours_of(place):
        for cell in cells:
            api, app = cell.stream.api, cell.stream.application
            key = (day.shown(api), api.name, api.version, app.id, app.name, app.owner)
            counts[key] += cell.ok
    names = ("api_id", "api_name", "api_version")
    columns = (*names, "application_id", "application_name", "application_owner")
    rows = rows_of(counts, *columns)
    return [row | {"api_creator_tenant_domain": "carbon.super"} for row in rows if row["count"]]


def _alert_summary(day: Day) -> list[Row]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        {
            "api_id": alert.api,
            "timestamp": epoch + timedelta(minutes=alert.minute),
            "category": alert.category,
            "metric": alert.metric,
            "severity": alert.severity,
            "message": alert.message,
        }
        for alert in day.alerts
    ]


def _top_apis_by_alert_count(day: Day) -> list[Row]:
    return rows_of(Counter((alert.api,) for alert in day.alerts), "api_id")


TABLES: Mapping[str, Callable[[Day], list[Row]]] = {
    "total_traffic": _total_traffic,
    "total_errors": _total_errors,
    "overall_latency": _overall_latency,
    "overall_latency_by_month": _overall_latency_by_month,
    "latency_daily_by_api": _latency_daily_by_api,
    "total_traffic_by_api": _total_traffic_by_api,
    "total_errors_by_api": _total_errors_by_api,
    "top_slowest_apis": _top_slowest_apis,
    "errors_details": _errors_details,
    "errors_by_status_code": _errors_by_status_code,
    "resource_usage": _resource_usage,
    "top_platforms": _top_platforms,
    "top_user_agents": _top_user_agents,
    "api_usage_by_geo_location": _api_usage_by_geo_location,
    "apis_usage_by_applications": _apis_usage_by_applications,
    "success_apis_usage_by_applications": _success_apis_usage,
    "alert_summary": _alert_summary,
    "top_apis_by_alert_count": _top_apis_by_alert_count,
}
