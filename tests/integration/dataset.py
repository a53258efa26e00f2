"""What the dataset should hold, from the sandbox's generator, and what it holds."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.parquet as pq

from choreo_insights.catalogue import RESOLVED, load
from choreo_insights.dataset.coverage import wanted_days
from choreo_insights.dataset.partitions import safe_name
from dev.sandbox import World
from dev.sandbox.expected import expected_rows

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A partition that should be there.

    `key_name` is the environment's part of the key, where its present name does not say it.
    """

    table: str
    organization: str
    environment: str | None
    day: date
    key_name: str | None = None

    @property
    def key(self) -> str:
        """Its object's key, as the contract says."""
        name = self.organization
        if self.environment:
            name += f".{self.key_name or safe_name(self.environment)}"
        return f"insights/{self.table}/day={self.day.isoformat()}/{name}.parquet"


def places(world: World, since: date, today: date) -> Iterator[Place]:
    """Every partition that a full export writes."""
    for table in load().chosen(None):
        for handle, organization in world.organizations.items():
            if table.on_prem_key and not organization.on_prem_key:
                continue
            environments: list[str | None] = [None]
            if table.scope == "environment":
                environments = [
                    environment.name
                    for environment in organization.environments
                    if not table.environment_types or environment.type in table.environment_types
                ]
            for environment in environments:
                for day in sorted(wanted_days(table, since, today, today)):
                    yield Place(table.name, handle, environment, day)


def projects(world: World) -> dict[str, str]:
    """The ids of all projects by name, for the parameter `Projects`."""
    return {
        f"{name} of {handle}": own_id
        for handle in world.organizations
        for name, own_id in world.projects(handle).items()
    }


def expected(world: World, place: Place, now: datetime) -> list[Row]:
    """The rows that the generator says, in an order of their own."""
    rows = expected_rows(world, place.table, place.organization, place.environment, place.day, now)
    if load().table(place.table).per_project:
        names = {own_id: name for name, own_id in projects(world).items()}
        rows = [row | {"project": names[row["project_id"]]} for row in rows]
    if load().table(place.table).resolves_apis and place.environment:
        environment = world.organization(place.organization).environment(place.environment)
        # What a deleted API is called in answers stands for no id that can be looked up.
        ids = {name: api.id for api in environment.listed for name in (api.id, api.shown)}
        rows = [row | {RESOLVED: ids.get(row["api_id"])} for row in rows]
    return in_order(rows)


def found(body: bytes) -> list[Row]:
    """The rows of an object without `exported_at`, in the same order."""
    rows = pq.read_table(io.BytesIO(body)).to_pylist()
    for row in rows:
        assert row.pop("exported_at") is not None
    return in_order([{name: _with_zone(value) for name, value in row.items()} for row in rows])


def in_order(rows: list[Row]) -> list[Row]:
    """Rows by all of their values."""
    return sorted(rows, key=lambda row: repr(sorted(row.items())))


def without_nulls(rows: list[Row]) -> list[Row]:
    """Rows to compare with those of an older release, which lack columns."""
    return in_order([{n: v for n, v in row.items() if v is not None} for row in rows])


def _with_zone(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
