"""The dashboard as one HTML file that needs neither a server nor a network."""

import base64
import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

import duckdb
import vl_convert

from choreo_insights_cli.dashboard.data import (
    everything,
    is_raw,
    key_of,
    panels_of,
    sources,
    values_of,
)
from choreo_insights_cli.dashboard.data import frames as frames_of
from choreo_insights_cli.dashboard.description import PALETTE, REST, Dimension, Kind, Panel, Sheet
from choreo_insights_cli.dashboard.html.charts import chart, scale
from choreo_insights_cli.dashboard.panels import HOURS_UP_TO_DAYS, SHEETS

_PAGE = Path(__file__).resolve().parent
# Concatenated into one script, in this order.
_SCRIPTS = ("state", "data", "words", "marks", "reasons", "plots", "page")
_WITHOUT_CHART = (Kind.FIGURE, Kind.TABLE)


@dataclass(frozen=True)
class About:
    """The header of the page: the source of the data, when it was drawn, and a warning."""

    source: str
    drawn: datetime
    note: str = ""


def draw(
    database: duckdb.DuckDBPyConnection, about: About, sheets: Iterable[Sheet] = SHEETS
) -> str:
    """Draws the page from a database with the dataset's views."""
    sheets = tuple(sheets)
    packed = gzip.compress(_json(everything(database, sheets)).encode(), 9, mtime=0)
    template = Template((_PAGE / "page.html").read_text("utf-8"))
    return template.substitute(
        style=(_PAGE / "page.css").read_text("utf-8"),
        # `</script` in a text would end the element.
        description=_json(_description(sheets, about)).replace("<", "\\u003c"),
        data=base64.b64encode(packed).decode(),
        library=_in_script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")),
        script=_in_script(_script()),
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _script() -> str:
    parts = "\n".join((_PAGE / f"{name}.js").read_text("utf-8") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();'


def _in_script(code: str) -> str:
    """Code that cannot end the element it stands in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _description(sheets: Iterable[Sheet], about: About) -> dict[str, Any]:
    panels = panels_of(sheets)
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
        "charts": {panel.id: chart(panel) for panel in panels if panel.kind not in _WITHOUT_CHART},
        "palette": list(PALETTE),
        "rest": REST,
        "scales": {"light": scale(dark=False), "dark": scale(dark=True)},
        "hoursUpToDays": HOURS_UP_TO_DAYS,
        "about": {
            "source": about.source,
            "note": about.note,
            "drawn": f"{about.drawn.astimezone(UTC):%Y-%m-%d %H:%M}",
            "at": int(about.drawn.timestamp() * 1000),
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


def _dimension(dimension: Dimension | None) -> dict[str, Any] | None:
    return asdict(dimension) | {"key": key_of(dimension)} if dimension else None
