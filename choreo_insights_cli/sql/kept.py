"""Rows that were read once, kept in a database for the next time.

Most of the time that it takes to read a dataset goes into opening its many small files.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from choreo_insights_cli.sql.files import declared, rows_of

_MOST = 2000
# A file is known by its place, its size and the time at which it was put there.
_Identity = tuple[str, int, int]


@dataclass(frozen=True)
class KeptTable:
    """A table's columns by name, with DuckDB's types, and its files."""

    columns: Mapping[str, str]
    files: Sequence[Path]


def refresh(path: Path, tables: Mapping[str, KeptTable]) -> None:
    """Brings the database up to date: afterwards it holds these files and no others.

    Raises duckdb.Error.
    """
    try:
        _refresh(path, tables)
    except duckdb.Error:
        # Cut off, or written by another version: everything in it can be read again.
        path.unlink(missing_ok=True)
        _refresh(path, tables)


def _refresh(path: Path, tables: Mapping[str, KeptTable]) -> None:
    form = json.dumps([duckdb.__version__, {name: dict(t.columns) for name, t in tables.items()}])
    if path.exists() and _form(path) != form:
        path.unlink()
    with closing(duckdb.connect(path)) as database:
        if not database.execute("SELECT 1 FROM duckdb_tables()").fetchall():
            _create(database, tables, form)
        for name, table in tables.items():
            _update(database, name, table)


def _form(path: Path) -> str | None:
    with closing(duckdb.connect(path)) as database:
        rows = database.execute("SELECT form FROM forms").fetchall()
    return str(rows[0][0]) if rows else None


def _create(
    database: duckdb.DuckDBPyConnection, tables: Mapping[str, KeptTable], form: str
) -> None:
    database.begin()
    database.execute("CREATE TABLE forms (form VARCHAR)")
    database.execute("INSERT INTO forms VALUES (?)", [form])
    database.execute("CREATE SEQUENCE numbers")
    database.execute(
        "CREATE TABLE files (number BIGINT DEFAULT nextval('numbers'), table_name VARCHAR,"
        " path VARCHAR, size BIGINT, written BIGINT)"
    )
    for name, table in tables.items():
        columns = declared({**table.columns, "file": "BIGINT"})
        database.execute(f'CREATE TABLE "rows_{name}" ({columns})')
    database.commit()


def _update(database: duckdb.DuckDBPyConnection, name: str, table: KeptTable) -> None:
    stored = database.execute(
        "SELECT path, size, written, number FROM files WHERE table_name = ?", [name]
    ).fetchall()
    known = {(row[0], row[1], row[2]): row[3] for row in stored}
    there = {_identity(path): path for path in table.files}
    gone = [number for identity, number in known.items() if identity not in there]
    new = [identity for identity in there if identity not in known]
    # Together or not at all: a file that is known has its rows here.
    database.begin()
    if gone:
        for statement in (
            f'DELETE FROM "rows_{name}" WHERE list_contains(?, file)',  # nosec B608
            "DELETE FROM files WHERE list_contains(?, number)",
        ):
            database.execute(statement, [gone])
    for start in range(0, len(new), _MOST):
        _add(database, name, table, new[start : start + _MOST])
    database.commit()


def _identity(path: Path) -> _Identity:
    stat = path.stat()
    return str(path), stat.st_size, stat.st_mtime_ns


def _add(
    database: duckdb.DuckDBPyConnection, name: str, table: KeptTable, new: Iterable[_Identity]
) -> None:
    identities = list(new)
    database.execute(
        "INSERT INTO files (table_name, path, size, written)"
        " SELECT ?, unnest(?), unnest(?), unnest(?)",
        [name, *map(list, zip(*identities, strict=True))],
    )
    # The names are those of tables and columns; the paths are parameters.
    database.execute(
        f'INSERT INTO "rows_{name}" BY NAME'  # nosec B608
        " SELECT source.* EXCLUDE (filename), files.number AS file"
        f" FROM ({rows_of(table.columns, more=', filename')}) AS source"
        " JOIN files ON files.path = source.filename",
        [[identity[0] for identity in identities]],
    )
