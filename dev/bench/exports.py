"""Whole exports: memory over a short and a long window, and requests for one day."""

from dataclasses import dataclass, replace
from datetime import timedelta

from dev.bench.place import BenchPlace, Timing, middle
from dev.bench.world import NOW, settings, world
from dev.sandbox import SandboxServer

APIS = 100
APPLICATIONS = 20
_REPEATS = 3
# These have the most rows per day and environment.
TABLES = ("api_usage_over_time", "errors_details", "latency", "resource_usage")


@dataclass(frozen=True)
class Requests:
    """Queries (root fields) and requests of one environment-day."""

    queries: int
    requests: int

    @property
    def share(self) -> float:
        """Requests per query."""
        return self.requests / self.queries


def one_day(where: BenchPlace, *, pointed: bool = True) -> Requests:
    """All tables of the last day in a first run, 20 queries a request. Raises BenchError.

    With `pointed`, the sandbox says where a document that it refuses is wrong.
    """
    chosen = replace(settings(), error_locations=pointed)
    with SandboxServer(world(APIS, APPLICATIONS), chosen) as sandbox:
        _export(where, sandbox, 1, "all", "--most", "20")
        statistics = sandbox.statistics
        return Requests(sum(statistics.root_fields.values()), statistics.queries)


def windows(where: BenchPlace, lengths: tuple[int, ...]) -> dict[int, Timing]:
    """Some tables of so many days, by their number: medians. Raises BenchError."""
    timings: dict[int, list[Timing]] = {days: [] for days in lengths}
    with SandboxServer(world(APIS, APPLICATIONS), settings()) as sandbox:
        for days in lengths * _REPEATS:
            timings[days].append(_export(where, sandbox, days, ",".join(TABLES)))
    return {days: middle(several) for days, several in timings.items()}


def _export(
    where: BenchPlace, sandbox: SandboxServer, days: int, tables: str, *options: str
) -> Timing:
    last = NOW.date()
    first = last - timedelta(days=days - 1)
    words = (sandbox.url, where.new_bucket(), first.isoformat(), last.isoformat())
    return where.run("backfill", *words, "--tables", tables, *options)
