"""`insights status`: shows how the dataset stands."""

from datetime import UTC, date, datetime

import click

from choreo_insights_cli import options, output, spinner
from choreo_insights_cli.commands.status.coverage import STATES, Selection
from choreo_insights_cli.commands.status.reading import read
from choreo_insights_cli.errors import BAD_NEWS, DONE, WrongUsage
from choreo_insights_cli.stack import Stack

_EXAMPLES = """\b
Examples:
  insights status                         a line for each table
  insights status --all                   a line for each environment of each table
  insights status --org acme --state failed
  insights status --day yesterday         whether that day is complete and final
  insights status --json | jq .missing

\b
Exit code 1: something is missing, failed or stale; the last line says what. The figures:
  final     days that are there and not asked for again
  open      days that are there and asked for again, as more may come
  missing   days that should be there and are not
  failed    days that are not final, and of which the last try failed
  age       how old the data is: the oldest of all that the line covers
"""


@click.command(epilog=_EXAMPLES)
@click.option("--all", "everything", is_flag=True, help="Each environment, and all checks.")
@click.option("--tables", metavar="NAMES", default="", help="These tables alone, with commas.")
@click.option("--org", metavar="HANDLES", default="", help="These organisations, with commas.")
@click.option("--environment", metavar="NAMES", default="", help="These environments, with commas.")
@click.option("--day", type=options.DAY, help="A day alone; also today or yesterday.")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="What has such days alone."
)
@options.as_json
@options.of_stack
def command(
    stack: Stack,
    everything: bool,
    tables: str,
    org: str,
    environment: str,
    day: date | None,
    states: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show how the dataset stands, table by table."""
    now = datetime.now(UTC)
    if day and day > now.date():
        raise WrongUsage(f"--day {day} lies in the future: today is {now.date()} (UTC).")
    selection = Selection(
        options.names(tables), options.names(org), options.names(environment), states, day
    )
    with spinner.shown("reading the dataset"):
        status = read(stack, now, everything=everything, selection=selection)
    # It brings rich, which no request needs.
    from choreo_insights_cli.commands.status.show import as_dict, is_whole, show  # noqa: PLC0415

    if as_json:
        output.as_json(as_dict(status))
    else:
        show(status, output.console(), everything=everything)
    return DONE if is_whole(status) else BAD_NEWS
