"""Inputs and counts of a deployed stack, from its parameters and the results of two queries.

The queries are Athena SQL for the stack's database; each returns one row.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from choreo_insights_cli.costs.inputs import Counts, Inputs, runs_a_day

_FOLDER = Path(__file__).parent
COUNTS_SQL = (_FOLDER / "counts.sql").read_text("utf-8")
SIZES_SQL = (_FOLDER / "sizes.sql").read_text("utf-8")

# A row of a query's result, its values as Athena gives them or as numbers.
Row = Mapping[str, str | float | None]


def inputs_of(parameters: Mapping[str, str], region: str, today: date) -> Inputs:
    """The inputs by a stack's template parameters; the others keep their defaults.

    QuickSight counts with one author where it is on. Raises ValueError.
    """
    tables = tuple(name.strip() for name in parameters["Tables"].split(","))
    since = date.fromisoformat(parameters["ExportSince"])
    return Inputs(
        region=region,
        organizations=len({name.strip() for name in parameters["Organizations"].split(",")}),
        history_days=max(0, (today - since).days + 1),
        runs_a_day=runs_a_day(parameters["ExportSchedule"]),
        settle_hours=float(parameters["SettleHours"]),
        tables=None if tables == ("all",) else tables,
        concurrency=int(parameters["Concurrency"]),
        requests_per_minute=int(parameters["RequestsPerMinute"]),
        batch_size=int(parameters["BatchSize"]),
        architecture=parameters["Architecture"],
        authors=1 if parameters["QuickSightPrincipalArn"] else 0,
        quicksight_days=int(parameters["QuickSightDays"]),
    )


def sized(inputs: Inputs, row: Row) -> Inputs:
    """The inputs with the sizes of SIZES_SQL, where it has any.

    The number of organisations is the parameters'.
    """

    def found(name: str, usual: int) -> int:
        value = row.get(name)
        return usual if value is None else int(value)

    return replace(
        inputs,
        environments=found("environments", inputs.environments),
        apis=found("apis", inputs.apis),
        applications=found("applications", inputs.applications),
    )


def counts_of(row: Row) -> Counts | None:
    """The counts of COUNTS_SQL; None while the ledger holds no whole day."""
    days = float(row.get("days") or 0)
    if not days:
        return None
    names = ("invocations", "seconds", "written")
    counts = {name: float(value) for name in names if (value := row.get(name)) is not None}
    return Counts(days=days, **counts)
