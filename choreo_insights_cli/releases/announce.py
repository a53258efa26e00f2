"""The announcement of `make deploy` before it changes existing tables."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

from choreo_insights.catalogue import Catalogue
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.releases import changes
from choreo_insights_cli.releases.changes import Types, types
from choreo_insights_cli.releases.deployed import deployed
from choreo_insights_cli.releases.migrate import shapes
from choreo_insights_cli.sql import shipped
from choreo_insights_cli.stack import Stack


def announced(
    tables: Mapping[str, Types],
    views: Mapping[str, Types],
    catalogue: Catalogue,
    since: date,
    today: date,
) -> list[str]:
    """The changes of these tables and views by a deployment of a catalogue, line by line.

    Raises CommandError where the deployment would break existing days.
    """
    every = shapes(catalogue, shipped.OWN)
    of_tables = changes.differences(
        tables,
        {shape.name: _as_in_glue(types(shape.columns)) for shape in every},
        {shape.name: shape.renamed for shape in every},
    )
    if reason := changes.refusal(of_tables):
        raise CommandError(reason)
    daily = [shape.name for shape in every if shape.queried == "daily"]
    of_views = changes.differences(
        views, {view.name: _as_in_glue(types(view.columns)) for view in shipped.views()}
    )
    return [*changes.of_tables(of_tables, daily, since, today), *changes.of_views(of_views)]


def _as_in_glue(columns: Types) -> Types:
    """The columns as Glue has them: it keeps names in small letters.

    https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
    """
    return {name.lower(): kind for name, kind in columns.items()}


def announce(
    stack: Stack,
    parameters: Mapping[str, str],
    catalogue: Catalogue,
    say: Callable[[str], None] = print,
) -> None:
    """Prints how a deployment with these parameters changes existing tables.

    Prints nothing for a first deployment. Raises CommandError where it would break existing days,
    or what botocore raises.
    """
    try:
        earlier, database = stack.parameters, stack.outputs["DatabaseName"]
    except (CommandError, KeyError):
        return
    since = date.fromisoformat({**earlier, **parameters}["ExportSince"])
    today = datetime.now(UTC).date()
    changed = announced(*deployed(stack.glue, database), catalogue, since, today)
    if changed:
        say("This changes existing tables:")
    for line in changed:
        say(f"  {line}")
