"""Organisations, environments, APIs, applications, and their streams of requests.

Everything follows from the seed; names and numbers are synthetic.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from hashlib import blake2b
from typing import Literal

from dev.sandbox import names

EnvironmentType = Literal["CHOREO", "CHOREO_PRIVATE", "ON_PREM"]

# The earlier ids of environments of the shared data plane in the US [Choreo].
LEGACY_IDS = {
    "Development": ("dev-us-east-azure", "Dev-Internal", "sandbox-dev"),
    "Production": ("Production and Sandbox", "Prod-Internal", "sandbox-prod"),
}


def digest(*parts: object) -> int:
    """64 bits from the parts, the same on every machine and in every process."""
    text = "\x1f".join(map(str, parts)).encode()
    # Not hash(): that differs from process to process, and the world must not.
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def _uuid(*parts: object) -> str:
    text = "\x1f".join(map(str, parts)).encode()
    return str(uuid.UUID(bytes=blake2b(text, digest_size=16).digest(), version=4))


@dataclass(frozen=True)
class EnvironmentSpec:
    """An environment to be made; one without traffic still lists APIs and applications.

    With `unlisted`, a part of its data is kept under an id that no list contains.
    """

    name: str
    type: EnvironmentType = "CHOREO"
    traffic: bool = True
    unlisted: bool = False


@dataclass(frozen=True)
class OrganizationSpec:
    """An organisation to be made. `deleted` APIs come on top of `apis` and are in no list."""

    handle: str
    name: str | None = None
    apis: int = 6
    applications: int = 5
    deleted: int = 1
    environments: tuple[EnvironmentSpec, ...] = (
        EnvironmentSpec("Development"),
        EnvironmentSpec("Production"),
        EnvironmentSpec("Headquarters, Zürich", "ON_PREM"),
    )


DEFAULT_ORGANIZATIONS = (
    OrganizationSpec("acme", "Acme, Inc."),
    OrganizationSpec(
        "lotus",
        "Lotus “Ceylon” Tées",
        apis=5,
        applications=4,
        environments=(
            EnvironmentSpec("Development"),
            EnvironmentSpec('Produktion "Süd"', "CHOREO_PRIVATE"),
            EnvironmentSpec("Staging", traffic=False),
        ),
    ),
)


@dataclass(frozen=True)
class Api:
    """An API. `shown` is how answers name it: its id, or for some `name - version`."""

    id: str
    name: str
    version: str
    provider: str
    backend: str
    shown: str
    deleted: bool
    # Called so seldom that some hours have no traffic.
    rare: bool
    # When it was deployed and deleted, in seconds since 1970: it has traffic in between alone.
    since: int = 0
    until: int | None = None
    # Id of its project.
    project: str = ""

    @property
    def named(self) -> str:
        """The text `name - version`."""
        return f"{self.name} - {self.version}"

    @property
    def display_name(self) -> str:
        """What people call it."""
        return f"{self.name} ({self.version})"


@dataclass(frozen=True)
class Application:
    """An application; requests of callers without one come from `UNKNOWN`."""

    id: str
    name: str
    owner: str


UNKNOWN = Application("UNKNOWN", "UNKNOWN", "UNKNOWN")


@dataclass(frozen=True, eq=False)
class Stream:
    """One caller of one resource of one API: all of its requests share these attributes."""

    index: int
    seed: int
    api: Api
    application: Application
    method: str
    template: str
    platform: str
    user_agent: str
    country: str
    # Requests in a busy hour; milliseconds of the backend; whether its answers are cached.
    weight: int
    latency: int
    cached: bool


@dataclass(frozen=True, eq=False)
class SandboxEnvironment:
    """An environment and the ids under which shares of its data are kept."""

    id: str
    name: str
    type: EnvironmentType
    external_id: str
    internal_id: str | None
    sandbox_id: str | None
    legacy_ids: tuple[str, ...]
    seed: int
    apis: tuple[Api, ...]
    applications: tuple[Application, ...]
    tenants: tuple[str, ...]
    streams: tuple[Stream, ...]
    # An id that listEnvironments does not return.
    # Clients of 2026 send an id `choreoEnvId`, which no list contains [Choreo].
    unlisted_id: str | None = None
    # When it was deleted, in seconds since 1970.
    until: int | None = None
    # By day: what its counts are multiplied by, in quarters. Corrections and late batches.
    quarters: Mapping[date, int] = field(default_factory=dict)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """All ids that hold data, each once."""
        ids = (self.id, self.external_id, self.internal_id, self.sandbox_id, *self.legacy_ids)
        ids = (*ids, self.unlisted_id)
        return tuple(dict.fromkeys(i for i in ids if i))

    @cached_property
    def listed(self) -> tuple[Api, ...]:
        """The APIs that are not deleted."""
        return tuple(api for api in self.apis if not api.deleted)

    @cached_property
    def is_steady(self) -> bool:
        """Whether nothing ever changed in it."""
        lives = (api.since or api.until is not None for api in self.apis)
        return self.until is None and not self.quarters and not any(lives)

    def listed_since(self, moment: float) -> tuple[Api, ...]:
        """The APIs that are listed, or were after this instant (seconds since 1970)."""
        return tuple(a for a in self.apis if not a.deleted or (a.until or 0) > moment)


@dataclass(frozen=True, eq=False)
class Organization:
    """An organisation with its credentials, which are random looking but synthetic."""

    number: str
    uuid: str
    handle: str
    name: str
    environments: tuple[SandboxEnvironment, ...]
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    on_prem_key: str | None = field(repr=False)
    # In no list any more, but their data is still there.
    deleted: tuple[SandboxEnvironment, ...] = ()

    def environment(self, name: str) -> SandboxEnvironment:
        """The environment of this id or name, deleted ones last. Raises KeyError."""
        every = (*self.environments, *self.deleted)
        matching = [e for e in every if e.id == name] or [e for e in every if e.name == name]
        return matching[0] if matching else _none(name)

    @property
    def on_prem(self) -> SandboxEnvironment | None:
        """The environment that the on-prem key belongs to."""
        return next((e for e in self.environments if e.type == "ON_PREM"), None)


def _none(name: str) -> SandboxEnvironment:
    raise KeyError(name)


class World:
    """All organisations, made from a seed."""

    def __init__(
        self,
        seed: int = 1,
        organizations: Iterable[OrganizationSpec] = DEFAULT_ORGANIZATIONS,
    ) -> None:
        self.seed = seed
        # Counts changes: what was derived from the world before one holds no more.
        self.changes = 0
        self.organizations = {
            spec.handle: _organization(seed, number, spec)
            for number, spec in enumerate(organizations, start=101)
        }

    def organization(self, handle: str) -> Organization:
        """The organisation of a handle. Raises KeyError."""
        return self.organizations[handle]

    def projects(self, handle: str) -> dict[str, str]:
        """The ids of an organisation's projects by their names, as Projects takes them."""
        return project_ids(self.seed, handle)

    def rotate(self, handle: str) -> None:
        """Gives the organisation's application another consumer secret; the old one is dead."""
        old = self.organizations[handle]
        new = f"sec{digest(self.seed, handle, old.consumer_secret):016x}"
        self.change(replace(old, consumer_secret=new))

    def change(self, organization: Organization) -> None:
        """Puts this in place of the organisation of its handle."""
        # Replaced and not changed: a request that is under way goes on with the old one.
        self.organizations[organization.handle] = organization
        self.changes += 1

    def secret(self, handle: str) -> dict[str, str]:
        """What the Secrets Manager holds for the organisation of this handle."""
        organization = self.organizations[handle]
        secret = {
            "consumer_key": organization.consumer_key,
            "consumer_secret": organization.consumer_secret,
            "org_handle": handle,
            "org_id": organization.uuid,
        }
        if organization.on_prem_key:
            secret["on_prem_key"] = organization.on_prem_key
        return secret


