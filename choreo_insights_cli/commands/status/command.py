"""`insights status`: shows how the dataset stands."""

import json
from datetime import UTC, datetime

import click
from rich.console import Console

from choreo_insights_cli import options, spinner
from choreo_insights_cli.commands.status.reading import read
from choreo_insights_cli.commands.status.show import as_dict, is_whole, show
from choreo_insights_cli.errors import BAD_NEWS, DONE
from choreo_insights_cli.stack import Stack

_EXAMPLES = """\b
Examples:
  insights status                         a line for each table
  insights status --all                   a line for each environment of each table
  insights status --json | jq .missing

\b
Exit code 1: something is missing or failed. The figures:
  final     days that are there and not asked for again
  open      days that are there and asked for again, as more may come
  missing   days that should be there and are not
  failed    days that are not final, and of which the last try failed
"""


@click.command(epilog=_EXAMPLES)
@click.option("--all", "everything", is_flag=True, help="Each environment, and all checks.")
@options.as_json
@options.of_stack
def command(stack: Stack, everything: bool, as_json: bool) -> int:
    """Show how the dataset stands, table by table."""
    with spinner.shown("reading the dataset"):
        status = read(stack, datetime.now(UTC), everything=everything)
    if as_json:
        click.echo(json.dumps(as_dict(status), indent=2, ensure_ascii=False))
    else:
        show(status, Console(), everything=everything)
    return DONE if is_whole(status) else BAD_NEWS
