"""Reads the dataset's Parquet files with DuckDB."""

from collections.abc import Mapping, Sequence

from choreo_insights.catalogue import Column
from choreo_insights.dataset.registry_tables import UNPARTITIONED

_TYPES = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "date": "DATE",
}
_DAY = r"/day=(\d{4}-\d{2}-\d{2})/"


def type_of(column_type: str) -> str:
    """DuckDB's name of a Glue type."""
    return _TYPES[column_type]


def columns_of(table: str, columns: Sequence[Column]) -> dict[str, str]:
    """A table's columns and their types in DuckDB, its partition included."""
    types = {column.name: _TYPES[column.type] for column in columns}
    return types if table in UNPARTITIONED else {**types, "day": "DATE"}


def declared(columns: Mapping[str, str]) -> str:
    """The columns as CREATE TABLE has them."""
    return ", ".join(f'"{name}" {kind}' for name, kind in columns.items())


def rows_of(columns: Mapping[str, str], *, more: str = "") -> str:
    """A SELECT of files' rows, by the names of columns; the files are its parameter.

    A file from before a column was added has no such column: insert the rows BY NAME.
    """
    names = ", ".join(f"'{name}'" for name in columns if name != "day")
    day = f", CAST(regexp_extract(filename, '{_DAY}', 1) AS DATE) AS day" * ("day" in columns)
    # The names come from this project's own files; the paths are a parameter.
    return (
        f"SELECT COLUMNS(lambda name: list_contains([{names}], name)){day}{more}"  # nosec B608
        " FROM read_parquet(?, union_by_name = true, hive_partitioning = false, filename = true)"
    )
