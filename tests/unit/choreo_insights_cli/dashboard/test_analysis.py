"""From what to why: clicks that filter, comparisons, targets, and figures to take away."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from choreo_insights.report.targets import read as read_targets
from choreo_insights_cli.dashboard.data import panels_of
from choreo_insights_cli.dashboard.description import Kind
from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.dashboard.panels import SHEETS
from dev.picture.browser import Browser
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW, SINCE, Dataset
from tests.unit.choreo_insights_cli.dashboard.expected_sql import Choice, key
from tests.unit.choreo_insights_cli.dashboard.reader import (
    DRAWN,
    FRAMES,
    after,
    choose,
    click,
    drawn,
    set_control,
    show,
    text,
    value_of,
)

LAST = NOW.date()
MINUS = "\N{MINUS SIGN}"
CHIPS = "[...document.querySelectorAll('.chip')].map((chip) => chip.innerText.replace(' ✕', ''))"


def labels(browser: Browser, panel: str) -> list[str]:
    return [row["x"] for row in drawn(browser, panel)["rows"]]


def test_a_bar_filters_all_sheets_until_its_chip_is_removed(opened: Browser) -> None:
    first = drawn(opened, "busiest_apis")["rows"][0]
    click_mark(opened, "#panel-busiest_apis .hit")
    assert opened.run(CHIPS) == [f"API: {first['x']}"]
    assert [row["id"] for row in drawn(opened, "busiest_apis")["rows"]] == [first["id"]]
    show(opened, "errors")
    keys = {row["keys"][0] for row in drawn(opened, "availability_by_api")["rows"]}
    assert keys == {first["id"]}
    click(opened, ".chip")
    assert opened.run(CHIPS) == []
    assert len(drawn(opened, "availability_by_api")["rows"]) > 10


def test_a_table_of_two_spans_says_what_it_compares_with_or_why_not(opened: Browser) -> None:
    show(opened, "errors")
    for first, last, said in (
        (SINCE + timedelta(days=2), SINCE + timedelta(days=3), f"Before: {SINCE} to "),
        (SINCE, LAST - timedelta(days=1), "Not compared: the days before are not in this file."),
        (SINCE, LAST, "Not compared: today is among the days chosen."),
    ):
        choose(opened, Choice(first, last))
        assert said in text(opened, "#panel-error_rates_before"), (first, last)


def click_mark(browser: Browser, selector: str) -> None:
    """Clicks at a mark, which has no method for it."""
    event = "new MouseEvent('click', { bubbles: true })"
    after(browser, f"document.querySelector({json.dumps(selector)}).dispatchEvent({event})")


def test_enter_on_a_bar_is_a_click_and_back_undoes_it(opened: Browser) -> None:
    show(opened, "errors")
    before = labels(opened, "error_reasons")
    opened.run("document.querySelector('#panel-error_reasons .hit').focus()")
    opened.run("delete document.body.dataset.drawn")
    opened.press("\n")
    opened.run(DRAWN)
    assert labels(opened, "error_reasons") == before[:1]
    assert opened.run(CHIPS) == [f"Reason: {before[0]}"]
    reasons = {row["keys"][-1] for row in drawn(opened, "error_table")["rows"]}
    assert reasons == {before[0]}
    # What has no reasons says that it shows all of them.
    assert "all reasons" in text(opened, "#panel-error_categories .scope")
    after(opened, "history.back()")
    assert labels(opened, "error_reasons") == before
    assert opened.run(CHIPS) == []


@pytest.mark.parametrize(
    ("sheet", "selector", "names"),
    [
        ("overview", "#panel-error_rate_by_day .legend button", ["environment"]),
        ("traffic", "#panel-application_traffic .legend button", ["application_name"]),
        ("errors", "#panel-error_categories .legend button", ["category"]),
        ("errors", "#panel-proxy_errors .legend button", ["status_class"]),
        ("errors", "#panel-proxy_codes .hit", ["status_code", "api_name"]),
        ("errors", "#panel-error_table td button", ["api_name"]),
        ("errors", "#panel-error_table tbody tr", ["api_name"]),
    ],
)
def test_what_is_clicked_at_is_chosen(
    opened: Browser, sheet: str, selector: str, names: list[str]
) -> None:
    show(opened, sheet)
    click_mark(opened, selector)
    words = "new URLSearchParams(location.hash.slice(1))"
    chosen = opened.run(f"[...{words}.keys()]")
    assert {*chosen} - {"sheet"} == {*names}
    assert len(opened.run(CHIPS)) == len(names)
    opened.reload()
    assert {*opened.run(f"[...{words}.keys()]")} - {"sheet"} == {*names}


def test_two_of_one_name_are_told_apart(opened: Browser, dataset: Dataset) -> None:
    """In the list, on the charts, and in their figures."""
    options = "[...document.querySelectorAll('[name=api_name] option')].map((o) => o.innerText)"
    names = opened.run(options)
    assert len(names) == len({*names})
    assert "Orders 2.0.0 · Production" in names
    set_control(opened, "organization", "acme")
    set_control(opened, "environment", key(("Production", "acme")))
    # Where less can be meant, less is said.
    assert {"Orders 1.0.0", "Orders 2.0.0"} <= {*opened.run(options)}
    rows = {row["x"]: row["value"] for row in drawn(opened, "busiest_apis")["rows"]}
    ((wanted,),) = dataset.database.execute(
        "SELECT sum(requests) FROM api_usage_daily WHERE organization = 'acme'"
        " AND environment = 'Production' AND api_name = 'Orders' AND api_version = '2.0.0'"
    ).fetchall()
    assert rows["Orders 2.0.0"] == wanted


def test_tiles_compare_with_the_days_before(opened: Browser, dataset: Dataset) -> None:
    span = Choice(LAST - timedelta(days=2), LAST - timedelta(days=1))
    choose(opened, span)

    def requests(first: int, last: int) -> int:
        ((found,),) = dataset.database.execute(
            "SELECT sum(requests) FROM traffic_daily WHERE day BETWEEN ? AND ?",
            [LAST - timedelta(days=first), LAST - timedelta(days=last)],
        ).fetchall()
        return int(found)

    now, then = requests(2, 1), requests(4, 3)
    said = text(opened, "#panel-requests .change")
    assert f"from {then:,} in 2026-03-07 to 2026-03-08" in said
    by = 100 * (now / then - 1)
    assert said.startswith(f"{MINUS if by < 0 else '+'}{abs(by):.{1 if abs(by) < 10 else 0}f} %")
    assert "points" in text(opened, "#panel-error_rate .change")
    # A part of a day is not compared with a whole one, nor what was not exported.
    for first in (LAST, SINCE):
        choose(opened, Choice(first, LAST))
        assert opened.run("document.querySelector('#panel-requests .change')") is None


def test_each_api_is_compared_with_the_days_before(opened: Browser, dataset: Dataset) -> None:
    choose(opened, Choice(LAST - timedelta(days=2), LAST - timedelta(days=1)))
    show(opened, "latency")
    heads = "[...document.querySelectorAll('#panel-latency_before th')].map((h) => h.innerText)"
    assert [head.rstrip(" ↕↑↓") for head in opened.run(heads)] == [
        *("API", "Highest daily p95", "Highest daily p95, before", "Highest daily p95, change")
    ]
    first = drawn(opened, "latency_before")["rows"][0]
    name, version, environment, organization = json.loads(first["keys"][0])
    ((before,),) = dataset.database.execute(
        "SELECT max(response_p95_ms) FROM api_latency_daily WHERE api_name = ? AND"
        " api_version = ? AND environment = ? AND organization = ?"
        " AND day BETWEEN DATE '2026-03-07' AND DATE '2026-03-08'",
        [name, version, environment, organization],
    ).fetchall()
    assert first["was"] == [before]


def test_every_panel_is_a_file(opened: Browser) -> None:
    for sheet in SHEETS:
        show(opened, sheet.id)
        for panel in sheet.panels:
            if "rows" not in drawn(opened, panel.id):
                continue
            assert opened.run(f"document.querySelectorAll('#panel-{panel.id} .csv').length") == 1
            rows = [*csv.reader(io.StringIO(opened.run(f"window.dashboard.csv('{panel.id}')")))]
            heads, *lines = rows
            assert len({*heads}) == len(heads)
            assert {len(line) for line in lines} == {len(heads)}, panel.id
            dimensions = {
                d.column for d in (panel.x, panel.y, panel.series, *panel.dimensions) if d
            }
            if "api_name" in dimensions:
                assert {"API", "Version", "Environment", "Organisation"} <= {*heads}


def test_a_file_has_what_is_chosen_and_no_formula(
    chromium: Browser, dataset: Dataset, tmp_path: Path
) -> None:
    with dataset.database.cursor() as database:
        database.begin()
        database.execute("UPDATE top_user_agents SET user_agent = '=cmd|'' /C calc''!A1, \"x\"'")
        page = tmp_path / "page.html"
        page.write_text(draw(database, About("acme", NOW)), "utf-8")
        database.rollback()
    chromium.open(page)
    choose(chromium, Choice(LAST, LAST, organization="acme"))
    show(chromium, "devices")
    file = chromium.downloaded("document.querySelector('#panel-user_agents .csv').click()")
    assert file.name == "user-agents-2026-03-11-2026-03-11.csv"
    (head, *rows) = csv.reader(io.StringIO(file.text.removeprefix("\ufeff")))
    assert head == ["User agent", "Requests"]
    assert rows[0][0] == "'=cmd|' /C calc'!A1, \"x\""
    assert float(rows[0][1]) == drawn(chromium, "user_agents")["rows"][0]["value"]


def test_a_long_table_is_searched_and_opened(opened: Browser) -> None:
    show(opened, "errors")
    rows = "document.querySelectorAll('#panel-error_table tbody tr').length"
    assert opened.run(rows) == 100
    opened.run("document.querySelector('#panel-error_table .all').click()")
    opened.run(FRAMES)
    every = opened.run(rows)
    assert every > 100
    assert f"Show {100} rows" in text(opened, "#panel-error_table .all")
    opened.run("document.querySelector('#panel-error_table [type=search]').focus()")
    for letter in "gateway":
        opened.press(letter)
        opened.run(FRAMES)
    assert opened.run("document.activeElement.value") == "gateway"
    assert 0 < opened.run(rows) < every
    found = opened.run(
        "[...document.querySelectorAll('#panel-error_table tbody tr')].map((r) => r.innerText)"
    )
    assert all("gateway" in row.lower() for row in found)
    # Few rows need no search.
    show(opened, "overview")
    assert opened.run("document.querySelector('#panel-environments [type=search]')") is None


def test_a_target_is_a_line_where_one_is_set(
    chromium: Browser, dataset: Dataset, tmp_path: Path
) -> None:
    toml = 'p95_ms = 700\n[[apis]]\napi = "Orders"\nversion = "2.0.0"\np95_ms = 450\n'
    page = tmp_path / "page.html"
    about = About("acme", NOW, targets=read_targets(toml))
    page.write_text(draw(dataset.database, about), "utf-8")
    chromium.open(page)
    assert "Target 700 ms" in text(chromium, "#panel-p95")
    label = "document.querySelector('#panel-p95_by_day .target + text').textContent"
    assert chromium.run(label) == "Target 700 ms"
    show(chromium, "errors")
    assert chromium.run("document.querySelector('#panel-availability_rate .target')") is None
    show(chromium, "latency")
    orders = ("Orders", "2.0.0", "Production", "acme")
    choose(chromium, Choice(SINCE, LAST, api_name=orders))
    place = "document.querySelector('#panel-slowest_apis {}').getBoundingClientRect()"
    rows = drawn(chromium, "slowest_apis").get("rows")
    if rows:
        line = chromium.run(place.format(".target") + ".x")
        bar: dict[str, Any] = chromium.run(place.format(".mark") + ".toJSON()")
        part = (line - bar["x"]) / bar["width"]
        assert part * rows[0]["value"] == pytest.approx(450, rel=0.02)


def test_a_span_of_the_list_goes_into_the_address(opened: Browser) -> None:
    set_control(opened, "span", "yesterday")
    assert "span=yesterday" in opened.run("location.hash")
    opened.reload()
    assert value_of(opened, "span") == "yesterday"
    assert value_of(opened, "from") == "2026-03-10"


def test_every_chart_says_what_share_its_parts_are() -> None:
    """A share is of a sum: what cannot be added up has none."""
    for panel in panels_of(SHEETS):
        for measure in panel.measures:
            assert not measure.share or panel.kind is Kind.TABLE
