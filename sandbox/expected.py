"""What the dataset must hold, told by the traffic itself and not by the query fields.

The rows are those of whole UTC days by hour, over all ids of an environment, without
`exported_at`. Instants are aware datetimes; the order of rows means nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from sandbox.settings import Settings
from sandbox.traffic import Alert, Cell, Traffic, percentile
from sandbox.world import Api, Environment, Organization, World

Row = dict[str, Any]
Key = tuple[Any, ...]

_TRAFFIC = Traffic()
_SLOWEST = 10
_TOP = 9
_TOP_REPORT = 10
_SOURCES = ("proxy", "target")
_CATEGORIES = {
    "auth": "auth",
    "target_connectivity": "targetConnectivity",
    "throttled": "throttled",
    "other": "other",
}


@dataclass(frozen=True)
class Day:
    """One day of one environment (or none, in lists of the organisation)."""

    organization: Organization
    place: Environment | None
    day: date
    now: datetime
    settings: Settings

    @property
    def environment(self) -> Environment:
        """The environment. Raises LookupError where the table needs one that was not given."""
        if self.place is None:
            raise LookupError("the table is one of an environment: name it")
        return self.place

    @cached_property
    def hours(self) -> list[tuple[datetime, Sequence[Cell]]]:
        """Each hour with the cells that have arrived."""
        return self.hours_of(self.environment)

    def hours_of(self, environment: Environment) -> list[tuple[datetime, Sequence[Cell]]]:
        """The same for another environment."""
        start = datetime.combine(self.day, datetime.min.time(), UTC)
        first = int(start.timestamp()) // 3600
        late = self.settings.late_hours
        return [
            (start + timedelta(hours=i), _TRAFFIC.hour(environment, first + i, self.now, late))
            for i in range(24)
        ]

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells of the day."""
        return [cell for _, cells in self.hours for cell in cells]

    @property
    def alerts(self) -> list[Alert]:
        """The alerts of the day that are still kept."""
        start = datetime.combine(self.day, datetime.min.time(), UTC)
        minute = int(start.timestamp()) // 60
        found = _TRAFFIC.alerts(self.environment, minute, minute + 1440, self.now)
        return [alert for _, alert in found]

    @property
    def listed(self) -> list[Api]:
        """The APIs that are in the list."""
        return list(self.environment.listed)

    def cells_of(self, api: Api) -> list[Cell]:
        """The day's cells of one API."""
        return self._by_api.get(api, [])

    @cached_property
    def _by_api(self) -> dict[Api, list[Cell]]:
        groups: defaultdict[Api, list[Cell]] = defaultdict(list)
        for cell in self.cells:
            groups[cell.stream.api].append(cell)
        return groups


def expected_rows(
    world: World,
    table: str,
    organization: str,
    environment: str | None,
    day: date,
    now: datetime,
    *,
    settings: Settings | None = None,
) -> list[Row]:
    """The rows of one partition, without `exported_at`.

    `environment` is a name, or None for the lists of an organisation. `settings` matter for late
    data and buckets without traffic. Raises KeyError for an unknown table or name.
    """
    own = world.organization(organization)
    place = own.environment(environment) if environment is not None else None
    asked = Day(own, place, day, now, settings or Settings())
    return [
        {
            "organization": organization,
            "environment": place.name if place else None,
            "environment_id": place.id if place else None,
            **row,
        }
        for row in TABLES[table](asked)
    ]


def _environments(day: Day) -> list[Row]:
    return [
        {
            "environment": e.name,
            "environment_id": e.id,
            "environment_name": e.name,
            "type": e.type,
            "external_env_id": e.external_id,
            "internal_env_id": e.internal_id,
            "sandbox_env_id": e.sandbox_id,
        }
        for e in day.organization.environments
    ]


def _organizations(day: Day) -> list[Row]:
    own = day.organization
    return [
        {
            "organization_id": own.number,
            "uuid": own.uuid,
            "handle": own.handle,
            "organization_name": own.name,
        }
    ]


def _tenants(day: Day) -> list[Row]:
    return [{"tenant": tenant} for tenant in day.environment.tenants]


def _apis(day: Day) -> list[Row]:
    return [
        {"api_id": a.id, "api_name": a.name, "version": a.version, "provider": a.provider}
        for a in day.listed
    ]


def _applications(day: Day) -> list[Row]:
    return [
        {"application_id": a.id, "application_name": a.name, "owner": a.owner}
        for a in day.environment.applications
    ]


def _providers(day: Day) -> list[Row]:
    return [{"provider_name": name} for name in {api.provider for api in day.listed}]


def _subscribers(day: Day) -> list[Row]:
    owners = {application.owner for application in day.environment.applications}
    return [{"subscriber_name": name} for name in owners]


