"""The figures of an organisation's month, from the Parquet files.

Counts are sums of what the service counts by day or hour. Percentiles are never added up or
averaged: of a month the highest hour is given, and the hours above a target. What was not exported
is None, never 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.coverage import is_closed
from choreo_insights.dataset.partitions import Environment
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_merge import Kind, KnownEnvironment, KnownName
from choreo_insights.errors import InsightsError
from choreo_insights.report import inventory
from choreo_insights.report.days import Finality, finality
from choreo_insights.report.inventory import InventoryChange
from choreo_insights.report.month import Month
from choreo_insights.report.objects import ObjectContent, ObjectReader, Objects, Row, State
from choreo_insights.report.targets import ApiTarget, Targets

# What is read of each table of the month itself, and of the month before.
_API = ("api_id", "api_id_resolved")
_CALLER = ("application_id", "application_name", "application_owner")
_MONTH: Mapping[str, tuple[str, ...]] = {
    "total_traffic": ("total_traffic",),
    "total_errors": ("total_errors",),
    "overall_latency": ("overall_latency",),
    "total_traffic_by_api": ("api_id", "total_traffic_by_api"),
    "total_errors_by_api": ("api_id", "proxy"),
    "errors_by_status_code": (*_API, "error_type", "status_code", "count"),
    "latency": ("api_id", "time_span", "response"),
    "apis_usage_by_applications": (*_API, *_CALLER, "count"),
    "errors_details": (*_API, *_CALLER, "reason", "count"),
}
BEFORE = (
    "total_traffic",
    "total_errors",
    "total_traffic_by_api",
    "total_errors_by_api",
    "apis_usage_by_applications",
)
# Of the month as a whole; its object is of the first day.
_BY_MONTH = "overall_latency_by_month"
_KINDS: tuple[Kind, ...] = ("api", "application")
# Callers without an application.
UNKNOWN = "UNKNOWN"


class ReportSettings(msgspec.Struct, frozen=True):
    """What the stack's parameters say: the tables that are exported, since when, and settling."""

    tables: tuple[Table, ...]
    since: date
    settle_hours: float


class UsageCounts(msgspec.Struct):
    """Requests and failed requests; None where none of the tables was exported."""

    requests: int | None = None
    errors: int | None = None

    @property
    def error_percent(self) -> float | None:
        """Failed requests in percent of the requests."""
        if self.errors is None or not self.requests:
            return None
        return 100 * self.errors / self.requests


class Totals(msgspec.Struct):
    """An environment's month. `before` is None where the month before is not whole.

    `p95_ms` is the month's own percentile, where the table of months is exported.
    """

    environment: str
    now: UsageCounts = msgspec.field(default_factory=UsageCounts)
    before: UsageCounts | None = None
    p95_ms: float | None = None
    highest_daily_p95_ms: float | None = None


class ReportedApi(msgspec.Struct):
    """An API's month. Availability is in percent of the requests.

    `errors_5xx` are failures of the server's side, as `_five` counts them. `hours` are hours with
    a percentile, `hours_above` those above the target.
    """

    environment: str
    api_id: str
    name: str
    version: str | None
    target: ApiTarget
    now: UsageCounts = msgspec.field(default_factory=UsageCounts)
    before: UsageCounts | None = None
    errors_5xx: int | None = None
    highest_hourly_p95_ms: float | None = None
    hours: int = 0
    hours_above: int = 0

    @property
    def availability(self) -> float | None:
        """Without failures of the server's side (5xx)."""
        return _available(self.now.requests, self.errors_5xx)

    @property
    def success(self) -> float | None:
        """Without all failed requests, those that the caller caused (4xx) too."""
        return _available(self.now.requests, self.now.errors)

    @property
    def meets_availability(self) -> bool | None:
        """Whether the availability is at least the target; None where one is not known."""
        wanted = self.target.availability_percent
        if wanted is None or self.availability is None:
            return None
        return self.availability >= wanted

    @property
    def meets_latency(self) -> bool | None:
        """Whether no hour was above the target; None without a target or any hour."""
        if self.target.p95_ms is None or not self.hours:
            return None
        return self.hours_above == 0


