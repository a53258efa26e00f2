"""The report as one HTML page to read and to print: no script, nothing from outside."""

import html
from collections.abc import Iterable
from datetime import UTC

from choreo_insights.report.days import spans
from choreo_insights.report.figures import Figures
from choreo_insights.report.tables import Cell, ReportTable
from choreo_insights.spreadsheet import visible

# Tables in the page end here; their CSV files hold all rows.
MOST_ROWS = 500
_HEADINGS = {
    "api": "API",
    "api_id": None,
    "application_id": None,
    "id": None,
    "hours": None,
    "availability_target": "target",
    "availability_met": "met",
    "latency_met": "met",
    "p95_target_ms": "target ms",
    "highest_hourly_p95_ms": "highest p95 ms",
    "hours_above_target": "hours above",
    "state_of_day": "state",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --weak: #59636e; --warn: #9a4300; --good: #116329 }
@media (prefers-color-scheme: dark) {
  :root { --weak: #9ba5b0; --warn: #f0a35e; --good: #6bc985 } }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem }
p { margin: .3rem 0 } .weak { color: var(--weak) }
.state { border-left: .3rem solid var(--warn); padding: .3rem .8rem; margin: 1rem 0 }
.state.final { border-color: var(--good) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .87rem; margin-top: .5rem }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top } th { font-weight: 600 } .number { text-align: right;
  font-variant-numeric: tabular-nums } td.number { white-space: nowrap }
@media print { body { margin: 0; max-width: none; font-size: 10pt } h2 { break-after: avoid }
  tr { break-inside: avoid } thead { display: table-header-group } .wide { overflow: visible }
  table { font-size: 7pt; width: 100% } th, td { padding-right: .35rem }
  @page { size: A4 landscape; margin: 15mm } }
"""


def page(figures: Figures, tables: Iterable[ReportTable], note: str = "") -> str:
    """The page. `note` is a warning above everything, as that the data are synthetic."""
    title = f"API usage of {figures.organization}, {figures.month}"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    when = f"Computed {figures.computed.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
    said = f" {escape(note)}." if note else ""
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<title>{escape(title)} ({_state(figures)})</title>",
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="weak">Days in UTC. {when}{said}</p>',
        _finality(figures),
        *map(_table, tables),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _state(figures: Figures) -> str:
    return "final" if figures.finality.is_final else "not final yet"


def _finality(figures: Figures) -> str:
    finality, month = figures.finality, figures.month
    lines = []
    if finality.is_final:
        lines.append("<strong>Final.</strong> Every day holds all late data: nothing changes.")
    else:
        lines.append("<strong>Not final yet.</strong> These figures may still change.")
    for state, meaning in (
        ("open", "Open, and queried again"),
        ("unconfirmed", "Unconfirmed (the source kept giving less than it had)"),
        ("missing", "Missing"),
        ("to come", "To come"),
    ):
        if days := finality.of(state):  # type: ignore[arg-type]
            lines.append(f"{meaning}: {escape(spans(days))}.")
    if finality.since > month.first:
        lines.append(f"The export begins on {finality.since}: this is not the whole month.")
    if figures.not_exported:
        lines.append(f"Not exported: {escape(', '.join(figures.not_exported))}.")
    kind = "state final" if finality.is_final else "state"
    return f'<div class="{kind}">' + "".join(f"<p>{line}</p>" for line in lines) + "</div>"


def _table(table: ReportTable) -> str:
    head = f'<h2>{escape(table.title)}</h2>\n<p class="weak">{escape(table.note)}</p>'
    if not table.rows:
        return f"{head}\n<p>{escape(table.empty)}</p>"
    shown = [n for n, name in enumerate(table.columns) if _HEADINGS.get(name, name)]
    numeric = {n for n in shown if any(_is_number(row[n]) for row in table.rows)}
    numeric |= {n for n in shown if table.columns[n] == "price"}
    region = f'class="wide" tabindex="0" role="region" aria-label="{escape(table.title)}"'
    names = "".join(_cell("th", _heading(table.columns[n]), right=n in numeric) for n in shown)
    rows = [
        "<tr>" + "".join(_cell("td", _text(row[n]), right=n in numeric) for n in shown) + "</tr>"
        for row in table.rows[:MOST_ROWS]
    ]
    more = len(table.rows) - MOST_ROWS
    rest = f"<p>{more:,} more rows are in {escape(table.name)}.csv.</p>" if more > 0 else ""
    return (
        f"{head}\n<div {region}><table>\n<thead><tr>{names}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + f"\n</tbody></table></div>\n{rest}"
    )


def escape(text: str) -> str:
    """HTML of a text, whose control characters can be seen."""
    return html.escape(visible(text))


def _is_number(value: Cell) -> bool:
    return isinstance(value, int | float)


def _heading(name: str) -> str:
    return (_HEADINGS.get(name) or name).replace("_percent", " %").replace("_", " ")


def _cell(kind: str, text: str, *, right: bool) -> str:
    style = ' class="number"' if right else ""
    scope = ' scope="col"' if kind == "th" else ""
    return f"<{kind}{scope}{style}>{escape(text)}</{kind}>"


def _text(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
