"""`insights query`: SQL over the dataset, by Athena, or on the local AWS by DuckDB."""

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from choreo_insights_cli import options, spinner
from choreo_insights_cli.dataset_copy import CACHE, Copy
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import catalogue
from choreo_insights_cli.stack import Stack

Value = str | int | float | bool | None

_BEGINNING = date(2000, 1, 1)
_INTEGERS = ("bigint", "integer", "int", "smallint", "tinyint", "hugeint")
_FLOATS = ("double", "float", "real")
_EXAMPLES = """\b
Examples:
  insights query "SELECT day, sum(requests) FROM traffic_daily GROUP BY 1 ORDER BY 1"
  insights query --saved                           names the saved queries
  insights query --saved busiest_apis --csv > busiest.csv
  insights query - < report.sql

Without --csv or --json, a terminal shows a table and a pipe gets CSV. Tables and views are
described in docs/generated/tables.md and docs/generated/views.md; always filter by `day`.
"""


@dataclass(frozen=True)
class QueryResult:
    """A query's rows, their columns' names, and the bytes that were read for it."""

    names: Sequence[str]
    rows: Sequence[Sequence[Value]]
    scanned: int = 0

    def records(self) -> list[dict[str, Value]]:
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


@click.command(epilog=_EXAMPLES)
@click.argument("sql", required=False)
@click.option(
    "--saved",
    metavar="NAME",
    is_flag=False,
    flag_value="",
    help="A saved query; without a name: which there are.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@options.as_json
@options.of_stack
def command(stack: Stack, sql: str | None, saved: str | None, as_csv: bool, as_json: bool) -> None:
    """Ask the dataset in SQL (Trino's, as Athena speaks it)."""
    if as_csv and as_json:
        raise WrongUsage("--csv and --json exclude each other.")
    if saved == "" and not sql:
        _list_saved()
        return
    text = _text(sql, saved)
    with spinner.shown("asking") as say:
        answer = ask(stack, text, say)
    if as_json:
        click.echo(json.dumps(answer.records(), indent=2, ensure_ascii=False))
    elif as_csv or not sys.stdout.isatty():
        click.echo(as_csv_text(answer), nl=False)
    else:
        Console().print(as_table(answer))
        read = f", {answer.scanned / 1e6:,.1f} MB read" if answer.scanned else ""
        click.echo(f"{len(answer.rows):,} rows{read}", err=True)


def _text(sql: str | None, saved: str | None) -> str:
    if sql and saved is not None:
        raise WrongUsage("Give SQL or --saved NAME, not both.")
    if saved is not None:
        known = saved_queries()
        if saved not in known:
            raise WrongUsage(f"--saved {saved} is none of: {', '.join(known)}.")
        return known[saved][1]
    text = sys.stdin.read() if sql == "-" else sql or ""
    if not text.strip():
        raise WrongUsage(
            'Give a query, as in: insights query "SELECT * FROM traffic_daily LIMIT 5"'
        )
    return text


def saved_queries() -> dict[str, tuple[str, str]]:
    """What each of the saved queries tells, and its SQL, by name."""
    # A parser of SQL takes longer to import than most commands run.
    from choreo_insights_cli.sql.shipped import queries  # noqa: PLC0415

    return {query.name: (query.title, query.text) for query in queries()}


def _list_saved() -> None:
    known = saved_queries()
    width = max(map(len, known))
    for name, (title, _) in known.items():
        click.echo(f"{name:{width}}  {title}")


def ask(stack: Stack, sql: str, say: Callable[[str], None] = lambda _: None) -> QueryResult:
    """The answer to a query. Raises CommandError with the engine's reason when it fails.

    The local AWS knows neither views nor Trino's SQL: there a copy of the dataset is asked.
    """
    if stack.parameters.get("Emulated") == "true":
        return _by_duckdb(stack, sql)
    return by_athena(stack, sql, say)


def by_athena(stack: Stack, sql: str, say: Callable[[str], None] = lambda _: None) -> QueryResult:
    """Asks Athena, within the stack's workgroup and database. Raises CommandError."""
    outputs = stack.outputs
    started = stack.athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": outputs["DatabaseName"]},
        WorkGroup=outputs["WorkGroupName"],
    )
    query = started["QueryExecutionId"]
    try:
        scanned = _wait(stack, query, sql, say)
    except KeyboardInterrupt:
        # Nobody waits for it any more, and what it reads is paid for.
        stack.athena.stop_query_execution(QueryExecutionId=query)
        raise
    names: list[str] = []
    kinds: list[str] = []
    rows: list[Sequence[Value]] = []
    for page in stack.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        found = page["ResultSet"]
        cells = [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["Rows"]]
        if not names and cells:
            # The first row of all holds the names.
            names = [name or "" for name in cells.pop(0)]
            kinds = [column["Type"] for column in found["ResultSetMetadata"]["ColumnInfo"]]
        rows += [tuple(map(_typed, row, kinds)) for row in cells]
    return QueryResult(names, rows, scanned)


