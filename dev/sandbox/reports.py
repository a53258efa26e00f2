"""Custom reports: one of eight metrics by up to three of eleven fields, over time.

How the service reads `groupByValues` is not documented. Here they are the values of the first
group-by fields; a top report splits by the fields that have no value yet, and joins theirs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC

from dev.sandbox.filters import ALL, Args, QueryContext, TimeSpan, span_of
from dev.sandbox.grouping import different, values_of
from dev.sandbox.paging import Row
from dev.sandbox.refusals import QueryError
from dev.sandbox.traffic import Cell, percentile

TOP = 10

_COUNTS: Mapping[str, Callable[[Cell], int]] = {
    "HIT_COUNT": lambda cell: cell.total,
    "RESPONSE_CACHE_HIT": lambda cell: cell.hits,
    "API_ERRORS": lambda cell: 0 if cell.kind.target else cell.errors,
    "TARGET_ERRORS": lambda cell: cell.errors if cell.kind.target else 0,
}
_LATENCIES = {
    "TOTAL_LATENCY": "response",
    "BACKEND_LATENCY": "backend",
    "REQUEST_MEDIATION_LATENCY": "request_mediation",
    "RESPONSE_MEDIATION_LATENCY": "response_mediation",
}


def measured(metric: str, cells: Iterable[Cell]) -> int:
    """A metric over some cells: a count, or a 95th percentile in ms."""
    if count := _COUNTS.get(metric):
        return sum(count(cell) for cell in cells)
    name = _LATENCIES[metric]
    pairs = ((getattr(cell.latencies, name), cell.total) for cell in cells)
    return percentile(pairs, 95) or 0


def _fields(args: Args) -> tuple[list[str], tuple[str, ...]]:
    fields, values = list(args["groupByFields"]), tuple(args["groupByValues"])
    if not 1 <= len(fields) <= 3 or None in fields:
        raise QueryError("Give one to three group-by fields")
    if len(values) > len(fields):
        raise QueryError("There are more group-by values than fields")
    return fields, values


def _series(context: QueryContext, args: Args) -> tuple[str, list[tuple[str, list[Cell]]]]:
    """Granularity, and for each time the split cells that have the given values."""
    fields, values = _fields(args)
    span = span_of(args["timeFilter"], context.now)
    granularity = context.granularity(args["granularity"], span)
    sources = context.sources(args)
    series = context.groups.series(
        (tuple(sources), span, granularity, context.state(span, granularity)),
        fields[: len(values)],
        values,
        lambda: context.series(sources, span, granularity, ALL),
    )
    return granularity, [(span.text(start), cells) for start, cells in series]


def report(context: QueryContext, args: Args) -> Row:
    """`getCustomReportOvertime`."""
    granularity, series = _series(context, args)
    usage = [
        {"timeSpan": time, "value": measured(args["metric"], cells)}
        for time, cells in series
        if cells or context.settings.zero_buckets
    ]
    return {"granularity": granularity, "usage": usage}


def top_report(context: QueryContext, args: Args) -> Row:
    """`getCustomReportTopOvertime`."""
    fields, values = _fields(args)
    granularity, series = _series(context, args)
    free = fields[len(values) :] or fields[-1:]
    return {"granularity": granularity, "usage": top_series(series, free, args["metric"])}


def top_series(
    series: Iterable[tuple[str, list[Cell]]], fields: Sequence[str], metric: str
) -> list[Row]:
    """A series for each of the combinations with the largest metric over the whole range."""
    whole: dict[tuple[str, ...], list[Cell]] = {}
    by_time: dict[tuple[str, ...], dict[str, list[Cell]]] = {}
    for time, cells in series:
        for cell in cells:
            combination = values_of(cell, fields)
            whole.setdefault(combination, []).append(cell)
            by_time.setdefault(combination, {}).setdefault(time, []).append(cell)
    # By the whole range, so that every bucket shows the same combinations.
    sizes = {combination: measured(metric, cells) for combination, cells in whole.items()}
    top = sorted((c for c in sizes if sizes[c]), key=lambda c: (-sizes[c], c))[:TOP]
    return [
        {
            "groupByValue": " - ".join(combination),
            "usage": [
                {"timeSpan": time, "value": measured(metric, cells)}
                for time, cells in by_time[combination].items()
            ],
        }
        for combination in top
    ]


def group_by_values(context: QueryContext, args: Args) -> list[list[str]]:
    """`getGroupByValues`: the combinations, of what was seen within the last week."""
    fields, values = _fields(args)
    end = int(context.now.timestamp()) // 60
    cells = context.cells(context.sources(args), TimeSpan(end - 7 * 1440, end, UTC), ALL)
    groups = {values_of(cell, fields) for cell in different(cells)}
    return sorted([*each] for each in groups if each[: len(values)] == values)
