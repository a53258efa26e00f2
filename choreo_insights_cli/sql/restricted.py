"""A database with only those rows that somebody may see."""

from collections.abc import Sequence

import duckdb

from choreo_insights.dataset.access_rules import Rule


def restrict(database: duckdb.DuckDBPyConnection, rules: Sequence[Rule]) -> None:
    """Deletes from every table what none of the rules allows; views over them follow.

    What is of no environment, as lists of an organisation, goes with rules for all environments.
    """
    seen, values = _condition(rules)
    tables = database.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1"
    ).fetchall()
    for (table,) in tables:
        # Where a column is null the condition may be null too: such a row goes.
        # The names are this database's own and two columns'; the rules' texts are parameters.
        statement = f'DELETE FROM "{table}" WHERE ({seen}) IS NOT TRUE'  # nosec B608
        database.execute(statement, values)


def _condition(rules: Sequence[Rule]) -> tuple[str, list[str]]:
    """What a row must fulfil, and the values of its parameters."""
    parts, values = [], []
    for rule in rules:
        wanted = [
            (column, value)
            for column, value in (
                ("organization", rule.organization),
                ("environment_id", rule.environment_id),
            )
            if value is not None
        ]
        parts.append(" AND ".join(f"{column} = ?" for column, _ in wanted) or "true")
        values += [value for _, value in wanted]
    return " OR ".join(f"({part})" for part in parts) or "false", values