def _available(requests: int | None, errors: int | None) -> float | None:
    if not requests or errors is None:
        return None
    return 100 * (1 - min(errors, requests) / requests)


class MonthlyUsage(msgspec.Struct):
    """Requests of an application to an API on a day; `failed` as far as the service names both.

    Both ids are None where the service gives none.
    """

    environment: Environment
    shown: str  # the environment's name
    application_id: str | None
    application: str
    owner: str | None
    api_id: str | None
    api: str
    version: str | None
    day: date
    requests: int
    failed: int = 0


class Consumer(msgspec.Struct):
    """An application's month at one API."""

    environment: str
    application: str
    owner: str | None
    api: str
    version: str | None
    requests: int
    failed: int
    before: int | None
    application_id: str | None = None
    api_id: str | None = None


class Reason(msgspec.Struct):
    """Failed requests of a reason at one API."""

    environment: str
    reason: str
    api: str
    version: str | None
    errors: int


class Figures(msgspec.Struct):
    """All that a month's report says of an organisation.

    `unattributed` are failed requests that the service gives no application or no API.
    """

    organization: str
    month: Month
    computed: datetime
    finality: Finality
    before_is_whole: bool
    totals: list[Totals]
    apis: list[ReportedApi]
    consumers: list[Consumer]
    reasons: list[Reason]
    changes: list[InventoryChange]
    usage: list[MonthlyUsage]
    unattributed: int
    not_exported: tuple[str, ...]


def figures(
    dataset: Any,
    organization: str,
    month: Month,
    settings: ReportSettings,
    now: datetime,
    targets: Targets | None = None,
) -> Figures:
    """The figures of a month.

    `dataset` is a `choreo_insights.dataset.store.Dataset`. Raises InsightsError where the dataset
    has nothing of the organisation or an object cannot be read, and what `Dataset` raises.
    """
    registry = Registry(dataset, "report", lambda: now)
    known = registry.known(organization)
    if not known:
        raise InsightsError(
            f"the dataset has nothing of the organisation {organization!r}: check its handle, and"
            " export it first (`insights export`)"
        )
    if settings.since > month.last:
        first = Month.of(settings.since)
        raise InsightsError(
            f"{month} ends before the first exported day, {settings.since}: the first month with"
            f" data is {first} (`insights report --month {first}`)"
        )
    names: dict[tuple[str, str, str], KnownName] = {
        (each.id, name.kind, name.id): name
        for each in known
        for kind in _KINDS
        for name in registry.recalled(organization, each.environment, kind).known
    }
    return _Month(dataset, organization, month, settings, now, known, names, targets).figures()


def shown_names(known: Sequence[KnownEnvironment]) -> dict[str, str]:
    """What each environment is called, as in the view `environment_names`."""
    names = {each.id: each.name or each.id for each in known}
    shown = {}
    for own_id, name in names.items():
        same = [other for other, of in names.items() if of == name]
        shorts = [other[:8] for other in same]
        if len(same) == 1:
            shown[own_id] = name
        else:
            short = own_id[:8] if shorts.count(own_id[:8]) == 1 else own_id
            shown[own_id] = f"{name} ({short})"
    return shown


