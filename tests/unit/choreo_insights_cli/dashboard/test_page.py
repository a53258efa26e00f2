"""The drawn file in a browser: every panel, every filter, and figures that equal the SQL."""

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from choreo_insights_cli.dashboard.data import panels_of
from choreo_insights_cli.dashboard.description import Aggregation, Kind, Panel
from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.sql.duckdb import connect
from dev.picture.browser import Browser
from tests.unit.choreo_insights_cli.dashboard import expected_sql
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW, SINCE, Dataset
from tests.unit.choreo_insights_cli.dashboard.expected_sql import Choice, key
from tests.unit.choreo_insights_cli.dashboard.reader import (
    FRAMES,
    choose,
    drawn,
    set_control,
    show,
    text,
    why,
)

LAST = NOW.date()
ORDERS = ("Orders", "1.0.0", "Development", "acme")
CHOICES = {
    "all": Choice(SINCE, LAST),
    "organisation": Choice(SINCE, LAST, organization="lotus"),
    "environment": Choice(SINCE, LAST, environment=("Development", "lotus")),
    "API": Choice(SINCE, LAST, api_name=ORDERS),
    "application": Choice(SINCE, LAST, application_name=("UNKNOWN", "Production", "acme")),
    "dates": Choice(date(2026, 3, 8), date(2026, 3, 9)),
    "one day": Choice(date(2026, 3, 9), date(2026, 3, 9), organization="acme"),
    "no traffic": Choice(SINCE, LAST, organization="lotus", environment=("Staging", "lotus")),
    "weeks": Choice(SINCE - timedelta(days=30), LAST),
    "together": Choice(
        date(2026, 3, 7),
        LAST,
        organization="acme",
        environment=("Headquarters, Zürich", "acme"),
        api_name=('Catalogue "Classic"', "v1", "Headquarters, Zürich", "acme"),
    ),
}
ADDED_UP = (Aggregation.SUM, Aggregation.COUNT)
MARKS = ".mark, .line"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_panel_has_marks_or_a_reason(opened: Browser, width: int, dark: bool) -> None:
    opened.size(width, 900, dark=dark)
    opened.run(FRAMES)
    for sheet in SHEETS:
        show(opened, sheet.id)
        # No part of the page is wider than the screen.
        assert opened.run("document.documentElement.scrollWidth") <= width
        for panel in sheet.panels:
            place = f"#panel-{panel.id}"
            if "reason" in drawn(opened, panel.id):
                assert len(text(opened, f"{place} .reason")) > 20
                continue
            what = {Kind.FIGURE: ".number", Kind.TABLE: "tbody tr"}.get(panel.kind, MARKS)
            count = opened.run(f"document.querySelectorAll({json.dumps(what)}).length")
            assert count > 0, panel.id
            within = f"document.querySelector('{place}').querySelectorAll({json.dumps(what)})"
            assert opened.run(f"{within}.length") > 0, panel.id
    assert opened.run("window.dashboard.failures()") == 0
    assert opened.run("document.documentElement.dataset.theme") == ("dark" if dark else "light")


@pytest.mark.parametrize("name", CHOICES)
def test_figures_equal_the_sql(opened: Browser, dataset: Dataset, name: str) -> None:
    choice = CHOICES[name]
    choose(opened, choice)
    for sheet in SHEETS:
        show(opened, sheet.id)
        for panel in sheet.panels:
            compare(panel, drawn(opened, panel.id), dataset, choice)


def compare(panel: Panel, found: dict[str, Any], dataset: Dataset, choice: Choice) -> None:
    dimensions = [d for d in (panel.x, panel.y, panel.series, *panel.dimensions) if d]
    wanted = expected_sql.rows(dataset.database, panel, dimensions, choice)
    if panel.kind is not Kind.TABLE:
        wanted = [row for row in wanted if any(value is not None for value in row[1])]
    if panel.kind not in (Kind.TABLE, Kind.FIGURE) and panel.measures[0].aggregation in ADDED_UP:
        wanted = [row for row in wanted if any(row[1])]
    if not wanted:
        assert found["reason"]["text"], panel.id
        return
    assert "rows" in found, (panel.id, found)
    {
        Kind.FIGURE: figure,
        Kind.TABLE: table,
        Kind.BAR: bar,
        Kind.HEATMAP: heatmap,
        Kind.LINE: lines,
        Kind.STACKED: lines,
    }[panel.kind](panel, found["rows"], wanted, choice)


Rows = list[dict[str, Any]]
Wanted = list[tuple[tuple[Any, ...], tuple[Any, ...]]]


