"""The views and saved queries on DuckDB: Trino's SQL translated, over a copy of the dataset.

So their figures can be had, and compared, without Athena.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType

import duckdb
import sqlglot
from sqlglot import exp

from choreo_insights.catalogue import Column, load
from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights_cli.sql import shipped
from choreo_insights_cli.sql.statements import DIALECT, View, views

_FOLDER = Path(__file__).resolve().parent / "views"
_TYPES = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "date": "DATE",
}
# A query reads the tables that are there: no file, no network, no variable of this program, and
# no setting that would let it. Without a directory for temporary files it writes none.
_LOCKED = (
    "SET temp_directory = ''",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_DAY = r"/day=(\d{4}-\d{2}-\d{2})/"


def tables() -> dict[str, Sequence[Column]]:
    """The columns of each table of the dataset by its name, without `day`."""
    exported: dict[str, Sequence[Column]] = {
        table.name: table.columns for table in load().tables if not table.off
    }
    return exported | {name: columns for name, _, columns in shipped.OWN}


@cache
def all_views() -> Mapping[str, View]:
    """The views by name, each after those that it reads."""
    return {view.name: view for view in views(_FOLDER, tables())}


def tables_of(view: str) -> frozenset[str]:
    """The tables from which a view comes, through the views between."""
    return frozenset(_tables_of(view))


def _tables_of(name: str) -> Iterator[str]:
    if name not in all_views():
        yield name
        return
    for source in all_views()[name].statement.sources:
        yield from _tables_of(source)


def names(sql: str) -> frozenset[str]:
    """The tables and views that a query in Trino's SQL reads. Raises SqlglotError."""
    tree = sqlglot.parse_one(sql, read=DIALECT)
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    return frozenset(table.name.lower() for table in tree.find_all(exp.Table)) - own


@lru_cache(maxsize=128)
def translated(sql: str, now: datetime | None = None) -> str:
    """Translates a query from Trino's SQL to DuckDB's. `now`, aware, replaces the current time."""
    query = sqlglot.parse_one(sql, read=DIALECT).transform(_changed, now)
    return query.sql(dialect="duckdb", comments=False)


def _changed(node: exp.Expression, now: datetime | None) -> exp.Expression:
    # Trino's max_by may return a null; DuckDB's arg_max skips rows with one.
    if isinstance(node, exp.ArgMax):
        return exp.Anonymous(this="arg_max_null", expressions=[node.this, node.expression])
    # Trino's count_if of nulls alone is 0; DuckDB's is null.
    if isinstance(node, exp.CountIf):
        return exp.Count(this=exp.case().when(node.this, exp.Literal.number(1)))
    if now is None:
        return node
    at = now.astimezone(UTC)
    if isinstance(node, exp.CurrentDate):
        return exp.cast(exp.Literal.string(at.date().isoformat()), "date")
    if isinstance(node, exp.CurrentTimestamp):
        return exp.cast(exp.Literal.string(at.isoformat()), "timestamptz")
    return node


def connect(
    files: Iterable[Path],
    now: datetime | None = None,
    own: Mapping[str, Sequence[Column]] = MappingProxyType({}),
    *,
    frozen: bool = False,
) -> duckdb.DuckDBPyConnection:
    """A database with the dataset's tables, read from files named as in S3, and all views.

    It holds all that it needs in memory: queries can neither read files nor write any.
    A file is in `<table>/day=<day>/`, or in `<table>/` where the table has no partitions. A table
    without files is empty. `own` are the columns of the user's own tables. `frozen` says that the
    dataset has ended, as the views' template is given it.
    """
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    by_table: dict[str, list[str]] = {}
    for path in files:
        folder = path.parent if path.parent.name in UNPARTITIONED else path.parent.parent
        by_table.setdefault(folder.name, []).append(str(path))
    for table, of_table in {**own, **tables()}.items():
        _fill(database, table, of_table, by_table.get(table, []))
    for view in all_views().values():
        # A sum of 64-bit integers has 128 bits in DuckDB, and 64 in Trino.
        columns = ", ".join(
            f'CAST("{c.name}" AS {_TYPES[c.type]}) AS "{c.name}"' for c in view.columns
        )
        text = view.statement.text.replace("${Frozen}", str(frozen).lower())
        select = translated(text, now)
        # Names and texts of this project's own files; nothing of it comes from outside.
        statement = f'CREATE VIEW "{view.name}" AS SELECT {columns} FROM ({select})'  # nosec B608
        database.execute(statement)
    for setting in _LOCKED:
        database.execute(setting)
    return database


def _fill(
    database: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[Column],
    paths: Sequence[str],
) -> None:
    declared = ", ".join(f'"{column.name}" {_TYPES[column.type]}' for column in columns)
    partitioned = table not in UNPARTITIONED
    declared += ", day DATE" * partitioned
    database.execute(f'CREATE TABLE "{table}" ({declared})')
    if not paths:
        return
    source = "read_parquet(?, union_by_name = true, hive_partitioning = false, filename = true)"
    # The names come from this project's own files; the paths are a parameter.
    described = database.execute(f"DESCRIBE SELECT * FROM {source}", [paths])  # nosec B608
    there = {row[0] for row in described.fetchall()}
    # A file from before a column was added has no such column.
    values = ", ".join(
        f'CAST("{column.name}" AS {_TYPES[column.type]})' if column.name in there else "NULL"
        for column in columns
    )
    values += f", CAST(regexp_extract(filename, '{_DAY}', 1) AS DATE)" * partitioned
    database.execute(f'INSERT INTO "{table}" SELECT {values} FROM {source}', [paths])  # nosec B608
