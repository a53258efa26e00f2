"""Drawing a month's dashboard again, relative to reading its objects with DuckDB alone."""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from choreo_insights_cli.paths import ROOT
from dev.bench.errors import BenchError
from dev.picture import synthetic
from dev.sandbox.world import World

_NOW = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
_DAYS = 31
_TIMES = 3
_DRAW = """
from datetime import UTC, datetime
from pathlib import Path
from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.sql.duckdb import connect
now, folder = datetime.fromisoformat({now!r}), Path({folder!r})
with connect(folder.rglob("*.parquet"), now, kept=folder / "rows.duckdb") as database:
    draw(database, About("bench", now))
"""
_READ = """
from pathlib import Path
import duckdb
tables = {{}}
for path in Path({folder!r}).rglob("*.parquet"):
    place = path.parent if "=" not in path.parent.name else path.parent.parent
    tables.setdefault(place.name, []).append(str(path))
for files in tables.values():
    source = "read_parquet(?, union_by_name = true)"
    duckdb.execute(f"CREATE OR REPLACE TABLE t AS FROM {{source}}", [files])
"""


def measure() -> float:
    """The processor time of a drawing from a warm cache, times that of the reading.

    Raises BenchError.
    """
    with tempfile.TemporaryDirectory() as name:
        since = _NOW.date() - timedelta(days=_DAYS - 1)
        synthetic.write(Path(name), World(), since, _NOW)
        given = {"now": _NOW.isoformat(), "folder": name}
        _seconds(_DRAW.format(**given))
        drawn = min(_seconds(_DRAW.format(**given)) for _ in range(_TIMES))
        return drawn / min(_seconds(_READ.format(**given)) for _ in range(_TIMES))


def _seconds(code: str) -> float:
    """Processor time of a new interpreter that runs some statements."""
    timed = (
        f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'layers/insights')]!r}\n"
        f"from time import process_time as clock\n{code}\nprint(clock())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", timed], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise BenchError(f"a dashboard could not be drawn:\n{done.stderr[-4000:]}")
    return float(done.stdout.split()[-1])
