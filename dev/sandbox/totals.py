"""Query fields that answer over a whole time range: totals, tops and pages."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from dev.sandbox.filters import ALL, Args, Pick, QueryContext, one_api, span_of
from dev.sandbox.paging import Row
from dev.sandbox.refusals import QueryError
from dev.sandbox.series import overall_latency
from dev.sandbox.traffic import Cell
from dev.sandbox.world import Api

# The console shows so many platforms and user agents, and sums the others.
TOP = 9


def _cells(context: QueryContext, args: Args, pick: Pick = ALL) -> list[Cell]:
    span = span_of(args.get("filter") or args.get("timeFilter"), context.now)
    return context.cells(context.sources(args), span, pick)


def _shown(context: QueryContext, args: Args) -> Callable[[Cell], str]:
    """How the answer names the API of a cell: as at the beginning of the time range."""
    span = span_of(args.get("filter") or args.get("timeFilter"), context.now)
    return lambda cell: context.shown(cell.stream.api, span.start)


def total_traffic(context: QueryContext, args: Args) -> int:
    """`getTotalTraffic`."""
    return sum(cell.total for cell in _cells(context, args))


def total_errors(context: QueryContext, args: Args) -> int:
    """`getTotalErrors`."""
    return sum(cell.errors for cell in _cells(context, args))


def overall_latency_of_all(context: QueryContext, args: Args) -> float | None:
    """`getOverallLatency`; null without traffic."""
    p95 = overall_latency(_cells(context, args))
    return None if p95 is None else float(p95)


def total_traffic_by_api(context: QueryContext, args: Args) -> int:
    """`getTotalTrafficByAPI`."""
    cells = _cells(context, args, one_api(args["apiId"]))
    return sum(cell.total if context.settings.totals_equal_usage else cell.ok for cell in cells)


def total_errors_by_api(context: QueryContext, args: Args) -> Row:
    """`getTotalErrorsByAPI`: all failed requests, whoever answered them."""
    return {"proxy": sum(cell.errors for cell in _cells(context, args, one_api(args["apiId"])))}


def overall_latency_by_api(_context: QueryContext, _args: Args) -> Row:
    """`getOverallLatencyByAPI`, which was seen to fail always."""
    raise QueryError("internal system error")


def top_slowest_apis(context: QueryContext, args: Args) -> list[Row]:
    """`topSlowestAPIs`."""
    by_api = grouped(_cells(context, args), _shown(context, args))
    return slowest(by_api)[: max(args["limit"], 0)]


def slowest(by_api: dict[str, list[Cell]]) -> list[Row]:
    """APIs with their 95th percentile, the slowest first."""
    rows = [{"apiId": api, "latency": overall_latency(cells)} for api, cells in by_api.items()]
    return sorted(rows, key=lambda row: (-(row["latency"] or 0), row["apiId"]))


def grouped(cells: Iterable[Cell], key: Callable[[Cell], Any]) -> dict[Any, list[Cell]]:
    groups: defaultdict[Any, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[key(cell)].append(cell)
    return dict(groups)


def counted(cells: Iterable[Cell], key: Callable[[Cell], Any]) -> Counter[Any]:
    """Requests by a key."""
    counts: Counter[Any] = Counter()
    for cell in cells:
        counts[key(cell)] += cell.total
    return counts


_Rows = Callable[[QueryContext, Args], list[Row]]


def _paged(argument: str, by: str, name: str = "usage") -> Callable[[_Rows], Callable[..., Row]]:
    """Pages for a query field: the argument with the `paginationFilter`, the usual sort field."""

    def wrap(make: _Rows) -> Callable[[QueryContext, Args], Row]:
        def resolve(context: QueryContext, args: Args) -> Row:
            wanted = (args.get(argument) or {}).get("paginationFilter")
            # The real clock goes on between two pages: within a second they are one list.
            now = context.now.replace(microsecond=0)
            about = (by, argument, _without_page(args), context.settings, now, context.world_seen)
            # Pages must not mix callers, who may see different rows.
            place = context.on_prem.id if context.on_prem else context.organization.uuid
            rows, pagination = context.pages.page(
                repr((place, *about)), wanted, context.settings, by, lambda: make(context, args)
            )
            return {name: rows, "pagination": pagination}

        return resolve

    return wrap


def _without_page(args: Args) -> Row:
    return {
        name: {k: v for k, v in value.items() if k != "paginationFilter"}
        for name, value in args.items()
        if isinstance(value, dict)
    }


@_paged("errorsDetailsFilter", by="timeSpan")
def errors_details(context: QueryContext, args: Args) -> list[Row]:
    """`getErrorsDetails`."""
    chosen = args.get("errorsDetailsFilter") or {}
    span = span_of(args["timeFilter"], context.now)
    granularity = context.granularity(chosen.get("granularity"), span)
    pick = Pick(one_api(chosen.get("apiId")).apis, _one(chosen.get("appId")))
    search = chosen.get("searchFilter") or {}
    apis = context.ids(search.get("apiIds"))
    counts: Counter[tuple[Any, ...]] = Counter()
    buckets = context.series(context.sources(args), span, granularity, pick)
    for start, cells in buckets.items():
        for cell in cells:
            if cell.errors and _wanted(cell, chosen.get("category"), apis):
                shown = context.shown(cell.stream.api, start)
                counts[(span.text(start), *detail(cell, shown))] += cell.errors
    names = ("timeSpan", "apiId", "applicationId", "applicationName", "applicationOwner", "reason")
    rows = [dict(zip(names, key, strict=True)) | {"count": count} for key, count in counts.items()]
    return _searched(rows, search, "reason")


def _one(own_id: str | None) -> frozenset[str] | None:
    return frozenset((own_id,)) if own_id else None


def _wanted(cell: Cell, category: str | None, apis: frozenset[str] | None) -> bool:
    api = cell.stream.api
    if apis is not None and apis.isdisjoint((api.id, api.shown, api.named)):
        return False
    return category in (None, cell.kind.category)


def detail(cell: Cell, shown: str) -> tuple[str | None, str | None, str | None, str | None, str]:
    """API, application's id, name and owner, and reason of the errors of a cell."""
    kind, stream = cell.kind, cell.stream
    api = None if kind.without_api else shown
    if kind.without_application:
        return api, None, "UNKNOWN", None, kind.reason
    app = stream.application
    return api, app.id, app.name, app.owner, kind.reason


