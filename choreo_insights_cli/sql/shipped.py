"""The shipped tables, views and saved queries, as compiled."""

from collections.abc import Mapping, Sequence

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
from choreo_insights_cli.sql import statements

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


def views() -> list[statements.View]:
    """The views, each after those that it reads. Raises DocumentError."""
    return statements.views(PACKAGE / "sql/views", tables())


def view_titles() -> dict[str, str]:
    """The title of each view by its name. Raises DocumentError."""
    return {each.name: each.title for each in statements.statements(PACKAGE / "sql/views")}


def queries() -> list[statements.Statement]:
    """The saved queries. Raises DocumentError."""
    return statements.queries(PACKAGE / "sql/queries", tables(), views())
