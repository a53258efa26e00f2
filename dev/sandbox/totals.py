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


def _cells(asked: QueryContext, args: Args, pick: Pick = ALL) -> list[Cell]:
    span = span_of(args.get("filter") or args.get("timeFilter"), asked.now)
    return asked.cells(asked.sources(args), span, pick)


def _shown(asked: QueryContext, args: Args) -> Callable[[Cell], str]:
    """How the answer names the API of a cell: as at the beginning of the time range."""
    span = span_of(args.get("filter") or args.get("timeFilter"), asked.now)
    return lambda cell: asked.shown(cell.stream.api, span.start)


def total_traffic(asked: QueryContext, args: Args) -> int:
    """`getTotalTraffic`."""
    return sum(cell.total for cell in _cells(asked, args))


def total_errors(asked: QueryContext, args: Args) -> int:
    """`getTotalErrors`."""
    return sum(cell.errors for cell in _cells(asked, args))


def overall_latency_of_all(asked: QueryContext, args: Args) -> float | None:
    """`getOverallLatency`; null without traffic."""
    p95 = overall_latency(_cells(asked, args))
    return None if p95 is None else float(p95)


def total_traffic_by_api(asked: QueryContext, args: Args) -> int:
    """`getTotalTrafficByAPI`."""
    return sum(cell.total for cell in _cells(asked, args, one_api(args["apiId"])))


def total_errors_by_api(asked: QueryContext, args: Args) -> Row:
    """`getTotalErrorsByAPI`: all failed requests, whoever answered them."""
    return {"proxy": sum(cell.errors for cell in _cells(asked, args, one_api(args["apiId"])))}


def overall_latency_by_api(_asked: QueryContext, _args: Args) -> Row:
    """`getOverallLatencyByAPI`, which was seen to fail always."""
    raise QueryError("internal system error")


def top_slowest_apis(asked: QueryContext, args: Args) -> list[Row]:
    """`topSlowestAPIs`."""
    by_api = grouped(_cells(asked, args), _shown(asked, args))
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


