"""`insights report`: an organisation's month as a page and CSV files, with amounts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from choreo_insights.dataset.store import Dataset
from choreo_insights.report import prices as price_file
from choreo_insights.report import targets as target_file
from choreo_insights.report.documents import PAGE, Documents, documents, folder
from choreo_insights.report.figures import ReportSettings, figures
from choreo_insights.report.month import Month
from choreo_insights.report.stored import store_text, stored_text
from choreo_insights_cli import options, output, paths, spinner
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.stack import Stack

_LOCAL = ("127.0.0.1", "localhost", "::1")
_EXAMPLES = """\b
Examples:
  insights report                                   the last month, of all organisations
  insights report --month 2026-11 --org acme --out november
  insights report --prices prices.toml              with amounts by these prices
  insights report --prices prices.toml --store      the prices for every later report

Every page and CSV file says whether it is final. Without --prices and --targets the stored files
count, if there are any. Their keys are in docs/report.md.
"""


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog=_EXAMPLES)
@click.option(
    "--month", type=options.MonthType(), help="The month, YYYY-MM.  [default: the last one]"
)
@click.option("--org", "organization", metavar="HANDLE", help="One organisation alone.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="The folder to write to: in it, reports/<month>/<organisation>/.",
)
@click.option("--prices", type=_FILE, help="The plans and prices, as TOML.")
@click.option("--targets", type=_FILE, help="The targets of APIs, as TOML.")
@click.option(
    "--store",
    is_flag=True,
    help="Check --prices and --targets and store them beside the dataset; write no report.",
)
@options.as_json
@options.of_stack
def command(
    stack: Stack,
    month: Month | None,
    organization: str | None,
    out: Path,
    prices: Path | None,
    targets: Path | None,
    store: bool,
    as_json: bool,
) -> None:
    """Write a month's report: usage, errors, latency, amounts."""
    if store:
        _store(stack, prices, targets)
        return
    now = datetime.now(UTC)
    month = month or Month.of(now.date()).previous
    if month.first > now.date():
        raise WrongUsage(f"--month {month} lies in the future.")
    with spinner.shown("reading the dataset") as say:
        written = []
        for handle in _organizations(stack, organization):
            say(f"{handle}, {month}")
            made = report(stack, handle, month, now, prices=prices, targets=targets)
            written.append((made, write(made, out)))
    if as_json:
        output.as_json([as_dict(*each) for each in written])
        return
    for made, path in written:
        output.line(f"{made.figures.organization}, {month}: {made.figures.finality.words}")
        if made.bill:
            output.line(f"  amounts: {made.bill.total:,} {made.bill.currency}")
        output.line(f"  {path}")


def _organizations(stack: Stack, chosen: str | None) -> tuple[str, ...]:
    known = options.names(stack.parameters["Organizations"])
    if chosen is None:
        return known
    options.check_organizations([chosen], known)
    return (chosen,)


def _store(stack: Stack, prices: Path | None, targets: Path | None) -> None:
    if not prices and not targets:
        raise WrongUsage("--store needs --prices FILE or --targets FILE.")
    bucket = stack.outputs["DatasetBucketName"]
    # Both are checked before one is stored.
    texts = {}
    if prices:
        texts[price_file.KEY] = options.text_of(prices, "--prices")
        price_file.read(texts[price_file.KEY])
    if targets:
        texts[target_file.KEY] = options.text_of(targets, "--targets")
        target_file.read(texts[target_file.KEY])
    for key, text in texts.items():
        store_text(stack.s3, bucket, key, text)
        output.line(f"Stored: s3://{bucket}/{key}")


def report(
    stack: Stack,
    organization: str,
    month: Month,
    now: datetime,
    *,
    prices: Path | None = None,
    targets: Path | None = None,
) -> Documents:
    """The report of an organisation's month, by these files or the stored ones.

    Raises InsightsError, OSError, or what botocore raises.
    """
    bucket = stack.outputs["DatasetBucketName"]

    def text(path: Path | None, option: str, key: str) -> str | None:
        return options.text_of(path, option) if path else stored_text(stack.s3, bucket, key)

    wanted = text(targets, "--targets", target_file.KEY)
    amounts = text(prices, "--prices", price_file.KEY)
    month_figures = figures(
        Dataset(stack.s3, bucket),
        organization,
        month,
        settings(stack),
        now,
        target_file.read(wanted) if wanted else None,
    )
    return documents(month_figures, price_file.read(amounts) if amounts else None, _note(stack))


def settings(stack: Stack) -> ReportSettings:
    """What the stack's parameters say. Raises ConfigurationError for a table that is none."""
    parameters = stack.parameters
    tables = options.names(parameters["Tables"])
    return ReportSettings(
        tables=paths.catalogue().chosen(None if tables == ("all",) else tables),
        since=datetime.fromisoformat(parameters["ExportSince"]).date(),
        settle_hours=float(parameters["SettleHours"]),
    )


def write(made: Documents, out: Path) -> Path:
    """Writes the files below a folder; the page's path."""
    place = out.resolve() / folder(made.figures.organization, made.figures.month)
    place.mkdir(parents=True, exist_ok=True)
    for name, text in made.files.items():
        (place / name).write_text(text, "utf-8", newline="")
    # Of an earlier report with prices.
    for path in place.glob("*.csv"):
        if path.name not in made.files:
            path.unlink()
    return place / PAGE


def as_dict(made: Documents, path: Path) -> dict[str, Any]:
    """What `--json` prints of a report."""
    finality = made.figures.finality
    return {
        "organization": made.figures.organization,
        "month": str(made.figures.month),
        "final": finality.is_final,
        "open": [str(day) for day in finality.of("open")],
        "unconfirmed": [str(day) for day in finality.of("unconfirmed")],
        "missing": [str(day) for day in finality.of("missing")],
        "amount": str(made.bill.total) if made.bill else None,
        "currency": made.bill.currency if made.bill else None,
        "path": str(path),
    }


def _note(stack: Stack) -> str:
    host = urlsplit(stack.parameters["InsightsUrl"]).hostname
    return "Synthetic data from the sandbox" if host in _LOCAL else ""
