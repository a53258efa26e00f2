"""What is known of environments, APIs and applications after each list. No AWS, no clock.

A merge only ever adds: no key changes, nothing is removed, and the order of a list decides nothing.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import count
from typing import Any, Literal

import msgspec

from choreo_insights.dataset import api_names
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.dataset.partitions import LEGACY_IDS, Environment, safe_name
from choreo_insights.errors import PersonMustAct

Kind = Literal["api", "application"]


class Listed(msgspec.Struct, frozen=True, order=True):
    """An environment in a list of Choreo, with every id that the list gives it."""

    id: str
    name: str
    type: str
    ids: tuple[str, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Listed":
        """From a row of the table `environments`. Its id is empty where the list has none."""
        own = row.get("environment_id") or ""
        listed = (own, *(row.get(f"{kind}_env_id") for kind in ("external", "internal", "sandbox")))
        ids = tuple(dict.fromkeys(filter(None, listed)))
        return cls(own, row.get("environment_name") or "", row.get("type") or "", ids)


class KnownEnvironment(msgspec.Struct, frozen=True):
    """An environment that is or was listed."""

    id: str
    key: str
    first_name: str
    name: str
    type: str
    ids: tuple[str, ...]
    first_listed: date
    last_listed: date
    listed: bool
    unmerged_keys: tuple[str, ...] = ()
    refused_documents: tuple[str, ...] = ()

    @property
    def environment(self) -> Environment:
        """As the export uses it."""
        return Environment(self.id, self.name, self.type, self.ids, self.key)

    @property
    def refused(self) -> dict[str, date]:
        """The documents that the service does not answer, and the day on which it refused them."""
        pairs = (each.rpartition("=") for each in self.refused_documents)
        return {name: date.fromisoformat(day) for name, _, day in pairs}


class RejectedEnvironment(msgspec.Struct, frozen=True):
    """An environment of a list that cannot be exported, and why; ids and names as far as known."""

    environment_id: str | None
    name: str | None
    reason: PersonMustAct


class Environments(msgspec.Struct, frozen=True):
    """What the newest list of an organisation comes to."""

    usable: tuple[Environment, ...]
    refused: tuple[RejectedEnvironment, ...] = ()


class KnownName(msgspec.Struct, frozen=True):
    """An API or an application that is or was listed."""

    kind: Kind
    id: str
    name: str | None
    version: str | None
    first_listed: date
    last_listed: date
    listed: bool
    display_name: str | None = None
    provider: str | None = None
    owner: str | None = None
    project: str | None = None


class Names:
    """The APIs or the applications of an environment: everything that was ever listed."""

    def __init__(self, known: Iterable[KnownName] = ()) -> None:
        self.known = tuple(known)
        self.listed = frozenset(each.id for each in self.known if each.listed)
        self._ids = api_names.certain_ids(self.known)
        # For the last day only: a run takes all tables of a day in a row.
        self._queried: tuple[date, tuple[ApiNames, ...]] | None = None

    def queried(self, day: date) -> tuple[ApiNames, ...]:
        """The APIs to query for a UTC day, each with its names."""
        if self._queried is None or self._queried[0] != day:
            self._queried = day, api_names.queried(self.known, day)
        return self._queried[1]

    def resolve(self, answered: str | None) -> str | None:
        """The id that a returned `apiId` stands for, or None where that is not certain.

        It may be an id, one of the API's names, or null for a sum over APIs [Choreo].
        """
        own_id = None if answered is None else self._ids.get(answered)
        return answered if own_id is None and answered and is_uuid(answered) else own_id


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual form: then it is an id, listed or not."""
    parts = text.split("-")
    return [*map(len, parts)] == [8, 4, 4, 4, 12] and all(
        digit in "0123456789abcdefABCDEF" for part in parts for digit in part
    )


# Binding keys


def possible_keys(name: str, own_id: str) -> Iterator[str]:
    """The keys for an environment that is first listed under a name, the best one first.

    Keys depend on this for ever. The second one is what release 0.1.0 made for the later of two
    environments of one name.
    """
    plain = safe_name(name)
    yield plain
    for number in count():
        # Without a number first: that is the key of release 0.1.0, which existing objects have.
        salt = own_id + f"#{number}" * bool(number)
        yield f"{plain}-{hashlib.sha256(salt.encode()).hexdigest()[:8]}"


def bound_key(name: str, own_id: str, taken: Collection[str]) -> str:
    """The first possible key that is not taken by any other id."""
    return next(key for key in possible_keys(name, own_id) if key not in taken)


