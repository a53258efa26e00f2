"""`insights restore`: the command."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import click
from botocore.exceptions import ClientError

from choreo_insights.catalogue import Catalogue
from choreo_insights.dataset.ledger import Ledger
from choreo_insights.dataset.partitions import ROOT, table_prefix
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.store import Dataset
from choreo_insights_cli import options, output, paths, spinner
from choreo_insights_cli.called import called
from choreo_insights_cli.commands.backfill.machine import Machine
from choreo_insights_cli.commands.restore.restoring import (
    Restore,
    RestoreCounts,
    Restored,
    commands,
    counted,
)
from choreo_insights_cli.commands.restore.sources import RestoreTask, copies, together, versions
from choreo_insights_cli.errors import BAD_NEWS, DONE, CommandError, WrongUsage
from choreo_insights_cli.names import check as check_names
from choreo_insights_cli.sql.shipped import OWN
from choreo_insights_cli.stack import Stack

# For how long the bucket keeps an object that was overwritten or deleted; as in template.yaml.
KEPT_DAYS = 30
_WORDS = {
    "same": "as they were",
    "newer": "left, as they did not exist then",
    "there": "left, as others are there (--replace brings these back too)",
    "merged": "left, as what is there holds more (ledger, checks, registry)",
    "overtaken": "left, as a run has written them meanwhile: run this again",
    "unreadable": "left, as what would be restored cannot be read: choose another time",
}
_EXAMPLES = """\b
Examples:
  insights restore --before 2026-01-31T18:30 --dry-run      list what it would bring back
  insights restore --before 2026-01-31T18:30 --tables latency,success_summary
  insights restore --from-bucket my-copy-of-the-dataset
"""


@click.command(epilog=_EXAMPLES)
@click.option(
    "--before",
    type=options.INSTANT,
    metavar="TIME",
    help=f"Bring back what there was before this time (UTC), {KEPT_DAYS} days ago at most.",
)
@click.option("--from-bucket", "copy", metavar="NAME", help="Bring back what a copy holds.")
@click.option("--replace", is_flag=True, help="With --from-bucket: also what is there already.")
@click.option("--tables", metavar="NAMES", help="Tables, with commas; left out: all.")
@click.option("--dry-run", is_flag=True, help="Write nothing; list what would be brought back.")
@options.as_json
@options.of_stack
def command(
    stack: Stack,
    before: datetime | None,
    copy: str | None,
    replace: bool,
    tables: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Bring objects back as they were, or from a copy of the bucket.

    Nothing is deleted, and what is overwritten stays as an older version for 30 days. Days that
    were restored as they were before they had settled are closed as unconfirmed, and the commands
    that export them again are printed.
    """
    chosen = RestoreOptions(before, copy, replace, options.names(tables or ""), dry_run)
    chosen.check(datetime.now(UTC))
    listed: list[str] = []
    say = listed.append if as_json else output.line
    catalogue = paths.catalogue()
    restored = restore(stack, catalogue, chosen, partial(datetime.now, UTC))
    if dry_run:
        outcomes = counted(_listed(restored, say))
    else:
        with spinner.shown("the dataset is listed") as change:
            outcomes = counted(_shown(restored, change))
    again = [*commands(outcomes, [table.name for table in catalogue.tables])]
    if as_json:
        output.as_json(as_dict(outcomes, again, listed if dry_run else None))
    else:
        for line in lines(outcomes, again, dry=dry_run):
            output.line(line)
    bad = {"overtaken", "unreadable"}
    if any(outcome.moved or outcome.counts.keys() & bad for outcome in outcomes):
        return BAD_NEWS
    return DONE


@dataclass(frozen=True)
class RestoreOptions:
    """What the user wants to be brought back; without `tables`, all."""

    before: datetime | None = None
    copy: str | None = None
    replace: bool = False
    tables: tuple[str, ...] = ()
    dry: bool = False

    def check(self, now: datetime) -> None:
        """Raises WrongUsage where the options contradict each other, or no version can be left."""
        if (self.before is None) == (self.copy is None):
            raise WrongUsage("Give either --before TIME or --from-bucket NAME.")
        if self.replace and not self.copy:
            raise WrongUsage("--replace is for --from-bucket: --before replaces what has changed.")
        if self.before and self.before > now:
            raise WrongUsage(f"--before {self.before:%Y-%m-%dT%H:%M:%SZ} lies in the future.")
        oldest = now - timedelta(days=KEPT_DAYS)
        if self.before and self.before < oldest:
            raise WrongUsage(
                f"--before {self.before:%Y-%m-%dT%H:%M:%SZ} is too long ago: the bucket keeps what"
                f" was overwritten for {KEPT_DAYS} days, since {oldest:%Y-%m-%dT%H:%M:%SZ}. Use a"
                " copy of the bucket, if there is one: --from-bucket NAME."
            )


