"""Which queries a refused request is refused for, where the reply points at them.

A service refuses a request as a whole where one query names what it does not know. An error about
a place in the document should have `locations` [GraphQL, section 7.1.2]. It is believed where it
speaks of an unknown name and that name stands there: gateways may have written the document anew,
and an error about the size of a request may point at a place too. Without that, a request is split
until the query to blame is alone.
"""

import re
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

import msgspec

from choreo_insights.shapes import Shape

# As servers in JavaScript, Python, Go, Ballerina, Java and Ruby say it.
_UNKNOWN = re.compile(
    r"cannot query|unknown|undefined|(not|n't) (defined|exist|accept)|field not in", re.IGNORECASE
)
_QUOTED = re.compile(r"([\"'`])(.+?)\1")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FIELD = re.compile(rf"({_NAME.pattern})(?::({_NAME.pattern}))?", re.ASCII)
# A refusal of many queries has many errors, but it quotes nothing large.
_MAX_BODY = 200_000


class SentDocument(NamedTuple):
    """A GraphQL document of several queries, and where in it each of them begins."""

    text: str
    starts: Sequence[int]

    def at(self, place: "_Place") -> tuple[int, Set[str]] | None:
        """The query that a place is in, by its number, and the names that stand there.

        They are two where a field has an alias.
        """
        lines = self.text.splitlines(keepends=True)
        if not 0 < place.line <= len(lines) or place.column < 1:
            return None
        offset = sum(map(len, lines[: place.line - 1])) + place.column - 1
        found, number = _FIELD.match(self.text, offset), bisect(self.starts, offset) - 1
        return (number, {*found.groups()}) if found and number >= 0 else None


class _Place(msgspec.Struct):
    line: int
    column: int


class _Complaint(msgspec.Struct):
    message: str = ""
    locations: list[_Place] | None = None


class _Refusal(msgspec.Struct):
    errors: list[_Complaint] | None = None


_REFUSAL = Shape(_Refusal)


def blamed(body: bytes, document: SentDocument) -> Mapping[int, str]:
    """The queries that a refusal points at, by their number, and what it says of each."""
    if len(body) > _MAX_BODY:
        return {}
    try:
        errors = _REFUSAL.decode(body).errors or ()
    except (msgspec.MsgspecError, RecursionError):
        return {}
    found: dict[int, str] = {}
    for error in errors:
        for number in _queries(error, document):
            found.setdefault(number, error.message)
    return found


def _queries(error: _Complaint, document: SentDocument) -> Iterator[int]:
    if not _UNKNOWN.search(error.message):
        return
    words = {name for _, text in _QUOTED.findall(error.message) for name in _NAME.findall(text)}
    for place in error.locations or ():
        at = document.at(place)
        if at and at[1] & words:
            yield at[0]
