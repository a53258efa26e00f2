"""The registry made from the dataset, where there is none: its lists first, then its data.

Up to release 0.1.0 a key followed from an environment's present name and from the order of the
list. The keys that such a dataset has stay. Where one environment has several of them, or several
share one, only `insights migrate` can find out which objects are whose.
"""

import heapq
import threading
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec

from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.ledger import RUNS
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import ROOT, Environment, day_of, safe_name
from choreo_insights.dataset.registry_merge import (
    Kind,
    KnownEnvironment,
    KnownName,
    Listed,
    bound_key,
    merged_environments,
    merged_names,
    possible_keys,
)
from choreo_insights.dataset.store import Dataset, Stored
from choreo_insights.errors import PersonMustAct

# The objects are small: waiting for S3 takes nearly all of the time.
_THREADS = 16
# Files that are read of a key that no list explains, at most: small ones may have no rows.
_NEWEST = 8
_LISTS: Mapping[Kind, str] = {"api": "apis", "application": "applications"}


class StoredPlace(msgspec.Struct):
    """The objects of one organisation and environment: the oldest write, and the newest of them.

    `newest` has day, size in bytes and key.
    """

    written: datetime
    newest: list[tuple[date, int, str]]


class Owner(NamedTuple):
    """Whose rows a file holds, by the file itself."""

    id: str
    name: str
    day: date


class Use(NamedTuple):
    """A key that holds, or may hold, objects of an environment."""

    key: str
    id: str


# Of an organisation and of parts of keys.
OwnersOf = Callable[[str, Collection[str]], Mapping[str, Sequence[Owner]]]
Places = Mapping[str, StoredPlace]
# Oldest first.
Lists = Sequence[tuple[date, Sequence[Listed]]]


class Builder:
    """Reads what the registry can be made from. What serves several organisations is read once.

    `owners` gives whose objects doubtful keys hold, in the order in which they were written: by
    reading all of them, for which a run has no time.
    """

    def __init__(self, dataset: Dataset, owners: OwnersOf | None = None) -> None:
        self._dataset = dataset
        self._owners_of = owners
        self._lock = threading.Lock()
        self._places: Places | None = None
        self._listings: dict[str, Mapping[str, Stored]] = {}

    def environments(self, organization: str) -> tuple[KnownEnvironment, ...]:
        """The environments of an organisation. Raises PersonMustAct where a list cannot be read."""
        lists = self.lists(organization)
        present = self._of(organization)
        uses = uses_by_lists(lists, present)
        unexplained = present.keys() - {use.key for use in uses}
        newest_owners = {}
        for key in sorted(unexplained, key=lambda key: (present[key].written, key)):
            if owner := self._owner(present[key]):
                newest_owners[key] = owner
        uses += [Use(key, owner.id) for key, owner in newest_owners.items()]
        uses += [*_possible(lists, present, uses)]
        known = bound(lists, uses, newest_owners.values())
        doubtful = {key for each in known for key in each.unmerged_keys}
        if not doubtful or self._owners_of is None:
            return known
        owners = self._owners_of(organization, doubtful)
        certain = [Use(key, owner.id) for key in owners for owner in owners[key]]
        # By the lists where they say so: they know what an environment was called first.
        uses = [use for use in uses if use.key not in doubtful or use in certain]
        return bound(lists, [*uses, *certain], chain(newest_owners.values(), *owners.values()))

    def lists(self, organization: str) -> Lists:
        """The stored lists of an organisation's environments."""
        return [
            (day, [Listed.of(row) for row in rows])
            for day, rows in self._rows("environments", safe_name(organization))
        ]

    def names(
        self, organization: str, environment: Environment, known: tuple[KnownName, ...] = ()
    ) -> tuple[KnownName, ...]:
        """`known` and the APIs and applications of an environment's lists.

        Raises PersonMustAct where a list cannot be read.
        """
        place = f"{safe_name(organization)}.{environment.key_name}"
        for kind, table in _LISTS.items():
            for day, rows in self._rows(table, place):
                # Release 0.1.0 may have stored another environment under this key.
                own = [row for row in rows if row.get("environment_id") == environment.id]
                known = merged_names(known, kind, own, day)
        return known

    def _rows(self, table: str, place: str) -> Iterator[tuple[date, Sequence[Mapping[str, Any]]]]:
        """The lists of a table, oldest first."""
        with self._lock:
            if table not in self._listings:
                self._listings[table] = self._dataset.listing(table, date.min, date.max)
        keys = [key for key in self._listings[table] if key.endswith(f"/{place}.parquet")]
        with ThreadPoolExecutor(_THREADS) as threads:
            for key, rows in zip(
                keys, threads.map(partial(records, self._dataset), keys), strict=True
            ):
                yield day_of(key), rows

    def _of(self, organization: str) -> Places:
        """The places of an organisation's environments by their part of the key."""
        with self._lock:
            if self._places is None:
                self._places = places(self._dataset.everything())
        own = f"{safe_name(organization)}."
        return {
            place.removeprefix(own): seen
            for place, seen in self._places.items()
            if place.startswith(own)
        }

    def _owner(self, place: StoredPlace) -> Owner | None:
        """Whose objects are in a place, by the newest of them that has rows."""
        for day, _, key in sorted(place.newest, reverse=True):
            for row in records(self._dataset, key)[:1]:
                if row.get("environment_id"):
                    return Owner(row["environment_id"], row.get("environment") or "", day)
        return None


