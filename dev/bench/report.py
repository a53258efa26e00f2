"""The results as targets with verdicts, as text and as a page of the documentation."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import NamedTuple

from choreo_insights_cli.costs.bill import Estimate, estimate
from choreo_insights_cli.costs.inputs import Inputs
from choreo_insights_cli.costs.prices import load as load_prices
from dev.bench import large
from dev.bench.conversion import DLT, FLOOR, JOBS, OURS, WRANGLERS, Conversion
from dev.bench.exports import APIS, APPLICATIONS, TABLES, Requests
from dev.bench.hours import APIS as HOURLY_APIS
from dev.bench.hours import ENVIRONMENTS, HourlyRuns
from dev.bench.imports import Imports
from dev.bench.large import LargeDashboard
from dev.bench.place import Timing
from dev.bench.statuses import ENVIRONMENTS as STATUS_ENVIRONMENTS
from dev.bench.statuses import YearStatus

_PAGE = Path(__file__).with_name("page.md")
_NAMES = {
    OURS: "this project",
    "wrangler": "awswrangler, by partition",
    "wrangler_whole": "awswrangler, one frame",
    DLT: "dlt, from dicts",
    FLOOR: "floor: decoding and ZSTD alone",
}


class ProgramFigures(NamedTuple):
    """A status over a year, a large dashboard, and the MiB of an installation."""

    year: YearStatus
    dashboard: LargeDashboard
    sizes: Counter[str]


@dataclass(frozen=True)
class Target:
    """A ratio or a count that was measured, and its limit; one that is an aim fails no run."""

    what: str
    ratio: float
    limit: float
    at_least: bool
    is_aim: bool = False

    @property
    def met(self) -> bool:
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    @property
    def row(self) -> tuple[str, str, str, str]:
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "missed, an aim" if self.is_aim else "MISSED"
        return self.what, _figure(self.ratio), f"{sign} {_figure(self.limit)}", verdict


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def conversion_targets(conversion: Conversion) -> Iterator[Target]:
    """The better of awswrangler's two ways counts, for each figure."""
    yield Target("Rows a second, times those of dlt", conversion.faster(DLT), 10, at_least=True)
    faster = min(conversion.faster(job) for job in WRANGLERS)
    yield Target("Rows a second, times those of awswrangler", faster, 2.2, at_least=True)
    yield Target("Peak memory, share of dlt's", conversion.memory(DLT), 0.5, at_least=False)
    memory = max(conversion.memory(job) for job in WRANGLERS)
    yield Target("Peak memory, share of awswrangler's", memory, 0.5, at_least=False)
    slower = 1 / conversion.faster(FLOOR)
    yield Target("Time, times that of the floor", slower, 3, at_least=False)


def window_target(short: tuple[int, Timing], long: tuple[int, Timing]) -> Target:
    """Memory must not grow with the window; only the ledger and the plan do, a little."""
    what = f"Peak memory of a backfill, {long[0]} days against {short[0]}"
    return Target(what, long[1].peak_mib / short[1].peak_mib, 1.3, at_least=False)


def requests_target(requests: Requests) -> Target:
    """Several queries share a request."""
    return Target("Requests per query, one environment-day", requests.share, 1 / 15, at_least=False)


def day_targets(one: Requests, hours: HourlyRuns) -> Iterator[Target]:
    """What a day of hourly runs asks of the service and of S3."""
    yield Target("Requests, one environment-day", one.requests, 40, at_least=False)
    places = f"{ENVIRONMENTS} environments of {HOURLY_APIS} APIs"
    rows = (
        (f"Requests to Insights a day, hourly, {places}", hours.requests, 2_000),
        ("S3 writes of data tables a day, the same", hours.data_writes, 2_500),
        ("Ledger objects for 92 days", 92 * hours.ledger_objects, 300),
    )
    for what, value, limit in rows:
        yield Target(what, value, limit, at_least=False)


def money_targets() -> Iterator[Target]:
    """What the cost model says, whose tests compare it with the export."""
    prices = load_prices()
    usual = estimate(Inputs(), None, prices).usd
    yield Target("USD a month, 3 environments of 20 APIs", usual, 5, at_least=False)
    without, with_ = (
        _s3(estimate(Inputs(authors=authors, history_days=365), None, prices)) for authors in (0, 1)
    )
    what = "USD a month, S3 requests of QuickSight's refreshes"
    yield Target(what, with_ - without, 4, at_least=False)


def _s3(found: Estimate) -> float:
    return sum(item.usd for item in found.items if item.id in ("s3-reads", "s3-writes"))


def start_targets(starts: tuple[float, float]) -> Iterator[Target]:
    """The start of the program, times importing what it needs for AWS (0.7 s once)."""
    yield Target("Start of insights --help, times boto3 and click", starts[0], 0.57, at_least=False)
    yield Target("Start of insights status, the same", starts[1], 1.15, at_least=False)