def merged_environments(
    known: Sequence[KnownEnvironment], listed: Iterable[Listed], today: date, *, whole: bool = True
) -> tuple[KnownEnvironment, ...]:
    """What is known after a list of a UTC day, by id.

    Nothing is ever removed, and no key changes. A list that is older than the newest one changes
    no name. With `whole` false the list may lack some environments that exist.
    """
    entries = {entry.id: entry for entry in listed}
    by_id = {each.id: each for each in known}
    # Lists may arrive out of order: a re-export of an old day, or the rebuilding of the registry.
    newest = max((each.last_listed for each in known), default=today)
    taken = {key for each in known for key in (each.key, *each.unmerged_keys)}
    # By id, so that the order of a list decides nothing.
    for own_id in sorted(entries.keys() - by_id.keys()):
        entry = entries[own_id]
        key = bound_key(entry.name, own_id, taken)
        taken.add(key)
        by_id[own_id] = KnownEnvironment(
            own_id, key, entry.name, entry.name, entry.type, (), today, today, today >= newest
        )
    for own_id, each in by_id.items():
        if own_id in entries:
            by_id[own_id] = _listed_again(each, entries[own_id], today, newest)
        elif whole and today >= newest:
            by_id[own_id] = msgspec.structs.replace(each, listed=False)
    return tuple(_with_ids(by_id, entries))


def environments_of(rows: Iterable[Mapping[str, Any]], today: date) -> tuple[Environment, ...]:
    """The environments of a list alone, without a registry: rows of the table `environments`."""
    listed = [Listed.of(row) for row in rows]
    return tuple(known.environment for known in merged_environments((), listed, today))


def _listed_again(
    each: KnownEnvironment, entry: Listed, today: date, newest: date
) -> KnownEnvironment:
    if today < newest:
        first, last = min(each.first_listed, today), max(each.last_listed, today)
        return msgspec.structs.replace(each, first_listed=first, last_listed=last)
    # A list may lack the name for once: the last one that was known stays.
    name = entry.name or each.name
    return msgspec.structs.replace(
        each, name=name, type=entry.type or each.type, last_listed=today, listed=True
    )


def _with_ids(
    by_id: Mapping[str, KnownEnvironment], entries: Mapping[str, Listed]
) -> Iterator[KnownEnvironment]:
    """Each environment with the union of its ids, in the order of environment ids.

    To get all of its data, a query must name all of them [Choreo]. An id that another environment
    is listed with now belongs to that one alone, or its rows would count twice.
    """
    holder = {i: entry.id for entry in entries.values() for i in entry.ids}
    ids = {own: [i for i in each.ids if holder.get(i, own) == own] for own, each in by_id.items()}
    for own_id in sorted(by_id):
        each = by_id[own_id]
        # Commas separate ids where they are stored; Choreo's have none.
        listed = [i for i in entries[own_id].ids if "," not in i] if own_id in entries else []
        ids[own_id] = [*dict.fromkeys([*listed, *ids[own_id]])]
        if each.type == "CHOREO":
            others = {i for other, held in ids.items() if other != own_id for i in held}
            legacy = [i for i in LEGACY_IDS.get(each.first_name, ()) if i not in others]
            ids[own_id] = [*dict.fromkeys([*ids[own_id], *legacy])]
        yield msgspec.structs.replace(each, ids=tuple(ids[own_id]))


def merged_names(
    known: Sequence[KnownName], kind: Kind, rows: Iterable[Mapping[str, Any]], today: date
) -> tuple[KnownName, ...]:
    """What is known of an environment after a list of a UTC day, by kind and id.

    Nothing is ever removed. Rows without an id are left out, and then what the list lacks may
    still exist.
    """
    entries = {row[f"{kind}_id"] or "": row for row in rows}
    whole = entries.pop("", None) is None
    by_id = {each.id: each for each in known if each.kind == kind}
    newest = max((each.last_listed for each in by_id.values()), default=today)
    for own_id, row in entries.items():
        each = by_id.get(own_id)
        if each is None or today >= newest:
            first = each.first_listed if each else today
            by_id[own_id] = _named(kind, own_id, row, each, (first, today, today >= newest))
        else:
            first, last = min(each.first_listed, today), max(each.last_listed, today)
            by_id[own_id] = msgspec.structs.replace(each, first_listed=first, last_listed=last)
    if whole and today >= newest:
        for own_id in by_id.keys() - entries.keys():
            by_id[own_id] = msgspec.structs.replace(by_id[own_id], listed=False)
    both = [*(each for each in known if each.kind != kind), *by_id.values()]
    return tuple(sorted(both, key=lambda each: (each.kind, each.id)))


def _named(
    kind: Kind,
    own_id: str,
    row: Mapping[str, Any],
    before: KnownName | None,
    listed: tuple[date, date, bool],
) -> KnownName:
    """What a list says of an API or an application; `listed` is first, last and now."""
    return KnownName(
        kind,
        own_id,
        row[f"{kind}_name"],
        row.get("version"),
        *listed,
        display_name=row.get("display_name") or (before.display_name if before else None),
        provider=row.get("provider"),
        owner=row.get("owner"),
        project=before.project if before else None,
    )


def with_projects(
    known: Iterable[KnownName], rows: Iterable[Mapping[str, Any]]
) -> tuple[KnownName, ...]:
    """What is known, with the project of each API that is listed: rows of `api_projects`.

    An API that is not listed any more keeps the project that it had.
    """
    projects: dict[str, str] = {}
    for row in rows:
        projects.setdefault(row["api_id"], row["project"])
    return tuple(
        msgspec.structs.replace(each, project=projects.get(each.id))
        if each.kind == "api" and each.listed
        else each
        for each in known
    )
