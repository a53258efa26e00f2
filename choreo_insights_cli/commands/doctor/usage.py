"""Finds out from the usage of single APIs how the service's index keys them."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec

from choreo_insights_cli.commands.doctor.behaviour import Index

_Kind = Literal["id", "name", "both", "named", "switched"]


class ProbedApi(msgspec.Struct, frozen=True):
    """A listed API."""

    id: str
    name: str
    version: str

    @property
    def text(self) -> str:
        """The text `name - version`."""
        return f"{self.name} - {self.version}"

    @property
    def names(self) -> list[str]:
        """What the index may keep it under."""
        return [self.id, self.text]


class ApiUsage(msgspec.Struct, frozen=True):
    """An answer about one API: its entries by name, each with its counts by hour."""

    entries: Sequence[tuple[str | None, Mapping[str, int]]]
    is_object: bool

    @classmethod
    def of(cls, value: Any, end: date) -> "ApiUsage":
        """From the answer of getAPIUsageOverTime, without the bucket at the end of the time."""
        items = value if isinstance(value, list) else [value] if value else []
        entries = []
        for item in items:
            rows = (row for row in item["usage"] or () if row["timeSpan"] < end.isoformat())
            entries.append((item["apiId"], {row["timeSpan"]: row["count"] for row in rows}))
        return cls(entries, isinstance(value, dict))

    def own(self, api: ProbedApi) -> list[dict[str, int]]:
        """The hours with requests of each entry that is the API's."""
        names = (None, *api.names, api.name)
        own = (hours for name, hours in self.entries if name in names)
        return [{hour: count for hour, count in hours.items() if count} for hours in own]

    def counts(self, api: ProbedApi) -> dict[str, int]:
        """The hours with requests, without the entries of other APIs."""
        return {hour: count for hours in self.own(api) for hour, count in hours.items()}

    def total(self, api: ProbedApi) -> int:
        """All requests of the API: those of several entries once, where they are the same hours."""
        counts = self.counts(api)
        entries = self.own(api)
        # An index that changed its key has both for the hour of the change alone.
        if sum(map(len, entries)) - len(counts) <= 1:
            return sum(sum(hours.values()) for hours in entries)
        return sum(counts.values())

    def names(self, api: ProbedApi) -> set[str | None]:
        """The names of entries with rows: `other` for those of other APIs."""
        own = (None, *api.names, api.name)
        return {name if name in own else "other" for name, hours in self.entries if any(hours)}


class Look(NamedTuple):
    """Usage of one API by its id, by its text, and by both, and its total."""

    api: ProbedApi
    by_id: ApiUsage
    by_text: ApiUsage
    by_both: ApiUsage
    total: int | None

    @property
    def is_equal(self) -> bool:
        """Whether the total is that of the usage."""
        return self.by_both.total(self.api) == self.total


def from_usage(looks: Sequence[Look], hours: int) -> dict[str, Any]:
    """What looks at so many hours of several APIs come to."""
    seen = [look for look in looks if look.by_both.counts(look.api)]
    if not seen:
        return {}
    alone = any("other" in look.by_id.names(look.api) for look in seen)
    beside = any("other" in look.by_both.names(look.api) for look in seen)
    return {
        "api_index": _index(seen),
        "aggregate_with_ids": any(None in look.by_both.names(look.api) for look in seen),
        "usage_as_object": any(look.by_both.is_object for look in seen),
        "foreign_entries": "always" if alone else "by_name" if beside else "none",
        "totals_equal_usage": all(look.is_equal for look in seen),
        "zero_buckets": _has_zeros(seen, hours),
    }


def _has_zeros(seen: Sequence[Look], hours: int) -> bool | None:
    entries = [
        rows
        for look in seen
        for name, rows in look.by_both.entries
        if rows and name in (None, *look.api.names)
    ]
    if any(0 in rows.values() for rows in entries):
        return True
    return False if any(len(rows) < hours for rows in entries) else None


def _index(seen: Sequence[Look]) -> Index | None:
    kinds: set[_Kind] = {_kind(look) for look in seen}
    if "switched" in kinds:
        return "switched"
    # A sum has no name: only a query by id shows which API an entry is of.
    if "named" in kinds or kinds == {"id", "both"}:
        return "mixed"
    kind = kinds.pop()
    return None if kinds or kind == "named" else kind


def _kind(look: Look) -> _Kind:
    """What the index has for one API; `named` if its id finds what is kept by its name."""
    ids, texts = look.by_id.counts(look.api), look.by_text.counts(look.api)
    if not texts:
        return "id"
    if not ids:
        return "name"
    if len(ids.keys() & texts.keys()) <= 1:
        return "switched"
    return "named" if look.api.text in look.by_id.names(look.api) else "both"