def _wait(stack: Stack, query: str, sql: str, say: Callable[[str], None]) -> int:
    """Waits for its end; the bytes that it read."""
    while True:
        execution = stack.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        status = execution["Status"]
        scanned = execution.get("Statistics", {}).get("DataScannedInBytes", 0)
        if status["State"] == "SUCCEEDED":
            return scanned
        if status["State"] in ("FAILED", "CANCELLED"):
            reason = status.get("StateChangeReason", "no reason given")
            raise CommandError(f"Athena could not answer: {reason}\n{sql}")
        say(f"Athena: {status['State'].lower()}, {scanned / 1e6:,.1f} MB read")
        time.sleep(0.1)


def _typed(text: str | None, kind: str) -> Value:
    if text is None:
        return None
    if kind in _INTEGERS:
        return int(text)
    if kind in _FLOATS:
        return float(text)
    return text == "true" if kind == "boolean" else text


def _by_duckdb(stack: Stack, sql: str) -> QueryResult:
    """Asks a copy of the dataset. Raises CommandError."""
    # Together these take longer to import than most commands run.
    import duckdb  # noqa: PLC0415
    from sqlglot.errors import SqlglotError  # noqa: PLC0415

    from choreo_insights_cli.sql import duckdb as views  # noqa: PLC0415

    own = {table.name: table.columns for table in catalogue().tables}
    now = datetime.now(UTC)
    try:
        text = views.translated(sql, now)
        needed = {table for name in views.names(sql) for table in views.tables_of(name)}
        files = Copy.of(stack, CACHE).refresh(needed, _BEGINNING)
        frozen = stack.parameters.get("Frozen") == "true"
        with views.connect(files, now, own, frozen=frozen) as database:
            found = database.execute(text)
            names = [column[0] for column in found.description or ()]
            return QueryResult(names, [tuple(map(_plain, row)) for row in found.fetchall()])
    except (duckdb.Error, SqlglotError) as error:
        raise CommandError(f"The query cannot be answered: {error}\n{sql}") from error


def _plain(value: Any) -> Value:
    """A value as Athena gives it."""
    if isinstance(value, datetime):
        return value.isoformat(" ", "milliseconds")
    return value if isinstance(value, str | int | float | None) else str(value)


def as_csv_text(answer: QueryResult) -> str:
    """CSV with a line of names; a null is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.names)
    writer.writerows(answer.rows)
    return text.getvalue()


def as_table(answer: QueryResult) -> Table:
    """A table for a terminal; numbers stand to the right, a null is a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = list(zip(*answer.rows, strict=True)) or [()] * len(answer.names)
    numeric = [
        any(_is_number(v) for v in column) and all(v is None or _is_number(v) for v in column)
        for column in columns
    ]
    for name, right in zip(answer.names, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in answer.rows:
        table.add_row(*map(_shown, row))
    return table


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Value) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
