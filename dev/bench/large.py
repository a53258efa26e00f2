"""Drawing the dashboard of a large organisation: 400 days of 200 APIs and 40 applications.

A synthetic day is exported once, and its rows are repeated for the days before it.
"""

import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.sql.duckdb import connect
from dev.bench.errors import BenchError
from dev.picture import synthetic
from dev.sandbox import EnvironmentSpec, OrganizationSpec, World

DAYS, APIS, APPLICATIONS = 400, 200, 40
_NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
_TIMES = 2
_DRAW = """
from datetime import datetime
from pathlib import Path
from time import process_time
from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.sql.duckdb import connect
from dev.bench.jobs.measure import peak
now, folder = datetime.fromisoformat({now!r}), Path({folder!r})
with connect(folder.rglob("*.parquet"), now, kept=folder / "rows.duckdb") as database:
    page = draw(database, About("bench", now))
if {out!r}:
    Path({out!r}).write_text(page, "utf-8")
# getrusage has the memory of the process that began this one, where that is more.
print(process_time(), peak() / 2**20, len(page) / 2**20)
"""


class LargeDashboard(NamedTuple):
    """Processor time of drawing it, with the start; MiB of memory at the peak, and of the file."""

    seconds: float
    peak: float
    page: float


def measure(out: str = "") -> LargeDashboard:
    """The least of two. Writes the page to `out`, where it is given. Raises BenchError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder)
        code = _DRAW.format(now=_NOW.isoformat(), folder=name, out=out)
        return min(_drawn(code) for _ in range(_TIMES))


def _fill(folder: Path) -> None:
    spec = OrganizationSpec(
        "synthetic",
        apis=APIS,
        applications=APPLICATIONS,
        environments=(EnvironmentSpec("Production"),),
    )
    synthetic.write(folder, World(organizations=[spec]), _NOW.date(), _NOW)
    kept = folder / "rows.duckdb"
    connect(folder.rglob("*.parquet"), _NOW, kept=kept).close()
    with closing(duckdb.connect(kept)) as database:
        columns = database.execute(
            "SELECT table_name, list(column_name), list(data_type) FROM duckdb_columns()"
            " WHERE starts_with(table_name, 'rows_') GROUP BY 1"
        ).fetchall()
        for table, names, types in columns:
            if "day" in names:
                _repeat(database, table, dict(zip(names, types, strict=True)))


def _repeat(database: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str]) -> None:
    """Gives the days before the rows of the last one."""
    moved = [
        f'"{name}" - INTERVAL (n) DAY AS "{name}"'
        if kind.startswith("TIMESTAMP")
        else f'CAST("{name}" - INTERVAL (n) DAY AS DATE) AS "{name}"'
        for name, kind in columns.items()
        if kind.startswith("TIMESTAMP") or kind == "DATE"
    ]
    # Names of this project's own files.
    database.execute(
        f'INSERT INTO "{table}" SELECT rows.* REPLACE ({", ".join(moved)})'  # noqa: S608 # nosec B608
        f' FROM "{table}" AS rows, range(1, {DAYS}) AS days(n)'
    )


def _drawn(code: str) -> LargeDashboard:
    paths = [str(ROOT), str(ROOT / "layers/insights")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise BenchError(f"a large dashboard could not be drawn:\n{done.stderr[-4000:]}")
    return LargeDashboard(*map(float, done.stdout.split()[-3:]))