class _Month:
    """Adds up one month's objects, each as it is read."""

    def __init__(
        self,
        dataset: ObjectReader,
        organization: str,
        month: Month,
        settings: ReportSettings,
        now: datetime,
        known: Sequence[KnownEnvironment],
        names: Mapping[tuple[str, str, str], KnownName],
        targets: Targets | None,
    ) -> None:
        self._month = month
        self._settings = settings
        self._now = now
        self._organization = organization
        self._known = known
        self._shown = shown_names(known)
        self._names = names
        # Of an environment that is gone no run exports a day. Without any list all of them count.
        listed = [each for each in known if each.listed] or known
        self._listed = [self._shown[each.id] for each in listed]
        self._targets = targets or Targets()
        exported = {table.name for table in settings.tables}
        self._tables = {name: columns for name, columns in _MONTH.items() if name in exported}
        environments = [each.environment for each in known]
        self._objects = Objects(dataset, organization, environments, settings.settle_hours)
        self._states: dict[tuple[str, str, date], State] = {}
        self._totals: dict[str, Totals] = {}
        self._apis: dict[tuple[str, str], ReportedApi] = {}
        self._codes: dict[tuple[str, str], dict[str, list[int]]] = {}
        self._hours: dict[tuple[str, str], dict[int, float]] = {}
        self._usage: dict[tuple[str, str | None, str | None, date], MonthlyUsage] = {}
        self._failed: defaultdict[tuple[str, str | None, str | None, date], int] = defaultdict(int)
        self._reasons: defaultdict[tuple[str, str, str | None], int] = defaultdict(int)
        self._before: dict[tuple[str, str | None, str | None], int] = {}
        self._unattributed = 0

    def figures(self) -> Figures:
        month, objects = self._month, self._objects
        for content in objects.contents(self._tables, month.first, month.last):
            self._take(content)
        self._take_whole_month()
        whole = self._take_before()
        lists = {
            name: columns
            for name, columns in inventory.COLUMNS.items()
            if any(table.name == name for table in self._settings.tables)
        }
        listed = objects.contents(lists, month.previous.first, month.last)
        self._add_failures()
        return Figures(
            organization=self._organization,
            month=month,
            computed=self._now,
            finality=self._finality(),
            before_is_whole=whole,
            totals=sorted(self._totals.values(), key=lambda each: each.environment),
            apis=self._sorted_apis(),
            usage=list(self._usage.values()),
            consumers=self._consumers(whole=whole),
            reasons=self._sorted_reasons(),
            changes=inventory.changes(listed, month.first, self._shown),
            unattributed=self._unattributed,
            not_exported=tuple(name for name in _MONTH if name not in self._tables),
        )

    def _finality(self) -> Finality:
        today = self._now.astimezone(UTC).date()
        wanted = {name: tuple(self._tables) for name in self._listed}
        return finality(self._month, self._settings.since, today, wanted, self._states)

    # ------------------------------------------------------------------ the month itself
    def _take(self, content: ObjectContent) -> None:
        shown = self._shown[content.environment.id]
        self._states[content.table, shown, content.day] = content.state
        if content.table in ("total_traffic", "total_errors", "overall_latency"):
            self._take_total(content, self._total(content.environment))
        elif content.table in ("apis_usage_by_applications", "errors_details"):
            self._take_callers(content)
        else:
            self._take_api(content)

    def _total(self, environment: Environment) -> Totals:
        return self._totals.setdefault(environment.id, Totals(self._shown[environment.id]))

    def _take_total(self, content: ObjectContent, total: Totals) -> None:
        for row in content.rows:
            if content.table == "overall_latency":
                p95 = row["overall_latency"]
                total.highest_daily_p95_ms = _most(total.highest_daily_p95_ms, p95)
            else:
                _count(total.now, content.table, row)

    def _api(self, environment: Environment, api_id: str) -> ReportedApi:
        key = environment.id, api_id
        if key not in self._apis:
            name, version = self._api_name(environment.id, api_id)
            target = self._targets.of(api_id, name, version)
            self._apis[key] = ReportedApi(
                self._shown[environment.id], api_id, name, version, target
            )
        return self._apis[key]

    def _api_name(self, environment: str, api_id: str | None) -> tuple[str, str | None]:
        known = self._names.get((environment, "api", api_id or ""))
        if known is None:
            return api_id or "(no API)", None
        return known.display_name or known.name or known.id, known.version

    def _take_api(self, content: ObjectContent) -> None:
        for row in content.rows:
            api_id = _api_id(row)
            if api_id is None:
                continue
            api = self._api(content.environment, api_id)
            if content.table == "latency":
                self._take_hour((content.environment.id, api_id), row)
            elif content.table == "errors_by_status_code":
                _take_code(self._codes.setdefault((content.environment.id, api_id), {}), row)
            else:
                _count(api.now, content.table, row)

    def _take_hour(self, key: tuple[str, str], row: Row) -> None:
        """Keeps the highest percentile of an hour: with several tenants it has several rows."""
        if row["response"] is not None:
            hours = self._hours.setdefault(key, {})
            hours[row["time_span"]] = max(row["response"], hours.get(row["time_span"], 0.0))

    def _take_callers(self, content: ObjectContent) -> None:
        for row in content.rows:
            api_id, application = _api_id(row), row["application_id"] or None
            key = content.environment.id, application, api_id, content.day
            if content.table == "errors_details":
                self._failed[key] += row["count"] or 0
                reason = content.environment.id, row["reason"] or "(none given)", api_id
                self._reasons[reason] += row["count"] or 0
                continue
            usage = self._usage.get(key)
            if usage is None:
                usage = self._usage[key] = self._new_usage(content, row, api_id)
            usage.requests += row["count"] or 0

    def _new_usage(self, content: ObjectContent, row: Row, api_id: str | None) -> MonthlyUsage:
        environment = content.environment
        api, version = self._api_name(environment.id, api_id)
        application_id = row["application_id"] or None
        known = self._names.get((environment.id, "application", application_id or ""))
        name = (known.name if known else None) or row["application_name"]
        owner = (known.owner if known else None) or row["application_owner"]
        return MonthlyUsage(
            environment=environment,
            shown=self._shown[environment.id],
            application_id=application_id,
            application=name or application_id or UNKNOWN,
            owner=owner,
            api_id=api_id,
            api=api,
            version=version,
            day=content.day,
            requests=0,
        )

    def _add_failures(self) -> None:
        for key, failed in self._failed.items():
            if key in self._usage:
                usage = self._usage[key]
                usage.failed = min(failed, usage.requests)
                self._unattributed += failed - usage.failed
            else:
                self._unattributed += failed

    def _take_whole_month(self) -> None:
        """Reads the percentiles of the month itself, which are open until it has settled."""
        if all(table.name != _BY_MONTH for table in self._settings.tables):
            return
        first, last = self._month.first, self._month.last
        for content in self._objects.contents({_BY_MONTH: (_BY_MONTH,)}, first, first):
            total = self._total(content.environment)
            for row in content.rows:
                total.p95_ms = _most(total.p95_ms, row[_BY_MONTH])
            closed = is_closed(content.written, last, self._settings.settle_hours)
            self._states[_BY_MONTH, total.environment, last] = "closed" if closed else "open"

    # ------------------------------------------------------------------ the month before
    def _take_before(self) -> bool:
        """Reads the month before; whether every day of both is there, so that they compare."""
        month = self._month.previous
        tables = {name: self._tables[name] for name in BEFORE if name in self._tables}
        days: set[tuple[str, str, date]] = set()
        totals: dict[str, UsageCounts] = {}
        apis: dict[tuple[str, str], UsageCounts] = {}
        for content in self._objects.contents(tables, month.first, month.last):
            days.add((content.table, self._shown[content.environment.id], content.day))
            for row in content.rows:
                if content.table in ("total_traffic", "total_errors"):
                    counts = totals.setdefault(content.environment.id, UsageCounts())
                    _count(counts, content.table, row)
                elif content.table == "apis_usage_by_applications":
                    caller = content.environment.id, row["application_id"] or None, _api_id(row)
                    self._before[caller] = self._before.get(caller, 0) + (row["count"] or 0)
                elif api_id := _api_id(row):
                    counts = apis.setdefault((content.environment.id, api_id), UsageCounts())
                    _count(counts, content.table, row)
        if not self._is_whole(tables, days):
            return False
        for environment, total in self._totals.items():
            total.before = totals.get(environment)
        for key, api in self._apis.items():
            api.before = apis.get(key)
        return True

    def _is_whole(self, tables: Iterable[str], before: set[tuple[str, str, date]]) -> bool:
        for month, days in ((self._month, set(self._states)), (self._month.previous, before)):
            wanted = {
                (table, name, month.first.replace(day=number))
                for table in tables
                for name in self._listed
                for number in range(1, month.days + 1)
            }
            if not wanted <= days:
                return False
        return True

    # ------------------------------------------------------------------ in order
    def _sorted_apis(self) -> list[ReportedApi]:
        for key, hours in self._hours.items():
            api = self._apis[key]
            api.highest_hourly_p95_ms = max(hours.values())
            api.hours = len(hours)
            if (target := api.target.p95_ms) is not None:
                api.hours_above = sum(p95 > target for p95 in hours.values())
        for key, codes in self._codes.items():
            api = self._apis[key]
            api.errors_5xx = _five(codes, api.now.errors)
        if "errors_by_status_code" in self._tables:
            for api in self._apis.values():
                if api.errors_5xx is None and api.now.requests is not None:
                    api.errors_5xx = 0
        return sorted(
            self._apis.values(),
            key=lambda a: (
                a.environment,
                -(a.now.requests or 0),
                a.name,
                a.version or "",
                a.api_id,
            ),
        )

    def _sorted_reasons(self) -> list[Reason]:
        reasons = [
            Reason(self._shown[environment], reason, *self._api_name(environment, api_id), errors)
            for (environment, reason, api_id), errors in self._reasons.items()
        ]
        return sorted(reasons, key=lambda r: (r.environment, -r.errors, r.reason, r.api))

    def _consumers(self, *, whole: bool) -> list[Consumer]:
        found: dict[tuple[str, str | None, str | None], Consumer] = {}
        for usage in self._usage.values():
            key = usage.environment.id, usage.application_id, usage.api_id
            if key not in found:
                before = self._before.get(key, 0) if whole else None
                found[key] = Consumer(
                    *(usage.shown, usage.application, usage.owner, usage.api, usage.version),
                    *(0, 0, before, usage.application_id, usage.api_id),
                )
            found[key].requests += usage.requests
            found[key].failed += usage.failed
        return sorted(
            found.values(),
            key=lambda c: (c.environment, -c.requests, c.application, c.api, c.version or ""),
        )