def _paged(given: str, by: str, name: str = "usage") -> Callable[[_Rows], Callable[..., Row]]:
    """Pages for a query field: the argument with the `paginationFilter`, the usual sort field."""

    def wrap(make: _Rows) -> Callable[[QueryContext, Args], Row]:
        def resolve(asked: QueryContext, args: Args) -> Row:
            wanted = (args.get(given) or {}).get("paginationFilter")
            # The wall's clock goes on between two pages: what it changes in a second is let be.
            now = asked.now.replace(microsecond=0)
            about = (by, given, _without_page(args), asked.settings, now, asked.world_seen)
            place = asked.on_prem.id if asked.on_prem else asked.organization.uuid
            rows, pagination = asked.pages.page(
                repr((place, *about)), wanted, asked.settings, by, lambda: make(asked, args)
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
def errors_details(asked: QueryContext, args: Args) -> list[Row]:
    """`getErrorsDetails`."""
    given = args.get("errorsDetailsFilter") or {}
    span = span_of(args["timeFilter"], asked.now)
    granularity = asked.granularity(given.get("granularity"), span)
    pick = Pick(one_api(given.get("apiId")).apis, _one(given.get("appId")))
    search = given.get("searchFilter") or {}
    apis = asked.ids(search.get("apiIds"))
    counts: Counter[tuple[Any, ...]] = Counter()
    buckets = asked.series(asked.sources(args), span, granularity, pick)
    for start, cells in buckets.items():
        for cell in cells:
            if cell.errors and _wanted(cell, given.get("category"), apis):
                shown = asked.shown(cell.stream.api, start)
                counts[(span.text(start), *detail(cell, shown))] += cell.errors
    names = ("timeSpan", "apiId", "applicationId", "applicationName", "applicationOwner", "reason")
    rows = [dict(zip(names, key, strict=True)) | {"count": count} for key, count in counts.items()]
    return _found(rows, search, "reason")


def _one(given: str | None) -> frozenset[str] | None:
    return frozenset((given,)) if given else None


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


def _found(rows: list[Row], search: Args, name: str) -> list[Row]:
    text = (search.get("searchText") or "").lower()
    return [row for row in rows if text in row[name].lower()]


@_paged("errorCountByStatusCodeFilter", by="apiId", name="errors")
def errors_by_status_code(asked: QueryContext, args: Args) -> list[Row]:
    """`getErrorsByStatusCode`. Pages count APIs."""
    given = args["errorCountByStatusCodeFilter"]
    target, codes = given["errorType"] == "TARGET", given.get("errorCodeType")
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    shown = _shown(asked, args)
    for cell in _cells(asked, args, one_api(given.get("apiId"))):
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
def resource_usage(asked: QueryContext, args: Args) -> list[Row]:
    """`getResourceUsage`."""
    given = args.get("resourceUsageFilter") or {}
    search = given.get("searchFilter") or {}
    cells = _cells(asked, args, Pick(asked.ids(search.get("apiIds"))))
    shown = _shown(asked, args)
    counts = counted(cells, lambda c: (shown(c), c.stream.template, c.stream.method))
    rows = [
        {"apiId": api, "apiResourceTemplate": template, "apiMethod": method, "count": count}
        for (api, template, method), count in counts.items()
    ]
    return _found(rows, search, "apiResourceTemplate")


def _device_cells(asked: QueryContext, args: Args, name: str = "deviceFilter") -> list[Cell]:
    return _cells(asked, args, Pick(asked.ids((args.get(name) or {}).get("apiIds"))))


def top_platforms(asked: QueryContext, args: Args) -> list[Row]:
    """`getTopPlatforms`."""
    counts = counted(_device_cells(asked, args), lambda cell: cell.stream.platform)
    return [{"platform": name, "count": count} for name, count in top_and_other(counts)]


def top_user_agents(asked: QueryContext, args: Args) -> list[Row]:
    """`getTopUserAgents`."""
    counts = counted(_device_cells(asked, args), lambda cell: cell.stream.user_agent)
    return [{"userAgent": name, "count": count} for name, count in top_and_other(counts)]


def top_and_other(counts: Counter[str]) -> list[tuple[str, int]]:
    """The nine largest, and the rest as `Other`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    other = sum(count for _, count in ordered[TOP:])
    return ordered[:TOP] + ([("Other", other)] if other else [])


def usage_by_geo_location(asked: QueryContext, args: Args) -> list[Row]:
    """`getAPIUsageByGeoLocation`: on-premise environments only."""
    given = args.get("geoLocationFilter") or {}
    sources = [s for s in asked.sources(args) if s.environment.type == "ON_PREM"]
    span = span_of(args["timeFilter"], asked.now)
    cells = asked.cells(sources, span, Pick(asked.ids(given.get("apiIds"))))
    counts = counted(cells, lambda cell: cell.stream.country)
    return [{"country": name, "count": count} for name, count in sorted(counts.items())]


def usage_by_applications(asked: QueryContext, args: Args) -> list[Row]:
    """`getAPIsUsageByApplications`."""
    given = args.get("apiUsageByAppFilter") or {}
    pick = Pick(asked.ids(given.get("apiIds")), asked.ids(given.get("appIds")))
    owners = asked.ids(given.get("subscribers"))
    shown = _shown(asked, args)
    counts = counted(_cells(asked, args, pick), lambda cell: (shown(cell), cell.stream.application))
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
def top_apis_by_alert_count(asked: QueryContext, args: Args) -> list[Row]:
    """`getTopAPIsByAlertCount`."""
    given = args.get("topAPIsByAlertCountFilter") or {}
    search = given.get("searchFilter") or {}
    span = span_of(args["timeFilter"], asked.now)
    counts = Counter(alert.api for alert in asked.alerts(asked.sources(args), span))
    rows = [{"apiId": api, "count": count} for api, count in counts.items()]
    apis = asked.ids(search.get("apiIds"))
    rows = [row for row in rows if apis is None or row["apiId"] in apis]
    return _found(rows, search, "apiId")


@_paged("alertSummaryFilter", by="timestamp")
def alert_summary(asked: QueryContext, args: Args) -> list[Row]:
    """`getAlertSummary`."""
    given = args.get("alertSummaryFilter") or {}
    search = given.get("searchFilter") or {}
    span = span_of(args["timeFilter"], asked.now)
    apis = asked.ids(given.get("apiIds") or search.get("apiIds"))
    rows = [
        {
            "timestamp": span.text(alert.minute),
            "apiId": alert.api,
            "category": alert.category,
            "metric": alert.metric,
            "severity": alert.severity,
            "message": alert.message,
        }
        for alert in asked.alerts(asked.sources(args), span)
        if given.get("category") in (None, alert.category) and (apis is None or alert.api in apis)
    ]
    return _found(rows, search, "message")


def success_usage(asked: QueryContext, args: Args) -> list[Row]:
    """`getSuccessAPIsUsageByApplications`: asked with an on-prem key in place of the token."""
    if asked.on_prem is None:
        raise QueryError("An on-prem key is needed in place of the access token")
    return _success(asked, args, asked.on_prem.name)


def success_usage_with_key(asked: QueryContext, args: Args) -> list[Row]:
    """`getSuccessAPIsUsageByApplicationsWithOnPremKey`."""
    own = asked.organization.on_prem
    if own is None or args["onPremKey"] != asked.organization.on_prem_key:
        raise QueryError("Invalid on-prem key")
    return _success(asked, args, own.name)


def _success(asked: QueryContext, args: Args, environment: str) -> list[Row]:
    given = args.get("successAPIUsageByAppFilter") or {}
    domains = asked.ids(given.get("tenantDomains"))
    if domains is not None and "carbon.super" not in domains:
        return []
    span = span_of(args["timeFilter"], asked.now)
    sources = asked.of_ids(asked.organization.environment(environment).ids)
    cells = asked.cells(sources, span, Pick(asked.ids(given.get("apiIds"))))
    return success_rows(cells, lambda api: asked.shown(api, span.start))


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
            "count": sum(cell.ok for cell in found),
        }
        for (api, app), found in groups.items()
    ]
    rows = [row for row in rows if row["count"]]
    return sorted(rows, key=lambda row: (row["apiId"], row["applicationId"]))