def records(dataset: Dataset, key: str) -> list[dict[str, Any]]:
    """The rows of a short object, none where it is gone. Raises PersonMustAct if it is damaged."""
    kept = dataset.read(key)
    try:
        columns = decode(kept.body) if kept else {}
    except ValueError as error:
        raise PersonMustAct(
            f"{key} cannot be read ({error}): restore its earlier version in S3, or delete it"
        ) from error
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def place_of(key: str) -> str | None:
    """Organisation and environment in the key of an object of data; None for any other key."""
    parts = key.split("/")
    is_data = len(parts) == 4 and parts[0] == ROOT and parts[2].startswith("day=")
    place = parts[-1].removesuffix(".parquet")
    return place if is_data and parts[1] not in (RUNS, CHECKS) and "." in place else None


def places(listing: Iterable[tuple[str, Stored]]) -> Places:
    """Every place that has data, from a listing of the whole dataset. Memory follows the places."""
    by_place: dict[str, StoredPlace] = {}
    for key, stored in listing:
        if (place := place_of(key)) is None:
            continue
        seen = by_place.setdefault(place, StoredPlace(stored.written, []))
        seen.written = min(seen.written, stored.written)
        entry = day_of(key), stored.size, key
        if len(seen.newest) < _NEWEST:
            heapq.heappush(seen.newest, entry)
        else:
            # Of millions of keys only the newest few of each place are kept.
            heapq.heappushpop(seen.newest, entry)
    return by_place


def keys_of_0_1_0(entries: Sequence[Listed]) -> Iterator[Use]:
    """The key of each environment of a list, as release 0.1.0 made it from names and order."""
    taken: set[str] = set()
    for entry in entries:
        plain, with_id = islice(possible_keys(entry.name, entry.id), 2)
        key = with_id if plain in taken else plain
        taken.add(key)
        if entry.id:
            yield Use(key, entry.id)


def uses_by_lists(lists: Lists, present: Container[str]) -> list[Use]:
    """Who may have objects under the keys that have some, in the order of the lists."""
    uses = chain.from_iterable(keys_of_0_1_0(entries) for _, entries in lists)
    return [*dict.fromkeys(use for use in uses if use.key in present)]


def _possible(lists: Lists, present: Container[str], uses: Iterable[Use]) -> Iterator[Use]:
    """The keys of a name that may hold objects of environments of which none are known.

    Release 2 binds keys by id, not by the order of a list, so that this is a guess.
    """
    certain = {use.id for use in uses}
    for entry in dict.fromkeys(entry for _, entries in lists for entry in entries):
        if entry.id and entry.id not in certain and (key := safe_name(entry.name)) in present:
            yield Use(key, entry.id)


def bound(
    lists: Lists, uses: Iterable[Use], found: Iterable[Owner]
) -> tuple[KnownEnvironment, ...]:
    """The environments that lists and files show, by id, each with one key of its own.

    `uses` say whose objects a key holds, or may hold. An environment keeps the first of its keys
    that no earlier one has; what has objects comes before what has none.
    """
    owners: dict[str, dict[str, None]] = {}
    keys: dict[str, dict[str, None]] = {}
    for use in uses:
        owners.setdefault(use.key, {})[use.id] = None
        keys.setdefault(use.id, {})[use.key] = None
    known = _listed(lists, found)
    taken: set[str] = set()
    made = []
    for each in sorted(known, key=lambda each: each.id not in keys):
        own = tuple(keys.get(each.id, ()))
        free = [key for key in own if key not in taken]
        others = taken | (owners.keys() - {*own})
        key = free[0] if free else bound_key(each.first_name, each.id, others)
        taken.add(key)
        clear = not own or (own == (key,) and len(owners[key]) == 1)
        made.append(msgspec.structs.replace(each, key=key, unmerged_keys=() if clear else own))
    return tuple(sorted(made, key=lambda each: each.id))


def _listed(lists: Lists, found: Iterable[Owner]) -> list[KnownEnvironment]:
    """What the lists and files show, without keys, in the order in which it was first there.

    Where no list is stored, nobody knows what the newest one had: everything, so that an empty
    one is a failure.
    """
    known: tuple[KnownEnvironment, ...] = ()
    for day, entries in lists:
        known = merged_environments(known, [each for each in entries if each.id], day)
    by_id = {each.id: each for each in known}
    first = dict.fromkeys(entry.id for _, entries in lists for entry in entries)
    for owner in found:
        first.setdefault(owner.id)
        if owner.id not in by_id:
            days = owner.day, owner.day
            by_id[owner.id] = KnownEnvironment(
                owner.id, "", owner.name, owner.name, "", (owner.id,), *days, not lists
            )
    return [by_id[own_id] for own_id in first if own_id in by_id]
