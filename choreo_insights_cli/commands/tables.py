"""`insights tables`: which tables there are; compiles the documents of a project's folder."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import click
from rich.text import Text

from choreo_insights.catalogue import Column
from choreo_insights_cli import options, output, spinner
from choreo_insights_cli.generate.tables_page import first_sentence
from choreo_insights_cli.names import check as check_names
from choreo_insights_cli.paths import catalogue, project
from choreo_insights_cli.sql.model import ViewColumn
from choreo_insights_cli.sql.shipped import OWN, view_titles, views

_EXAMPLES = """\b
Examples:
  insights tables                         the tables and views, with what each holds
  insights tables traffic_daily           the columns of a table or a view
  insights tables --compile               after a document was changed, in the project's folder
"""
# So many columns a meaning has at the least.
_ROOM = 40
# Name, description, columns.
_Described = tuple[str, str, Sequence[Column | ViewColumn]]


@click.command(epilog=_EXAMPLES)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--compile", "compiles", is_flag=True, help="Write all that follows from documents.")
@click.option("--check", is_flag=True, help="Write nothing; fail where a file is stale.")
@options.as_json
def command(name: str | None, compiles: bool, check: bool, as_json: bool) -> int:
    """List tables, views and columns, or compile the documents."""
    if compiles or check:
        return _compile(check=check)
    lines = _lines()
    if name is not None:
        check_names("", [name], lines, "table or view", "`insights tables` lists them.")
    # To look at the views takes longer than at the tables.
    tables = {described[0]: described for described in _tables()}
    needs_views = name not in tables if name else as_json
    known = {**tables, **({view[0]: view for view in _views()} if needs_views else {})}
    if as_json:
        output.as_json([_as_dict(known[name])] if name else [*map(_as_dict, known.values())])
    elif name:
        _, description, columns = known[name]
        output.line(f"{_fitting(description)}\n")
        _show({c.name: (f"{c.type:<9}", " ".join(c.meaning.split())) for c in columns})
    else:
        _show({table: (line,) for table, line in lines.items()})
    return 0


def _lines() -> dict[str, str]:
    """What each table holds, in one sentence."""
    descriptions = {t.name: _text(first_sentence(t.description), t.off) for t in catalogue().tables}
    own = {name: first_sentence(description) for name, description, _ in OWN}
    return descriptions | own | {name: f"View: {title}." for name, title in view_titles().items()}


def _tables() -> list[_Described]:
    """The tables, the user's own included."""
    tables = catalogue().tables
    return [
        *((table.name, _text(table.description, table.off), table.columns) for table in tables),
        *OWN,
    ]


def _views() -> list[_Described]:
    return [
        (view.name, f"View: {view.statement.title}. {view.statement.notes}", view.columns)
        for view in views()
    ]


def _text(description: str, off: str | None) -> str:
    return f"Switched off: {off}. {description}" if off else description


def _as_dict(table: _Described) -> Mapping[str, object]:
    name, description, columns = table
    return {
        "table": name,
        "description": description,
        "columns": [{"name": c.name, "type": c.type, "meaning": c.meaning} for c in columns],
    }


def _fitting(text: str) -> str:
    """The text as it is for a pipe, wrapped for a terminal."""
    if not output.is_terminal():
        return text
    width = output.console().width
    return "\n\n".join("\n".join(wrap(part, width)) for part in text.split("\n\n"))


def _show(rows: Mapping[str, Sequence[str]]) -> None:
    """One line a row, so that a pipe can take it apart; a terminal gets it wrapped."""
    width = max(map(len, rows))
    if not output.is_terminal():
        for name, cells in rows.items():
            output.line("  ".join((name.ljust(width), *cells)).rstrip())
        return
    console = output.console()
    for name, cells in rows.items():
        head = "  ".join((name.ljust(width), *cells[:-1]))
        # Beside the names where there is room, else below them.
        beside = console.width - len(head) - 2 >= _ROOM
        indent = " " * (len(head) + 2 if beside else 4)
        if not beside:
            console.print(Text(head.rstrip()), soft_wrap=True)
        wrapped = wrap(cells[-1], console.width - len(indent)) or [""]
        first = f"{head}  " if beside else indent
        console.print(Text("\n".join((first + wrapped[0], *(indent + w for w in wrapped[1:])))))


def _compile(*, check: bool) -> int:
    root = project()
    # The compilers of views and dashboards take longer to import than most commands run.
    from choreo_insights_cli.generate.everything import write  # noqa: PLC0415

    with spinner.shown("compiling"):
        return write(root, check=check)
