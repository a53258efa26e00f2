"""What the project ships: tables, views and saved queries, as they are compiled."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from catalogue import sql
from insights.catalogue import Column, load
from insights.checks import CHECKS, CHECKS_COLUMNS, CHECKS_DESCRIPTION
from insights.ledger import RUNS, RUNS_COLUMNS, RUNS_DESCRIPTION
from insights.registry import (
    REGISTRY_ENVIRONMENTS,
    REGISTRY_ENVIRONMENTS_COLUMNS,
    REGISTRY_ENVIRONMENTS_DESCRIPTION,
    REGISTRY_NAMES,
    REGISTRY_NAMES_COLUMNS,
    REGISTRY_NAMES_DESCRIPTION,
)

ROOT = Path(__file__).parent.parent
# The exporter's own tables: name, description, columns.
OWN = (
    (RUNS, RUNS_DESCRIPTION, RUNS_COLUMNS),
    (CHECKS, CHECKS_DESCRIPTION, CHECKS_COLUMNS),
    (REGISTRY_ENVIRONMENTS, REGISTRY_ENVIRONMENTS_DESCRIPTION, REGISTRY_ENVIRONMENTS_COLUMNS),
    (REGISTRY_NAMES, REGISTRY_NAMES_DESCRIPTION, REGISTRY_NAMES_COLUMNS),
)


def version() -> str:
    """The release that this tree is, or the last one before it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: str = tomllib.load(file)["project"]["version"]
    return found


def tables() -> Mapping[str, Sequence[Column]]:
    """The columns of every shipped table by its name. Raises ConfigurationError."""
    asked = {table.name: table.columns for table in load().tables}
    return asked | {name: columns for name, _, columns in OWN}


def views() -> list[sql.View]:
    """The views, each after those that it reads. Raises DocumentError."""
    return sql.views(ROOT / "views", tables())


def queries() -> list[sql.Statement]:
    """The saved queries. Raises DocumentError."""
    return sql.queries(ROOT / "queries", tables(), views())
