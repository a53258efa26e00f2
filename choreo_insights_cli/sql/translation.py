"""Translates Trino's SQL to DuckDB's. Needs sqlglot, which only development brings."""

from datetime import datetime
from functools import lru_cache

import sqlglot
from sqlglot import exp

from choreo_insights_cli.sql.model import DIALECT
from choreo_insights_cli.sql.moment import NOW, TODAY, at


def names(sql: str) -> frozenset[str]:
    """The tables and views that a query in Trino's SQL reads. Raises SqlglotError."""
    return sources(sqlglot.parse_one(sql, read=DIALECT))


def sources(tree: exp.Expr) -> frozenset[str]:
    """The tables and views that a parsed query reads."""
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    return frozenset(table.name.lower() for table in tree.find_all(exp.Table)) - own


@lru_cache(maxsize=128)
def template(sql: str) -> str:
    """The query in DuckDB's SQL, with placeholders for the current time."""
    return template_of(sqlglot.parse_one(sql, read=DIALECT))


def template_of(tree: exp.Expr) -> str:
    """The same of a parsed query, which stays as it is."""
    return tree.copy().transform(_changed).sql(dialect="duckdb", comments=False)


def _changed(node: exp.Expr) -> exp.Expr:
    # Trino's max_by may return a null; DuckDB's arg_max skips rows with one.
    if isinstance(node, exp.ArgMax):
        return exp.Anonymous(this="arg_max_null", expressions=[node.this, node.expression])
    # Trino's count_if of nulls alone is 0; DuckDB's is null.
    if isinstance(node, exp.CountIf):
        return exp.Count(this=exp.case().when(node.this, exp.Literal.number(1)))
    if isinstance(node, exp.CurrentDate):
        return exp.cast(exp.Literal.string(TODAY), "date")
    if isinstance(node, exp.CurrentTimestamp):
        return exp.cast(exp.Literal.string(NOW), "timestamptz")
    return node


def translated(sql: str, now: datetime | None = None) -> str:
    """The query in DuckDB's SQL as of an aware time, or of the current one."""
    return at(template(sql), now)
