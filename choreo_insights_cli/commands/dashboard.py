"""`insights dashboard`: the dataset's dashboard as one file, drawn on this machine."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import click

from choreo_insights_cli import options, spinner
from choreo_insights_cli.dataset_copy import CACHE, Copy
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.stack import Stack

_DAYS = 366
_LOCAL = ("127.0.0.1", "localhost", "::1")
_EXAMPLES = """\b
Examples:
  insights dashboard
  insights dashboard --days 90 --out reports/quarter.html
"""


@dataclass(frozen=True)
class Drawn:
    """The file, and from how many of the dataset's objects it was drawn."""

    path: Path
    objects: int

    @property
    def megabytes(self) -> float:
        """The file's size."""
        return self.path.stat().st_size / 1e6


@click.command(epilog=_EXAMPLES)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="insights-dashboard.html",
    show_default=True,
    help="The file to write.",
)
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=_DAYS,
    show_default=True,
    help="How many days back from today it shows.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where copies of the dataset's objects are kept for the next time.",
)
@options.as_json
@options.of_stack
def command(stack: Stack, out: Path, days: int, cache: Path | None, as_json: bool) -> None:
    """Draw the dashboard as one HTML file.

    It opens in a browser without a server or a network.
    """
    with spinner.shown("drawing the dashboard"):
        drawn = draw(stack, cache or CACHE, out.resolve(), datetime.now(UTC), days)
    if as_json:
        told = {"path": str(drawn.path), "objects": drawn.objects, "megabytes": drawn.megabytes}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"Drawn from {drawn.objects} objects ({drawn.megabytes:.1f} MB): {drawn.path}")


def draw(stack: Stack, cache: Path, out: Path, now: datetime, days: int = _DAYS) -> Drawn:
    """Draws the dashboard of a stack. Objects are kept in `cache` for the next time.

    Raises CommandError where the dataset is empty, or what boto3 raises.
    """
    # Together these take longer to import than most commands run.
    from choreo_insights_cli.dashboard.data import needed_tables  # noqa: PLC0415
    from choreo_insights_cli.dashboard.html.render import About  # noqa: PLC0415
    from choreo_insights_cli.dashboard.html.render import draw as draw_page  # noqa: PLC0415
    from choreo_insights_cli.dashboard.panels import SHEETS  # noqa: PLC0415
    from choreo_insights_cli.sql.duckdb import connect  # noqa: PLC0415

    copy = Copy.of(stack, cache)
    since = now.astimezone(UTC).date() - timedelta(days=days - 1)
    files = copy.refresh(needed_tables(SHEETS), since)
    if not files:
        raise CommandError(
            f"The dataset in {copy.bucket} has nothing since {since}: `insights export` fills it."
        )
    about = About(_source(stack), now, _note(stack))
    out.parent.mkdir(parents=True, exist_ok=True)
    with connect(files, now) as database:
        out.write_text(draw_page(database, about), "utf-8")
    return Drawn(out, len(files))


def _source(stack: Stack) -> str:
    return f"{stack.parameters['Organizations'].replace(',', ', ')} (stack {stack.name})"


def _note(stack: Stack) -> str:
    host = urlsplit(stack.parameters["InsightsUrl"]).hostname
    return "Synthetic data from the sandbox" if host in _LOCAL else ""
