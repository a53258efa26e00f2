"""`insights query`: SQL over the dataset, by Athena, or on the local AWS by DuckDB."""

import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from textwrap import wrap
from typing import Any

import click
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from choreo_insights.catalogue import Column
from choreo_insights.spreadsheet import safe_cell
from choreo_insights_cli import names, options, output, spinner
from choreo_insights_cli.called import called
from choreo_insights_cli.dataset_copy import CACHE, Copy
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import catalogue
from choreo_insights_cli.stack import Stack

Value = str | int | float | bool | None

_BEGINNING = date(2000, 1, 1)
_INTEGERS = ("bigint", "integer", "int", "smallint", "tinyint", "hugeint")
_FLOATS = ("double", "float", "real")
# Athena's reasons that a change of the query removes.
_USERS_FAULT = re.compile(
    r"SYNTAX_ERROR|NOT_FOUND|TYPE_MISMATCH|INVALID_|mismatched input|FUNCTION_NOT|cannot be applied"
)
_QUOTED = re.compile(r'[",\r\n]')
_EXAMPLE = "query 'SELECT * FROM traffic_daily LIMIT 5'"
_EXAMPLES = """\b
Examples:
  insights query "SELECT day, sum(requests) FROM traffic_daily GROUP BY 1"
  insights query --saved                           names the saved queries
  insights query --saved busiest_apis --csv > busiest.csv
  insights query - < report.sql

Without --csv or --json, a terminal shows a table and a pipe gets CSV. Tables and views are
described in docs/generated/tables.md and docs/generated/views.md; always filter by `day`.
"""


@dataclass(frozen=True)
class QueryResult:
    """A query's rows, their columns' names, and the bytes that were read for it.

    `updated` are the rows that an INSERT wrote.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[Value]]
    scanned: int = 0
    updated: int = 0

    def records(self) -> list[dict[str, Value]]:
        """The rows by name; a second column of a name is `name_2`, so that none is lost."""
        names = _distinct(self.names)
        return [dict(zip(names, row, strict=True)) for row in self.rows]


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        number, each = 1, name
        while each in distinct or (number > 1 and each in names):
            number += 1
            each = f"{name}_{number}"
        distinct.append(each)
    return distinct


@click.command(epilog=_EXAMPLES)
@click.argument("sql", required=False)
@click.option(
    "--saved",
    metavar="NAME",
    is_flag=False,
    flag_value="",
    help="A saved query; without a name: which there are.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, safe to open as a spreadsheet.")
@click.option("--raw", is_flag=True, help="Print CSV with every value as it is stored.")
@click.option("--no-pager", is_flag=True, help="Print all at once, also where it is long.")
@options.as_json
@options.of_stack
def command(
    stack: Stack,
    sql: str | None,
    saved: str | None,
    as_csv: bool,
    raw: bool,
    no_pager: bool,
    as_json: bool,
) -> None:
    """Query the dataset in SQL (Trino's, as Athena speaks it)."""
    if (as_csv or raw) and as_json:
        raise WrongUsage("--csv and --json exclude each other.")
    if saved == "" and not sql:
        _list_saved()
        return
    text = _text(sql, saved)
    with spinner.shown("querying") as say:
        answer = ask(stack, text, say)
    if as_json:
        output.as_json(answer.records())
    elif as_csv or raw or not output.is_terminal():
        output.raw(as_csv_text(answer, raw=raw))
    else:
        _show(answer, pager=not no_pager)
        read = f", {answer.scanned / 1e6:,.1f} MB read" if answer.scanned else ""
        rows = "row" if len(answer.rows) == 1 else "rows"
        output.line(f"{len(answer.rows):,} {rows}{read}", error=True)


def _show(answer: QueryResult, *, pager: bool) -> None:
    """Shows it on a terminal: through a pager where it has more lines than the terminal."""
    console = output.console()
    with console.capture() as capture:
        for part in readable(answer, console.width):
            console.print(part, soft_wrap=isinstance(part, Text))
    text = capture.get()
    if pager and sys.stdin.isatty() and text.count("\n") >= console.height:
        # As git has it: colours, and the end of the pager where all fits after all.
        os.environ.setdefault("LESS", "FRX")
        click.echo_via_pager(text)
    else:
        output.raw(text)


def _text(sql: str | None, saved: str | None) -> str:
    if sql and saved is not None:
        raise WrongUsage("Give SQL or --saved NAME, not both.")
    if saved is not None:
        known = saved_queries()
        names.check("--saved", [saved], known, "saved query", f"There are {', '.join(known)}.")
        return known[saved][1]
    text = options.piped_text() if sql == "-" else sql or ""
    if not text.strip():
        raise WrongUsage(f"Give a query, as in: {called(_EXAMPLE)}")
    return text.removeprefix("\ufeff")


def saved_queries() -> dict[str, tuple[str, str]]:
    """The title of each saved query and its SQL, by name."""
    # A part of the program that most commands do without.
    from choreo_insights_cli.sql.shipped import queries  # noqa: PLC0415

    return {query.name: (query.title, query.text) for query in queries()}


def _list_saved() -> None:
    known = saved_queries()
    width = max(map(len, known))
    for name, (title, _) in known.items():
        output.line(f"{name:{width}}  {title}", hanging=width + 2)


def ask(stack: Stack, sql: str, say: Callable[[str], None] = lambda _: None) -> QueryResult:
    """The answer to a query. Raises CommandError with the engine's reason when it fails.

    The local AWS knows neither views nor Trino's SQL: there a copy of the dataset is queried.
    """
    if stack.parameters.get("Emulated") == "true":
        return _by_duckdb(stack, sql, say)
    return by_athena(stack, sql, say)


def by_athena(stack: Stack, sql: str, say: Callable[[str], None] = lambda _: None) -> QueryResult:
    """Queries Athena, within the stack's workgroup and database. Raises CommandError."""
    outputs = stack.outputs
    try:
        started = stack.athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": outputs["DatabaseName"]},
            WorkGroup=outputs["WorkGroupName"],
        )
    except stack.athena.exceptions.InvalidRequestException as error:
        said = error.response["Error"].get("Message") or "the request is invalid"
        raise WrongUsage(f"Athena does not take the query: {said}") from error
    query = started["QueryExecutionId"]
    try:
        scanned = _wait(stack, query, sql, say)
    except KeyboardInterrupt:
        # Nobody waits for it any more, and what it reads is paid for.
        stack.athena.stop_query_execution(QueryExecutionId=query)
        raise
    names: list[str] | None = None
    kinds: list[str] = []
    rows: list[Sequence[Value]] = []
    updated = 0
    for page in stack.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        result = page["ResultSet"]
        updated = page.get("UpdateCount", 0)
        cells = [[cell.get("VarCharValue") for cell in row["Data"]] for row in result["Rows"]]
        if names is None:
            columns = result["ResultSetMetadata"]["ColumnInfo"]
            names = [column["Name"] for column in columns]
            kinds = [column["Type"] for column in columns]
            # The first row of a SELECT holds the names again; that of SHOW and DESCRIBE is data.
            if cells and [name or "" for name in cells[0]] == names:
                del cells[0]
        rows += [tuple(map(_typed, row, kinds)) for row in cells]
    return QueryResult(names or [], rows, scanned, updated)


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
            wrong = WrongUsage if _USERS_FAULT.search(reason) else CommandError
            raise wrong(f"Athena could not answer: {reason}\n{sql}")
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


