"""Breaks long lines for a terminal between words, and never within a command."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from unicodedata import combining, east_asian_width

# Commands stay on one line, so that they can be copied, and so does a figure with its name.
_WHOLE = re.compile(
    r"""
    (?:Next:\ )?`[^`\n]+`
    | (?:Next:\ )?\b(?:insights|make)\ [a-z-]+
      (?:\ (?:--[\w-]+(?:\ [\w@./:][\w@./:-]*)?|[A-Z_]+=\S+))*
    | \b[a-z]+\ \d[\d,.]*
    """,
    re.VERBOSE,
)
_GAP = re.compile(r"\s+")


class LinePart(NamedTuple):
    """What stands on one line of the terminal: blanks, then the text from `begin` to `end`."""

    indent: int
    begin: int
    end: int


def fitted(text: str, width: int, hanging: int = 0) -> str:
    """The text broken between words. A word or a command that is longer than a line stays whole.

    What follows a break is indented as the line that was broken, and by `hanging` columns more.
    """
    return "\n".join(
        " " * part.indent + line[part.begin : part.end]
        for line in text.split("\n")
        for part in parts(line, width, hanging)
    )


def parts(line: str, width: int, hanging: int = 0) -> Iterator[LinePart]:
    """The parts of one line, as `fitted` has them."""
    whole = [found.span() for found in _WHOLE.finditer(line)]
    indent = begin = end = after = 0
    for gap in _GAP.finditer(f"{line} "):
        if any(first < gap.start() < last for first, last in whole):
            continue
        too_long = indent + _columns(line[begin : gap.start()]) > width
        if too_long and line[begin:end].strip():
            yield LinePart(indent, begin, end)
            begin, indent = after, len(line) - len(line.lstrip()) + hanging
        end, after = gap.start(), gap.end()
    yield LinePart(indent, begin, len(line))


def _columns(text: str) -> int:
    """The columns that a terminal needs for it."""
    if text.isascii():
        return len(text)
    return sum((east_asian_width(c) in "WF") + 1 for c in text if not combining(c))
