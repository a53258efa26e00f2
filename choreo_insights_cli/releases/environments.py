"""Brings every object of an environment under the key that its id is bound to.

Under release 0.1.0 a key followed from an environment's name and from the order of the list. A
rename exported the history once more under another key, and environments of one name may have
swapped theirs. The registry binds one key to each id; this moves what lies under any other.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from choreo_insights.catalogue import Table
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.coverage import closes_at
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import day_end, day_of, day_prefix, last_day, safe_name
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_build import Builder, Owner, place_of, places
from choreo_insights.dataset.registry_merge import KnownEnvironment, bound_key
from choreo_insights.dataset.registry_tables import (
    RegistryObject,
    Row,
    Unreadable,
    environments_object,
    names_object,
)
from choreo_insights.dataset.store import Dataset, Kept, Overtaken
from choreo_insights.errors import InsightsError
from choreo_insights_cli.called import called
from choreo_insights_cli.releases.union import UnionFile, covers, united

# Requests to S3 under way at a time.
# As many connections as the client keeps: waiting for S3 takes nearly all of the time.
_THREADS = 32
_RUN = "migrate"
# Called with a table, and how many of how many objects are done.
Progress = Callable[[str, int, int], None]


@dataclass
class MergeCounts:
    """How many objects of an environment were merged, and how.

    `moved` had their day to themselves. `merged` shared it: every row stays, with the higher count
    of each. `spare` had nothing more, and are deleted. `left` are the days of those that wait for
    an export. `keys` are the parts of keys that they had.
    """

    organization: str
    environment: str
    key: str
    keys: set[str] = field(default_factory=set)
    moved: int = 0
    merged: int = 0
    spare: int = 0
    left: set[date] = field(default_factory=set)


class MergeResult(NamedTuple):
    """The environments with objects under other keys, and the rebuilt registry objects."""

    environments: Sequence[MergeCounts]
    rebuilt: Sequence[str]


def lines(outcomes: MergeResult, *, dry: bool) -> Iterator[str]:
    """The report, line by line; empty where nothing needs a change."""
    for key in outcomes.rebuilt:
        yield f"{key}: {'to be made' if dry else 'made'} from the dataset."
    for each in outcomes.environments:
        merged = each.moved + each.merged + each.spare
        what = "objects to be brought" if dry else "objects brought"
        yield (
            f"{each.organization}, {each.environment}: {merged:,} {what} from {_and(each.keys)} to"
            f" {each.key} ({each.merged:,} shared a day with others, {each.spare:,} added nothing)."
        )
    left = sorted({day for each in outcomes.environments for day in each.left})
    if left:
        yield (
            "Days of these that no run has completed are left, and count twice until then:"
            f" {len(left)}, from {left[0]} to {left[-1]}. Export them, and migrate again:"
        )
        yield f"  {called(f'export --from {left[0]} --to {left[-1]}')}"
        yield f"  {called('migrate')}"
    if not dry and outcomes.environments:
        yield "Deleted and replaced objects can be restored for 30 days."


def as_dict(outcomes: MergeResult) -> dict[str, object]:
    environments = [
        {**asdict(each), "keys": sorted(each.keys), "left": [*map(str, sorted(each.left))]}
        for each in outcomes.environments
    ]
    return {"environments": environments, "registry": [*outcomes.rebuilt]}


def _and(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys))


class _Object(NamedTuple):
    """An object of a table and day, and whose rows it has; None where it has none."""

    table: str
    day: date
    part: str
    key: str
    owner: Owner | None


class _ObjectResult(NamedTuple):
    """The outcome for one object."""

    id: str
    part: str
    day: date
    kind: Literal["moved", "merged", "spare", "left"]


def _silent(organization: str, done: int, of: int) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class Merge:
    """A look at every environment of a dataset, one organisation after the other.

    `tables` are those that the export knows, by name. With `dry` nothing is written.
    """

    dataset: Dataset
    tables: Mapping[str, Table]
    now: datetime
    settle_hours: float
    dry: bool

    def run(
        self, organizations: Iterable[str], *, rebuild: bool = False, progress: Progress = _silent
    ) -> MergeResult:
        """Merges the objects under other keys; with `rebuild` rebuilds unreadable registries.

        Raises InsightsError where an object cannot be read or written, and Unreadable for an
        object of the registry without `rebuild`.
        """
        if not self.dry:
            # From here on release 0.1.0 writes nothing: it would double everything again.
            self.dataset.claim()
        found: list[MergeCounts] = []
        rebuilt: list[str] = []
        with ThreadPoolExecutor(_THREADS) as threads:
            for name in organizations:
                organization = _Organization(self, name, threads, progress)
                if rebuild:
                    rebuilt += organization.rebuild()
                found += organization.merge()
        return MergeResult(found, rebuilt)


class _Organization:
    """One organisation's registry and objects."""

    def __init__(
        self, merge: Merge, name: str, threads: ThreadPoolExecutor, progress: Progress
    ) -> None:
        self._all = merge
        self._dataset = merge.dataset
        self._name = name
        self._threads = threads
        self._progress = progress
        # The rebuilt objects, which a dry run does not write.
        self._known: tuple[KnownEnvironment, ...] = ()
        self._builder = Builder(merge.dataset, lambda _, parts: self._owners(parts))
        self._registry = Registry(merge.dataset, _RUN, lambda: merge.now, self._builder)

    # The registry

    def rebuild(self) -> Iterator[str]:
        """Rebuilds lost or damaged objects, and completes names from the lists."""
        kind = environments_object(self._name)
        known = self._readable(kind)
        if known is None:
            known = self._builder.environments(self._name)
            self._put(kind.key, kind.body(known))
            yield kind.key
        self._known = known
        for environment in (each.environment for each in known):
            names = names_object(self._name, environment)
            before = self._readable(names)
            after = self._builder.names(self._name, environment, before or ())
            if before != after:
                self._put(names.key, names.body(after))
                yield names.key

    def _readable(self, kind: RegistryObject[Row]) -> tuple[Row, ...] | None:
        kept = self._dataset.read(kind.key)
        try:
            return kind.rows(kept.body) if kept else None
        except Unreadable:
            return None

    def _put(self, key: str, body: bytes) -> None:
        if not self._all.dry:
            self._dataset.put(key, body, queried_at=self._all.now, run=_RUN)

    # Whose objects are where

    def _owners(self, parts: Collection[str]) -> Mapping[str, Sequence[Owner]]:
        """The owners of the rows under each part of the key, the oldest day first."""
        owners_by_part: dict[str, dict[str, Owner]] = {part: {} for part in parts}
        for each in sorted(self._objects(parts), key=lambda each: each.day):
            if each.owner:
                owners_by_part[each.part].setdefault(each.owner.id, each.owner)
        return {part: [*owners.values()] for part, owners in owners_by_part.items()}

    def _objects(self, parts: Collection[str]) -> list[_Object]:
        """All objects of data under these parts of the key, each looked into."""
        wanted = {f"{safe_name(self._name)}.{part}": part for part in parts}
        keys = [
            (key, wanted[place])
            for key, _ in self._dataset.everything()
            if (place := place_of(key)) in wanted
        ]
        objects: list[_Object] = []
        for number, each in enumerate(self._threads.map(self._looked_into, keys), 1):
            objects += [each] if each else []
            self._progress(self._name, number, len(keys))
        return objects

    def _looked_into(self, where: tuple[str, str]) -> _Object | None:
        key, part = where
        if (kept := self._dataset.read(key)) is None:
            return None
        try:
            columns = decode(kept.body, ("environment_id", "environment"))
        except ValueError as error:
            raise InsightsError(f"{key} cannot be read: {error}") from error
        day, owner = day_of(key), None
        ids, names = (columns.get(name) for name in ("environment_id", "environment"))
        if ids:
            if not ids[0]:
                # Rows of an environment without an id have no owner: they stay where they are.
                return None
            owner = Owner(ids[0], (names or [None])[0] or "", day)
        return _Object(key.split("/")[1], day, part, key, owner)

    # Merging

    def merge(self) -> list[MergeCounts]:
        """Moves every object that is not under its environment's own key."""
        known = self._known or self._registry.known(self._name)
        start = f"{safe_name(self._name)}."
        present = {
            place.removeprefix(start)
            for place in places(self._dataset.everything())
            if place.startswith(start)
        }
        doubtful = {key for each in known for key in each.unmerged_keys}
        doubtful |= present - {each.key for each in known}
        objects = self._objects(doubtful) if doubtful else []
        added = _added(known, objects, present)
        if objects and not self._all.dry:
            self._registry.bind(self._name, added)
        outcomes = self._merged({each.id: each for each in (*known, *added)}, objects)
        if not self._all.dry:
            # Also where nothing was to do: a run cannot know that without reading every object.
            self._registry.merged(self._name, added)
            for each in (*known, *added):
                if each.id in outcomes:
                    self._registry.complete_names(self._name, each.environment)
        return [*outcomes.values()]

    def _merged(
        self, every: Mapping[str, KnownEnvironment], objects: Iterable[_Object]
    ) -> dict[str, MergeCounts]:
        """The counts of each environment that had objects under other keys, by its id."""
        sole: dict[str, set[str]] = {}
        groups: dict[tuple[str, date], list[_Object]] = {}
        for each in objects:
            sole.setdefault(each.part, set()).update([each.owner.id] if each.owner else ())
            groups.setdefault((each.table, each.day), []).append(each)
        owners = {part: next(iter(ids)) for part, ids in sole.items() if len(ids) == 1}
        owners |= {each.key: each.id for each in every.values()}
        keys = {own_id: each.key for own_id, each in every.items()}
        work = [_Group(self._all, self._name, keys, owners, group) for group in groups.values()]
        outcomes: dict[str, MergeCounts] = {}
        for number, done in enumerate(self._threads.map(_Group.merge, work), 1):
            for one in done:
                known = every[one.id]
                new = MergeCounts(self._name, known.name, known.key)
                _count(outcomes.setdefault(one.id, new), one)
            self._progress(self._name, number, len(work))
        return dict(sorted(outcomes.items()))