def _hourly(day: Day, row_of: Callable[[Sequence[Cell]], Row | None], *keys: str) -> list[Row]:
    """A row for each hour; without a count in any of `keys` only where zeros are given."""
    rows = []
    for time, cells in day.hours:
        row = row_of(cells)
        if row is None or not (day.settings.zero_buckets or any(row[key] for key in keys)):
            continue
        rows.append({"time_span": time, "granularity": "1h", **row})
    return rows


def _success_summary(day: Day) -> list[Row]:
    return _hourly(day, lambda cells: {"request_count": sum(c.ok for c in cells)}, "request_count")


def _error_summary(day: Day) -> list[Row]:
    return _hourly(day, lambda cells: {"error_count": sum(c.errors for c in cells)}, "error_count")


def _p95(cells: Iterable[Cell]) -> int | None:
    return percentile(((cell.latencies.response, cell.total) for cell in cells), 95)


def _latency_summary(day: Day) -> list[Row]:
    def row(cells: Sequence[Cell]) -> Row | None:
        p95 = _p95(cells)
        return None if p95 is None else {"latency_time": float(p95)}

    return _hourly(day, row, "latency_time")


def _errors_by_category(day: Day) -> list[Row]:
    def row(cells: Sequence[Cell]) -> Row:
        return {
            column: sum(c.errors for c in cells if c.kind.category == category)
            for column, category in _CATEGORIES.items()
        }

    return _hourly(day, row, *_CATEGORIES)


def _proxy_target_errors(day: Day) -> list[Row]:
    def row(cells: Sequence[Cell]) -> Row:
        values: Row = {}
        for source in _SOURCES:
            of_source = [c for c in cells if c.kind.target == (source == "target")]
            low = sum(c.errors for c in of_source if c.kind.status < 500)
            high = sum(c.errors for c in of_source if c.kind.status >= 500)
            seen = low + high > 0
            values[f"{source}_4xx"] = low if seen else None
            values[f"{source}_5xx"] = high if seen else None
            values[f"{source}_total"] = low + high if seen else None
        return values

    rows = _hourly(day, row, "proxy_total", "target_total")
    return [{k: v for k, v in row.items() if k != "granularity"} for row in rows]


def _cache(day: Day) -> list[Row]:
    def row(cells: Sequence[Cell]) -> Row:
        hits = sum(c.hits for c in cells if c.stream.cached)
        all_of = sum(c.ok for c in cells if c.stream.cached)
        rate = round(100 * hits / all_of, 2) if all_of else 0.0
        return {"hits": hits, "misses": all_of - hits, "hit_percentage": rate}

    return _hourly(day, row, "hits", "misses")


def _usage(day: Day, key: Callable[[Cell], Key], columns: Sequence[str]) -> list[Row]:
    """Requests by key and hour."""
    counts: Counter[tuple[Key, datetime]] = Counter()
    for time, cells in day.hours:
        for cell in cells:
            counts[key(cell), time] += cell.total
    if day.settings.zero_buckets:
        for found in {name for name, _ in counts}:
            for time, _ in day.hours:
                counts[found, time] += 0
    return [
        dict(zip(columns, found, strict=True)) | {"time_span": time, "count": count}
        for (found, time), count in counts.items()
    ]


def _api_usage_over_time(day: Day) -> list[Row]:
    listed = {api.shown for api in day.listed}
    rows = _usage(day, lambda cell: (cell.stream.api.shown,), ("api_id",))
    return [row | {"granularity": "1h"} for row in rows if row["api_id"] in listed]


def _api_usage_by_app_over_time(day: Day) -> list[Row]:
    def key(cell: Cell) -> Key:
        app = cell.stream.application
        return app.id, app.name, app.owner

    columns = ("application_id", "application_name", "application_owner")
    return [row | {"granularity": "1h"} for row in _usage(day, key, columns)]


def _api_usage_by_backend_over_time(day: Day) -> list[Row]:
    rows = _usage(day, lambda cell: (cell.stream.api.backend,), ("backend",))
    return [row | {"granularity": "1h"} for row in rows]


def _latency(day: Day) -> list[Row]:
    names = ("response", "backend", "request_mediation", "response_mediation")
    rows = []
    for api in day.listed:
        for time, every in day.hours:
            cells = [cell for cell in every if cell.stream.api is api]
            if not cells and not day.settings.zero_buckets:
                continue
            row: Row = {"api_id": api.id, "time_span": time, "granularity": "1h"}
            for name in (*names, *(f"{name}_median" for name in names)):
                pairs = [(getattr(c.latencies, name), c.total) for c in cells]
                value = percentile(pairs, 50 if name.endswith("_median") else 95)
                row[name] = None if value is None else float(value)
            rows.append(row)
    return rows


