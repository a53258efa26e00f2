"""The dashboard as one HTML file that needs neither a server nor a network."""

import base64
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

import duckdb

from choreo_insights.report.targets import Targets
from choreo_insights_cli.dashboard.data import (
    dimensions_of,
    everything,
    is_raw,
    key_of,
    panels_of,
    sources,
    targets_of,
    values_of,
)
from choreo_insights_cli.dashboard.data import frames as frames_of
from choreo_insights_cli.dashboard.description import PALETTE, REST, SCALE, Dimension, Panel, Sheet
from choreo_insights_cli.dashboard.panels import HOURS_UP_TO_DAYS, SHEETS
from choreo_insights_cli.dashboard.spans import DaySpan

_PAGE = Path(__file__).resolve().parent
# Concatenated into one script, in this order.
_SCRIPTS = ("state", "data", "words", "marks", "reasons", "plots", "tables", "page")


@dataclass(frozen=True)
class About:
    """The page's header: the source of the data, when it was drawn, and a warning.

    `ends` is the last day of a dataset that goes no further: its spans are those of that day.
    `targets` are what APIs should reach.
    """

    source: str
    drawn: datetime
    note: str = ""
    ends: date | None = None
    targets: Targets = field(default_factory=Targets)

    @property
    def today(self) -> date:
        """The day by which spans are counted."""
        return self.ends + timedelta(days=1) if self.ends else self.drawn.astimezone(UTC).date()


def draw(
    database: duckdb.DuckDBPyConnection, about: About, sheets: Iterable[Sheet] = SHEETS
) -> str:
    """Draws the page from a database with the dataset's views."""
    sheets = tuple(sheets)
    targets = targets_of(database, about.targets)
    packed = _packed(everything(database, sheets))
    template = Template((_PAGE / "page.html").read_text("utf-8"))
    return template.substitute(
        style=(_PAGE / "page.css").read_text("utf-8"),
        # `</script` in a text would end the element.
        description=_json(_description(sheets, about, targets)).replace("<", "\\u003c"),
        data=base64.b64encode(packed).decode(),
        script=_in_script(_script()),
    )


def _packed(pieces: Iterable[str]) -> bytes:
    """The text of all pieces as gzip, of which only the packed form is in memory."""
    into = io.BytesIO()
    with gzip.GzipFile(fileobj=into, mode="wb", compresslevel=5, mtime=0) as file:
        for piece in pieces:
            file.write(piece.encode())
    return into.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _script() -> str:
    parts = "\n".join((_PAGE / f"{name}.js").read_text("utf-8") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();'


def _in_script(code: str) -> str:
    """Code that cannot end the element it stands in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _description(
    sheets: Iterable[Sheet], about: About, targets: Mapping[str, Any]
) -> dict[str, Any]:
    panels = panels_of(sheets)
    dimensions = [each for panel in panels for each in dimensions_of(panel)]
    return {
        "sheets": [
            {
                "id": sheet.id,
                "title": sheet.title,
                "subtitle": sheet.subtitle,
                "panels": [panel.id for panel in sheet.panels],
            }
            for sheet in sheets
        ],
        "panels": [_panel(panel) for panel in panels],
        "keys": {each.column: each.also for each in dimensions if each.also},
        "filters": {each.column: _filter(each) for each in dimensions if each.plural},
        "palette": list(PALETTE),
        "rest": REST,
        # What is most stands out from the background.
        "scales": {"light": SCALE, "dark": SCALE[::-1]},
        "spans": [{"id": span, "label": span.label} for span in DaySpan],
        "targets": targets,
        "hoursUpToDays": HOURS_UP_TO_DAYS,
        "about": {
            "source": about.source,
            "note": about.note,
            "drawn": f"{about.drawn.astimezone(UTC):%Y-%m-%d %H:%M}",
            "at": int(about.drawn.timestamp() * 1000),
            "today": (about.today - date(1970, 1, 1)).days,
        },
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return asdict(panel) | {
        "frame": next(iter(frames_of([panel]))),
        "is_raw": is_raw(panel),
        "sources": sources(panel),
        "x": _dimension(panel.x),
        "y": _dimension(panel.y),
        "series": _dimension(panel.series),
        "dimensions": [_dimension(dimension) for dimension in panel.dimensions],
        "measures": [
            asdict(measure) | {"columns": values_of(measure)} for measure in panel.measures
        ],
    }


def _filter(dimension: Dimension) -> dict[str, Any]:
    known = [asdict(value) for value in dimension.known]
    return {
        "label": dimension.label,
        "all": f"all {dimension.plural}",
        "absent": dimension.absent,
        "known": known,
    }


def _dimension(dimension: Dimension | None) -> dict[str, Any] | None:
    return asdict(dimension) | {"key": key_of(dimension)} if dimension else None
