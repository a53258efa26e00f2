"""`make picture`: the picture of the dashboard in the README, of synthetic data and labelled so."""

import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from playwright.sync_api import Error as BrowserError

from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.sql.duckdb import connect
from dev.picture import synthetic
from dev.picture.browser import browser
from dev.sandbox.world import World

PICTURE = Path(__file__).resolve().parents[2] / "docs/generated/dashboard.png"
_SINCE = date(2026, 2, 26)
# Always the same, so that the picture changes only with the dashboard.
_NOW = datetime(2026, 3, 11, 18, 30, tzinfo=UTC)
_SIZE = (1280, 1000)


def main() -> int:
    """Writes the picture; its exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthetic.write(folder / "dataset", World(), _SINCE, _NOW)
        page = folder / "dashboard.html"
        about = About("acme, lotus", _NOW, "Synthetic data from the sandbox")
        with connect(folder.rglob("*.parquet"), _NOW) as database:
            page.write_text(draw(database, about), "utf-8")
        try:
            with browser() as opened:
                opened.size(*_SIZE)
                opened.open(page)
                PICTURE.write_bytes(opened.picture())
        except BrowserError as error:
            sys.stderr.write(f"make picture: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
