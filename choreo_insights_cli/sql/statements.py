"""The views in `views/` and the saved queries in `queries/`: what their files say.

A file is one SELECT in Trino's SQL below a comment: a title, notes, `Grain:` in a
view, and a line `column: meaning` for each column whose name is not enough.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from sqlglot import exp, parse
from sqlglot.dialects.trino import Trino
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from choreo_insights.catalogue import Column
from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.sql.model import DIALECT, TRINO_TYPES, Statement, View, ViewColumn
from choreo_insights_cli.sql.translation import sources, template_of

PARTITION = ("day", "date")
_GLUE_TYPES = {trino: glue for glue, trino in TRINO_TYPES.items()}

# The meaning of these columns, where a view does not say otherwise.
_MEANINGS: Mapping[str, str] = {
    "day": "The UTC day: the partition. Filter by it.",
    "hour": "Start of the hour (UTC).",
    "organization": "Handle of the organisation.",
    "environment": "Name of the environment.",
    "environment_id": "Id of the environment.",
    "environment_type": "CHOREO, CHOREO_PRIVATE or ON_PREM.",
    "api_id": "Id of the API; where answers left it in doubt, what they said.",
    "api_name": "Display name of the API where the newest list that has it gives one, else its "
    "name, else its id.",
    "api_version": "Version of the API; null where no list has the API.",
    "api_slug": "Name of the API as the service keeps it: the slug of its component.",
    "provider": "Creator of the API.",
    "application_id": "Id of the application.",
    "application_name": "Name of the application in the newest list, else as answered.",
    "application_owner": "Owner of the application in the newest list, else as answered.",
    "backend": "Address of the backend.",
    "last_listed": "Day of the newest list that has it.",
    "requests": "All requests, successes and errors together.",
    "error_percent": "Errors in percent of the requests, 0 to 100. Not additive.",
    "table_name": "Table of the dataset.",
}
_MEANING = re.compile(r"([a-z][a-z0-9_]*): (.+)")
_GRAIN = "Grain: "


@dataclass(frozen=True)
class ParsedStatement(Statement):
    """A statement with what its file says: the meanings of columns, and the SELECT as a tree."""

    path: Path
    meanings: Mapping[str, str]
    tree: exp.Query


Tables = Mapping[str, Iterable[Column]]


def views(folder: Path, tables: Tables) -> list[View]:
    """The views of a folder, each after those that it reads.

    Raises DocumentError for one that reads an unknown table, has a column without a type or a
    meaning, or is not one SELECT with a title and a grain.
    """
    by_name = {statement.name: statement for statement in statements(folder)}
    schema = schema_of(tables)
    known = {name: [*tables[name]] for name in tables}
    for name, statement in by_name.items():
        if name in known:
            raise DocumentError(statement.path, "there is a table of this name: rename the file")
        if not statement.grain:
            raise DocumentError(statement.path, f"its comment has no line `-- {_GRAIN}...`")
    done: list[View] = []
    for statement in _in_order(by_name):
        columns = _columns(statement, schema, {*known, *by_name})
        schema.add_table(
            statement.name, {c.name: TRINO_TYPES[c.type] for c in columns}, dialect=DIALECT
        )
        done.append(View(statement, columns))
    return done


def queries(folder: Path, tables: Tables, over: Iterable[View]) -> list[ParsedStatement]:
    """The saved queries of a folder. Raises DocumentError for one that cannot run."""
    schema, names = schema_of(tables), {*tables}
    for view in over:
        types = {column.name: TRINO_TYPES[column.type] for column in view.columns}
        schema.add_table(view.name, types, dialect=DIALECT)
        names.add(view.name)
    saved = list(statements(folder))
    for query in saved:
        _qualified(query, schema, names)
    return saved


def statements(folder: Path) -> Iterator[ParsedStatement]:
    """The files of a folder by name. Raises DocumentError."""
    for path in sorted(folder.glob("*.sql")):
        yield read(path, path.read_text("utf-8"))


def read(path: Path, text: str) -> ParsedStatement:
    """Parses a file's text. Raises DocumentError."""
    try:
        trees = parse(text, read=DIALECT)
    except SqlglotError as error:
        raise DocumentError(path, f"it does not parse: {error}") from error
    # Athena runs one statement for each call.
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise DocumentError(path, "a file is one SELECT without a semicolon")
    # The views' template fills this one in.
    if "${" in text.replace("'${Frozen}'", ""):
        raise DocumentError(path, "it has a `${`, which a template would take for its own")
    title, *lines = _comment(path, text)
    grain, notes, meanings = _taken_apart(lines)
    tree = trees[0]
    return ParsedStatement(
        path.stem, title, grain, notes, text, sources(tree), template_of(tree), path, meanings, tree
    )


