"""What happens in the world as time passes: names change, environments and APIs come and go.

Each change begins at an instant in seconds since 1970; what was before stays as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from itertools import count
from typing import Any

from dev.sandbox.world import (
    Api,
    EnvironmentSpec,
    Organization,
    SandboxEnvironment,
    World,
    make_api,
    make_environment,
    make_streams,
)


def rename_environment(world: World, handle: str, environment: str, name: str) -> None:
    """Gives the environment of this id another name; it may be that of another one."""
    _change(world, handle, environment, lambda old: replace(old, name=name))


def order_environments(world: World, handle: str, ids: Sequence[str]) -> None:
    """Lists the environments in the order of these ids."""
    own = world.organization(handle)
    ordered = tuple(sorted(own.environments, key=lambda e: ids.index(e.id)))
    world.change(replace(own, environments=ordered))


def add_environment(
    world: World, handle: str, spec: EnvironmentSpec, at: int
) -> SandboxEnvironment:
    """Makes an environment at this instant; the APIs of the first one are deployed in it."""
    own = world.organization(handle)
    known = {e.id for e in (*own.environments, *own.deleted)}
    apis = tuple(replace(api, since=at) for api in own.environments[0].listed)
    applications = own.environments[0].applications
    made = (
        make_environment(world.seed, handle, spec, apis, applications, again) for again in count(1)
    )
    environment = next(e for e in made if e.id not in known)
    world.change(replace(own, environments=(*own.environments, environment)))
    return environment


def delete_environment(world: World, handle: str, environment: str, at: int) -> None:
    """Takes an environment out of the list; its data stays, and no more is added to it."""
    own = world.organization(handle)
    gone = replace(own.environment(environment), until=at)
    world.change(
        replace(
            own,
            environments=tuple(e for e in own.environments if e.id != environment),
            deleted=(*own.deleted, gone),
        )
    )


def add_api(world: World, handle: str, environment: str, at: int, like: str | None = None) -> Api:
    """Deploys another API in an environment, under the name and version of `like` (an id)."""
    place = world.organization(handle).environment(environment)
    indices = range(len(place.apis), len(place.apis) + len(place.apis) + 2)
    made = (make_api(world.seed, handle, 1000 + index) for index in indices)
    known = {api.id for api in place.apis}
    api = replace(next(a for a in made if a.id not in known), since=at)
    if like is not None:
        twin = next(a for a in place.apis if a.id == like)
        shown = f"{twin.name} - {twin.version}"
        api = replace(api, name=twin.name, version=twin.version, shown=shown)
    # New streams come after the old ones, whose shares of the ids must not move.
    last = max((stream.index for stream in place.streams), default=-1)
    streams = make_streams((place.seed,), (api,), place.applications, last + 1)
    _change(
        world,
        handle,
        environment,
        lambda old: replace(old, apis=(*old.apis, api), streams=(*old.streams, *streams)),
    )
    return api


def share_names(world: World) -> None:
    """Deploys in each environment another API of the name and version of its first one."""
    for handle, own in world.organizations.items():
        for place in own.environments:
            add_api(world, handle, place.id, 0, like=place.apis[0].id)


def delete_api(world: World, handle: str, environment: str, api: str, at: int) -> None:
    """Deletes an API in an environment."""
    place = world.organization(handle).environment(environment)
    changed = {a: replace(a, deleted=True, until=at) for a in place.apis if a.id == api}
    _change(world, handle, environment, lambda old: _with_apis(old, changed))


def multiply(world: World, handle: str, environment: str, day: date, quarters: int) -> None:
    """Corrects a day: all of its counts become so many quarters of what was drawn."""
    _change(
        world,
        handle,
        environment,
        lambda old: replace(old, quarters={**old.quarters, day: quarters}),
    )


def _with_apis(environment: SandboxEnvironment, changed: dict[Api, Api]) -> SandboxEnvironment:
    return replace(
        environment,
        apis=tuple(changed.get(api, api) for api in environment.apis),
        streams=tuple(
            replace(stream, api=changed.get(stream.api, stream.api))
            for stream in environment.streams
        ),
    )


def _change(
    world: World,
    handle: str,
    environment: str,
    how: Callable[[SandboxEnvironment], SandboxEnvironment],
) -> None:
    own: Organization = world.organization(handle)
    world.change(
        replace(
            own,
            environments=tuple(how(e) if e.id == environment else e for e in own.environments),
        )
    )


# By name, for the operator's side. Instants are seconds since 1970.
CHANGES: dict[str, Callable[..., Any]] = {
    "rename_environment": rename_environment,
    "order_environments": order_environments,
    "delete_environment": delete_environment,
    "delete_api": delete_api,
}
