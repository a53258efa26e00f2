"""A backfill's plan: which parts there are. A part is a place over a span of days. No AWS."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cli.errors import CommandError

# The days of a part where nobody says: few enough that a failure costs little.
USUAL_SPAN = 7
# The input of an execution holds 256 KiB, and so does what its parts give.
MOST_BYTES = 200_000
MOST_PARTS = 1_500


@dataclass(frozen=True)
class Place:
    """An organisation, and one of its environments, or all of them where that is None."""

    organization: str
    environment: str | None


@dataclass(frozen=True)
class Span:
    """Days, both included."""

    first: date
    last: date


@dataclass(frozen=True)
class Part:
    """What one worker of the backfill exports."""

    place: Place
    span: Span

    def as_dict(self) -> dict[str, Any]:
        """The part as the state machine takes it."""
        environment = self.place.environment
        return {
            "organization": self.place.organization,
            "environments": None if environment is None else [environment],
            "from": self.span.first.isoformat(),
            "to": self.span.last.isoformat(),
        }

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> "Part":
        """The part from the event that the state machine made of it."""
        (organization,) = event["organizations"]
        environments = event["environments"]
        return cls(
            Place(organization, environments[0] if environments else None),
            Span(date.fromisoformat(event["from"]), date.fromisoformat(event["to"])),
        )


@dataclass(frozen=True)
class Plan:
    """An execution's input. `tables` is None for those that the stack exports.

    `again` asks for what is final too.
    """

    parts: tuple[Part, ...]
    tables: tuple[str, ...] | None
    requests_per_minute: int
    again: bool = False

    @property
    def input(self) -> str:
        """The plan as JSON; the same plan is the same text."""
        given = {
            "parts": [part.as_dict() for part in self.parts],
            "tables": None if self.tables is None else list(self.tables),
            "requests_per_minute": self.requests_per_minute,
            "again": self.again,
        }
        return json.dumps(given, separators=(",", ":"))

    @property
    def name(self) -> str:
        """The execution's name, which follows from the plan."""
        first = min(part.span.first for part in self.parts)
        last = max(part.span.last for part in self.parts)
        return f"{first}_{last}_{hashlib.sha256(self.input.encode()).hexdigest()[:8]}"

    @property
    def fits(self) -> bool:
        """Whether one execution can hold it."""
        return len(self.parts) <= MOST_PARTS and len(self.input) <= MOST_BYTES


def spans(first: date, last: date, days: int) -> Iterator[Span]:
    """Spans of `days` days, the oldest may be shorter: each day once, the newest first."""
    while last >= first:
        begin = max(first, last - timedelta(days=days - 1))
        yield Span(begin, last)
        last = begin - timedelta(days=1)


def parts(places: Sequence[Place], days: Iterable[Span]) -> tuple[Part, ...]:
    """Every place over every span, in the order of the spans."""
    return tuple(Part(place, span) for span in days for place in places)


def share(requests_per_minute: int, workers: int) -> int:
    """What each of the workers may send a minute of the whole budget.

    Raises CommandError where it is too small to be shared.
    """
    if requests_per_minute < workers:
        raise CommandError(
            f"RequestsPerMinute is {requests_per_minute}, and a backfill has {workers} workers that"
            f" share it. Deploy with at least {workers}."
        )
    return requests_per_minute // workers


def plan(
    places: Sequence[Place],
    first: date,
    last: date,
    *,
    span: int | None,
    tables: tuple[str, ...] | None,
    requests_per_minute: int,
    workers: int,
    again: bool = False,
) -> Plan:
    """The plan for these places and days, with spans as long as it takes where `span` is None.

    Raises CommandError where one execution cannot hold it.
    """
    days = span or USUAL_SPAN
    while True:
        found = parts(places, spans(first, last, days))
        budget = share(requests_per_minute, min(workers, len(found)))
        made = Plan(found, tables, budget, again)
        if made.fits:
            return made
        if span is not None or days > (last - first).days:
            raise CommandError(
                f"{len(found)} parts are too many for one backfill (at most {MOST_PARTS})."
                " Give a larger --span, fewer organisations (--org), or fewer days."
            )
        days *= 2
