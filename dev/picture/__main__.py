"""`make picture`: the pictures of docs/, of synthetic data and labelled so."""

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from playwright.sync_api import Error as BrowserError

from choreo_insights.catalogue import load
from choreo_insights.report.documents import PAGE, documents
from choreo_insights.report.figures import ReportSettings, figures
from choreo_insights.report.month import Month
from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.sql.duckdb import connect
from dev.picture import synthetic
from dev.picture.browser import Browser, browser
from dev.picture.folder import FolderDataset
from dev.sandbox.world import World

PICTURES = Path(__file__).resolve().parents[2] / "docs/generated"
_SINCE = date(2026, 2, 25)
# Always the same, so that the pictures change only with what draws them.
_NOW = datetime(2026, 3, 11, 18, 30, tzinfo=UTC)
_SYNTHETIC = "Synthetic data from the sandbox"
_SIZE = (1280, 1000)
# A click on an API that fails often, and a look at the reasons.
_DRILL_DOWN = (
    "document.querySelector('#panel-error_rates .hit[aria-label^=Orders]')"
    ".dispatchEvent(new MouseEvent('click')); window.dashboard.show('errors')"
)
_REASONS = "scrollTo(0, document.getElementById('panel-error_reasons').offsetTop - 150)"


def main() -> int:
    """Writes the pictures; its exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthetic.write(folder / "dataset", World(), _SINCE, _NOW)
        try:
            with browser() as opened:
                for picture, body in _pictures(folder, opened):
                    (PICTURES / picture).write_bytes(body)
                    sys.stdout.write(f"wrote docs/generated/{picture}\n")
        except BrowserError as error:
            sys.stderr.write(f"make picture: {error}\n")
            return 1
    return 0


def _pictures(folder: Path, opened: Browser) -> Iterator[tuple[str, bytes]]:
    opened.size(*_SIZE)
    opened.open(_dashboard(folder))
    yield "dashboard.png", opened.picture()
    opened.run("window.dashboard.show('errors')")
    opened.run(_DRILL_DOWN)
    opened.run(_REASONS)
    yield "dashboard-errors.png", opened.picture(whole=False)
    opened.run("window.dashboard.choose({ api_name: '' })")
    opened.run("window.dashboard.show('health')")
    yield "dashboard-health.png", opened.picture(whole=False)
    opened.open_any(_report(folder))
    yield "report.png", opened.picture(whole=False)


def _dashboard(folder: Path) -> Path:
    page = folder / "dashboard.html"
    with connect((folder / "dataset").rglob("*.parquet"), _NOW) as database:
        page.write_text(draw(database, About("acme, lotus", _NOW, _SYNTHETIC)), "utf-8")
    return page


def _report(folder: Path) -> Path:
    dataset = FolderDataset(folder / "dataset", _NOW)
    tables = tuple(table for table in load().tables if not table.off)
    settings = ReportSettings(tables, _SINCE, 24)
    found = figures(dataset, "acme", Month.of(_NOW.date()), settings, _NOW)
    page = folder / PAGE
    page.write_text(documents(found, note=_SYNTHETIC).files[PAGE], "utf-8")
    return page


if __name__ == "__main__":
    sys.exit(main())
