"""The page for those who see no colours, use no mouse, or have it read to them: WCAG 2.2, AA.

axe finds what a program can find: names, roles, contrast as it is painted. `make test` installs it.
"""

import os
import re
import shutil
from itertools import product
from pathlib import Path

import pytest

from choreo_insights_cli.dashboard import html
from choreo_insights_cli.dashboard.description import PALETTE, REST, Kind
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.paths import ROOT
from dev.picture.browser import Browser
from tests.unit.choreo_insights_cli.dashboard import sight
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW
from tests.unit.choreo_insights_cli.dashboard.expected_sql import Choice
from tests.unit.choreo_insights_cli.dashboard.reader import FRAMES, choose, drawn, show

AXE = ROOT / (os.environ.get("VENVS") or ".venvs") / "npm/node_modules/axe-core/axe.min.js"
CSS = (Path(html.__file__).parent / "page.css").read_text("utf-8")
LAST = NOW.date()
THEMES = ["light", "dark"]
# Every rule, also those that are no part of WCAG.
FINDINGS = (
    "axe.run(document, %s).then((found) => found.violations.map((each) => [each.id,"
    " each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))]))"
)


@pytest.fixture
def axe() -> str:
    if not AXE.exists():
        assert not shutil.which("npm"), f"{AXE} is missing: `make {AXE.parents[2]}/.done` has it"
        pytest.skip("axe comes from npm, which is not installed")
    return AXE.read_text("utf-8")


@pytest.mark.parametrize(
    ("theme", "width", "rules"),
    [("light", 1280, "{}"), ("dark", 390, "{ runOnly: ['color-contrast', 'target-size'] }")],
)
def test_axe_finds_nothing(opened: Browser, axe: str, theme: str, width: int, rules: str) -> None:
    opened.size(width, 900, dark=theme == "dark")
    opened.run(FRAMES)
    opened.run(f"void (() => {{ {axe} }})()")
    # Few rows: axe looks at each.
    choose(opened, Choice(LAST, LAST, organization="acme", environment=("Production", "acme")))
    for sheet in SHEETS:
        show(opened, sheet.id)
        # A table that says what a chart shows is part of the page.
        opened.run("document.querySelector('section:not([hidden]) summary')?.click()")
        opened.run(FRAMES)
        assert opened.run(FINDINGS % rules) == [], sheet.id


def test_every_chart_has_a_table_of_the_same_figures(opened: Browser) -> None:
    for sheet in SHEETS:
        show(opened, sheet.id)
        for panel in sheet.panels:
            if panel.kind in (Kind.FIGURE, Kind.TABLE) or "rows" not in drawn(opened, panel.id):
                continue
            place = f"document.querySelector('#panel-{panel.id} details')"
            opened.run(f"{place}.querySelector('summary').click()")
            opened.run(FRAMES)
            count = opened.run(f"{place}.querySelectorAll('tbody tr').length")
            lines = opened.run(f"window.dashboard.csv('{panel.id}')").splitlines()
            assert count == min(500, len(lines) - 1) > 0, panel.id


@pytest.mark.parametrize("theme", THEMES)
def test_texts_and_marks_have_contrast(theme: str) -> None:
    """Texts 4.5 to 1, and what is drawn 3 to 1."""
    block = (
        re.search(rf'\[data-theme="{theme}"\] \{{(.*?)\}}', CSS, re.S) if theme == "dark" else None
    )
    block = block or re.search(r":root \{(.*?)\}", CSS, re.S)
    assert block
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block[1]))
    for text, back in product(("ink", "soft", "bad"), ("back", "card", "shade")):
        assert sight.contrast(colours[text], colours[back]) >= 4.5, (text, back)
    for mark, back in product((*PALETTE, REST, colours["accent"], colours["edge"]), ("card",)):
        assert sight.contrast(mark, colours[back]) >= 3, mark


def test_the_keyboard_reaches_and_shows_what_it_is_at(opened: Browser) -> None:
    opened.run("document.querySelector('#panel-busiest_apis .csv').focus()")
    opened.press("\t")
    seen = (
        "(() => { const at = document.activeElement, style = getComputedStyle(at);"
        " return [at.getAttribute('role'), at.getAttribute('aria-label'), style.outlineStyle,"
        " parseFloat(style.outlineWidth)]; })()"
    )
    role, name, line, width = opened.run(seen)
    assert (role, line) == ("button", "solid")
    assert "%" in name
    assert width >= 2
