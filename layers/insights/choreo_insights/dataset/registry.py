"""The registry: the key that each environment's id is bound to, and the names of its entities.

Choreo's lists show what exists now, under its present name. The registry remembers everything that
was ever listed, so that a rename, a deletion or another order of the list changes no key. It is one
object per organisation and one per environment, which are tables of the dataset too. They can be
rebuilt from the dataset. `registry_tables` has the columns and the objects, `registry_merge` what a
list changes, `registry_build` how they are rebuilt; this module reads and writes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from choreo_insights.dataset import registry_build
from choreo_insights.dataset.partitions import Environment
from choreo_insights.dataset.registry_merge import (
    Environments,
    Kind,
    KnownEnvironment,
    KnownName,
    Listed,
    Names,
    RejectedEnvironment,
    merged_environments,
    merged_names,
    with_projects,
)
from choreo_insights.dataset.registry_tables import (
    RegistryObject,
    Row,
    environments_object,
    names_object,
)
from choreo_insights.dataset.store import Dataset, Overtaken
from choreo_insights.errors import PersonMustAct, Retriable

_ATTEMPTS = 8
# Names in a message, at most.
_SHOWN = 5


class _Held(msgspec.Struct, frozen=True):
    """The content of an object. `etag` is None where it does not exist yet.

    After a write it is empty: rows are known, but a further change must read the object again.
    """

    rows: tuple[Any, ...]
    etag: str | None


class Registry:
    """The registry of one dataset, for one run: each object is read once, and written on a change.

    Calls for different environments may run at the same time.
    """

    def __init__(
        self,
        dataset: Dataset,
        run_id: str,
        now: Callable[[], datetime],
        builder: registry_build.Builder | None = None,
    ) -> None:
        self._dataset = dataset
        self._run = run_id
        self._now = now
        self._held: dict[str, _Held] = {}
        self._builder = builder or registry_build.Builder(dataset)

    def environments(
        self,
        organization: str,
        listed: Iterable[Mapping[str, Any]],
        today: date,
        *,
        force: bool = False,
    ) -> Environments:
        """Merges a list of environments (rows of the table `environments`) into the registry.

        Returns those of the list in its order, with their bound keys, and those that need a person:
        entries without an id, ids that are listed twice, and environments whose objects release
        0.1.0 stored under several keys.

        Raises PersonMustAct for an empty list where the newest one had some, unless `force`, and
        for an object that cannot be read; and what `Dataset` raises.
        """
        entries = [Listed.of(row) for row in listed]
        # One bad entry must not stop the export of the others.
        good, refused = _sorted_out(entries)

        def merge(known: tuple[KnownEnvironment, ...]) -> tuple[KnownEnvironment, ...]:
            if not entries and not force and any(each.listed for each in known):
                raise PersonMustAct(_empty("environments", f"the organisation {organization}"))
            return merged_environments(known, good, today, whole=not refused)

        by_id = {
            each.id: each
            for each in self._update(
                environments_object(organization),
                lambda: self._builder.environments(organization),
                merge,
            )
        }
        usable = []
        for each in (by_id[entry.id] for entry in good):
            if each.unmerged_keys:
                refused.append(
                    RejectedEnvironment(each.id, each.name, unmerged(organization, each))
                )
            else:
                usable.append(each.environment)
        return Environments(tuple(usable), tuple(refused))

    def known(self, organization: str) -> tuple[KnownEnvironment, ...]:
        """Every environment that was ever listed, by id, as the dataset has it; writes nothing.

        Raises Unreadable for an object that cannot be read, and what `Dataset` raises.
        """
        kind = environments_object(organization)
        return self._read(kind, lambda: self._builder.environments(organization)).rows

    def recalled(self, organization: str, environment: Environment, kind: Kind) -> Names:
        """The names of an environment as they are known; merges no list and writes nothing.

        Raises PersonMustAct for an object that cannot be read, and what `Dataset` raises.
        """
        held = self._read(
            names_object(organization, environment),
            lambda: self._builder.names(organization, environment),
        )
        return Names(each for each in held.rows if each.kind == kind)

    def names(
        self,
        organization: str,
        environment: Environment,
        kind: Kind,
        rows: Iterable[Mapping[str, Any]],
        today: date,
        *,
        force: bool = False,
    ) -> Names:
        """Merges a list of APIs or applications (rows of their table) into the registry.

        Raises PersonMustAct for an empty list of APIs where the newest one had some, unless
        `force`, and for an object that cannot be read; and what `Dataset` raises.
        """
        entries = list(rows)

        def merge(known: tuple[KnownName, ...]) -> tuple[KnownName, ...]:
            listed = any(each.listed for each in known if each.kind == kind)
            if kind == "api" and not entries and not force and listed:
                where = f"the environment {environment.name} of {organization}"
                raise PersonMustAct(_empty("APIs", where))
            return merged_names(known, kind, entries, today)

        merged = self._update(
            names_object(organization, environment),
            lambda: self._builder.names(organization, environment),
            merge,
        )
        return Names(each for each in merged if each.kind == kind)

    def projects(
        self, organization: str, environment: Environment, rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """Notes the project of each listed API: rows of the table `api_projects`.

        Raises as `names`.
        """
        entries = list(rows)
        self._update(
            names_object(organization, environment),
            lambda: self._builder.names(organization, environment),
            lambda known: with_projects(known, entries),
        )

    def bind(self, organization: str, added: Iterable[KnownEnvironment] = ()) -> None:
        """Stores the key of each environment, before objects move to it.

        Else a merge that is cut off leaves moved objects, and a registry that is built from them
        would bind other keys. `added` are environments that only their objects showed. Raises as
        `known`, and Retriable.
        """
        self._join(organization, added, lambda each: each)

    def merged(self, organization: str, added: Iterable[KnownEnvironment] = ()) -> None:
        """Notes that each environment has all of its objects under its own key.

        `added` are as for `bind`. Raises as `known`, and Retriable.
        """
        self._join(
            organization, added, lambda each: msgspec.structs.replace(each, unmerged_keys=())
        )

    def _join(
        self,
        organization: str,
        added: Iterable[KnownEnvironment],
        change: Callable[[KnownEnvironment], KnownEnvironment],
    ) -> None:
        more = {each.id: each for each in added}

        def merge(known: tuple[KnownEnvironment, ...]) -> tuple[KnownEnvironment, ...]:
            by_id = {**more, **{each.id: each for each in known}}
            return tuple(change(by_id[own_id]) for own_id in sorted(by_id))

        self._update(
            environments_object(organization),
            lambda: self._builder.environments(organization),
            merge,
        )

    def learn(self, organization: str, answered: Mapping[str, Mapping[str, date | None]]) -> None:
        """Notes which documents the service answers, by environment and document.

        A date is the day on which it refused one, None means that it answers it again. Raises as
        `known`, and Retriable.
        """

        def merge(known: tuple[KnownEnvironment, ...]) -> tuple[KnownEnvironment, ...]:
            return tuple(_with_documents(each, answered.get(each.id, {})) for each in known)

        self._update(
            environments_object(organization),
            lambda: self._builder.environments(organization),
            merge,
        )

    def complete_names(self, organization: str, environment: Environment) -> None:
        """Adds the entries of an environment's stored lists. Raises as `merged`."""
        self._update(
            names_object(organization, environment),
            tuple,
            lambda known: self._builder.names(organization, environment, known),
        )

    def _update(
        self,
        kind: RegistryObject[Row],
        build: Callable[[], tuple[Row, ...]],
        merge: Callable[[tuple[Row, ...]], tuple[Row, ...]],
    ) -> tuple[Row, ...]:
        """The rows after a merge, which is repeated over what others have written meanwhile."""
        for _ in range(_ATTEMPTS):
            held = self._read(kind, build)
            after = merge(held.rows)
            if held.etag is not None and after == held.rows:
                return after
            self._held.pop(kind.key, None)
            # This run wrote it: others may have written since, so read it again before a second
            # change.
            if held.etag == "":
                continue
            try:
                self._dataset.replace(
                    kind.key,
                    kind.body(after),
                    over=held.etag,
                    queried_at=self._now(),
                    run=self._run,
                )
            except Overtaken:
                continue
            self._held[kind.key] = _Held(after, "")
            return after
        raise Retriable(f"{kind.key} was written by others {_ATTEMPTS} times meanwhile")

    def _read(self, kind: RegistryObject[Row], build: Callable[[], tuple[Row, ...]]) -> _Held:
        held = self._held.get(kind.key)
        if held is None:
            kept = self._dataset.read(kind.key)
            held = _Held(kind.rows(kept.body), kept.etag) if kept else _Held(build(), None)
            self._held[kind.key] = held
        return held


