"""`python -m costs`: simulates runs of the export, and writes docs/scaling.md.

`simulate` shows how long a run takes at each size, how many invocations it goes on in, and
whether it ends before the next one begins; nothing is waited for. `page` simulates what the page
tells of and writes it.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from costs import page, scenarios
from costs.inputs import Inputs
from costs.simulation import told
from insights.errors import ConfigurationError

_PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"


def main(given: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = _parser().parse_args(given)
    try:
        options.does(options)
    except (ValueError, ConfigurationError) as error:
        print(f"python -m costs: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m costs", description=__doc__)
    commands = parser.add_subparsers(required=True)
    simulate = commands.add_parser("simulate", help="simulates a run for each of these sizes")
    simulate.set_defaults(does=_simulate)
    usual = Inputs()
    simulate.add_argument("--apis", type=_numbers, default=scenarios.APIS, help="as in 10,100")
    simulate.add_argument(
        "--organizations", type=_numbers, default=scenarios.ORGANIZATIONS, help="as in 1,3"
    )
    for name in ("environments", "concurrency", "requests_per_minute", "batch_size"):
        flag = f"--{name.replace('_', '-')}"
        usually = getattr(usual, name)
        simulate.add_argument(flag, type=int, default=usually, help=f"usually {usually}")
    usually = usual.seconds_a_request
    help_text = f"how long the Insights API takes, usually {usually}"
    simulate.add_argument("--seconds-a-request", type=float, default=usually, help=help_text)
    simulate.add_argument("--json", action="store_true", help="a line of JSON for each run")
    write = commands.add_parser("page", help="simulates, and writes docs/scaling.md")
    write.set_defaults(does=_page)
    write.add_argument("--no-simulation", action="store_true", help="takes what was simulated last")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _simulate(options: argparse.Namespace) -> None:
    inputs = replace(
        Inputs(),
        environments=options.environments,
        concurrency=options.concurrency,
        requests_per_minute=options.requests_per_minute,
        batch_size=options.batch_size,
        seconds_a_request=options.seconds_a_request,
    )
    for line in _lines(inputs, options):
        print(line, flush=True)


def _lines(inputs: Inputs, options: argparse.Namespace) -> Iterator[str]:
    if not options.json:
        yield from page.header(page.SIMULATED)
    for scenario in scenarios.grown(inputs, options.apis, options.organizations):
        found = told(scenario)
        yield json.dumps(found.as_dict()) if options.json else page.line(page.simulated_row(found))


def _page(options: argparse.Namespace) -> None:
    if not options.no_simulation:
        scenarios.save([told(scenario) for scenario in scenarios.every()])
    _PAGE.write_text(page.render(), "utf-8")
    print(f"written: {_PAGE}")


if __name__ == "__main__":
    sys.exit(main())
