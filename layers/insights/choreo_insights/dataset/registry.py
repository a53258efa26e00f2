"""The registry: the key that each environment's id is bound to, and the names of its entities.

Choreo's lists show what exists now, under its present name. The registry remembers everything that
was ever listed, so that a rename, a deletion or another order of the list changes no key. It is one
object per organisation and one per environment, which are tables of the dataset too. They can be
rebuilt from the dataset: see `registry_build`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Generic, TypeVar

import msgspec

from choreo_insights.catalogue import Column
from choreo_insights.dataset import registry_build
from choreo_insights.dataset.access_rules import ACCESS_RULES
from choreo_insights.dataset.parquet import Constant, decode, encode
from choreo_insights.dataset.partitions import Environment, safe_name, table_prefix
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
from choreo_insights.dataset.store import Dataset, Overtaken
from choreo_insights.errors import PersonMustAct, Retriable
from choreo_insights.shapes import Shape

REBUILD = "insights migrate --rebuild-registry"
_ATTEMPTS = 8
# Names in a message, at most.
_SHOWN = 5

REGISTRY_ENVIRONMENTS = "registry_environments"
REGISTRY_ENVIRONMENTS_DESCRIPTION = (
    "Every environment that was ever listed, and the part of the objects' keys that its id is "
    "bound to. One object per organisation."
)
REGISTRY_ENVIRONMENTS_COLUMNS: tuple[Column, ...] = (
    Column("organization", "string", "Handle of the organisation."),
    Column("environment_id", "string", "Id of the environment."),
    Column("key", "string", "The environment's part of object keys. It never changes."),
    Column("first_name", "string", "The name under which it was listed first."),
    Column("name", "string", "The name in the newest list that has it."),
    Column("type", "string", "CHOREO, CHOREO_PRIVATE or ON_PREM."),
    Column("ids", "string", "All ids under which its data is stored, separated by commas."),
    Column("first_listed", "date", "Day of the first list that has it (UTC)."),
    Column("last_listed", "date", "Day of the newest list that has it (UTC)."),
    Column("listed", "boolean", "Whether the newest list has it."),
    Column(
        "unmerged_keys",
        "string",
        "Keys of its objects, separated by commas, where release 0.1.0 used several or shared one "
        "with another environment: it is not exported until `insights migrate` has merged them.",
    ),
    Column(
        "refused_documents",
        "string",
        "Documents that the service does not answer, each with the day of its refusal (UTC), "
        "separated by commas. Another document is used, and these are tried again a week later.",
    ),
)
REGISTRY_NAMES = "registry_names"
REGISTRY_NAMES_DESCRIPTION = (
    "Every API and application that was ever listed, with its newest name. One object per "
    "environment."
)
REGISTRY_NAMES_COLUMNS: tuple[Column, ...] = (
    Column("organization", "string", "Handle of the organisation."),
    Column("environment", "string", "Name of the environment when the object was written."),
    Column("environment_id", "string", "Id of the environment."),
    Column("kind", "string", "api or application."),
    Column("id", "string", "Id of the API or application."),
    Column("name", "string", "Its name in the newest list that has it."),
    Column("version", "string", "Version of the API; null for an application."),
    Column("display_name", "string", "The API's display name; null where none is known."),
    Column("provider", "string", "Creator of the API; null for an application."),
    Column("owner", "string", "Owner of the application; null for an API."),
    Column("project", "string", "The API's project; null where Projects names none that has it."),
    Column("first_listed", "date", "Day of the first list that has it (UTC)."),
    Column("last_listed", "date", "Day of the newest list that has it (UTC)."),
    Column("listed", "boolean", "Whether the newest list has it."),
)
# Tables whose objects are not in folders `day=`.
UNPARTITIONED = frozenset({REGISTRY_ENVIRONMENTS, REGISTRY_NAMES, ACCESS_RULES})


Row = TypeVar("Row", KnownEnvironment, KnownName)
_ENVIRONMENT, _NAME = Shape(KnownEnvironment), Shape(KnownName)


class Unreadable(PersonMustAct):
    """An object of the registry is damaged, or of a newer release."""


class RegistryObject(Generic[Row]):
    """One object of the registry: how its rows are read and written."""

    def __init__(
        self,
        key: str,
        row: Shape[Row],
        columns: Sequence[Column],
        constants: Mapping[str, str],
        renamed: Mapping[str, str],
    ) -> None:
        self.key = key
        self._row: Shape[Row] = row
        self._columns = columns
        self._constants = constants
        # Fields by the columns that are called otherwise.
        self._fields = {
            column.name: renamed.get(column.name, column.name)
            for column in columns
            if column.name not in constants
        }

    def rows(self, body: bytes) -> tuple[Row, ...]:
        """The rows of a body. Raises Unreadable where it is not what `body` makes."""
        try:
            columns = decode(body)
            unknown = columns.keys() - {column.name for column in self._columns}
            if unknown:
                raise Unreadable(
                    f"{self.key} has columns of a newer release ({', '.join(sorted(unknown))}):"
                    f" deploy that release again, or make the object anew with `{REBUILD}`"
                )
            named = [columns[name] for name in self._fields if name in columns]
            fields = [field for name, field in self._fields.items() if name in columns]
            return tuple(
                self._row.convert(_parsed(dict(zip(fields, row, strict=True))))
                for row in zip(*named, strict=True)
            )
        except (ValueError, msgspec.ValidationError) as error:
            raise Unreadable(
                f"{self.key} cannot be read ({error}): make it anew from the dataset with"
                f" `{REBUILD}`, or restore its earlier version in S3"
            ) from error

    def body(self, rows: Sequence[Row]) -> bytes:
        values: dict[str, Any] = {
            name: [_plain(getattr(row, field)) for row in rows]
            for name, field in self._fields.items()
        }
        constants = {name: Constant(value) for name, value in self._constants.items()}
        return encode(self._columns, values | constants, len(rows))


def _plain(value: Any) -> Any:
    # Ids are stored as one text, so that SQL needs no array.
    return (",".join(value) or None) if isinstance(value, tuple) else value


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("ids", "unmerged_keys", "refused_documents"):
        if name in row:
            row[name] = row[name].split(",") if row[name] else ()
    return row


def environments_object(organization: str) -> RegistryObject[KnownEnvironment]:
    """The object that binds keys to the ids of an organisation's environments."""
    key = f"{table_prefix(REGISTRY_ENVIRONMENTS)}{safe_name(organization)}.parquet"
    return RegistryObject(
        key,
        _ENVIRONMENT,
        REGISTRY_ENVIRONMENTS_COLUMNS,
        {"organization": organization},
        {"environment_id": "id"},
    )