def _by_duckdb(stack: Stack, sql: str, say: Callable[[str], None]) -> QueryResult:
    """Queries a copy of the dataset. Raises WrongUsage or CommandError."""
    # Together these take longer to import than most commands run.
    import duckdb  # noqa: PLC0415

    from choreo_insights_cli.sql import duckdb as views  # noqa: PLC0415

    own = {table.name: table.columns for table in catalogue().tables}
    now = datetime.now(UTC)
    needed, translation = _translated(sql, now, own)
    frozen = stack.parameters.get("Frozen") == "true"
    try:
        with Copy.of(stack, CACHE).held(needed, _BEGINNING, say) as files:
            say("querying")
            database = views.connect(files, now, own, frozen=frozen)
        with database:
            result = database.execute(translation)
            columns = [column[0] for column in result.description or ()]
            return QueryResult(columns, [tuple(map(_plain, row)) for row in result.fetchall()])
    except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
        raise WrongUsage(f"The query cannot be answered: {_first(error)}\n{sql}") from error
    except duckdb.Error as error:
        raise CommandError(f"The query cannot be answered: {_first(error)}\n{sql}") from error


def _translated(
    sql: str, now: datetime, own: Mapping[str, Sequence[Column]]
) -> tuple[frozenset[str], str]:
    """The tables that a query reads, and its text for DuckDB. Raises WrongUsage or CommandError."""
    from choreo_insights_cli.sql import duckdb as views  # noqa: PLC0415
    from choreo_insights_cli.sql import moment, shipped  # noqa: PLC0415

    saved = {query.text: query for query in shipped.queries()}
    if query := saved.get(sql):
        tables = (views.tables_of(source) for source in query.sources)
        return frozenset().union(*tables), moment.at(query.duckdb, now)
    try:
        from choreo_insights_cli.sql import check, translation  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "sqlglot":
            raise
        raise CommandError(
            "A stack on this machine answers no query of your own here, only saved ones: it needs"
            " the translator sqlglot, which the checkout has (make query SQL=...) and"
            " `pipx inject choreo-insights-export sqlglot` brings. On AWS nothing is missing."
        ) from None
    known = check.Queryable({**own, **views.tables()}, [*views.all_views().values()])
    if described := check.described(sql):
        return frozenset(), described
    check.check(sql, known)
    needed = {table for name in translation.names(sql) for table in views.tables_of(name)}
    return frozenset(needed & known.names), translation.translated(sql, now)


