"""`insights migrate`: older objects under today's keys and names of columns, and what they lack."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from choreo_insights.catalogue import Catalogue
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.cross_checks import is_checked
from choreo_insights.dataset.ledger import Ledger
from choreo_insights.dataset.partitions import day_of
from choreo_insights.dataset.store import Dataset
from choreo_insights_cli import options, output, paths, spinner
from choreo_insights_cli.commands.backfill.machine import Machine
from choreo_insights_cli.commands.status.coverage import ExpectedDataset
from choreo_insights_cli.commands.status.reading import settings, wanted
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.names import check as check_names
from choreo_insights_cli.releases import environments
from choreo_insights_cli.releases.migrate import (
    Migration,
    MigrationCounts,
    TableShape,
    lines,
    shapes,
)
from choreo_insights_cli.sql.shipped import OWN
from choreo_insights_cli.stack import Stack

_EXAMPLES = """\b
Examples:
  insights migrate --dry-run              what it would do
  insights migrate --tables latency       names of columns in these alone
  insights migrate --rebuild-registry     after a run has named a damaged registry object
"""


@click.command(epilog=_EXAMPLES)
@click.option("--tables", metavar="NAMES", help="Tables, with commas; left out: all.")
@click.option("--dry-run", is_flag=True, help="Write nothing.")
@click.option(
    "--rebuild-registry", is_flag=True, help="Make lost or damaged registry objects anew."
)
@options.as_json
@options.of_stack
def command(
    stack: Stack, tables: str | None, dry_run: bool, rebuild_registry: bool, as_json: bool
) -> None:
    """Bring older days up to date after an update of the stack.

    Objects that release 0.1.0 stored under several names of an environment are brought under one
    key. Columns that were renamed get today's name in the objects that are there, and a column
    `day` beside the folder of that name goes. What objects lack, as they were exported before
    there was such a column, is listed with the command that fetches it.
    """
    names = options.names(tables or "") or None
    if names and rebuild_registry:
        raise WrongUsage("--rebuild-registry is of the whole dataset: leave --tables out.")
    if not dry_run:
        Machine.of(stack).refuse_while_repeating("migrate")
    catalogue, brought = paths.catalogue(), environments.MergeResult((), ())
    if names is None:
        brought = merge(stack, catalogue, dry=dry_run, rebuild=rebuild_registry)
    outcomes = migrate(stack, catalogue, names, dry=dry_run)
    if as_json:
        result = {"tables": [*map(_as_dict, outcomes)], **environments.as_dict(brought)}
        output.as_json(result)
        return
    for line in (*environments.lines(brought, dry=dry_run), *lines(outcomes, dry=dry_run)):
        output.line(line)
    looked_at = sum(outcome.objects for outcome in outcomes)
    output.line(f"{looked_at:,} objects looked at" + (", none was changed." if dry_run else "."))


def merge(
    stack: Stack, catalogue: Catalogue, *, dry: bool, rebuild: bool = False
) -> environments.MergeResult:
    """Brings objects under the keys of their environments. Raises as `migrate`."""
    merging = environments.Merge(
        Dataset(stack.s3, stack.outputs["DatasetBucketName"]),
        {table.name: table for table in catalogue.tables},
        datetime.now(UTC),
        float(stack.parameters["SettleHours"]),
        dry,
    )
    organizations = options.names(stack.parameters["Organizations"])
    with spinner.shown("the dataset is listed") as change:
        return merging.run(
            organizations,
            rebuild=rebuild,
            progress=lambda name, done, of: change(f"{name}: {done:,} of {of:,} objects"),
        )


def migrate(
    stack: Stack, catalogue: Catalogue, names: Sequence[str] | None, *, dry: bool
) -> list[MigrationCounts]:
    """Looks at all objects of these tables (None: of all); rewrites older ones unless `dry`.

    Shows how far it is. Raises WrongUsage for an unknown table, CommandError, also while a
    backfill exports closed days again, InsightsError, or what botocore raises.
    """
    chosen = _chosen(shapes(catalogue, OWN), names)
    if not dry:
        Machine.of(stack).refuse_while_repeating("migrate")
    now = datetime.now(UTC)
    dataset = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
    exported = settings(stack.parameters, catalogue)
    checked = [table.name for table in exported.tables if is_checked(table)]
    with spinner.shown("the dataset is listed") as change:
        migration = Migration(
            dataset,
            Ledger(dataset, f"{now:%Y%m%dT%H%M%S%f}-migrate", lambda: now),
            now,
            exported.settle_hours,
            _is_wanted(wanted(exported, dataset, now), checked),
            dry,
        )
        return migration.run(
            chosen, checked, lambda table, done, of: change(f"{table}: {done:,} of {of:,} objects")
        )


def _is_wanted(there: ExpectedDataset, checked: Sequence[str]) -> Callable[[str, str], bool]:
    """Whether runs query a table's partition; of checks, whether they query a checked table."""

    def is_wanted(table: str, key: str) -> bool:
        place = key.rpartition("/")[2].removesuffix(".parquet")
        tables = checked if table == CHECKS else (table,)
        return any(there.is_wanted(each, place, day_of(key)) for each in tables)

    return is_wanted


def _chosen(every: Sequence[TableShape], chosen: Sequence[str] | None) -> Sequence[TableShape]:
    known = {shape.name: shape for shape in every}
    check_names("--tables", chosen or (), known, "table", "`insights tables` lists them.")
    return every if chosen is None else [known[name] for name in chosen]


def _as_dict(outcome: MigrationCounts) -> dict[str, object]:
    lacking = {name: [*map(str, sorted(days))] for name, days in outcome.lacking.items()}
    return {**asdict(outcome), "lacking": lacking}
