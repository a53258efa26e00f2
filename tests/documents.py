"""The commands that the documents name: in blocks of code, and in the text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from choreo_insights_cli.paths import ROOT

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / ".github").glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "events").glob("*.md"),
        *(ROOT / "dev/sandbox").glob("*.md"),
    ]
)
# A block of commands that starts with one of these lines is not run by a test.
NEEDS_AWS = "# needs AWS"
NEEDS_INTERNET = "# needs the Internet"
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
_INLINE = re.compile(r"`([^`]+)`", re.S)


@dataclass(frozen=True)
class Block:
    """A block of code: the page, the language, the lines without the block's own indent."""

    page: str
    language: str
    text: str

    @property
    def needs_aws(self) -> bool:
        return self.text.startswith(NEEDS_AWS)

    @property
    def needs_internet(self) -> bool:
        return self.text.startswith(NEEDS_INTERNET)

    @property
    def commands(self) -> list[str]:
        """What is typed, a command each: continued lines together, without comments."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.sub(r"(^|\s+)#.*", "", line).strip() for line in joined.splitlines())
        return [re.sub(r"\s+", " ", line) for line in lines if line]


def blocks(*languages: str) -> Iterator[Block]:
    """All blocks of these languages."""
    for page in PAGES:
        for indent, language, text in _BLOCK.findall(page.read_text("utf-8")):
            if language in languages:
                own = "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
                yield Block(str(page.relative_to(ROOT)), language, own)


def inline(program: str) -> Iterator[tuple[str, str]]:
    """Page and text of every mention of this program's commands between the lines."""
    for page in PAGES:
        text = _BLOCK.sub("", page.read_text("utf-8"))
        for code in _INLINE.findall(text):
            words = re.sub(r"\s+", " ", code).strip()
            if re.match(rf"([A-Z_]+=\S+ )?{program} ", f"{words} "):
                yield str(Path(page).relative_to(ROOT)), words