def _first(error: Exception) -> str:
    """Its first line: below it DuckDB lists every function that there is."""
    return str(error).partition("\n")[0]


def _plain(value: Any) -> Value:
    """A value as Athena gives it."""
    if isinstance(value, datetime):
        return value.isoformat(" ", "milliseconds")
    return value if isinstance(value, str | int | float | None) else str(value)


def as_csv_text(answer: QueryResult, *, raw: bool = False) -> str:
    """CSV with a line of names; a null is an empty cell.

    Unless `raw`, text that a spreadsheet would run as a formula gets an apostrophe before it, and
    control characters are escaped.
    """
    rows = (row if raw else map(_cell, row) for row in (answer.names, *answer.rows))
    return "".join(_csv_line(row) for row in rows)


def _csv_line(row: Iterable[Value]) -> str:
    """A line of CSV. Python's own writer leaves a carriage return without quotes."""
    cells = ["" if value is None else str(value) for value in row]
    quoted = [
        '"' + cell.replace('"', '""') + '"' if _QUOTED.search(cell) else cell for cell in cells
    ]
    return (",".join(quoted) if cells != [""] else '""') + "\n"


def _cell(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    return output.escaped(str(safe_cell(value)), keep="\n\t")


def readable(answer: QueryResult, width: int) -> Iterator[Table | Text]:
    """A table where it fits, else each row as lines of name and value."""
    columns = _columns(answer)
    widths = [max(map(cell_len, (name, *cells))) for name, cells in columns]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        yield as_table(answer)
        return
    if not answer.rows:
        names_alone = wrap(", ".join(name for name, _ in columns), width)
        yield Text("\n".join(names_alone), style="bold")
    names = max(cell_len(name.strip()) for name, _ in columns)
    for number in range(len(answer.rows)):
        yield Text(f"row {number + 1:,} of {len(answer.rows):,}", style="bold")
        # Wrapped between words, each value beside its name.
        record = Table(box=None, pad_edge=False, show_header=False)
        record.add_column(width=min(names, width // 2), overflow="fold")
        record.add_column(overflow="fold")
        for name, cells in columns:
            record.add_row(Text(name.strip(), style="dim"), Text(cells[number].strip()))
        yield record


def as_table(answer: QueryResult) -> Table:
    """A table for a terminal; numbers align at their points, a null is a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = _columns(answer)
    for number, (name, _) in enumerate(columns):
        # A number is never broken: texts beside it are wrapped.
        numeric = any(_is_number(row[number]) for row in answer.rows)
        table.add_column(Text(name), overflow="fold", no_wrap=numeric)
    for number in range(len(answer.rows)):
        table.add_row(*(Text(cells[number]) for _, cells in columns))
    return table


def _columns(answer: QueryResult) -> list[tuple[str, list[str]]]:
    """Each column's name and its cells as they are shown; numbers stand to the right."""
    shown_columns = []
    for number, name in enumerate(answer.names):
        values = [row[number] for row in answer.rows]
        numeric = any(map(_is_number, values)) and all(
            value is None or _is_number(value) for value in values
        )
        cells = [output.escaped(_shown(value)) for value in values]
        title = output.escaped(name)
        if numeric:
            # Not by Rich, which takes the blanks behind a number away.
            cells = _aligned(cells)
            width = max(len(title), *map(len, cells))
            title, cells = title.rjust(width), [cell.rjust(width) for cell in cells]
        shown_columns.append((title, cells))
    return shown_columns


def _aligned(cells: Sequence[str]) -> list[str]:
    """Numbers with blanks behind, so that their decimal points stand below each other."""
    behind = [len(cell) - cell.find(".") if "." in cell else 0 for cell in cells]
    return [cell + " " * (max(behind) - each) for cell, each in zip(cells, behind, strict=True)]


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Value) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return str(value)