def _searched(rows: list[Row], search: Args, name: str) -> list[Row]:
    text = (search.get("searchText") or "").lower()
    return [row for row in rows if text in row[name].lower()]


@_paged("errorCountByStatusCodeFilter", by="apiId", name="errors")
def errors_by_status_code(context: QueryContext, args: Args) -> list[Row]:
    """`getErrorsByStatusCode`. Pages count APIs."""
    chosen = args["errorCountByStatusCodeFilter"]
    target, codes = chosen["errorType"] == "TARGET", chosen.get("errorCodeType")
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    shown = _shown(context, args)
    for cell in _cells(context, args, one_api(chosen.get("apiId"))):
        kind = cell.kind
        if cell.errors and kind.target == target and codes in (None, f"_{kind.status // 100}XX"):
            counts[shown(cell)][kind.status] += cell.errors
    return [
        {
            "apiId": api,
            "errorCountByCode": [
                {"statusCode": str(status), "count": count}
                for status, count in sorted(by_code.items())
            ],
        }
        for api, by_code in counts.items()
    ]


@_paged("resourceUsageFilter", by="count")
def resource_usage(context: QueryContext, args: Args) -> list[Row]:
    """`getResourceUsage`."""
    chosen = args.get("resourceUsageFilter") or {}
    search = chosen.get("searchFilter") or {}
    cells = _cells(context, args, Pick(context.ids(search.get("apiIds"))))
    shown = _shown(context, args)
    counts = counted(cells, lambda c: (shown(c), c.stream.template, c.stream.method))
    rows = [
        {"apiId": api, "apiResourceTemplate": template, "apiMethod": method, "count": count}
        for (api, template, method), count in counts.items()
    ]
    return _searched(rows, search, "apiResourceTemplate")


def _device_cells(context: QueryContext, args: Args, name: str = "deviceFilter") -> list[Cell]:
    return _cells(context, args, Pick(context.ids((args.get(name) or {}).get("apiIds"))))


def top_platforms(context: QueryContext, args: Args) -> list[Row]:
    """`getTopPlatforms`."""
    counts = counted(_device_cells(context, args), lambda cell: cell.stream.platform)
    return [{"platform": name, "count": count} for name, count in top_and_other(counts)]


def top_user_agents(context: QueryContext, args: Args) -> list[Row]:
    """`getTopUserAgents`."""
    counts = counted(_device_cells(context, args), lambda cell: cell.stream.user_agent)
    return [{"userAgent": name, "count": count} for name, count in top_and_other(counts)]