def figure(panel: Panel, rows: Rows, wanted: Wanted, choice: Choice) -> None:
    assert len(rows) == 1
    assert rows[0]["value"] == pytest.approx(plain(wanted[0][1][0])), panel.id


def table(panel: Panel, rows: Rows, wanted: Wanted, choice: Choice) -> None:
    if panel.compares:
        # What has no figure in either of both spans is nothing to compare.
        there = {tuple(row["keys"]) for row in rows if {*row["values"], *row["was"]} != {None}}
        wanted = [
            (keys, values)
            for keys, values in wanted
            if any(value is not None for value in values) or keys in there
        ]
    assert len(rows) == min(len(wanted), panel.top or len(wanted)), panel.id
    left = defaultdict(list)
    for keys, values in wanted:
        left[tuple(map(milliseconds, keys))].append([plain(value) for value in values])
    for row in rows:
        candidates = left[tuple(row["keys"])]
        match = next((c for c in candidates if c == pytest.approx(row["values"])), None)
        assert match is not None, (panel.id, row, candidates)
        candidates.remove(match)


def plain(value: Any) -> Any:
    """A measure as the page has it: a day is a number of days."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return (value - date(1970, 1, 1)).days
    return milliseconds(value)


def milliseconds(value: Any) -> Any:
    """A key as the page has it: an instant, or a day's midnight."""
    if isinstance(value, datetime):
        return int(value.replace(tzinfo=UTC).timestamp() * 1000)
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000)
    return value


def bar(panel: Panel, rows: Rows, wanted: Wanted, choice: Choice) -> None:
    assert panel.x
    values = {keys[0]: values[0] for keys, values in wanted}
    assert len(rows) == min(len(values), panel.top or len(values)), panel.id
    assert {row["id"]: row["value"] for row in rows} == pytest.approx(
        {row["id"]: values[row["id"]] for row in rows}
    )
    # No two are called the same.
    assert len({row["x"] for row in rows}) == len(rows)
    if panel.x.known:
        order = [value.value for value in panel.x.known]
        found = [row["id"] for row in rows]
        assert [each for each in order if each in found] == found
        return
    largest = sorted(values.values(), reverse=True)[: len(rows)]
    assert [row["value"] for row in rows] == pytest.approx(largest), panel.id


def heatmap(panel: Panel, rows: Rows, wanted: Wanted, choice: Choice) -> None:
    assert panel.x
    assert panel.y
    cells = {keys: values[0] for keys, values in wanted}
    found = {tuple(row["id"]): row["value"] for row in rows}
    assert found == pytest.approx({cell: cells[cell] for cell in found}), panel.id
    down = {y for _, y in cells}
    if len(down) <= (panel.top or len(down)):
        assert found.keys() == cells.keys()


def lines(panel: Panel, rows: Rows, wanted: Wanted, choice: Choice) -> None:
    assert panel.x
    values: dict[tuple[int, str], float] = {}
    for keys, measured in wanted:
        if panel.series:
            values[milliseconds(keys[0]), keys[1]] = measured[0]
        else:
            for measure, value in zip(panel.measures, measured, strict=True):
                if value or (value is not None and measure.aggregation not in ADDED_UP):
                    values[milliseconds(keys[0]), measure.label] = value
    found = {(row["x"], row["id"]): row["value"] for row in rows}
    own = {place for place in found if place[1] != "Other"}
    assert {p: found[p] for p in own} == pytest.approx({p: values[p] for p in own}), panel.id
    if panel.measures[0].aggregation in ADDED_UP:
        assert sum(found.values()) == pytest.approx(sum(values.values())), panel.id


def test_the_figures_are_on_the_page(opened: Browser, dataset: Dataset) -> None:
    requests, errors = dataset.database.execute(
        "SELECT sum(requests), sum(errors) FROM traffic_daily"
    ).fetchall()[0]
    assert text(opened, "#panel-requests .number") == f"{requests:,}"
    assert text(opened, "#panel-errors .number") == f"{errors:,}"
    assert text(opened, "#panel-error_rate .number") == f"{100 * errors / requests:.2f} %"
    assert "Synthetic data" in text(opened, "#about")


