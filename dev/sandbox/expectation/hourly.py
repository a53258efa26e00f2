"""Tables with a row for each hour."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from dev.sandbox.expectation.day import Day, Key, Row, by_api
from dev.sandbox.traffic import Cell, percentile

_SOURCES = ("proxy", "target")
_CATEGORIES = {
    "auth": "auth",
    "target_connectivity": "targetConnectivity",
    "throttled": "throttled",
    "other": "other",
}


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


def p95_of(cells: Iterable[Cell]) -> int | None:
    """The 95th percentile of the response time of some cells, in ms."""
    return percentile(((cell.response, cell.total) for cell in cells), 95)


def _latency_summary(day: Day) -> list[Row]:
    def row(cells: Sequence[Cell]) -> Row | None:
        p95 = p95_of(cells)
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
    """By the id of the API that was queried, whatever the index keys it by."""
    apis = {api.id: api for api in day.queried}
    rows = _usage(day, lambda cell: (cell.stream.api.id,), ("api_id",))
    return [
        row
        | {"granularity": "1h", "answered_api_id": day.shown(apis[row["api_id"]], row["time_span"])}
        for row in rows
        if row["api_id"] in apis
    ]


def _api_usage_by_app_over_time(day: Day) -> list[Row]:
    def key(cell: Cell) -> Key:
        app = cell.stream.application
        return app.id, app.name, app.owner

    columns = ("application_id", "application_name", "application_owner")
    return [row | {"granularity": "1h"} for row in _usage(day, key, columns)]


def _api_usage_by_backend_over_time(day: Day) -> list[Row]:
    rows = _usage(day, lambda cell: (cell.stream.api.backend,), ("backend",))
    return [row | {"granularity": "1h"} for row in rows]


def _api_application_usage_over_time(day: Day) -> list[Row]:
    def key(cell: Cell) -> Key:
        api, app = cell.stream.api, cell.stream.application
        return api.id, app.id, app.name, app.owner

    queried = {api.id for api in day.queried}
    columns = ("api_id", "application_id", "application_name", "application_owner")
    rows = _usage(day, key, columns)
    return [row | {"granularity": "1h"} for row in rows if row["api_id"] in queried]


def _latency(day: Day) -> list[Row]:
    return [row for time, cells in day.hours for row in latencies_of(day, time, cells, "1h")]


def latencies_of(
    day: Day, time: datetime, cells: Iterable[Cell], granularity: str
) -> Iterator[Row]:
    """A row of each API with its latencies over these cells."""
    names = ("response", "backend", "request_mediation", "response_mediation")
    groups = by_api(cells)
    for api in day.queried:
        weighted = [(cell.latencies, cell.total) for cell in groups.get(api, ())]
        if not weighted and not day.settings.zero_buckets:
            continue
        row: Row = {"api_id": api.id, "time_span": time, "granularity": granularity}
        for name in (*names, *(f"{name}_median" for name in names)):
            pairs = ((getattr(latencies, name), total) for latencies, total in weighted)
            value = percentile(pairs, 50 if name.endswith("_median") else 95)
            row[name] = None if value is None else float(value)
        yield row


TABLES: Mapping[str, Callable[[Day], list[Row]]] = {
    "api_application_usage_over_time": _api_application_usage_over_time,
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
}
