"""The names of APIs: which of them a query sends, and what a returned one stands for.

The index of the service keys an API by its id or by the text `name - version`; clients of 2026
send these, the name (a slug) and the display name [Choreo].

They also send `apiIdVersionPairs: [{id, version}]` where the schema has it. It is not sent here:
nothing is known of what it matches beside `apiIds`, and a filter that narrows loses rows for ever.
Nor would it distinguish APIs that share a name: where the index has ids, the id does so already,
and entries that are keyed by `name - version` hold no id that a pair could match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from choreo_insights.dataset.registry_merge import KnownName


class ApiNames(msgspec.Struct, frozen=True):
    """An API to query, and the names under which the service may keep its data.

    `names` are sent, the id first; those in `shared` are also names of APIs that are not listed
    now. `own` are all of its names, also those that are not sent as others have them too. One that
    is not `listed` may be refused by the service.
    """

    id: str
    names: tuple[str, ...]
    own: frozenset[str]
    shared: frozenset[str] = frozenset()
    listed: bool = True

    @classmethod
    def of_id(cls, own_id: str) -> ApiNames:
        """A listed API of which nothing but the id is known."""
        return cls(own_id, (own_id,), frozenset({own_id}))


def name_and_version(each: KnownName) -> str | None:
    """The text `name - version`; None where one of them is not known."""
    return f"{each.name} - {each.version}" if each.name and each.version else None


def names_of(each: KnownName) -> tuple[str, ...]:
    """Id, `name - version`, name and display name, as far as they are known and differ."""
    names = (each.id, name_and_version(each), each.name, each.display_name)
    return tuple(dict.fromkeys(filter(None, names)))


def queried(known: Iterable[KnownName], day: date) -> tuple[ApiNames, ...]:
    """The APIs to query for a UTC day: those listed now first, then those listed that day or later.

    A name that several of them share is not sent, as the rows could be those of any of them. But a
    shared `name - version` belongs to the API that is listed.
    """
    pool = [each for each in known if each.listed or each.last_listed >= day]
    bearers = _bearers(pool)
    to_query = []
    # Queries of deleted APIs are the ones that may fail: they come last.
    for each in sorted(pool, key=lambda each: not each.listed):
        own = names_of(each)
        names = tuple(name for name in own if _holder(name, bearers[name]) is each)
        shared = frozenset(name for name in names if len(bearers[name]) > 1)
        to_query.append(ApiNames(each.id, names, frozenset(own), shared, each.listed))
    return tuple(to_query)


def certain_ids(known: Iterable[KnownName]) -> Mapping[str, str]:
    """The id that each name stands for. A name that may stand for several is left out."""
    holders = ((name, _holder(name, bearers)) for name, bearers in _bearers(known).items())
    return {name: holder.id for name, holder in holders if holder}


def _bearers(known: Iterable[KnownName]) -> Mapping[str, Sequence[KnownName]]:
    bearers: dict[str, list[KnownName]] = {}
    for each in known:
        for name in names_of(each):
            bearers.setdefault(name, []).append(each)
    return bearers


def _holder(name: str, bearers: Sequence[KnownName]) -> KnownName | None:
    """The API that a name belongs to, or None where that is not certain."""
    if len(bearers) == 1:
        return bearers[0]
    listed = [each for each in bearers if each.listed or each.id == name]
    is_its = len(listed) == 1 and name in (listed[0].id, name_and_version(listed[0]))
    return listed[0] if is_its else None