def test_each_control_filters(opened: Browser, dataset: Dataset) -> None:
    def requests() -> int:
        return int(text(opened, "#panel-requests .number").replace(",", ""))

    def asked(condition: str) -> int:
        sql = f"SELECT sum(requests) FROM traffic_daily WHERE {condition}"
        return int(dataset.database.execute(sql).fetchall()[0][0])

    set_control(opened, "organization", "acme")
    assert requests() == asked("organization = 'acme'")
    set_control(opened, "environment", key(("Production", "acme")))
    assert requests() == asked("organization = 'acme' AND environment = 'Production'")
    set_control(opened, "from", "2026-03-08")
    set_control(opened, "to", "2026-03-10")
    within = "day BETWEEN DATE '2026-03-08' AND DATE '2026-03-10'"
    assert requests() == asked(f"organization = 'acme' AND environment = 'Production' AND {within}")
    set_control(opened, "environment", "")
    set_control(opened, "organization", "")
    assert requests() == asked(within)
    set_control(opened, "span", "all")
    assert requests() == asked("true")
    set_control(opened, "span", "yesterday")
    assert requests() == asked("day = DATE '2026-03-10'")


def test_a_chosen_api_filters_what_knows_it_and_the_rest_says_so(
    opened: Browser, dataset: Dataset
) -> None:
    set_control(opened, "api_name", key(ORDERS))
    assert [row["id"] for row in drawn(opened, "busiest_apis")["rows"]] == [key(ORDERS)]
    assert "all APIs" in text(opened, "#panel-requests .scope")
    assert opened.run("document.querySelector('#panel-busiest_apis .scope')") is None


def test_environments_follow_the_organisation(opened: Browser) -> None:
    names = "[...document.querySelectorAll('[name=environment] option')].map((o) => o.innerText)"
    set_control(opened, "organization", "acme")
    set_control(opened, "environment", key(("Headquarters, Zürich", "acme")))
    assert "Staging" not in opened.run(names)
    set_control(opened, "organization", "lotus")
    assert opened.run(names) == ["All", "Development", 'Produktion "Süd"', "Staging"]
    assert opened.run("document.querySelector('[name=environment]').value") == ""


def test_an_empty_panel_says_why(opened: Browser) -> None:
    choose(opened, Choice(SINCE, LAST, organization="lotus"))
    show(opened, "devices")
    assert why(opened, "countries") == "unavailable"
    assert "on-premise" in text(opened, "#panel-countries .reason")
    assert why(opened, "platforms") == "not exported"
    assert "top_platforms" in text(opened, "#panel-platforms .reason")
    show(opened, "reports")
    assert why(opened, "on_premise") == "unavailable"
    choose(opened, Choice(SINCE, LAST, organization="lotus", environment=("Staging", "lotus")))
    show(opened, "overview")
    assert why(opened, "p95") == "nothing happened"
    assert why(opened, "traffic_over_time") == "nothing happened"
    choose(opened, Choice(SINCE - timedelta(days=9), SINCE - timedelta(days=5)))
    assert why(opened, "requests") == "not exported"
    assert why(opened, "busiest_apis") == "not exported"
    show(opened, "health")
    assert why(opened, "tries") == "not exported"


def test_the_health_sheet_tells_what_failed(opened: Browser) -> None:
    show(opened, "health")
    rows = {tuple(row["keys"]): row["values"] for row in drawn(opened, "freshness")["rows"]}
    failed = rows["lotus", "top_platforms"]
    # Three environments over six days, and never a success.
    assert failed[0] is None
    assert failed[5:7] == [18, 18]
    first = text(opened, "#panel-freshness tbody tr")
    assert "top_platforms" in first
    assert opened.run("document.querySelectorAll('#panel-freshness td.bad').length") == 2
    assert "no answer" in text(opened, "#panel-failures tbody")


def test_the_theme_follows_the_reader(opened: Browser) -> None:
    theme = "document.documentElement.dataset.theme"
    opened.size(1280, 900, dark=True)
    opened.run(FRAMES)
    assert opened.run(theme) == "dark"
    opened.run("document.getElementById('theme').click()")
    assert opened.run(theme) == "light"
    background = opened.run("getComputedStyle(document.documentElement).backgroundColor")
    assert background == "rgb(244, 245, 247)"


