"""Checks a query before anything is read for it: syntax, names, and types as Trino has them.

DuckDB compares a date with a text and subtracts a number from a date; Athena does neither. What is
tried on the local AWS should work on AWS.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp, parse
from sqlglot.errors import OptimizeError, ParseError, SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from choreo_insights.catalogue import Column
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.names import nearest
from choreo_insights_cli.sql.model import DIALECT, TRINO_TYPES, View
from choreo_insights_cli.sql.statements import metadata, schema_of

_FAMILIES = {
    "text": exp.DataType.TEXT_TYPES,
    "number": exp.DataType.NUMERIC_TYPES,
    "date": {exp.DType.DATE, *exp.DataType.TEMPORAL_TYPES},
    "boolean": {exp.DType.BOOLEAN},
}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between)
_SHOW = re.compile(r"\s*(SHOW|DESCRIBE|DESC)\b", re.IGNORECASE)
_SHOW_COLUMNS = re.compile(r"\s*SHOW\s+COLUMNS\s+(?:FROM|IN)\s+(\S+?)\s*;?\s*", re.IGNORECASE)
_UNRESOLVED = re.compile(r"Column '\"?([^'\"]+)\"?' could not be resolved")


@dataclass(frozen=True)
class Queryable:
    """The tables and views that a query may read."""

    tables: Mapping[str, Iterable[Column]]
    views: Sequence[View]

    @property
    def names(self) -> set[str]:
        """Their names."""
        return {*self.tables, *(view.name for view in self.views)}

    def schema(self) -> MappingSchema:
        """Their columns and types, in Trino's words."""
        schema = schema_of(self.tables)
        for view in self.views:
            types = {column.name: TRINO_TYPES[column.type] for column in view.columns}
            schema.add_table(view.name, types, dialect=DIALECT)
        return schema


def described(sql: str) -> str | None:
    """A SHOW or DESCRIBE statement as DuckDB has it; None for any other."""
    if columns := _SHOW_COLUMNS.fullmatch(sql):
        return f"DESCRIBE {columns[1]}"
    return sql if _SHOW.match(sql) else None


def check(sql: str, known: Queryable) -> None:
    """Raises WrongUsage for what Athena would refuse, and for all but one SELECT."""
    tree = _parsed(sql)
    # Trino's names ignore case.
    there = {*known.names, *(cte.alias.lower() for cte in tree.find_all(exp.CTE))}
    for table in tree.find_all(exp.Table):
        if table.name.lower() not in there and isinstance(table.this, exp.Identifier):
            more = "`insights tables` lists them."
            raise WrongUsage(_no_such("table or view", table.name, known.names, more))
    for refusal in _refusals(_annotated(tree, known)):
        raise WrongUsage(f"The query cannot be answered: {refusal}")


def _no_such(what: str, name: str, known: Iterable[str], more: str) -> str:
    near = nearest(name, known) or more
    return f"The query cannot be answered: there is no {what} {name}. {near}"


def _parsed(sql: str) -> exp.Query:
    # It warns of statements that it does not know, and those are refused below.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        trees = [tree for tree in parse(sql, read=DIALECT) if tree is not None]
    except ParseError as error:
        # Its text marks the place with terminal codes.
        first = error.errors[0] if error.errors else {}
        where = f" in line {first['line']}, column {first['col']}" if first.get("line") else ""
        near = f", at {first['highlight']!r}" if first.get("highlight") else ""
        said = first.get("description") or "syntax error"
        raise WrongUsage(f"The query is not SQL{where}{near}: {said}") from None
    except SqlglotError as error:
        raise WrongUsage(f"The query is not SQL: {error}") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise WrongUsage("Give one SELECT, SHOW or DESCRIBE statement: the dataset is only read.")
    return trees[0]


def _annotated(tree: exp.Query, known: Queryable) -> exp.Query:
    schema = known.schema()
    try:
        return annotate_types(
            qualify(tree.copy(), schema=schema, dialect=DIALECT),
            schema=schema,
            dialect=DIALECT,
            expression_metadata=metadata(),
        )
    except OptimizeError as error:
        if unresolved := _UNRESOLVED.match(str(error)):
            names = _columns(tree, known)
            table = next((each.name for each in tree.find_all(exp.Table)), "NAME")
            more = f"`insights tables {table}` lists those of {table}."
            raise WrongUsage(_no_such("column", unresolved[1], names, more)) from None
        raise WrongUsage(f"The query cannot be answered: {error}") from None


def _columns(tree: exp.Query, known: Queryable) -> set[str]:
    read = {table.name.lower() for table in tree.find_all(exp.Table)}
    columns_of = {
        view.name: [c.name for c in view.columns] for view in known.views if view.name in read
    }
    columns_of |= {
        name: [*(c.name for c in known.tables[name]), "day"] for name in read & {*known.tables}
    }
    return {column for columns in columns_of.values() for column in columns}


def _refusals(tree: exp.Query) -> Iterator[str]:
    """What Trino says of types that DuckDB makes fit."""
    for comparison in tree.find_all(*_COMPARISONS):
        sides = [side for side in comparison.iter_expressions() if isinstance(side, exp.Expr)]
        families = {family: side for side in sides if (family := _family(side))}
        if len(families) > 1:
            named = " with a ".join(families)
            text = families.get("text")
            advice = _written(text, "date") if text is not None and "date" in families else ""
            yield f"{comparison.sql(DIALECT)} compares a {named}.{advice}"
    for sum_of in tree.find_all(exp.Add, exp.Sub):
        for date, number in ((sum_of.left, sum_of.right), (sum_of.right, sum_of.left)):
            if (_family(date), _family(number)) == ("date", "number"):
                days = number.sql(DIALECT)
                yield (
                    f"{sum_of.sql(DIALECT)} counts with a date and a number."
                    f" Write INTERVAL '{days}' DAY in place of {days}."
                )


def _written(text: exp.Expr, what: str) -> str:
    if not isinstance(text, exp.Literal):
        return ""
    word = "TIMESTAMP" if ":" in text.name else what.upper()
    return f" Write {word} '{text.name}'."


def _family(side: exp.Expr) -> str | None:
    kind = side.type.this if side.type is not None else None
    return next((family for family, kinds in _FAMILIES.items() if kind in kinds), None)
