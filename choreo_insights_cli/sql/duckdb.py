"""The views and saved queries on DuckDB: Trino's SQL translated, over a copy of the dataset.

So their figures can be had, and compared, without Athena.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType

import duckdb

from choreo_insights.catalogue import Column, load
from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights_cli.sql import shipped
from choreo_insights_cli.sql.model import View
from choreo_insights_cli.sql.moment import at

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
    return {view.name: view for view in shipped.views()}


def tables_of(view: str) -> frozenset[str]:
    """The tables from which a view comes, through the views between."""
    return frozenset(_tables_of(view))


def _tables_of(name: str) -> Iterator[str]:
    if name not in all_views():
        yield name
        return
    for source in all_views()[name].statement.sources:
        yield from _tables_of(source)


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
        text = view.statement.duckdb.replace("${Frozen}", str(frozen).lower())
        select = at(text, now)
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
