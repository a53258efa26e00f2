"""The page as a person uses it: keyboard, address, scrolling, print, and what is left unsaid."""

from datetime import timedelta

import pytest

from choreo_insights_cli.dashboard.panels import SHEETS
from dev.picture.browser import Browser
from tests.unit.choreo_insights_cli.dashboard import sight
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW, SINCE, Dataset
from tests.unit.choreo_insights_cli.dashboard.expected_sql import Choice, key
from tests.unit.choreo_insights_cli.dashboard.reader import (
    FRAMES,
    after,
    choose,
    click,
    drawn,
    legend,
    set_control,
    show,
    text,
    value_of,
    why,
)

LAST = NOW.date()
PLACE = ("Headquarters, Zürich", "acme")
CELLS = (
    "(() => {{ const of = (kind) =>"
    " [...document.querySelectorAll(`#panel-{0} .cell ${{kind}}`)]"
    ".map((mark) => [mark.getAttribute('fill'), getComputedStyle(mark).fill, mark.textContent]);"
    " return [of('.mark'), of('.figure')]; }})()"
)


def test_a_date_can_be_typed(opened: Browser) -> None:
    opened.run("document.querySelector('[name=from]').focus()")
    opened.press("03082026")
    opened.run("document.querySelector('[name=to]').focus()")
    opened.press("03092026")
    assert (value_of(opened, "from"), value_of(opened, "to")) == ("2026-03-08", "2026-03-09")
    days = [row["x"] for row in drawn(opened, "error_rate_by_day")["rows"]]
    assert len(set(days)) == 2


def test_a_year_without_data_is_not_chosen(opened: Browser) -> None:
    opened.run("document.querySelector('[name=to]').focus()")
    opened.press("03091999")
    opened.run("document.querySelector('[name=from]').focus()")
    assert (value_of(opened, "from"), value_of(opened, "to")) == (str(SINCE), "2026-03-09")


def test_a_change_leaves_the_page_where_it_was(opened: Browser) -> None:
    opened.run("scrollTo(0, 300)")
    place = "document.getElementById('panel-p95_by_day').getBoundingClientRect().y"
    before = opened.run(place)
    set_control(opened, "organization", "acme")
    assert opened.run(place) == pytest.approx(before, abs=40)


def test_a_reload_keeps_what_was_chosen(opened: Browser) -> None:
    set_control(opened, "organization", "acme")
    set_control(opened, "environment", key(PLACE))
    set_control(opened, "api_name", key(('Catalogue "Classic"', "v1", *PLACE)))
    set_control(opened, "from", "2026-03-08")
    show(opened, "errors")
    click(opened, "#theme")
    before = drawn(opened, "error_table")["rows"]
    opened.reload()
    assert opened.run("document.body.dataset.drawn") == "errors"
    assert drawn(opened, "error_table")["rows"] == before
    assert value_of(opened, "environment") == key(PLACE)
    assert (value_of(opened, "from"), value_of(opened, "to")) == ("2026-03-08", str(LAST))
    assert opened.run("document.documentElement.dataset.theme") == "dark"


def test_the_way_back_is_the_sheet_before(opened: Browser) -> None:
    click(opened, "[data-sheet=cache]")
    click(opened, "[data-sheet=health]")
    after(opened, "history.back()")
    assert opened.run("document.body.dataset.drawn") == "cache"
    assert text(opened, "nav [aria-current]") == "Cache"


def test_an_address_of_another_file_is_read_as_far_as_it_fits(opened: Browser) -> None:
    words = "sheet=none&organization=gone&from=1999-01-01&to=2999-01-01&days=x"
    after(opened, f"location.hash = '{words}'")
    assert opened.run("document.body.dataset.drawn") == "overview"
    assert value_of(opened, "organization") == ""
    assert (value_of(opened, "from"), value_of(opened, "to")) == (str(SINCE), str(LAST))


def test_a_span_says_its_days(opened: Browser) -> None:
    names = "[...document.querySelectorAll('[name=span] option:not([disabled])')]"
    assert opened.run(f"{names}.map((option) => option.innerText)") == [
        "Today (2026-03-11)",
        "Yesterday (2026-03-10)",
        "Last 7 full days (2026-03-04 to 2026-03-10)",
        "This month (2026-03-01 to 2026-03-11)",
        "All days",
        "From … to …",
    ]
    assert value_of(opened, "span") == "all"
    set_control(opened, "span", "yesterday")
    assert value_of(opened, "from") == value_of(opened, "to") == "2026-03-10"
    set_control(opened, "from", "2026-03-08")
    assert value_of(opened, "span") == "custom"


def test_sorting_by_the_keyboard_stays_at_the_column(opened: Browser) -> None:
    show(opened, "traffic")
    opened.run("document.querySelectorAll('#panel-resources th button')[4].focus()")
    opened.press("\n")
    opened.run(FRAMES)
    assert opened.run("document.activeElement.innerText") == "Requests ↓"


def test_sorting_looks_at_all_rows(opened: Browser, dataset: Dataset) -> None:
    show(opened, "errors")
    assert "100 of" in text(opened, "#panel-error_table .tools")
    least = dataset.database.execute(
        "SELECT sum(errors) FROM error_details"
        " GROUP BY organization, environment, api_name, api_version, application_name, reason"
        " ORDER BY 1 LIMIT 1"
    ).fetchall()[0][0]
    for _ in range(2):
        opened.run("document.querySelectorAll('#panel-error_table th button')[4].click()")
        opened.run(FRAMES)
    first = text(opened, "#panel-error_table tbody tr td:last-child")
    assert first == f"{least:,}"