def _api_id(row: Row) -> str | None:
    found: str | None = row.get("api_id_resolved") or row.get("api_id")
    return found or None


def _count(counts: UsageCounts, table: str, row: Row) -> None:
    if table == "total_traffic":
        counts.requests = (counts.requests or 0) + (row["total_traffic"] or 0)
    elif table == "total_errors":
        counts.errors = (counts.errors or 0) + (row["total_errors"] or 0)
    elif table == "total_traffic_by_api":
        counts.requests = (counts.requests or 0) + (row["total_traffic_by_api"] or 0)
    else:
        counts.errors = (counts.errors or 0) + (row["proxy"] or 0)


def _take_code(codes: dict[str, list[int]], row: Row) -> None:
    """Adds to [all, 5xx] of the side that a row is of."""
    count = row["count"] or 0
    side = codes.setdefault(str(row["error_type"]).lower(), [0, 0])
    side[0] += count
    side[1] += count if str(row["status_code"]).startswith("5") else 0


def _five(codes: Mapping[str, Sequence[int]], errors: int | None) -> int:
    """Failures with a 5xx code.

    Whether the gateway's side (PROXY) repeats those of the backend (TARGET) is not documented.
    Where it accounts for all failed requests of the API it does, and counts alone; else both add
    up, up to all failed requests.
    """
    proxy, target = codes.get("proxy", (0, 0)), codes.get("target", (0, 0))
    if errors is not None and proxy[0] >= errors:
        return proxy[1]
    five = proxy[1] + target[1]
    return five if errors is None else min(five, errors)


def _most(known: float | None, other: float | None) -> float | None:
    if known is None or other is None:
        return other if known is None else known
    return max(known, other)