def dashboard_target(ratio: float) -> Target:
    """Opening thousands of small files is most of a reading: a warm cache has their rows."""
    what = "Drawing a month's dashboard again, times reading its objects"
    return Target(what, ratio, 1, at_least=False)


def program_targets(program: ProgramFigures) -> Iterator[Target]:
    """What seconds and MiB are on this machine: aims, as another one has others.

    The start of a status is counted elsewhere. An installation of 0.1.0 took 233 MiB.
    """
    drawn = f"dashboard of {large.DAYS} days, {large.APIS} APIs, {large.APPLICATIONS} applications"
    rows = (
        (
            f"Seconds of insights status over a year, {STATUS_ENVIRONMENTS} environments",
            program.year.seconds,
            2,
        ),
        (f"Seconds of drawing the {drawn}", program.dashboard.seconds, 8),
        ("MiB of memory for that, at the peak", program.dashboard.peak, 500),
        ("MiB of pip install .", program.sizes.total(), 233 / 2),
    )
    for what, value, limit in rows:
        yield Target(what, value, limit, at_least=False, is_aim=True)


def import_target(imports: Sequence[Imports]) -> Target:
    """A cold start is mostly the import of libraries. The worst handler counts."""
    ratio = max(each.ratio for each in imports)
    return Target("Importing a handler, times its libraries", ratio, 1.25, at_least=False)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of Markdown, the first column to the left and the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * (width - 1)}:" if i else "-" * width for i, width in enumerate(widths)]
    return [line(head), line(rule), *map(line, rows)]


def targets_table(targets: Sequence[Target]) -> list[str]:
    """Lines of Markdown with the verdicts."""
    return _table(("", "ratio", "target", "verdict"), [target.row for target in targets])


def conversion_table(conversion: Conversion) -> list[str]:
    """Each job's time, rate, memory and file size."""
    rows = []
    for job in sorted(JOBS, key=conversion.seconds):
        size = f"{conversion.sizes[job] / 2**20:.1f}" if job in conversion.sizes else ""
        rate = f"{conversion.rate(job):,.0f}"
        rows.append(
            (
                _NAMES[job],
                f"{conversion.seconds(job):.2f}",
                rate,
                f"{conversion.peak(job):.0f}",
                size,
            )
        )
    return _table(("", "seconds", "rows a second", "peak MiB", "Parquet MiB"), rows)


def _milliseconds(imports: Sequence[Imports]) -> list[tuple[str, str, str]]:
    return [
        (each.function, f"{each.seconds * 1000:.0f}", f"{each.libraries * 1000:.0f}")
        for each in imports
    ]


def _mebibytes(sizes: Counter[str]) -> list[tuple[str, str]]:
    largest = sizes.most_common(6)
    rest = sizes.total() - sum(size for _, size in largest)
    return [(name, f"{size:.1f}") for name, size in (*largest, ("all others", rest))]


def _counted(hours: HourlyRuns) -> list[tuple[str, str]]:
    return [
        ("queries", f"{hours.queries:,.0f}"),
        ("requests to Insights", f"{hours.requests:,.0f}"),
        ("S3: objects written, of data tables", f"{hours.data_writes:,.0f}"),
        ("S3: objects written, all", f"{hours.writes:,.0f}"),
        ("S3: objects read", f"{hours.reads:,.0f}"),
        ("S3: pages listed", f"{hours.listings:,.0f}"),
    ]


def page(
    facts: Mapping[str, str],
    targets: Sequence[Target],
    conversion: Conversion,
    rounds: int,
    windows: Mapping[int, Timing],
    requests: Requests,
    searched: Requests,
    hours: HourlyRuns,
    imports: Sequence[Imports],
    program: ProgramFigures,
) -> str:
    """The page `docs/generated/benchmarks.md`."""
    windows_rows = [(str(days), f"{t.rows:,}", f"{t.peak_mib:.1f}") for days, t in windows.items()]
    return Template(_PAGE.read_text("utf-8")).substitute(
        targets="\n".join(targets_table(targets)),
        rows=f"{conversion.made.rows:,}",
        days=conversion.days,
        size=round(conversion.made.bytes / 2**20),
        rounds=rounds,
        jobs="\n".join(conversion_table(conversion)),
        apis=APIS,
        applications=APPLICATIONS,
        tables=", ".join(f"`{name}`" for name in TABLES),
        windows="\n".join(_table(("days", "rows", "peak MiB"), windows_rows)),
        queries=f"{requests.queries:,}",
        requests=requests.requests,
        searched=searched.requests,
        hours="\n".join(_table(("a day of hourly runs", ""), _counted(hours))),
        imports="\n".join(_table(("function", "ms", "libraries, ms"), _milliseconds(imports))),
        objects=f"{program.year.objects:,}",
        seconds=f"{program.year.seconds:.2f}",
        decoding=f"{program.year.decoding:.2f}",
        file=f"{program.dashboard.page:.1f}",
        sizes="\n".join(_table(("", "MiB"), _mebibytes(program.sizes))),
        facts="\n".join(f"- {name}: {value}" for name, value in facts.items()),
    )
