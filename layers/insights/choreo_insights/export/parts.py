"""Divides a history into parts, each small enough for one execution of the export. No AWS.

A part is an organisation, one of its environments and a span of days. An execution of the state
machine takes a list of them.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from choreo_insights.errors import InsightsError

# Days of a part unless the user chooses: few enough that a failure costs little.
USUAL_SPAN = 7
# Step Functions takes 256 KiB of input; the rest is for what the state machine adds.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_BYTES = 200_000
MOST_PARTS = 1_500


class TooManyParts(InsightsError):  # noqa: N818 - as the errors in choreo_insights.errors
    """One execution cannot hold them."""


@dataclass(frozen=True)
class Place:
    """An organisation, and the id of one of its environments, or all of them where that is None.

    Executions that version 0.1.0 started have the environment's name there.
    """

    organization: str
    environment: str | None


@dataclass(frozen=True)
class Span:
    """Days, both included."""

    first: date
    last: date


@dataclass(frozen=True)
class Part:
    """A place over a span of days."""

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
class Backfill:
    """An execution's input. `tables` is None for those that the stack exports.

    `again` and `force` are the export's. What was written from `since` on counts as done; None is
    the start of the execution.
    """

    parts: tuple[Part, ...]
    tables: tuple[str, ...] | None = None
    again: bool = False
    force: bool = False
    since: datetime | None = None

    @property
    def input(self) -> str:
        """It as JSON; the same backfill is the same text."""
        values: dict[str, Any] = {
            "parts": [part.as_dict() for part in self.parts],
            "tables": None if self.tables is None else list(self.tables),
            "again": self.again,
            "force": self.force,
        }
        if self.since:
            values["since"] = self.since.isoformat()
        return json.dumps(values, separators=(",", ":"))

    @property
    def name(self) -> str:
        """An execution's name, which follows from the input."""
        first = min(part.span.first for part in self.parts)
        last = max(part.span.last for part in self.parts)
        return f"{first}_{last}_{hashlib.sha256(self.input.encode()).hexdigest()[:8]}"

    @property
    def fits(self) -> bool:
        """Whether one execution can hold it."""
        return len(self.parts) <= MOST_PARTS and len(self.input) <= MOST_BYTES


def spans(first: date, last: date, days: int) -> Iterator[Span]:
    """Spans of `days` days, the oldest may be shorter: each day once, the oldest first."""
    begin, step = first, (last - first).days % days
    while begin <= last:
        end = begin + timedelta(days=step)
        yield Span(begin, end)
        begin, step = end + timedelta(days=1), days - 1


def divide(
    places: Sequence[Place],
    first: date,
    last: date,
    *,
    span: int | None = None,
    tables: tuple[str, ...] | None = None,
    again: bool = False,
    force: bool = False,
    since: datetime | None = None,
) -> Backfill:
    """Every place over every span, the oldest days first: those the service forgets first.

    Where `span` is None the spans are as long as it takes for one execution to hold them.
    Raises TooManyParts.
    """
    days = span or USUAL_SPAN
    while True:
        parts = [Part(place, each) for each in spans(first, last, days) for place in places]
        made = Backfill(tuple(parts), tables, again, force, since)
        if made.fits:
            return made
        if span is not None or days > (last - first).days:
            msg = f"{len(parts)} parts are too many for one execution (at most {MOST_PARTS})"
            raise TooManyParts(msg)
        # Longer parts rather than a second execution: the first one's end would have to start it.
        days *= 2
