"""Small datasets, written out row by row, with all views in DuckDB."""

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from choreo_insights.catalogue import load
from choreo_insights.dataset.checks_table import CHECKS, CHECKS_COLUMNS
from choreo_insights.dataset.ledger import RUNS, RUNS_COLUMNS
from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.registry_tables import (
    REGISTRY_ENVIRONMENTS,
    REGISTRY_ENVIRONMENTS_COLUMNS,
    REGISTRY_NAMES,
    REGISTRY_NAMES_COLUMNS,
)
from choreo_insights.times import microseconds
from choreo_insights_cli.sql.duckdb import connect
from choreo_insights_cli.sql.translation import translated
from tests.unit.choreo_insights.export.test_run import NOW, TODAY

Row = Mapping[str, Any]
# Of rows that say nothing else.
_PLACE = {"organization": "acme", "environment": "Production", "environment_id": "e1"}
_ENVIRONMENT = {
    "organization": "acme",
    "environment_id": "e1",
    "key": "Production",
    "ids": "e1",
    "first_name": "Production",
    "name": "Production",
    "type": "CHOREO",
    "first_listed": TODAY,
    "last_listed": TODAY,
    "listed": True,
}
_NAME = {**_PLACE, "kind": "api", "first_listed": TODAY, "last_listed": TODAY, "listed": True}
_ENTRY = {**_PLACE, "run": "r1", "table": "latency", "status": "exported", "requests": 1}


class Literal:
    """A dataset in a folder. Each call adds an object with rows; what they leave out is usual."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._databases: dict[datetime, duckdb.DuckDBPyConnection] = {}

    def table(self, name: str, day: date, *rows: Row) -> None:
        """Rows of a table on a day, requested at NOW unless they say otherwise."""
        columns = CHECKS_COLUMNS if name == CHECKS else load().table(name).columns
        given = [{**_PLACE, "exported_at": NOW, **row} for row in rows]
        self._write(f"{name}/day={day}", columns, given)

    def environments(self, *rows: Row) -> None:
        """Entries of the registry of environments."""
        given = [{**_ENVIRONMENT, **row} for row in rows]
        self._write(REGISTRY_ENVIRONMENTS, REGISTRY_ENVIRONMENTS_COLUMNS, given)

    def names(self, *rows: Row) -> None:
        """Entries of the registry of APIs and applications."""
        self._write(REGISTRY_NAMES, REGISTRY_NAMES_COLUMNS, [{**_NAME, **row} for row in rows])

    def ledger(self, day: date, *rows: Row) -> None:
        """Entries of the ledger for a day; one that was done at an instant was started then."""
        given = [{**_ENTRY, "started": row["exported_at"], "seconds": 0.0, **row} for row in rows]
        self._write(f"{RUNS}/day={day}", RUNS_COLUMNS, given)

    def _write(self, folder: str, columns: Any, rows: list[Row]) -> None:
        values = {column.name: [_plain(row.get(column.name)) for row in rows] for column in columns}
        self._count += 1
        self._databases.clear()
        path = self._folder / "insights" / folder / f"{self._count}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(columns, values, len(rows)))

    @property
    def files(self) -> list[Path]:
        """All of its files."""
        return sorted(self._folder.rglob("*.parquet"))

    def connect(self, now: datetime = NOW) -> duckdb.DuckDBPyConnection:
        """All of it with the views, at an instant."""
        if now not in self._databases:
            self._databases[now] = connect(self.files, now)
        return self._databases[now]

    def rows(self, sql: str, now: datetime = NOW) -> list[tuple[Any, ...]]:
        """What a query in DuckDB's SQL gives."""
        return self.connect(now).execute(sql).fetchall()

    def saved(self, query: str, now: datetime = NOW) -> list[dict[str, Any]]:
        """What a saved query gives."""
        text = (
            Path(__file__).parents[4] / "choreo_insights_cli/sql/queries" / f"{query}.sql"
        ).read_text("utf-8")
        result = self.connect(now).execute(translated(text, now))
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _plain(value: Any) -> Any:
    return microseconds(value) if isinstance(value, datetime) else value
