"""`python -m dev.bench`: measures, prints ratios, and writes docs/generated/benchmarks.md.

Exits with 1 where a target is missed, 2 where it could not be measured.
"""

import argparse
import sys
from pathlib import Path

from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import ROOT
from dev.bench import (
    conversion,
    dashboards,
    exports,
    hours,
    imports,
    installed,
    large,
    machine,
    report,
    statuses,
)
from dev.bench.errors import BenchError
from dev.bench.place import BenchPlace, place
from dev.bench.replies import Replies

# 24 days of 29 APIs by minute are a million rows.
_DAYS = 24
_APIS = 29
_WINDOWS = (5, 40)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that medians are of")
    parser.add_argument("--days", type=int, default=_DAYS, help="days of replies (24: 1M rows)")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs/generated/benchmarks.md", help="where to write"
    )
    args = parser.parse_args()
    try:
        with place() as where:
            return _measure(where, args)
    except (BenchError, CommandError) as error:
        print(f"make bench: {error}", file=sys.stderr)
        return 2


def _measure(where: BenchPlace, args: argparse.Namespace) -> int:
    facts = machine.facts()
    replies = Replies(where.folder / "replies", args.days, _APIS)
    print(f"{args.rounds} rounds of {replies.rows:,} rows each", flush=True)
    found = conversion.measure(where, replies, args.rounds)
    print(*report.conversion_table(found), sep="\n", flush=True)
    windows = exports.windows(where, _WINDOWS)
    requests = exports.one_day(where)
    searched = exports.one_day(where, pointed=False)
    print("two days of hourly runs; this takes some minutes", flush=True)
    hourly = hours.measure()
    drawing = dashboards.measure()
    imported, starts = imports.measure(), imports.starts()
    program = report.ProgramFigures(statuses.measure(), large.measure(), installed.measure())
    short, long = windows.items()
    targets = [
        *report.conversion_targets(found),
        report.window_target(short, long),
        report.requests_target(requests),
        *report.day_targets(requests, hourly),
        *report.money_targets(),
        report.dashboard_target(drawing),
        report.import_target(imported),
        *report.start_targets(starts),
        *report.program_targets(program),
    ]
    print(*report.targets_table(targets), sep="\n")
    args.page.write_text(
        report.page(
            facts,
            targets,
            found,
            args.rounds,
            windows,
            requests,
            searched,
            hourly,
            imported,
            program,
        ),
        "utf-8",
    )
    print(f"written: {args.page}")
    return 0 if all(target.met or target.is_aim for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
