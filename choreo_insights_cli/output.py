"""All that the program writes to a terminal or a pipe, so that foreign text stays text.

Names and cells come from whoever calls an API: a User-Agent may hold terminal sequences. Control
characters are escaped here, nothing is read as markup, and a reader that goes away changes no exit
code. No other module writes to stdout or stderr.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TextIO

import click

from choreo_insights_cli.called import as_called
from choreo_insights_cli.fitting import fitted

if TYPE_CHECKING:
    from rich.text import Text

    from choreo_insights_cli.console import Console

# C0, DEL and C1 controls, separators that some programs take for newlines, characters that change
# the direction of what follows, and halves of surrogate pairs, which no encoding can write.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


def escaped(text: str, *, keep: str = "") -> str:
    """The text with control characters visible, such as `\\x1b`; those in `keep` stay."""
    return _CONTROLS.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def line(text: str | Text = "", *, error: bool = False, hanging: int = 0) -> None:
    """Writes a line; it may hold newlines of its own. To the error output if `error`.

    Commands in backticks are named as the person calls them. A terminal gets it broken between
    words, what follows indented by `hanging` columns more; a pipe as it is.
    """
    if isinstance(text, str):
        shown = escaped(as_called(text), keep="\n")
        if (sys.stderr if error else sys.stdout).isatty():
            shown = fitted(shown, get_terminal_size().columns, hanging)
        click.echo(shown, err=error)
    else:
        console(error=error).prose(text, hanging)


def raw(text: str) -> None:
    """Writes the text as it is, without a newline: for a program that wants each byte."""
    click.echo(text, nl=False)


def as_json(value: Any, *, indent: int | None = 2) -> None:
    """Writes JSON that every parser reads, and that a terminal only shows."""
    click.echo(json_text(value, indent=indent))


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """JSON: NaN and infinity are null, and control characters are escaped."""
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    # Outside of ASCII these stand in strings alone, where JSON has an escape for each.
    return _CONTROLS.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def console(*, error: bool = False, width: int | None = None) -> Console:
    """A console on the output, or on the error output."""
    # Lines of text, as help is, need no rich: its import takes longer than all of click.
    from choreo_insights_cli.console import Console  # noqa: PLC0415

    return Console(stderr=error, width=width)


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def is_watched() -> bool:
    """Whether a person sees what is said meanwhile, on the error output."""
    return sys.stderr.isatty()


class _Patient(io.RawIOBase):
    """A descriptor whose reader may go away: what is written then goes nowhere.

    `insights status | grep -q .` ends with the exit code of `status`.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._gone = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        if not self._gone:
            try:
                return os.write(self._descriptor, data)
            except BrokenPipeError:
                self._gone = True
            except OSError:
                # Raised once: Python would try again at its end, and complain.
                self._gone = True
                raise
        return len(data)


def prepare() -> None:
    """Makes the standard streams safe to use: UTF-8, there, and patient with their readers.

    A terminal keeps its encoding, and what that lacks is escaped.
    """
    # Lowest first: a file that is opened gets the lowest free descriptor.
    if sys.stdin is None:
        sys.stdin = _nowhere("r")
    if sys.stdout is sys.__stdout__:
        sys.stdout = _prepared(sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _prepared(sys.stderr)
    reconfigure = getattr(sys.stdin, "reconfigure", None)
    if reconfigure and not sys.stdin.isatty():
        # The mark that some programs put before UTF-8 is not part of the text.
        reconfigure(encoding="utf-8-sig")


def _prepared(stream: TextIO | None) -> Any:
    if stream is None:
        return _nowhere("w")
    encoding = stream.encoding if stream.isatty() else "utf-8"
    with suppress(OSError, ValueError):
        return io.TextIOWrapper(
            io.BufferedWriter(_Patient(stream.fileno())),
            encoding,
            errors="backslashreplace",
            line_buffering=stream.isatty() or stream is sys.__stderr__,
        )
    return stream


def _nowhere(mode: str) -> Any:
    return open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123 - a stream for good


def finish() -> None:
    """Writes out what is buffered. Raises OSError where that fails: a full disk, say."""
    sys.stdout.flush()
