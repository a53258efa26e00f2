"""Query fields that answer by time bucket."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from dev.sandbox.filters import (
    ALL,
    Args,
    Key,
    Pick,
    QueryContext,
    TimeSpan,
    keys_of,
    one_api,
    span_of,
)
from dev.sandbox.paging import Row
from dev.sandbox.traffic import Cell, ErrorKind, Latencies, percentile

Buckets = dict[int, list[Cell]]
LATENCY_FIELDS = (
    "response",
    "backend",
    "requestMediation",
    "responseMediation",
    "responseMedian",
    "backendMedian",
    "requestMediationMedian",
    "responseMediationMedian",
)
CATEGORIES = ("auth", "targetConnectivity", "throttled", "other")


def _series(
    context: QueryContext, args: Args, granularity_sent: str | None, pick: Pick = ALL
) -> tuple[str, TimeSpan, Buckets]:
    """The granularity to echo, the span, and the cells by bucket."""
    span = span_of(args.get("filter") or args.get("timeFilter"), context.now)
    granularity = context.granularity(granularity_sent, span)
    return granularity, span, context.series(context.sources(args), span, granularity, pick)


def _filter(args: Args, name: str) -> Args:
    return args.get(name) or {}


def success_summary(context: QueryContext, args: Args) -> Row:
    """`getSuccessSummary`."""
    granularity, span, buckets = _series(context, args, args.get("granularity"))
    summary = [
        {"timeSpan": span.text(start), "requestCount": sum(cell.ok for cell in cells)}
        for start, cells in buckets.items()
    ]
    return {"granularity": granularity, "summary": _kept(context, summary, "requestCount")}


def error_summary(context: QueryContext, args: Args) -> Row:
    """`getErrorSummary`."""
    granularity, span, buckets = _series(context, args, args.get("granularity"))
    summary = [
        {"timeSpan": span.text(start), "errorCount": sum(cell.errors for cell in cells)}
        for start, cells in buckets.items()
    ]
    return {"granularity": granularity, "summary": _kept(context, summary, "errorCount")}


def _kept(context: QueryContext, rows: list[Row], *counts: str) -> list[Row]:
    """Without those that count nothing, unless buckets without traffic are given as 0."""
    if context.settings.zero_buckets:
        return rows
    return [row for row in rows if any(row[name] for name in counts)]


def latency_summary(context: QueryContext, args: Args) -> Row:
    """`getLatencySummary`. A bucket without traffic has no percentile and is left out."""
    chosen = _filter(args, "latencySummaryFilter")
    pick = one_api(chosen.get("apiId"))
    granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    summary = [
        {"timeSpan": span.text(start), "latencyTime": float(p95)}
        for start, cells in buckets.items()
        if (p95 := overall_latency(cells)) is not None
    ]
    return {"granularity": granularity, "summary": summary}


def overall_latency(cells: Iterable[Cell]) -> int | None:
    """The 95th percentile of the response time of some cells."""
    return percentile(((cell.response, cell.total) for cell in cells), 95)


def errors_by_category(context: QueryContext, args: Args) -> Row:
    """`getErrorsByCategory`. Categories that were not requested are null."""
    chosen = _filter(args, "errorsByCategoryFilter")
    wanted = chosen.get("categories") or CATEGORIES
    pick = one_api(chosen.get("apiId"))
    granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    rows = []
    for start, cells in buckets.items():
        counts = _errors(cells, lambda kind: kind.category)
        row = {name: counts[name] if name in wanted else None for name in CATEGORIES}
        rows.append({"timeSpan": span.text(start), **row})
    return {"granularity": granularity, "errors": _kept(context, rows, *CATEGORIES)}


def _errors(cells: Iterable[Cell], key: Callable[[ErrorKind], Any]) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    for cell in cells:
        if cell.errors:
            counts[key(cell.kind)] += cell.errors
    return counts


def proxy_target_errors(context: QueryContext, args: Args) -> list[Row]:
    """`getProxyTargetErrorsOverTime`. A side without errors is null."""
    chosen = _filter(args, "errorsByStatusCodeFilter")
    pick = one_api(chosen.get("apiId"))
    _, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    rows = []
    for start, cells in buckets.items():
        counts = _errors(cells, lambda kind: (kind.target, kind.status // 100))
        proxy, target = (_sides(counts, target=side) for side in (False, True))
        rows.append({"timeSpan": span.text(start), "proxy": proxy, "target": target})
    return _kept(context, rows, "proxy", "target")


def _sides(counts: Counter[tuple[bool, int]], *, target: bool) -> Row | None:
    # By class of status: 4xx and 5xx are the only ones that count as errors.
    low, high = counts[target, 4], counts[target, 5]
    return {"_4xx": low, "_5xx": high, "total": low + high} if low + high else None


def usage_over_time(context: QueryContext, args: Args) -> list[Row] | Row:
    """`getAPIUsageOverTime`: a series for each key of the index, or (by setting) one without."""
    chosen = _filter(args, "apiUsageOvertimeFilter")
    apis = context.ids(chosen.get("apiIds"))
    apps = context.ids(chosen.get("appIds"))
    settings = context.settings
    whole = settings.aggregate_without_ids if apis is None else settings.aggregate_with_ids
    # One object has no place for a second series.
    whole = whole or (settings.usage_as_object and (apis is None or len(keys_of(settings)) > 1))
    picks = [Pick(apis, apps, key=key) for key in (("any",) if whole else keys_of(settings))]
    if apis is None and settings.api_index == "both":
        picks = picks[1:]
    entries: list[Row] = []
    for pick in picks:
        granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
        for api, cells in _entries(context, buckets, None if whole else pick.key):
            usage = _usage(context, span, cells)
            entries.append({"apiId": api, "granularity": granularity, "usage": usage})
    entries += _foreign(context, args, apis)
    if not settings.usage_as_object:
        return entries
    return entries[0] if len(entries) == 1 else _sum(entries, granularity)


def _entries(
    context: QueryContext, buckets: Buckets, key: Key | None
) -> Iterable[tuple[str | None, Buckets]]:
    """The series of an answer by the name that it gives an API; without a key they are one."""
    if key is None:
        return [(None, buckets)]

    def name(cell: Cell) -> str:
        api = cell.stream.api
        return context.shown(api, 0) if key == "any" else api.id if key == "id" else api.named

    return sorted(_split(buckets, name).items())


def _foreign(context: QueryContext, args: Args, apis: frozenset[str] | None) -> list[Row]:
    """The entry of an API that was not requested."""
    when = context.settings.foreign_entries
    if apis is None or when == "none" or (when == "by_name" and len(apis) == 1):
        return []
    chosen = _filter(args, "apiUsageOvertimeFilter")
    every = [api for source in context.sources(args) for api in source.environment.listed]
    other = next(api for api in every if apis.isdisjoint((api.id, api.shown, api.named)))
    pick = one_api(other.id)
    granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    usage = _usage(context, span, buckets)
    return [{"apiId": context.shown(other, span.start), "granularity": granularity, "usage": usage}]


def _sum(entries: Iterable[Row], granularity: str) -> Row:
    """Entries as one object, which has no id."""
    counts: Counter[str] = Counter()
    for row in (row for entry in entries for row in entry["usage"]):
        counts[row["timeSpan"]] += row["count"]
    usage = [{"timeSpan": time, "count": count} for time, count in sorted(counts.items())]
    return {"apiId": None, "granularity": granularity, "usage": usage}


def _split(buckets: Buckets, key: Callable[[Cell], Any]) -> dict[Any, Buckets]:
    """A series for each key, with all buckets of the whole."""
    series: dict[Any, Buckets] = {}
    for start, cells in buckets.items():
        for cell in cells:
            of_key = series.get(name := key(cell))
            if of_key is None:
                of_key = series[name] = {start: [] for start in buckets}
            of_key[start].append(cell)
    return series


def _usage(context: QueryContext, span: TimeSpan, buckets: Buckets) -> list[Row]:
    usage = [
        {"timeSpan": span.text(start), "count": sum(cell.total for cell in cells)}
        for start, cells in buckets.items()
    ]
    return _kept(context, usage, "count")


def usage_by_app(context: QueryContext, args: Args) -> Row:
    """`getAPIUsageByAppOverTime`."""
    chosen = _filter(args, "apiUsageOvertimeFilter")
    pick = Pick(context.ids(chosen.get("apiIds")), context.ids(chosen.get("appIds")))
    granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    series = _split(buckets, lambda cell: cell.stream.application)
    usage = [
        {
            "applicationId": app.id,
            "applicationName": app.name,
            "applicationOwner": app.owner,
            "usage": _usage(context, span, cells),
        }
        for app, cells in sorted(series.items(), key=lambda item: item[0].id)
    ]
    return {"granularity": granularity, "usage": usage}


def usage_by_backend(context: QueryContext, args: Args) -> Row:
    """`getAPIUsageByBackendOverTime`."""
    chosen = _filter(args, "apiUsageByBackendOverTimeFilter")
    pick = Pick(context.ids(chosen.get("apiIds")))
    granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    series = _split(buckets, lambda cell: cell.stream.api.backend)
    usage = [
        {"backend": backend, "usage": _usage(context, span, cells)}
        for backend, cells in sorted(series.items())
    ]
    return {"granularity": granularity, "usage": usage}


def latency(context: QueryContext, args: Args) -> Row:
    """`getLatency`. Buckets without traffic, where they are given, hold nulls."""
    chosen = args["latencyFilter"]
    pick = one_api(chosen["apiId"])
    granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    summary = [
        {"timeSpan": span.text(start), **latencies(cells)} for start, cells in buckets.items()
    ]
    return {"granularity": granularity, "summary": summary}


def latencies(cells: Iterable[Cell]) -> Row:
    """Percentiles and medians of some cells, by the fields of `Latency`."""
    pairs: list[tuple[Latencies, int]] = [(cell.latencies, cell.total) for cell in cells]
    return {
        # The first four fields are 95th percentiles, the others medians [Choreo].
        name: percentile(((every[i], weight) for every, weight in pairs), 95 if i < 4 else 50)
        for i, name in enumerate(LATENCY_FIELDS)
    }


def cache(context: QueryContext, args: Args) -> Row:
    """`getCacheHitsAndMisses`, of the streams that are cached at all."""
    chosen = _filter(args, "cacheFilter")
    pick = one_api(chosen.get("apiId"))
    granularity, span, buckets = _series(context, args, chosen.get("granularity"), pick)
    rows = []
    for start, cells in buckets.items():
        hits, misses = cache_counts(cells)
        rate = hit_percentage(hits, misses)
        row = {"hits": hits, "misses": misses, "hitPercentage": rate}
        rows.append({"timeSpan": span.text(start), **row})
    return {"granularity": granularity, "summary": _kept(context, rows, "hits", "misses")}


def cache_counts(cells: Iterable[Cell]) -> tuple[int, int]:
    """Hits and misses of some cells."""
    cached = [cell for cell in cells if cell.stream.cached]
    hits = sum(cell.hits for cell in cached)
    return hits, sum(cell.ok for cell in cached) - hits


def hit_percentage(hits: int, misses: int) -> float:
    """Hits in percent of both, with two digits."""
    return round(100 * hits / (hits + misses), 2) if hits + misses else 0.0