def _organization(seed: int, number: int, spec: OrganizationSpec) -> Organization:
    apis = tuple(
        make_api(seed, spec.handle, i, deleted=i >= spec.apis)
        for i in range(spec.apis + spec.deleted)
    )
    applications = tuple(
        Application(
            _uuid(seed, spec.handle, "application", i),
            names.application(i),
            names.OWNERS[i % len(names.OWNERS)],
        )
        for i in range(spec.applications)
    )
    on_prem = any(e.type == "ON_PREM" for e in spec.environments)
    return Organization(
        number=str(number),
        uuid=_uuid(seed, spec.handle, "organization"),
        handle=spec.handle,
        name=spec.name or spec.handle.capitalize(),
        environments=tuple(
            make_environment(seed, spec.handle, e, apis, applications) for e in spec.environments
        ),
        consumer_key=f"key{digest(seed, spec.handle, 'key'):016x}",
        consumer_secret=f"sec{digest(seed, spec.handle, 'secret'):016x}",
        on_prem_key=f"opk{digest(seed, spec.handle, 'on-prem'):016x}" if on_prem else None,
    )


def make_api(seed: int, handle: str, index: int, *, deleted: bool = False) -> Api:
    """The organisation's API of this number."""
    name, version = names.api(index)
    if deleted:
        name = f"Retired {name}"
    key = _uuid(seed, handle, "api", index)
    # One living API in seven, and the deleted ones, are named in answers, not given by their id.
    named = deleted or index % 7 == 2
    return Api(
        id=key,
        name=name,
        version=version,
        provider=names.PROVIDERS[index % len(names.PROVIDERS)],
        backend=f"https://backend-{index % 97}.example.internal/{version}",
        shown=f"{name} - {version}" if named else key,
        deleted=deleted,
        rare=index % 5 == 4,
        project=project_ids(seed, handle)[names.PROJECTS[index % len(names.PROJECTS)]],
    )


