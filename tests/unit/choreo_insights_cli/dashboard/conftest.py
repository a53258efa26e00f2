"""A synthetic dataset on DuckDB, and its dashboard in a browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.sql.duckdb import connect
from dev.picture import synthetic
from dev.picture.browser import Browser, browser, program
from dev.sandbox import World

SINCE = date(2026, 3, 6)
NOW = datetime(2026, 3, 11, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Dataset:
    """The files, and a database over them."""

    folder: Path
    database: duckdb.DuckDBPyConnection


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Six days of two organisations."""
    folder = tmp_path_factory.mktemp("dataset")
    synthetic.write(folder, World(), SINCE, NOW)
    # One table of one organisation was never exported: its panels must say so.
    for path in (folder / "insights" / "top_platforms").rglob("lotus.*"):
        path.unlink()
    with connect(folder.rglob("*.parquet"), NOW) as database:
        database.execute(
            "UPDATE runs SET status = 'failed', \"rows\" = NULL, error = 'no answer'"
            " WHERE \"table\" = 'top_platforms' AND organization = 'lotus'"
        )
        yield Dataset(folder, database)


@pytest.fixture(scope="session")
def page(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dashboard's file."""
    path = tmp_path_factory.mktemp("page") / "dashboard.html"
    path.write_text(draw(dataset.database, About("acme, lotus", NOW, "Synthetic data")), "utf-8")
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    if not program():
        pytest.skip("no Chromium is installed (apt-get install chromium, or CHROMIUM=path)")
    with browser() as found:
        yield found


@pytest.fixture
def opened(chromium: Browser, page: Path) -> Iterator[Browser]:
    """The page as a reader finds it; it may complain of nothing and ask for nothing."""
    chromium.console.clear()
    chromium.requested.clear()
    chromium.size(1280, 900)
    chromium.open(page)
    yield chromium
    assert chromium.console == []
    assert {url.split(":")[0] for url in chromium.requested} <= {"file", "data"}
