"""What a reader does with the page and finds there."""

import json
from typing import Any

from dev.picture.browser import Browser
from tests.unit.choreo_insights_cli.dashboard.expected_sql import Choice

# Waits until the browser has told the page of a change, and drawn it.
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Waits until all changes so far are drawn.
DRAWN = (
    "new Promise((done) => { const look = () =>"
    " document.body.dataset.drawn ? done() : setTimeout(look, 10); look(); })"
)


def choose(browser: Browser, choice: Choice) -> None:
    """Chooses all at once."""
    browser.run(f"window.dashboard.choose({json.dumps(choice.script)})")


def show(browser: Browser, sheet: str) -> None:
    """Turns to a sheet."""
    browser.run(f"window.dashboard.show({json.dumps(sheet)})")


def drawn(browser: Browser, panel: str) -> dict[str, Any]:
    """A panel's rows, or the reason that it has none."""
    found: dict[str, Any] = browser.run(f"window.dashboard.shown({json.dumps(panel)})")
    return found


def why(browser: Browser, panel: str) -> str:
    """Why a panel is empty, in short."""
    found: str = drawn(browser, panel)["reason"]["why"]
    return found


def text(browser: Browser, selector: str) -> str:
    """The text that a reader sees of an element."""
    found: str = browser.run(f"document.querySelector({json.dumps(selector)}).innerText")
    return found


def legend(browser: Browser, panel: str) -> dict[str, str]:
    """The colour of each name of a chart, in the legend's order."""
    items = f"[...document.querySelectorAll('#panel-{panel} .legend li')]"
    name = "item.querySelector('span').textContent"
    colour = "item.querySelector('i').style.backgroundColor"
    found: list[tuple[str, str]] = browser.run(f"{items}.map((item) => [{name}, {colour}])")
    return dict(found)


def after(browser: Browser, action: str) -> None:
    """Does something that has the sheet drawn, and waits until it is."""
    browser.run(f"delete document.body.dataset.drawn; {action}")
    browser.run(DRAWN)


def click(browser: Browser, selector: str) -> None:
    """Clicks at what has the sheet drawn."""
    after(browser, f"document.querySelector({json.dumps(selector)}).click()")


def set_control(browser: Browser, name: str, value: str) -> None:
    """Changes a control of the filters."""
    after(
        browser,
        f"(() => {{ const control = document.getElementById('choice').elements['{name}'];"
        f" control.value = {json.dumps(value)};"
        " control.dispatchEvent(new Event('change', { bubbles: true })); })()",
    )


def value_of(browser: Browser, name: str) -> str:
    """What a control of the filters has."""
    found: str = browser.run(f"document.getElementById('choice').elements['{name}'].value")
    return found
