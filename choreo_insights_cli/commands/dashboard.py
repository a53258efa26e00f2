"""`insights dashboard`: the dataset's dashboard as one file, drawn on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import click

from choreo_insights.dataset.access_rules import ACCESS_RULES_KEY, Rule, decode_rules
from choreo_insights.dataset.store import Dataset
from choreo_insights.report import targets
from choreo_insights.report.stored import stored_text
from choreo_insights.report.targets import Targets
from choreo_insights_cli import options, output, paths, spinner
from choreo_insights_cli.called import called
from choreo_insights_cli.commands.status.reading import settings, wanted
from choreo_insights_cli.dataset_copy import CACHE, Copy
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.stack import Stack

_DAYS = 366
_LOCAL = ("127.0.0.1", "localhost", "::1")
_EXAMPLES = """\b
Examples:
  insights dashboard
  insights dashboard --days 90 --out reports/quarter.html
  insights dashboard --for partners --out partners.html
"""


@dataclass(frozen=True)
class Drawn:
    """The file, and from how many of the dataset's objects it was drawn."""

    path: Path
    objects: int

    @property
    def megabytes(self) -> float:
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
    type=options.CountType(1, 36_500),
    default=_DAYS,
    show_default=True,
    help="How many days back from today it shows.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where copies of the dataset's objects are kept for the next time.",
)
@click.option(
    "--for",
    "group",
    metavar="GROUP",
    help="Only what this group may see, by the rules of `insights access`.",
)
@options.as_json
@options.of_stack
def command(
    stack: Stack, out: Path, days: int, cache: Path | None, group: str | None, as_json: bool
) -> None:
    """Draw the dashboard as one HTML file.

    It opens in a browser without a server or a network.
    """
    with spinner.shown("drawing the dashboard") as say:
        drawn = draw(stack, cache or CACHE, out.resolve(), datetime.now(UTC), days, group, say)
    if as_json:
        values = {"path": str(drawn.path), "objects": drawn.objects, "megabytes": drawn.megabytes}
        output.as_json(values)
        return
    output.line(f"Drawn from {drawn.objects} objects ({drawn.megabytes:.1f} MB): {drawn.path}")


def draw(
    stack: Stack,
    cache: Path,
    out: Path,
    now: datetime,
    days: int = _DAYS,
    group: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Drawn:
    """Draws the dashboard of a stack. Objects are kept in `cache` for the next time.

    With a `group` the file holds nothing but what its rules allow. Raises CommandError where the
    dataset is empty or no rule is for the group, or what botocore raises.
    """
    # Together these take longer to import than most commands run.
    from choreo_insights_cli.dashboard.data import needed_tables  # noqa: PLC0415
    from choreo_insights_cli.dashboard.html.render import About  # noqa: PLC0415
    from choreo_insights_cli.dashboard.html.render import draw as draw_page  # noqa: PLC0415
    from choreo_insights_cli.dashboard.panels import SHEETS  # noqa: PLC0415
    from choreo_insights_cli.sql.duckdb import connect  # noqa: PLC0415
    from choreo_insights_cli.sql.restricted import restrict  # noqa: PLC0415

    rules = _rules(stack, group) if group is not None else None
    copy = Copy.of(stack, cache)
    ends = last_day(stack)
    since = (ends or now.astimezone(UTC).date()) - timedelta(days=days - 1)
    with copy.held(needed_tables(SHEETS), since, say) as files:
        if not files:
            raise CommandError(
                f"The dataset in {copy.bucket} has nothing since {since}:"
                f" `{called('export')}` fills it."
            )
        say(f"reading {len(files):,} objects")
        # The rules' rows go from a database of its own.
        kept = copy.folder / "rows.duckdb" if rules is None else None
        source = _source(stack)
        with connect(files, now, frozen=ends is not None, kept=kept) as database:
            if rules is not None:
                restrict(database, rules)
                source = f"what {group} may see"
            say("drawing the dashboard")
            about = About(source, now, _note(stack, ends), ends, _targets(stack))
            page = draw_page(database, about)
    out.parent.mkdir(parents=True, exist_ok=True)
    # A page that was cut off must not pass for a whole one.
    part = out.with_name(f"{out.name}.part")
    part.write_text(page, "utf-8")
    part.replace(out)
    return Drawn(out, len(files))


def _targets(stack: Stack) -> Targets:
    """What is stored for the monthly report. Raises ConfigurationError where it is damaged."""
    text = stored_text(stack.s3, stack.outputs["DatasetBucketName"], targets.KEY)
    return targets.read(text) if text else Targets()


def _rules(stack: Stack, group: str) -> list[Rule]:
    """The rules of a group. Raises CommandError where there are none."""
    dataset = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
    if (kept := dataset.read(ACCESS_RULES_KEY)) is None:
        raise CommandError("There are no rules yet: `insights access FILE.csv` stores them.")
    try:
        rules = decode_rules(kept.body)
    except ValueError as error:
        raise CommandError(
            f"{ACCESS_RULES_KEY} cannot be read ({error}): store the rules again with"
            " `insights access`."
        ) from error
    of_group = [rule for rule in rules if rule.group == group]
    if not of_group:
        groups = sorted({rule.group for rule in rules if rule.group})
        raise CommandError(
            f"No rule is for the group {group!r}: it would see nothing. There are rules for"
            f" {', '.join(groups) or 'no group'}."
        )
    return of_group


def _source(stack: Stack) -> str:
    return f"{stack.parameters['Organizations'].replace(',', ', ')} (stack {stack.name})"


def last_day(stack: Stack) -> date | None:
    """The last day of a dataset that has ended, None where it goes on or is empty."""
    if stack.parameters.get("Frozen") != "true":
        return None
    chosen = settings(stack.parameters, paths.catalogue())
    bucket = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
    return wanted(chosen, bucket, datetime.now(UTC)).ends


def _note(stack: Stack, ends: date | None) -> str:
    host = urlsplit(stack.parameters["InsightsUrl"]).hostname
    notes = (
        "Synthetic data from the sandbox" if host in _LOCAL else "",
        f"The dataset is frozen and ends on {ends}" if ends else "",
    )
    return ". ".join(filter(None, notes))
