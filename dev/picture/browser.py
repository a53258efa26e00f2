"""Chromium without a window, driven over two pipes: no port, no network, a profile of its own."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
# In these the browser reads commands and writes answers.
_IN, _OUT = 3, 4


class BrowserError(Exception):
    """The browser could not do what it was asked, with its own words for it."""


def program() -> str | None:
    """The browser that CHROMIUM names, or one that is installed; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)


class Browser:
    """One page of a browser. `console` collects what the page says there, errors too."""

    def __init__(self, to: BinaryIO, of: BinaryIO) -> None:
        self.console: list[str] = []
        self.requested: list[str] = []
        self._to, self._of = to, of
        self._number = 0
        self._session: str | None = None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def size(self, width: int, height: int, *, dark: bool = False, printed: bool = False) -> None:
        """Sets the screen's size in pixels, and whether the reader prefers dark pages, or paper."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        media = "print" if printed else "screen"
        self._ask("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def open(self, path: Path) -> None:
        """Opens a file, and waits until its dashboard is drawn. Raises BrowserError."""
        self._ask("Page.navigate", url=path.resolve().as_uri())
        self._drawn(path.resolve().as_uri())

    def reload(self) -> None:
        """Loads the page again, as the address has it by now. Raises BrowserError."""
        address = self.run("delete window.dashboard, location.href.split('#')[0]")
        self._ask("Page.reload")
        self._drawn(address)

    def _drawn(self, address: str) -> None:
        # The page writes into its address, behind the #, what is chosen.
        self.run(
            "new Promise((done) => { const look = () => window.dashboard && "
            f"location.href.split('#')[0] === {json.dumps(address)} && "
            "document.readyState === 'complete' ? done() : setTimeout(look, 20); look(); })"
            ".then(() => window.dashboard.ready)"
        )

    def run(self, script: str) -> Any:
        """What an expression gives, once it is settled. Raises BrowserError where it fails."""
        found = self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise BrowserError(_said(found["exceptionDetails"]))
        return found["result"].get("value")

    def move(self, x: float, y: float) -> None:
        """Moves the pointer."""
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, keys: str) -> None:
        """Presses keys one after the other: letters and digits, and a line's end for Enter."""
        for letter in keys.replace("\n", "\r"):
            name = "Enter" if letter == "\r" else letter
            pressed = {"key": name, "windowsVirtualKeyCode": ord(letter.upper())}
            self._ask("Input.dispatchKeyEvent", type="keyDown", text=letter, **pressed)
            self._ask("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        found = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        self._to.write(json.dumps(asked).encode() + b"\0")
        self._to.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                break
            self._note(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        read = bytearray()
        while (byte := self._of.read(1)) != b"\0":
            if not byte:
                raise BrowserError("The browser ended.")
            read += byte
        answer: dict[str, Any] = json.loads(read)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.console.append(_said(given["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if given["type"] in ("error", "warning", "assert"):
                self.console.append(" ".join(str(a.get("value", a)) for a in given["args"]))
            case "Log.entryAdded" if given["entry"]["level"] in ("error", "warning"):
                self.console.append(given["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requested.append(given["request"]["url"])


def _said(details: dict[str, Any]) -> str:
    thrown = details.get("exception", {})
    return str(thrown.get("description") or thrown.get("value") or details.get("text"))


@contextmanager
def browser() -> Iterator[Browser]:
    """Starts a browser, and ends it. Raises BrowserError where none is installed."""
    if not (found := program()):
        raise BrowserError("No Chromium is installed: install one, or name it by CHROMIUM=path.")
    to_read, to_write = os.pipe()
    of_read, of_write = os.pipe()

    def hand_over() -> None:
        # Copies first: one of the pipes may have the number that another is to get.
        reading, writing = os.dup(to_read), os.dup(of_write)
        os.dup2(reading, _IN)
        os.dup2(writing, _OUT)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: S603 - the program is the user's own browser
            [found, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=hand_over,  # noqa: PLW1509 - nothing else sets the numbers of the pipes
        )
        os.close(to_read)
        os.close(of_write)
        with open(to_write, "wb") as to, open(of_read, "rb") as of:  # noqa: PTH123 - pipes
            try:
                yield Browser(to, of)
            finally:
                process.terminate()
                process.wait()