def _comment(path: Path, text: str) -> list[str]:
    """The comment at the top of the file, continued lines joined."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        said = line.removeprefix("--")
        if said.startswith("   ") and lines:
            lines[-1] += f" {said.strip()}"
        else:
            lines.append(said.strip())
    if not lines:
        raise DocumentError(path, "it must begin with a comment: `-- a title`")
    return lines


def _taken_apart(lines: Iterable[str]) -> tuple[str, str, dict[str, str]]:
    grain, notes = "", []
    meanings: dict[str, str] = {}
    for line in lines:
        if line.startswith(_GRAIN):
            grain = line.removeprefix(_GRAIN)
        elif meaning := _MEANING.fullmatch(line):
            meanings[meaning[1]] = meaning[2]
        else:
            notes.append(line)
    return grain, " ".join(notes), meanings


def schema_of(tables: Tables) -> MappingSchema:
    """The columns of tables, their partition included, in Trino's types."""
    types: dict[str, object] = {
        name: {column.name: TRINO_TYPES[column.type] for column in columns}
        | ({} if name in UNPARTITIONED else {PARTITION[0]: TRINO_TYPES[PARTITION[1]]})
        for name, columns in tables.items()
    }
    return MappingSchema(types, dialect=DIALECT)


def _in_order(by_name: Mapping[str, ParsedStatement]) -> Iterator[ParsedStatement]:
    """Each after those that it reads, and else by name."""
    sorter = TopologicalSorter({n: by_name[n].sources & by_name.keys() for n in by_name})
    try:
        # Athena checks a view when it is created: those that it reads must be there.
        sorter.prepare()
    except CycleError as error:
        first = by_name[error.args[1][0]]
        reason = f"views read each other: {' -> '.join(error.args[1])}"
        raise DocumentError(first.path, reason) from error
    while ready := sorted(sorter.get_ready()):
        yield from (by_name[name] for name in ready)
        sorter.done(*ready)


def _qualified(
    statement: ParsedStatement, schema: MappingSchema, names: Iterable[str]
) -> exp.Query:
    """The SELECT with every name resolved and every type known that can be."""
    if unknown := sorted(statement.sources - set(names)):
        raise DocumentError(statement.path, f"unknown table or view {', '.join(unknown)}")
    try:
        tree = qualify(statement.tree.copy(), schema=schema, dialect=DIALECT)
        annotated = annotate_types(
            tree, schema=schema, dialect=DIALECT, expression_metadata=metadata()
        )
    except SqlglotError as error:
        raise DocumentError(statement.path, str(error)) from error
    if not isinstance(annotated, exp.Query):
        raise DocumentError(statement.path, "a file is one SELECT")
    return annotated


def metadata() -> dict[type[exp.Expr], dict[str, object]]:
    """sqlglot's types of functions, and that of `max_by`, which it lacks."""
    # max_by gives its first argument, so that it has its type.
    own = {"annotator": lambda self, found: self._annotate_by_args(found, "this")}
    return {**Trino.EXPRESSION_METADATA, exp.ArgMax: own}


def _columns(
    statement: ParsedStatement, schema: MappingSchema, names: Iterable[str]
) -> tuple[ViewColumn, ...]:
    columns = []
    for selected in _qualified(statement, schema, names).selects:
        name, type_of = selected.alias_or_name, selected.type
        written = type_of.sql(DIALECT).lower() if type_of else "unknown"
        if written not in _GLUE_TYPES:
            reason = f"the type of {name} is {written}: give it one with CAST"
            raise DocumentError(statement.path, reason)
        meaning = statement.meanings.get(name) or _MEANINGS.get(name)
        if not meaning:
            reason = f"the column {name} has no meaning: add a line `-- {name}: ...`"
            raise DocumentError(statement.path, reason)
        columns.append(ViewColumn(name, _GLUE_TYPES[written], meaning))
    if left := statement.meanings.keys() - {column.name for column in columns}:
        raise DocumentError(statement.path, f"unknown columns in its comment: {sorted(left)}")
    return tuple(columns)