def test_an_environment_has_its_colour_on_every_sheet(opened: Browser) -> None:
    found = {}
    for sheet, panel in {
        "overview": "error_rate_by_day",
        "latency": "p95_by_hour",
        "cache": "hit_rate_by_day",
    }.items():
        show(opened, sheet)
        found[panel] = legend(opened, panel)
    assert len(found["hit_rate_by_day"]) == 5
    assert found["hit_rate_by_day"] == found["error_rate_by_day"] == found["p95_by_hour"]
    assert [*found["hit_rate_by_day"]] == [*found["error_rate_by_day"]]


def test_a_long_name_in_a_legend_shows_its_end(opened: Browser) -> None:
    show(opened, "traffic")
    name = "Payments, Refunds · Headquarters, Zürich"
    assert name in legend(opened, "api_traffic")
    ends = "[...document.querySelectorAll('#panel-api_traffic .legend span[title] > :last-child')]"
    right = "getBoundingClientRect().right"
    edges = f"[end.textContent, end.{right}, end.parentNode.{right}]"
    found = opened.run(f"{ends}.map((end) => {edges})")
    assert any(name.endswith(end) for end, _, _ in found)
    assert all(right <= room for _, right, room in found)


def test_what_is_only_pointed_at_is_no_stop_of_the_tab_key(opened: Browser) -> None:
    hour = "document.querySelector('rect.hover')"
    assert opened.run(f"{hour}.focus(); document.activeElement.tagName") == "BODY"
    first = "document.querySelector('.hit.pick')"
    assert opened.run(f"{first}.focus(); document.activeElement === {first}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_figures_in_a_heat_map_can_be_read(opened: Browser, dark: bool) -> None:
    opened.size(1280, 900, dark=dark)
    opened.run(FRAMES)
    show(opened, "errors")
    cells, texts = opened.run(CELLS.format("target_codes"))
    assert len(cells) == len(texts) > 10
    for (back, *_), (front, drawn_in, said) in zip(cells, texts, strict=True):
        assert said
        assert drawn_in == ("rgb(255, 255, 255)" if front == "#ffffff" else "rgb(0, 0, 0)")
        assert sight.contrast(back, front) > 4.5


def test_what_is_incomplete_says_so(opened: Browser) -> None:
    show(opened, "devices")
    # All of one organisation's platforms failed; the rest of the sheet is whole.
    assert text(opened, "#panel-platforms .scope") == "Incomplete on 6 of 6 days."
    assert opened.run("document.querySelector('#panel-user_agents .scope')") is None
    choose(opened, Choice(SINCE, LAST, organization="acme"))
    assert opened.run("document.querySelector('#panel-platforms .scope')") is None


def test_what_all_panels_lack_is_said_once(opened: Browser) -> None:
    assert "Incomplete" not in text(opened, "#sheet-overview > p")
    choose(opened, Choice(SINCE, LAST - timedelta(days=1)))
    assert "is not over" not in text(opened, "#sheet-overview > p")
    choose(opened, Choice(SINCE, LAST))
    assert "2026\u201103\u201111 is not over" in text(opened, "#sheet-overview > p")


def test_what_was_not_compared_does_not_agree(opened: Browser) -> None:
    show(opened, "health")
    assert {row["key"] for row in drawn(opened, "checks")["rows"]} >= {"Equal"}
    assert why(opened, "mismatches") == "nothing happened"
    choose(opened, Choice(SINCE - timedelta(days=9), SINCE - timedelta(days=5)))
    assert why(opened, "mismatches") == "not exported"
    assert "checks" in text(opened, "#panel-mismatches .reason")


def test_on_paper_all_is_there_and_dark_on_light(opened: Browser) -> None:
    opened.size(720, 900, dark=True, printed=True)
    opened.run(FRAMES)
    show(opened, "traffic")
    cut = (
        "[...document.querySelectorAll('#sheet-traffic .rows')]"
        ".filter((box) => box.scrollHeight > box.clientHeight + 1).length"
    )
    assert opened.run(cut) == 0
    shown = "getComputedStyle(document.querySelector('#panel-api_traffic {}')).{}"
    assert opened.run(shown.format("h2", "color")) == "rgb(27, 31, 36)"
    assert opened.run(shown.format(".label", "fill")) == "rgb(87, 96, 106)"
    assert opened.run("document.documentElement.scrollWidth") <= 720


def test_a_narrow_screen_shows_all_sheets_and_whole_names(opened: Browser) -> None:
    opened.size(390, 900)
    opened.run(FRAMES)
    show(opened, "errors")
    right = "Math.max(...[...document.querySelectorAll('nav button')].map((b) =>"
    assert opened.run(f"{right} b.getBoundingClientRect().right))") <= 390
    assert opened.run("document.querySelectorAll('nav button').length") == len(SHEETS)
    labels = "[...document.querySelectorAll('#panel-error_reasons .name')]"
    names = opened.run(f"{labels}.map((label) => label.textContent)")
    assert names == [row["x"] for row in drawn(opened, "error_reasons")["rows"]]
