"""The dataset's tables and views in DuckDB, from its files: for what runs on this machine."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from sqlglot import exp

from catalogue.sql import DIALECT, PARTITION, View
from insights.catalogue import Column
from insights.partitions import ROOT

_TYPES: Mapping[str, str] = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "date": "DATE",
}


def open_dataset(
    folder: Path,
    tables: Mapping[str, Sequence[Column]],
    views: Iterable[View],
    *,
    now: datetime | None = None,
    copy: bool = True,
) -> duckdb.DuckDBPyConnection:
    """A connection with the tables of the dataset below `folder` and the views over them.

    `folder` holds `insights/<table>/day=YYYY-MM-DD/*.parquet`; a table without files is empty.
    `now` stands still for the views. With `copy` the tables are read once, else at each query.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, columns in tables.items():
        connection.execute(_table(folder, name, columns, copy=copy))
    for view in views:
        connection.execute(_view(view, now))
    return connection


def translated(tree: exp.Query, now: datetime | None = None) -> str:
    """A SELECT of Trino in DuckDB's words; with `now`, as of that instant."""
    if now is None:
        return tree.sql("duckdb")
    instant = now.astimezone(UTC)

    def fixed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.CurrentDate):
            return exp.cast(exp.Literal.string(instant.date().isoformat()), "date")
        if isinstance(node, exp.CurrentTimestamp):
            return exp.cast(exp.Literal.string(instant.isoformat()), "timestamptz")
        return node

    return tree.transform(fixed).sql("duckdb")


def _table(folder: Path, name: str, columns: Sequence[Column], *, copy: bool) -> str:
    found = folder / ROOT / name
    if not any(found.glob("day=*/*.parquet")):
        types = ", ".join(f"{_quoted(c.name)} {_TYPES[c.type]}" for c in columns)
        return f"CREATE TABLE {_quoted(name)} ({types}, {PARTITION[0]} DATE)"
    selected = ", ".join(_selected(column) for column in columns)
    files = exp.Literal.string(f"{found}/day=*/*.parquet").sql("duckdb")
    source = f"read_parquet({files}, union_by_name = true, hive_partitioning = true)"
    return (
        f"CREATE {'TABLE' if copy else 'VIEW'} {_quoted(name)} AS "  # noqa: S608 - own names
        f"SELECT {selected}, CAST({PARTITION[0]} AS DATE) AS {PARTITION[0]} FROM {source}"
    )


def _selected(column: Column) -> str:
    name = _quoted(column.name)
    # An instant of the file has a zone, one of Glue is UTC without saying so.
    value = f"timezone('UTC', {name})" if column.type == "timestamp" else name
    return f"CAST({value} AS {_TYPES[column.type]}) AS {name}"


def _view(view: View, now: datetime | None) -> str:
    # DuckDB's sums are wider than Trino's.
    columns = ", ".join(
        f"CAST({_quoted(c.name)} AS {_TYPES[c.type]}) AS {_quoted(c.name)}" for c in view.columns
    )
    inner = translated(view.statement.tree, now)
    return f"CREATE VIEW {_quoted(view.name)} AS SELECT {columns} FROM ({inner})"  # noqa: S608


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(DIALECT)