def restore(
    stack: Stack,
    catalogue: Catalogue,
    chosen: RestoreOptions,
    now: Callable[[], datetime],
) -> Iterator[Restored]:
    """Brings objects back as they are taken from it, and says what became of each.

    Raises WrongUsage for an unknown table, CommandError also while a backfill exports closed
    days again, InsightsError, or what botocore raises.
    """
    known = {table.name for table in catalogue.tables} | {name for name, *_ in OWN}
    check_names("--tables", chosen.tables, known, "table", "`insights tables` lists them.")
    if chosen.copy:
        _check_bucket(stack, chosen.copy)
    if not chosen.dry:
        Machine.of(stack).refuse_while_repeating("restore")
    return _work(stack, catalogue, chosen, now).run(together(_sources(stack, chosen)))


def _check_bucket(stack: Stack, name: str) -> None:
    """Raises WrongUsage where the bucket with the copy is not there, or cannot be listed."""
    try:
        stack.s3.list_objects_v2(Bucket=name, MaxKeys=1)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            raise WrongUsage(f"--from-bucket {name}: there is no such bucket.") from error
        raise CommandError(
            f"--from-bucket {name} cannot be listed ({code}): whoever runs this needs s3:ListBucket"
            " and s3:GetObject on it."
        ) from error


def _work(
    stack: Stack, catalogue: Catalogue, chosen: RestoreOptions, now: Callable[[], datetime]
) -> Restore:
    dataset = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
    return Restore(
        Dataset(stack.s3, chosen.copy) if chosen.copy else dataset,
        dataset,
        Ledger(dataset, f"{now():%Y%m%dT%H%M%S%f}-restore", now),
        now,
        float(stack.parameters["SettleHours"]),
        _bound_keys(Registry(dataset, "restore", now)),
        {table.name: table for table in catalogue.tables},
        from_copy=chosen.copy is not None,
        dry=chosen.dry,
    )


def _bound_keys(registry: Registry) -> Callable[[str, str], str | None]:
    @cache
    def keys(organization: str) -> Mapping[str, str]:
        return {known.id: known.key for known in registry.known(organization)}

    return lambda organization, environment_id: keys(organization).get(environment_id)


def _sources(stack: Stack, chosen: RestoreOptions) -> Iterator[Iterator[RestoreTask]]:
    bucket = stack.outputs["DatasetBucketName"]
    named = bool(chosen.tables)
    for prefix in [table_prefix(name) for name in chosen.tables] or [f"{ROOT}/"]:
        if chosen.copy:
            yield copies(stack.s3, chosen.copy, bucket, prefix, replace=chosen.replace, named=named)
        elif chosen.before:
            yield versions(stack.s3, bucket, prefix, chosen.before, named=named)


def _listed(restored: Iterable[Restored], say: Callable[[str], Any]) -> Iterator[Restored]:
    for each in restored:
        if each.became == "restore" and each.found.source:
            say(f"{each.found.key} as of {each.found.source.written:%Y-%m-%dT%H:%M:%SZ}")
        yield each


def _shown(restored: Iterable[Restored], change: Callable[[str], None]) -> Iterator[Restored]:
    for number, each in enumerate(restored, 1):
        change(f"{number:,} objects: {each.found.key}")
        yield each


def lines(outcomes: Iterable[RestoreCounts], again: Sequence[str], *, dry: bool) -> Iterator[str]:
    """What was done, line by line, and what a person should do next."""
    nothing, moved = True, 0
    for outcome in outcomes:
        moved += outcome.moved
        restored = outcome.counts.get("restore", 0)
        nothing = nothing and not restored
        what = "to be restored" if dry else "restored"
        parts = [f"{restored:,} {what}"]
        parts += [
            f"{outcome.counts[verdict]:,} {words}"
            for verdict, words in _WORDS.items()
            if verdict in outcome.counts
        ]
        yield f"{outcome.table}: {'; '.join(parts)}."
    if nothing:
        yield "There is nothing to restore."
    if moved:
        yield (
            f"{moved:,} of these lie under a former key of their environment, and their rows count"
            " twice until this is run:"
        )
        yield f"  {called('migrate')}"
    if again:
        yield (
            "Some of these days are restored as they were before they had settled. They are closed"
            " as unconfirmed until these are run:"
        )
        yield from (f"  {each}" for each in again)


def as_dict(
    outcomes: Iterable[RestoreCounts], again: Sequence[str], listed: Sequence[str] | None
) -> dict[str, Any]:
    """The same for a program; `listed` is what a dry run would bring back."""
    tables = [
        {
            "table": outcome.table,
            **outcome.counts,
            "moved": outcome.moved,
            "unconfirmed": [*map(str, sorted(outcome.unconfirmed))],
        }
        for outcome in outcomes
    ]
    found: dict[str, Any] = {"tables": tables, "commands": [*again]}
    return found if listed is None else found | {"objects": [*listed]}