def _sorted_out(entries: Sequence[Listed]) -> tuple[list[Listed], list[RejectedEnvironment]]:
    """The entries that say which environment they are, and the others."""
    by_id: dict[str, dict[Listed, None]] = {}
    for entry in entries:
        by_id.setdefault(entry.id, {})[entry] = None
    refused = []
    if nameless := by_id.pop("", None):
        names = ", ".join(sorted(entry.name or "?" for entry in nameless)[:_SHOWN])
        reason = f"listEnvironments returns {len(nameless)} without an id ({names}): ask Choreo why"
        refused.append(RejectedEnvironment(None, names, PersonMustAct(reason)))
    for own_id, same in by_id.items():
        if len(same) > 1:
            names = ", ".join(sorted({entry.name for entry in same})[:_SHOWN])
            reason = f"listEnvironments returns the id {own_id} {len(same)} times, each time with"
            reason += f" other values ({names}): ask Choreo why"
            refused.append(RejectedEnvironment(own_id, names, PersonMustAct(reason)))
    return [entry for same in by_id.values() if len(same) == 1 for entry in same], refused


def _with_documents(
    each: KnownEnvironment, answered: Mapping[str, date | None]
) -> KnownEnvironment:
    days = {**each.refused, **answered}
    texts = tuple(f"{name}={day}" for name, day in sorted(days.items()) if day)
    return msgspec.structs.replace(each, refused_documents=texts)


def _empty(what: str, where: str) -> str:
    return (
        f"the list of {what} of {where} is empty, although the last one was not: check Choreo. If"
        f" all of them were deleted, `insights export --force --from <today>` accepts that"
    )


def unmerged(organization: str, each: KnownEnvironment) -> PersonMustAct:
    """What a person must do about an environment whose objects lie under several keys."""
    keys = ", ".join(each.unmerged_keys)
    return PersonMustAct(
        f"objects of the environment {each.name} of {organization} may lie under several keys"
        f" ({keys}), as it was renamed under release 0.1.0: run `insights migrate` to merge them."
        " Until then it is not exported"
    )
