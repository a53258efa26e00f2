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
from choreo_insights_cli.sql.files import columns_of, declared, rows_of, type_of
from choreo_insights_cli.sql.kept import KeptTable, refresh
from choreo_insights_cli.sql.model import View
from choreo_insights_cli.sql.moment import at

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
    kept: Path | None = None,
) -> duckdb.DuckDBPyConnection:
    """A database with the dataset's tables, read from files named as in S3, and all views.

    Queries can neither read files nor write any. A file is in `<table>/day=<day>/`, or in
    `<table>/` where the table has no partitions. A table without files is empty. `own` are the
    columns of the user's own tables. `frozen` says that the dataset has ended, as the views'
    template is given it. `kept` is a database that has the rows of files from the last time, and
    is brought up to date: then only files that changed are read. Without it the rows are in memory.
    """
    every = _tables(files, {**own, **tables()})
    database = duckdb.connect()
    # DuckDB takes the machine's zone, Athena has UTC: a day must be the same day.
    database.execute("SET TimeZone = 'UTC'")
    if kept:
        refresh(kept, every)
        database.execute(f"ATTACH '{str(kept).replace(chr(39), chr(39) * 2)}' AS kept (READ_ONLY)")
    for name, table in every.items():
        if kept:
            columns = ", ".join(f'"{column}"' for column in table.columns)
            # The names come from this project's own files.
            rows = f'SELECT {columns} FROM kept."rows_{name}"'  # nosec B608
            database.execute(f'CREATE VIEW "{name}" AS {rows}')
        else:
            _fill(database, name, table)
    for view in all_views().values():
        # A sum of 64-bit integers has 128 bits in DuckDB, and 64 in Trino.
        columns = ", ".join(
            f'CAST("{c.name}" AS {type_of(c.type)}) AS "{c.name}"' for c in view.columns
        )
        select = at(view.statement.duckdb.replace("${Frozen}", str(frozen).lower()), now)
        # Names and texts of this project's own files; nothing of it comes from outside.
        statement = f'CREATE VIEW "{view.name}" AS SELECT {columns} FROM ({select})'  # nosec B608
        database.execute(statement)
    # Last: what came before needs the files.
    for setting in _LOCKED:
        database.execute(setting)
    return database


def _tables(files: Iterable[Path], columns: Mapping[str, Sequence[Column]]) -> dict[str, KeptTable]:
    by_table: dict[str, list[Path]] = {}
    for path in files:
        # `insights/<table>/day=.../<object>` or `insights/<table>/<object>`.
        folder = path.parent if path.parent.name in UNPARTITIONED else path.parent.parent
        by_table.setdefault(folder.name, []).append(path)
    return {
        name: KeptTable(columns_of(name, of), by_table.get(name, []))
        for name, of in columns.items()
    }


def _fill(database: duckdb.DuckDBPyConnection, name: str, table: KeptTable) -> None:
    database.execute(f'CREATE TABLE "{name}" ({declared(table.columns)})')
    if table.files:
        rows = rows_of(table.columns)
        paths = [str(path) for path in table.files]
        database.execute(f'INSERT INTO "{name}" BY NAME {rows}', [paths])  # nosec B608