def top_and_other(counts: Counter[str]) -> list[tuple[str, int]]:
    """The nine largest, and the rest as `Other`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    other = sum(count for _, count in ordered[TOP:])
    # The top nine and `Other` [Choreo].
    return ordered[:TOP] + ([("Other", other)] if other else [])


def usage_by_geo_location(context: QueryContext, args: Args) -> list[Row]:
    """`getAPIUsageByGeoLocation`: on-premise environments only."""
    chosen = args.get("geoLocationFilter") or {}
    # The service has countries of on-premise environments only [Choreo].
    sources = [s for s in context.sources(args) if s.environment.type == "ON_PREM"]
    span = span_of(args["timeFilter"], context.now)
    cells = context.cells(sources, span, Pick(context.ids(chosen.get("apiIds"))))
    counts = counted(cells, lambda cell: cell.stream.country)
    return [{"country": name, "count": count} for name, count in sorted(counts.items())]


def usage_by_applications(context: QueryContext, args: Args) -> list[Row]:
    """`getAPIsUsageByApplications`."""
    chosen = args.get("apiUsageByAppFilter") or {}
    pick = Pick(context.ids(chosen.get("apiIds")), context.ids(chosen.get("appIds")))
    owners = context.ids(chosen.get("subscribers"))
    shown = _shown(context, args)
    counts = counted(
        _cells(context, args, pick), lambda cell: (shown(cell), cell.stream.application)
    )
    return [
        {
            "apiId": api,
            "applicationId": app.id,
            "applicationName": app.name,
            "applicationOwner": app.owner,
            "count": count,
        }
        for (api, app), count in sorted(counts.items(), key=lambda i: (i[0][0], i[0][1].id))
        if owners is None or app.owner in owners
    ]


@_paged("topAPIsByAlertCountFilter", by="count")
def top_apis_by_alert_count(context: QueryContext, args: Args) -> list[Row]:
    """`getTopAPIsByAlertCount`."""
    chosen = args.get("topAPIsByAlertCountFilter") or {}
    search = chosen.get("searchFilter") or {}
    span = span_of(args["timeFilter"], context.now)
    counts = Counter(alert.api for alert in context.alerts(context.sources(args), span))
    rows = [{"apiId": api, "count": count} for api, count in counts.items()]
    apis = context.ids(search.get("apiIds"))
    rows = [row for row in rows if apis is None or row["apiId"] in apis]
    return _searched(rows, search, "apiId")


@_paged("alertSummaryFilter", by="timestamp")
def alert_summary(context: QueryContext, args: Args) -> list[Row]:
    """`getAlertSummary`."""
    chosen = args.get("alertSummaryFilter") or {}
    search = chosen.get("searchFilter") or {}
    span = span_of(args["timeFilter"], context.now)
    apis = context.ids(chosen.get("apiIds") or search.get("apiIds"))
    rows = [
        {
            "timestamp": span.text(alert.minute),
            "apiId": alert.api,
            "category": alert.category,
            "metric": alert.metric,
            "severity": alert.severity,
            "message": alert.message,
        }
        for alert in context.alerts(context.sources(args), span)
        if chosen.get("category") in (None, alert.category) and (apis is None or alert.api in apis)
    ]
    return _searched(rows, search, "message")


def success_usage(context: QueryContext, args: Args) -> list[Row]:
    """`getSuccessAPIsUsageByApplications`: queried with an on-prem key in place of the token."""
    if context.on_prem is None:
        raise QueryError("An on-prem key is needed in place of the access token")
    return _success(context, args, context.on_prem.name)


def success_usage_with_key(context: QueryContext, args: Args) -> list[Row]:
    """`getSuccessAPIsUsageByApplicationsWithOnPremKey`."""
    own = context.organization.on_prem
    if own is None or args["onPremKey"] != context.organization.on_prem_key:
        raise QueryError("Invalid on-prem key")
    return _success(context, args, own.name)


def _success(context: QueryContext, args: Args, environment: str) -> list[Row]:
    chosen = args.get("successAPIUsageByAppFilter") or {}
    domains = context.ids(chosen.get("tenantDomains"))
    if domains is not None and "carbon.super" not in domains:
        return []
    span = span_of(args["timeFilter"], context.now)
    sources = context.of_ids(context.organization.environment(environment).ids)
    cells = context.cells(sources, span, Pick(context.ids(chosen.get("apiIds"))))
    return success_rows(cells, lambda api: context.shown(api, span.start))


def success_rows(cells: Iterable[Cell], shown: Callable[[Api], str]) -> list[Row]:
    """Successful requests by API and application."""
    groups = grouped(cells, lambda cell: (cell.stream.api, cell.stream.application))
    rows = [
        {
            "apiId": shown(api),
            "apiName": api.name,
            "apiVersion": api.version,
            "apiCreatorTenantDomain": "carbon.super",
            "applicationId": app.id,
            "applicationName": app.name,
            "applicationOwner": app.owner,
            "count": sum(cell.ok for cell in cells_of),
        }
        for (api, app), cells_of in groups.items()
    ]
    rows = [row for row in rows if row["count"]]
    return sorted(rows, key=lambda row: (row["apiId"], row["applicationId"]))
