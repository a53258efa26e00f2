"""The shipped tables, views and saved queries, as `make tables` compiled them.

A parser of SQL would be most of what the program installs, and half a second of each start.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import msgspec

from choreo_insights.catalogue import Column, load
from choreo_insights.dataset.access_rules import (
    ACCESS_RULES,
    ACCESS_RULES_COLUMNS,
    ACCESS_RULES_DESCRIPTION,
)
from choreo_insights.dataset.checks_table import CHECKS, CHECKS_COLUMNS, CHECKS_DESCRIPTION
from choreo_insights.dataset.ledger import RUNS, RUNS_COLUMNS, RUNS_DESCRIPTION
from choreo_insights.dataset.registry_tables import (
    REGISTRY_ENVIRONMENTS,
    REGISTRY_ENVIRONMENTS_COLUMNS,
    REGISTRY_ENVIRONMENTS_DESCRIPTION,
    REGISTRY_NAMES,
    REGISTRY_NAMES_COLUMNS,
    REGISTRY_NAMES_DESCRIPTION,
)
from choreo_insights_cli.paths import PACKAGE
from choreo_insights_cli.sql.model import Statement, View, ViewColumn

# In the package.
COMPILED = "sql/compiled.json"
# The exporter's own tables: name, description, columns.
OWN = (
    (RUNS, RUNS_DESCRIPTION, RUNS_COLUMNS),
    (CHECKS, CHECKS_DESCRIPTION, CHECKS_COLUMNS),
    (REGISTRY_ENVIRONMENTS, REGISTRY_ENVIRONMENTS_DESCRIPTION, REGISTRY_ENVIRONMENTS_COLUMNS),
    (REGISTRY_NAMES, REGISTRY_NAMES_DESCRIPTION, REGISTRY_NAMES_COLUMNS),
    (ACCESS_RULES, ACCESS_RULES_DESCRIPTION, ACCESS_RULES_COLUMNS),
)


def tables() -> Mapping[str, Sequence[Column]]:
    """The columns of every shipped table by its name. Raises ConfigurationError."""
    exported = {table.name: table.columns for table in load().tables}
    return exported | {name: columns for name, _, columns in OWN}


def views() -> list[View]:
    """The views, each after those that it reads."""
    return [View(_statement(each, "views"), each.columns) for each in _compiled().views]


def queries() -> list[Statement]:
    """The saved queries."""
    return [_statement(each, "queries") for each in _compiled().queries]


def view_titles() -> dict[str, str]:
    """The title of each view by its name."""
    return {each.name: each.title for each in _compiled().views}


def compiled(views: Iterable[View], queries: Iterable[Statement]) -> str:
    """The text of the file that the functions above read."""
    every = _CompiledSql(
        [_kept(view.statement, view.columns) for view in views],
        [_kept(query) for query in queries],
    )
    return msgspec.json.format(msgspec.json.encode(every), indent=1).decode() + "\n"


def _kept(statement: Statement, columns: tuple[ViewColumn, ...] = ()) -> "_CompiledStatement":
    return _CompiledStatement(
        statement.name,
        statement.title,
        statement.grain,
        statement.notes,
        sorted(statement.sources),
        statement.duckdb,
        columns,
    )


class _CompiledStatement(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement without its text, which is in its own file."""

    name: str
    title: str
    grain: str
    notes: str
    sources: list[str]
    duckdb: str
    columns: tuple[ViewColumn, ...] = ()


class _CompiledSql(msgspec.Struct, frozen=True):
    """The compiled file."""

    views: list[_CompiledStatement]
    queries: list[_CompiledStatement]


@cache
def _compiled() -> _CompiledSql:
    return msgspec.json.decode((PACKAGE / COMPILED).read_bytes(), type=_CompiledSql)


def _statement(of: _CompiledStatement, folder: str) -> Statement:
    text = (PACKAGE / "sql" / folder / f"{of.name}.sql").read_text("utf-8")
    return Statement(of.name, of.title, of.grain, of.notes, text, frozenset(of.sources), of.duckdb)