def test_tooltips_name_all_that_is_at_a_time(opened: Browser) -> None:
    place = opened.run(
        "(() => { const box = [...document.querySelectorAll('#panel-traffic_over_time"
        " .mark')].at(-20).getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    opened.move(*place)
    opened.run(FRAMES)
    said = text(opened, "#tip")
    assert "2026-03-" in said
    assert "Successes" in said


def test_tables_are_sorted_by_a_click(opened: Browser) -> None:
    rows = "[...document.querySelectorAll('#panel-environments tbody tr')]"
    column = f"{rows}.map((row) => row.cells[2].innerText)"
    before = opened.run(column)
    click = "document.querySelectorAll('#panel-environments th button')[2].click()"
    opened.run(click)
    opened.run(click)
    assert opened.run(column) == list(reversed(before))


def test_names_are_text_and_never_code(chromium: Browser, dataset: Dataset, tmp_path: Path) -> None:
    """Names come from others: they may hold what a page would take for its own."""
    hostile = (
        "</script><img src=x onerror=alert(1)>$data<!-- =1+1 ../../x שלום \u202e 注文 \x1b]0;x\x07"
    )
    with dataset.database.cursor() as database:
        database.begin()
        database.execute("UPDATE top_user_agents SET user_agent = ?", [hostile])
        database.execute("UPDATE registry_names SET name = ?", [hostile])
        page = tmp_path / "page.html"
        page.write_text(draw(database, About(hostile, NOW)), "utf-8")
        database.rollback()
    chromium.console.clear()
    chromium.open(page)
    show(chromium, "devices")
    assert [row["x"] for row in drawn(chromium, "user_agents")["rows"]] == [hostile]
    show(chromium, "traffic")
    # What follows has no look of its own: a browser may leave it out.
    visible = hostile.partition(" \u202e")[0]
    assert visible in text(chromium, "#panel-apis tbody")
    assert visible in text(chromium, "#about")
    assert chromium.run("document.querySelectorAll('img').length") == 0
    assert chromium.console == []


def test_an_empty_dataset_says_so(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with connect([], NOW) as database:
        page.write_text(draw(database, About("acme", NOW)), "utf-8")
    chromium.console.clear()
    chromium.open(page)
    for sheet in SHEETS:
        show(chromium, sheet.id)
    assert {why(chromium, panel.id) for panel in panels_of(SHEETS)} == {"not exported"}
    assert chromium.console == []


def test_the_file_needs_no_other(page: Path) -> None:
    written = page.read_text("utf-8")
    assert " src=" not in written.split('<script type="application/json"')[0]
    assert "default-src 'none'" in written
    assert page.stat().st_size < 500_000


def test_names_that_objects_inherit_are_drawn(
    chromium: Browser, dataset: Dataset, tmp_path: Path
) -> None:
    """Any caller can choose a User-Agent, and any author the name of an API."""
    names = ["constructor", "__proto__", "toString", "title", "labelExpr", "$names", '"]+alert(1)']
    agents = "SELECT DISTINCT user_agent FROM top_user_agents ORDER BY 1"
    apis = "SELECT DISTINCT id FROM registry_names ORDER BY 1"
    with dataset.database.cursor() as database:
        database.begin()
        for sql, table, column, by in (
            (agents, "top_user_agents", "user_agent", "user_agent"),
            (apis, "registry_names", "name", "id"),
        ):
            found = [value for (value,) in database.execute(sql).fetchall()]
            for value, name in zip(found, names, strict=False):
                statement = f'UPDATE {table} SET "{column}" = ? WHERE "{by}" = ?'
                database.execute(statement, [name, value])
        page = tmp_path / "page.html"
        page.write_text(draw(database, About("acme", NOW)), "utf-8")
        database.rollback()
    chromium.console.clear()
    chromium.open(page)
    for sheet in SHEETS:
        show(chromium, sheet.id)
        states = chromium.run(
            f"[...document.querySelectorAll('#sheet-{sheet.id} article')].map((panel) =>"
            " [panel.id, panel.dataset.state, panel.querySelector('.plot') !== null,"
            " panel.querySelectorAll('.plot .mark, .plot .line').length])"
        )
        assert [s for s in states if s[1] == "failed" or (s[2] and not s[3])] == [], (
            chromium.console
        )
    show(chromium, "devices")
    drawn_names = {row["x"] for row in drawn(chromium, "user_agents")["rows"]}
    assert {"constructor", "__proto__"} <= drawn_names
    labels = text(chromium, "#panel-user_agents .plot")
    assert "__proto__" in labels
    assert "constructor" in labels
    assert chromium.console == []
    assert chromium.run("window.dashboard.failures()") == 0


def test_a_chart_that_fails_says_so_in_its_panel(opened: Browser) -> None:
    opened.run(
        "void (document.createElementNS = () => { throw new Error('no canvas'); })",
    )
    show(opened, "latency")
    opened.console.clear()
    failed = opened.run(
        "[...document.querySelectorAll('#sheet-latency article')]"
        ".filter((panel) => panel.dataset.state === 'failed').map((panel) => panel.innerText)"
    )
    assert len(failed) == opened.run("window.dashboard.failures()") > 0
    assert "This panel could not be drawn" in failed[0]
    assert "no canvas" in failed[0]


def test_the_page_needs_no_eval(page: Path) -> None:
    assert "unsafe-eval" not in page.read_text("utf-8").split("<body>")[0]
