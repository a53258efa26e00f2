"""What is known of a view and of a saved query, whoever read its file."""

from collections.abc import Mapping
from dataclasses import dataclass

DIALECT = "trino"

# The types of Glue in Trino's words.
TRINO_TYPES: Mapping[str, str] = {
    "string": "varchar",
    "bigint": "bigint",
    "double": "double",
    "timestamp": "timestamp(3)",
    "boolean": "boolean",
    "date": "date",
}


@dataclass(frozen=True)
class Statement:
    """A file with one SELECT in Trino's SQL.

    `text` is all of the file, `notes` the paragraph below its title, `sources` the tables and views
    that it reads, `duckdb` the same SELECT for DuckDB.
    """

    name: str
    title: str
    grain: str
    notes: str
    text: str
    sources: frozenset[str]
    duckdb: str


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view: its name, its Glue type and its meaning."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class View:
    """A view with the columns of its SELECT."""

    statement: Statement
    columns: tuple[ViewColumn, ...]

    @property
    def name(self) -> str:
        return self.statement.name