def names_object(organization: str, environment: Environment) -> RegistryObject[KnownName]:
    """The object of an environment's APIs and applications."""
    place = f"{safe_name(organization)}.{environment.key_name}"
    constants = {
        "organization": organization,
        "environment": environment.name,
        "environment_id": environment.id,
    }
    key = f"{table_prefix(REGISTRY_NAMES)}{place}.parquet"
    return RegistryObject(key, _NAME, REGISTRY_NAMES_COLUMNS, constants, {})


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
        good, refused = _sorted_out(entries)

        def merge(known: tuple[KnownEnvironment, ...]) -> tuple[KnownEnvironment, ...]:
            if not entries and not force and any(each.listed for each in known):
                raise PersonMustAct(_empty("environments", f"the organisation {organization}"))
            return merged_environments(known, good, today, whole=not refused)

        found = {
            each.id: each
            for each in self._update(
                environments_object(organization),
                lambda: self._builder.environments(organization),
                merge,
            )
        }
        usable = []
        for each in (found[entry.id] for entry in good):
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

        found = self._update(
            names_object(organization, environment),
            lambda: self._builder.names(organization, environment),
            merge,
        )
        return Names(each for each in found if each.kind == kind)

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

    def merged(self, organization: str, added: Iterable[KnownEnvironment] = ()) -> None:
        """Notes that each environment has all of its objects under its own key.

        `added` are environments that only their objects showed. Raises as `known`, and Retriable.
        """
        more = {each.id: each for each in added}

        def merge(known: tuple[KnownEnvironment, ...]) -> tuple[KnownEnvironment, ...]:
            found = {**more, **{each.id: each for each in known}}
            return tuple(
                msgspec.structs.replace(found[own_id], unmerged_keys=()) for own_id in sorted(found)
            )

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
            if held.etag == "":
                continue
            try:
                self._dataset.replace(
                    kind.key, kind.body(after), over=held.etag, asked=self._now(), run=self._run
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
