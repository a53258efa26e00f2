"""Chromium without a window, driven by Playwright: the installed one, with a new profile."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Beside Playwright's own: nothing here may reach the network.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Milliseconds: half a minute, Playwright's own, may pass on a busy machine.
_PATIENCE = 300_000


def program() -> str | None:
    """The browser that CHROMIUM names, or one that is installed; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)


@dataclass(frozen=True)
class Download:
    """A file that a page gave to its reader."""

    name: str
    text: str


class Browser:
    """One page of a browser.

    `console` collects its warnings and errors, `requested` the URLs that it requests.
    """

    def __init__(self, page: Page) -> None:
        self.console: list[str] = []
        self.requested: list[str] = []
        self._page = page
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))

    def size(self, width: int, height: int, *, dark: bool = False, printed: bool = False) -> None:
        """Sets the screen's size in pixels, its colour scheme, and whether it is paper."""
        self._page.set_viewport_size({"width": width, "height": height})
        self._page.emulate_media(
            media="print" if printed else "screen", color_scheme="dark" if dark else "light"
        )

    def open(self, path: Path) -> None:
        """Opens a file and waits until its dashboard is drawn. Raises BrowserError."""
        self.open_any(path)
        self._drawn()

    def open_any(self, path: Path) -> None:
        """Opens a file. Raises BrowserError."""
        # A navigation that changes only the part behind the # would load nothing.
        self._page.goto("about:blank")
        self._page.goto(path.resolve().as_uri())

    def reload(self) -> None:
        """Loads the page again, with the choice in its address. Raises BrowserError."""
        self._page.reload()
        self._drawn()

    def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise. Raises BrowserError."""
        return self._page.evaluate(script)

    def move(self, x: float, y: float) -> None:
        self._page.mouse.move(x, y)

    def press(self, keys: str) -> None:
        """Presses keys one after the other: a line's end is Enter, a tab the key of its name."""
        for key in keys:
            self._page.keyboard.press({"\n": "Enter", "\t": "Tab"}.get(key, key))

    def downloaded(self, script: str) -> "Download":
        """The file that an expression has the browser save. Raises BrowserError."""
        with self._page.expect_download() as waited:
            self.run(script)
        return Download(waited.value.suggested_filename, waited.value.path().read_text("utf-8"))

    def picture(self, *, whole: bool = True) -> bytes:
        """The whole page as PNG, or what of it is on the screen."""
        return self._page.screenshot(full_page=whole)

    def _drawn(self) -> None:
        self._page.wait_for_function("window.dashboard && document.readyState === 'complete'")
        self.run("window.dashboard.ready")

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.console.append(message.text)


@contextmanager
def browser() -> Iterator[Browser]:
    """Starts a browser, and ends it. Raises BrowserError where none is installed."""
    if not (path := program()):
        raise BrowserError("No Chromium is installed: install one, or name it by CHROMIUM=path.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=_FLAGS, timeout=_PATIENCE)
        try:
            page = chromium.new_page()
            page.set_default_timeout(_PATIENCE)
            yield Browser(page)
        finally:
            chromium.close()
