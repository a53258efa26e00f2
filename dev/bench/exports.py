"""Whole exports: memory over a short and a long window, and requests for one day."""

from dataclasses import dataclass
from datetime import timedelta

from dev.bench.place import Place, Took, middle
from dev.bench.world import NOW, settings, world
from dev.sandbox import SandboxServer

APIS = 100
APPLICATIONS = 20
_REPEATS = 3
# Of one day and environment these have the most rows.
TABLES = ("api_usage_over_time", "errors_details", "latency", "resource_usage")


@dataclass(frozen=True)
class Requests:
    """What one environment-day took: questions are root fields."""

    questions: int
    requests: int

    @property
    def share(self) -> float:
        """Requests a question."""
        return self.requests / self.questions


def one_day(where: Place) -> Requests:
    """All tables of the last day. Raises BenchError."""
    with SandboxServer(world(APIS, APPLICATIONS), settings()) as sandbox:
        _export(where, sandbox, 1, "all")
        statistics = sandbox.statistics
        return Requests(sum(statistics.root_fields.values()), statistics.queries)


def windows(where: Place, lengths: tuple[int, ...]) -> dict[int, Took]:
    """Some tables of so many days, by their number: medians. Raises BenchError."""
    took: dict[int, list[Took]] = {days: [] for days in lengths}
    with SandboxServer(world(APIS, APPLICATIONS), settings()) as sandbox:
        for days in lengths * _REPEATS:
            took[days].append(_export(where, sandbox, days, ",".join(TABLES)))
    return {days: middle(several) for days, several in took.items()}


def _export(where: Place, sandbox: SandboxServer, days: int, tables: str) -> Took:
    last = NOW.date()
    first = last - timedelta(days=days - 1)
    words = (sandbox.url, where.new_bucket(), first.isoformat(), last.isoformat())
    return where.run("backfill", *words, "--tables", tables)