def _total_traffic(day: Day) -> list[Row]:
    return [{"total_traffic": sum(cell.total for cell in day.cells)}]


def _total_errors(day: Day) -> list[Row]:
    return [{"total_errors": sum(cell.errors for cell in day.cells)}]


def _overall_latency(day: Day) -> list[Row]:
    p95 = _p95(day.cells)
    return [{"overall_latency": None if p95 is None else float(p95)}]


def _total_traffic_by_api(day: Day) -> list[Row]:
    return [
        {"api_id": a.id, "total_traffic_by_api": sum(c.total for c in day.cells_of(a))}
        for a in day.listed
    ]


def _total_errors_by_api(day: Day) -> list[Row]:
    return [{"api_id": a.id, "proxy": sum(c.errors for c in day.cells_of(a))} for a in day.listed]


def _top_slowest_apis(day: Day) -> list[Row]:
    found = [(_p95(cells), api) for api in day.environment.apis if (cells := day.cells_of(api))]
    slowest = sorted(((-(p95 or 0), api.shown) for p95, api in found))[:_SLOWEST]
    return [{"api_id": shown, "latency": float(-p95)} for p95, shown in slowest]


def _errors_details(day: Day) -> list[Row]:
    columns = ("api_id", "application_id", "application_name", "application_owner", "reason")
    counts: Counter[Key] = Counter()
    for time, cells in day.hours:
        for cell in cells:
            if not cell.errors:
                continue
            kind, app = cell.kind, cell.stream.application
            api = None if kind.without_api else cell.stream.api.shown
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
            counts[cell.stream.api.shown, str(cell.kind.status), source] += cell.errors
    return _counted(counts, "api_id", "status_code", "error_type")


def _counted(counts: Mapping[Key, int], *columns: str) -> list[Row]:
    return [
        dict(zip(columns, key, strict=True)) | {"count": count} for key, count in counts.items()
    ]


def _counts(day: Day, key: Callable[[Cell], Key]) -> Counter[Key]:
    counts: Counter[Key] = Counter()
    for cell in day.cells:
        counts[key(cell)] += cell.total
    return counts


def _resource_usage(day: Day) -> list[Row]:
    counts = _counts(day, lambda c: (c.stream.api.shown, c.stream.template, c.stream.method))
    return _counted(counts, "api_id", "api_resource_template", "api_method")


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
    return _counted(_counts(day, lambda c: (c.stream.country,)), "country")


def _apis_usage_by_applications(day: Day) -> list[Row]:
    def key(cell: Cell) -> Key:
        app = cell.stream.application
        return cell.stream.api.shown, app.id, app.name, app.owner

    columns = ("api_id", "application_id", "application_name", "application_owner")
    return _counted(_counts(day, key), *columns)


def _success_apis_usage(day: Day) -> list[Row]:
    """Of the organisation's on-premise environment, whichever was asked for."""
    place = day.organization.on_prem
    if place is None or day.place not in (None, place):
        return []
    counts: Counter[Key] = Counter()
    for _, cells in day.hours_of(place):
        for cell in cells:
            api, app = cell.stream.api, cell.stream.application
            key = (api.shown, api.name, api.version, app.id, app.name, app.owner)
            counts[key] += cell.ok
    names = ("api_id", "api_name", "api_version")
    columns = (*names, "application_id", "application_name", "application_owner")
    rows = _counted(counts, *columns)
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
    return _counted(Counter((alert.api,) for alert in day.alerts), "api_id")


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
    top = sorted((n for n in whole if whole[n]), key=lambda n: (-whole[n], n))[:_TOP_REPORT]
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
    "environments": _environments,
    "organizations": _organizations,
    "tenants": _tenants,
    "apis": _apis,
    "applications": _applications,
    "providers": _providers,
    "subscribers": _subscribers,
    "success_summary": _success_summary,
    "error_summary": _error_summary,
    "latency_summary": _latency_summary,
    "errors_by_category": _errors_by_category,
    "proxy_target_errors_over_time": _proxy_target_errors,
    "cache_hits_and_misses": _cache,
    "api_usage_over_time": _api_usage_over_time,
    "api_usage_by_app_over_time": _api_usage_by_app_over_time,
    "api_usage_by_backend_over_time": _api_usage_by_backend_over_time,
    "latency": _latency,
    "total_traffic": _total_traffic,
    "total_errors": _total_errors,
    "overall_latency": _overall_latency,
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
    "hits_by_api_and_application": _hits_by_api_and_application,
    "errors_by_api_and_target_response_code": _errors_by_api_and_target_response_code,
    "total_latency_by_api_and_version": _total_latency_by_api_and_version,
}