def _added(
    known: Iterable[KnownEnvironment], objects: Iterable[_Object], present: Collection[str]
) -> list[KnownEnvironment]:
    """Environments of which nothing but objects is known, each with a key of its own."""
    ids = {each.id for each in known}
    taken = {*present, *(each.key for each in known)}
    found: dict[str, KnownEnvironment] = {}
    for owner in (each.owner for each in objects if each.owner):
        if owner.id in ids or owner.id in found:
            continue
        key = bound_key(owner.name, owner.id, taken)
        taken.add(key)
        found[owner.id] = KnownEnvironment(
            owner.id, key, owner.name, owner.name, "", (owner.id,), owner.day, owner.day, False
        )
    return [*found.values()]


def _count(outcome: MergeCounts, done: _ObjectResult) -> None:
    outcome.keys.add(done.part)
    if done.kind == "left":
        outcome.left.add(done.day)
    else:
        setattr(outcome, done.kind, getattr(outcome, done.kind) + 1)


class _Group:
    """The objects of one table and day under doubtful keys.

    `keys` are the parts of keys by the ids that they are bound to. `owners` are the owners of
    objects without rows, by the part of the key.
    """

    def __init__(
        self,
        merge: Merge,
        organization: str,
        keys: Mapping[str, str],
        owners: Mapping[str, str],
        objects: Sequence[_Object],
    ) -> None:
        self._all = merge
        self._dataset = merge.dataset
        self._start = safe_name(organization)
        self._keys = keys
        self._bound = {part: own_id for own_id, part in keys.items()}
        self._table, self._day = objects[0].table, objects[0].day
        # By where they are now: whose the objects are, and where they were found.
        self._at: dict[str, tuple[str | None, str]] = {}
        for each in objects:
            own_id = each.owner.id if each.owner else owners.get(each.part)
            self._at[each.part] = own_id, each.part
        self._emptied: set[str] = set()

    def merge(self) -> list[_ObjectResult]:
        """Moves objects to their own key. A crash between two steps loses nothing."""
        for part, (own_id, _) in [*self._at.items()]:
            if own_id is None:
                # Without rows it has no owner.
                self._delete(part)
        done: list[_ObjectResult] = []
        waiting = dict.fromkeys(
            own_id
            for part, (own_id, _) in self._at.items()
            if own_id and self._keys[own_id] != part
        )
        while waiting:
            ready = [each for each in waiting if self._is_free(each)]
            if not ready:
                # Two keys were swapped: one of the objects steps aside.
                self._step_aside(self._keys[next(iter(waiting))])
                continue
            done += self._one(ready[0])
            del waiting[ready[0]]
        return done

    def _is_free(self, own_id: str) -> bool:
        return self._at.get(self._keys[own_id], (own_id, ""))[0] == own_id

    def _one(self, own_id: str) -> Iterator[_ObjectResult]:
        """Brings the objects of one environment together."""
        part = self._keys[own_id]
        parts = [at for at, (whose, _) in self._at.items() if whose == own_id and at != part]
        # In a dry run an object that has stepped aside is still where it was.
        where = [self._at[at][1] if self._all.dry else at for at in parts]
        sources = [self._file(at, kept) for at in where if (kept := self._read(at))]
        target = None if part in self._emptied else self._read(part)
        own = self._file(part, target) if target else None
        kind = self._kind(own, sources)
        if kind in ("moved", "merged"):
            table = self._all.tables.get(self._table)
            file = united(table, [*sources, *([own] if own else [])])
            try:
                if not self._all.dry:
                    over = target.etag if target else None
                    self._dataset.replace(
                        self._key(part),
                        file.body,
                        over=over,
                        queried_at=file.queried_at,
                        run=file.run,
                    )
            except Overtaken:
                kind = "left"
        for at in parts:
            former = self._at[at][1]
            if kind != "left":
                self._delete(at)
            elif at in self._bound:
                self._step_aside(at)
            yield _ObjectResult(own_id, former, self._day, kind)

    def _kind(
        self, own: UnionFile | None, sources: Sequence[UnionFile]
    ) -> Literal["moved", "merged", "spare", "left"]:
        if not sources:
            return "spare"
        table = self._all.tables.get(self._table)
        newest = max(file.queried_at for file in (*sources, *([own] if own else [])))
        ends = last_day(table, self._day)
        settled = day_end(ends) + timedelta(hours=self._all.settle_hours)
        # A write closes a day that has settled. That is right only if its rows were requested
        # late enough; else an export must confirm them first.
        early = table is not None and table.daily and newest < settled
        closes = early and self._all.now >= closes_at(ends, self._all.settle_hours)
        enough = own is not None and (closes or own.queried_at >= newest)
        if own and enough and all(covers(table, own, file) for file in sources):
            return "spare"
        if closes:
            return "left"
        return "merged" if own or len(sources) > 1 else "moved"

    def _step_aside(self, part: str) -> None:
        """Moves an object to a free key, from where a later merge moves it on."""
        own_id, former = self._at.pop(part)
        self._emptied.add(part)
        salt = f"{own_id} {part}".encode()
        aside = f"{part}-{hashlib.sha256(salt).hexdigest()[:16]}"
        self._at[aside] = own_id, former
        kept = self._read(part)
        if kept and not self._all.dry:
            self._dataset.put(self._key(aside), kept.body, queried_at=kept.queried_at, run=kept.run)
            self._dataset.delete(self._key(part))

    def _read(self, part: str) -> Kept | None:
        return self._dataset.read(self._key(part))

    def _file(self, part: str, kept: Kept) -> UnionFile:
        return UnionFile(self._key(part), kept.body, kept.queried_at, kept.run)

    def _key(self, part: str) -> str:
        return f"{day_prefix(self._table, self._day)}{self._start}.{part}.parquet"

    def _delete(self, part: str) -> None:
        del self._at[part]
        self._emptied.add(part)
        if self._all.dry:
            return
        self._dataset.delete(self._key(part))
        if part not in self._bound:
            # Its checks are of no object any more.
            self._dataset.delete(f"{day_prefix(CHECKS, self._day)}{self._start}.{part}.parquet")
