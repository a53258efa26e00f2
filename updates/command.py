"""`make migrate`, and what `make deploy` says before it changes tables that are there."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from catalogue import shipped
from catalogue.sql import ViewColumn
from insights.catalogue import Catalogue, Column
from insights.dataset import Dataset
from insights.errors import InsightsError
from cli.errors import CommandError
from cli.stack import Stack
from cli.status.reading import shipped_and_own
from updates import changes
from updates.changes import Types
from updates.deployed import deployed
from updates.migrate import Migration, Outcome, Shape, lines, shapes


def types(columns: Iterable[Column | ViewColumn]) -> Types:
    """The type of each column."""
    return {column.name: column.type for column in columns}


def announced(
    tables: Mapping[str, Types],
    views: Mapping[str, Types],
    catalogue: Catalogue,
    since: date,
    today: date,
) -> list[str]:
    """What a deployment of a catalogue changes in these tables and views, line by line.

    Raises CommandError where it would break days that are there.
    """
    every = shapes(catalogue, shipped.OWN)
    of_tables = changes.differences(
        tables,
        {shape.name: types(shape.columns) for shape in every},
        {shape.name: shape.renamed for shape in every},
    )
    if reason := changes.refusal(of_tables):
        raise CommandError(reason)
    daily = [shape.name for shape in every if shape.asked == "daily"]
    of_views = changes.differences(
        views, {view.name: types(view.columns) for view in shipped.views()}
    )
    return [*changes.of_tables(of_tables, daily, since, today), *changes.of_views(of_views)]


def announce(
    stack: Stack,
    parameters: Mapping[str, str],
    catalogue: Catalogue,
    say: Callable[[str], None] = print,
) -> None:
    """Says what a deployment with these parameters changes in the tables that are there.

    Says nothing where nothing is deployed yet. Raises CommandError where it would break days that
    are there, or what boto3 raises.
    """
    try:
        earlier, database = stack.parameters, stack.outputs["DatabaseName"]
    except (CommandError, KeyError):
        return
    since = date.fromisoformat({**earlier, **parameters}["ExportSince"])
    found = announced(*deployed(stack.glue, database), catalogue, since, datetime.now(UTC).date())
    if found:
        say("This changes tables that are there:")
    for line in found:
        say(f"  {line}")


def migrate(
    stack: Stack, catalogue: Catalogue, names: Sequence[str] | None, *, dry: bool
) -> list[Outcome]:
    """Looks at all objects of these tables (None: of all); writes former names anew unless `dry`.

    Shows how far it is. Raises CommandError for a name that is no table, InsightsError or what
    boto3 raises.
    """
    every = shapes(catalogue, shipped.OWN)
    migration = Migration(
        Dataset(stack.s3, stack.outputs["DatasetBucketName"]),
        datetime.now(UTC),
        float(stack.parameters["SettleHours"]),
        dry,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("listing", total=None)

        def tell(table: str, done: int, of: int) -> None:
            progress.update(task, description=table, completed=done, total=of)

        return migration.run(_chosen(every, names), tell)


def _chosen(every: Sequence[Shape], names: Sequence[str] | None) -> Sequence[Shape]:
    known = {shape.name: shape for shape in every}
    if names is None:
        return every
    for name in names:
        if name not in known:
            raise CommandError(f"TABLES: {name!r} is no table. They are: {', '.join(known)}.")
    return [known[name] for name in names]


def main() -> int:
    """`make migrate`: of TABLES alone, with DRY=1 without writing. The exit status.

    Raises CommandError where it cannot be done.
    """
    given = [part.strip() for part in os.environ.get("TABLES", "").split(",")]
    names = [name for name in given if name] or None
    dry = os.environ.get("DRY", "") not in ("", "0")
    try:
        outcomes = migrate(Stack.of_terminal(), shipped_and_own(), names, dry=dry)
    except InsightsError as error:
        raise CommandError(str(error)) from error
    for line in lines(outcomes, dry=dry):
        print(line)
    looked = sum(outcome.objects for outcome in outcomes)
    print(f"{looked:,} objects looked at" + (", none was changed." if dry else "."))
    return 0
