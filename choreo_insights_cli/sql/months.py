"""The Iceberg tables of finished months: their statements, from a table's columns.

As Athena takes them. Trino differs in the properties of CREATE TABLE and in ALTER TABLE alone.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from choreo_insights.catalogue import Column
from choreo_insights_cli.sql.model import TRINO_TYPES

DAY = Column("day", "date", "The UTC day of the rows.")
# Behind the table's own columns: which objects a row's month was made from, and in which run. So
# the table itself says what is in it, and is never ahead of or behind a mark kept elsewhere.
MADE_FROM = Column("compacted_from", "string", "The objects and the run that it was made from.")
# Iceberg has instants of microseconds alone, and Athena does not convert by itself.
# https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-supported-data-types.html
_TYPES = {**TRINO_TYPES, "timestamp": "timestamp(6)"}
# https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html#ctas-table-properties
ATHENA = {"table_type": "'ICEBERG'", "is_external": "false", "write_compression": "'ZSTD'"}


def months_table(table: str) -> str:
    """The name of the table that has a table's finished months."""
    return f"{table}_months"


def columns_of(columns: Iterable[Column]) -> list[Column]:
    """The columns of that table, of a table with these. Glue folds capitals."""
    own = [Column(column.name.lower(), column.type, column.meaning) for column in columns]
    return [DAY, *own, MADE_FROM]


def create(
    table: str, columns: Iterable[Column], location: str, engine: Mapping[str, str] = ATHENA
) -> str:
    """Makes it without rows. `engine` are properties beside those that Trino has too."""
    properties = {
        "location": f"'{location}'",
        "format": "'PARQUET'",
        "partitioning": "ARRAY['month(day)']",
        **engine,
    }
    assigned = ", ".join(f"{name} = {value}" for name, value in properties.items())
    selected = _select(table, columns, "")
    return f'CREATE TABLE "{months_table(table)}" WITH ({assigned}) AS {selected} WHERE false'


def add(table: str, columns: Iterable[Column]) -> str:
    """Adds columns that an update has brought. DDL has the names and quotes of Hive."""
    added = ", ".join(f"`{column.name}` {column.type}" for column in columns)
    return f"ALTER TABLE `{months_table(table)}` ADD COLUMNS ({added})"


def delete(table: str, first: date, last: date) -> str:
    """Takes the rows of a month out: whole partitions, so no file is read or rewritten."""
    return f'DELETE FROM "{months_table(table)}" WHERE {_days(first, last)}'  # nosec B608


def insert(table: str, columns: Iterable[Column], first: date, last: date, made_from: str) -> str:
    """Puts the rows of these days in, in one commit."""
    columns = list(columns)
    names = ", ".join(f'"{column.name}"' for column in columns_of(columns))
    selected = _select(table, columns, made_from)
    into = f'INSERT INTO "{months_table(table)}" ({names})'
    return f"{into} {selected} WHERE {_days(first, last)}"


def header(table: str) -> str:
    """Its columns, without rows. Not every engine keeps them in Glue."""
    return f'SELECT * FROM "{months_table(table)}" LIMIT 0'  # nosec B608


def made_from(table: str) -> str:
    """For each month: the least and the greatest MADE_FROM, equal where one run made all of it."""
    return (
        f"SELECT date_trunc('month', day) AS month, min({MADE_FROM.name}) AS least,"  # nosec B608
        f" max({MADE_FROM.name}) AS greatest, count(*) AS row_count"
        f' FROM "{months_table(table)}" GROUP BY 1'
    )


def _select(table: str, columns: Iterable[Column], made_from: str) -> str:
    *own, _ = columns_of(columns)
    values = [f'CAST("{c.name}" AS {_TYPES[c.type]}) AS "{c.name}"' for c in own]
    values.append(f"CAST('{made_from}' AS varchar) AS {MADE_FROM.name}")
    return f'SELECT {", ".join(values)} FROM "{table}"'  # nosec B608


def _days(first: date, last: date) -> str:
    return f"day BETWEEN DATE '{first}' AND DATE '{last}'"