def project_ids(seed: int, handle: str) -> dict[str, str]:
    """The ids of an organisation's projects by their names. No query lists them."""
    return {name: _uuid(seed, handle, "project", name) for name in names.PROJECTS}


def make_environment(
    seed: int,
    handle: str,
    spec: EnvironmentSpec,
    apis: tuple[Api, ...],
    applications: tuple[Application, ...],
    again: int = 0,
) -> SandboxEnvironment:
    """An environment. `again` numbers those that have the same name at some time."""
    place = (seed, handle, spec.name, *((again,) if again else ()))

    def key(kind: str) -> str:
        return _uuid(*place, kind)

    own = key("environment")
    shared = spec.type == "CHOREO"
    return SandboxEnvironment(
        id=own,
        name=spec.name,
        type=spec.type,
        # An environment has up to four ids of its own, and each holds a part of its data [Choreo].
        external_id=own if spec.type == "ON_PREM" else key("external"),
        internal_id=key("internal") if shared else None,
        sandbox_id=None if spec.type == "ON_PREM" else key("sandbox"),
        # Of the time before the ids of today: what is made now has none.
        legacy_ids=LEGACY_IDS.get(spec.name, ()) if shared and not again else (),
        seed=digest(*place),
        apis=apis,
        applications=applications,
        tenants=("carbon.super", "partners.example")
        if spec.type == "ON_PREM"
        else ("carbon.super",),
        streams=make_streams(place, apis, applications) if spec.traffic else (),
        unlisted_id=key("unlisted") if spec.unlisted else None,
    )


def make_streams(
    place: tuple[object, ...],
    apis: tuple[Api, ...],
    applications: tuple[Application, ...],
    first: int = 0,
) -> tuple[Stream, ...]:
    """The callers of these APIs, numbered from `first` on."""
    streams: list[Stream] = []
    for api in apis:
        for number in range(3 + digest(*place, api.id) % 3):
            streams.append(_stream(place, first + len(streams), number, api, applications))
    return tuple(streams)


def _stream(
    place: tuple[object, ...],
    index: int,
    number: int,
    api: Api,
    applications: tuple[Application, ...],
) -> Stream:
    seed = digest(*place, api.id, number)
    method, template = names.RESOURCES[(seed >> 8) % len(names.RESOURCES)]
    callers = (*applications, UNKNOWN)
    return Stream(
        index=index,
        seed=seed,
        api=api,
        application=callers[seed % len(callers)],
        method=method,
        template=template,
        platform=names.PLATFORMS[(seed >> 16) % len(names.PLATFORMS)],
        user_agent=names.USER_AGENTS[(seed >> 24) % len(names.USER_AGENTS)],
        country=names.COUNTRIES[(seed >> 32) % len(names.COUNTRIES)],
        weight=1 + (seed >> 40) % 3 if api.rare else 4 + (seed >> 40) % 160,
        latency=12 + (seed >> 48) % 700,
        cached=(seed >> 58) % 3 == 0,
    )
