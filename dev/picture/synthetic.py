"""A dataset of synthetic traffic, as a full export of the sandbox writes it, without AWS."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from choreo_insights.catalogue import RESOLVED, Column, Table, load
from choreo_insights.dataset import checks_table, day_checks
from choreo_insights.dataset.coverage import is_closed, wanted_days
from choreo_insights.dataset.ledger import Entry, encode_entries, object_key
from choreo_insights.dataset.parquet import decode, encode
from choreo_insights.dataset.partitions import (
    Environment,
    day_end,
    day_prefix,
    last_day,
    safe_name,
    table_prefix,
)
from choreo_insights.dataset.registry_tables import (
    REGISTRY_ENVIRONMENTS,
    REGISTRY_ENVIRONMENTS_COLUMNS,
    REGISTRY_NAMES,
    REGISTRY_NAMES_COLUMNS,
)
from choreo_insights.times import microseconds
from dev.sandbox.expected import expected_rows
from dev.sandbox.world import Organization, World
from dev.sandbox.world import SandboxEnvironment as Place

# The stack's own default.
_SETTLE_HOURS = 24


@dataclass(frozen=True)
class SyntheticPartition:
    """A partition: its rows, and what the ledger says of it."""

    table: Table
    organization: str
    environment: Place | None
    day: date
    rows: Sequence[Mapping[str, Any]]

    @property
    def place(self) -> str:
        """Organisation and environment as part of a key."""
        place = safe_name(self.organization)
        return f"{place}.{safe_name(self.environment.name)}" if self.environment else place

    @property
    def key(self) -> str:
        """The object's key."""
        return f"{day_prefix(self.table.name, self.day)}{self.place}.parquet"


def write(folder: Path, world: World, since: date, now: datetime) -> list[SyntheticPartition]:
    """Writes the dataset's files below a folder, with ledger, checks and registry.

    Returns what was written of the tables.
    """
    made = list(_partitions(world, since, now))
    for partition in made:
        _save(folder / partition.key, _file(partition, now))
    for day, entries in groupby(sorted(made, key=lambda m: m.day), key=lambda m: m.day):
        at = min(now, day_end(day) + timedelta(hours=1))
        body = encode_entries([_entry(entry, at) for entry in entries])
        _save(folder / object_key(day, at.date()), body)
    daily = [each for each in made if each.table.daily and not each.table.monthly]
    for _, there in groupby(sorted(daily, key=_place_day), key=_place_day):
        _check(folder, {partition.table.name: partition for partition in there}, now)
    for handle, organization in world.organizations.items():
        _register(folder, handle, organization, now.date())
    return made


def _place_day(made: SyntheticPartition) -> tuple[str, date]:
    return made.place, made.day


def _check(folder: Path, there: Mapping[str, SyntheticPartition], now: datetime) -> None:
    """Writes the checks of a day of one environment, or of an organisation's own tables."""

    def read(name: str) -> Mapping[str, Sequence[Any]] | None:
        return decode((folder / there[name].key).read_bytes()) if name in there else None

    made = next(iter(there.values()))
    final = is_closed(now, made.day, _SETTLE_HOURS)
    found = day_checks.check_day(
        read, [each.table for each in there.values()], made.day, final=final
    )
    body = checks_table.file(
        found,
        organization=made.organization,
        environment=_exported(made.environment) if made.environment else None,
        now=now,
    )
    _save(folder / checks_table.key(made.day, made.place), body)


def _register(folder: Path, handle: str, organization: Organization, today: date) -> None:
    """Writes the registry of an organisation and of its environments."""
    listed = {"first_listed": today, "last_listed": today, "listed": True}
    environments = []
    for each in organization.environments:
        key = safe_name(each.name)
        of = {"organization": handle, "environment_id": each.id, **listed}
        names = {"key": key, "first_name": each.name, "name": each.name, "type": each.type}
        environments.append({**of, **names, "ids": ",".join(each.ids)})
        of["environment"] = each.name
        rows = [
            {**of, "kind": "api", "id": a.id, "name": a.name, "version": a.version}
            | {"provider": a.provider}
            for a in each.listed
        ]
        rows += [
            {**of, "kind": "application", "id": a.id, "name": a.name, "owner": a.owner}
            for a in each.applications
        ]
        path = folder / f"{table_prefix(REGISTRY_NAMES)}{safe_name(handle)}.{key}.parquet"
        _save(path, _encoded(REGISTRY_NAMES_COLUMNS, rows))
    path = folder / f"{table_prefix(REGISTRY_ENVIRONMENTS)}{safe_name(handle)}.parquet"
    _save(path, _encoded(REGISTRY_ENVIRONMENTS_COLUMNS, environments))


def _encoded(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> bytes:
    values = {column.name: [row.get(column.name) for row in rows] for column in columns}
    return encode(columns, values, len(rows))


def _exported(place: Place) -> Environment:
    return Environment(place.id, place.name, place.type, place.ids, safe_name(place.name))


def _save(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def _partitions(world: World, since: date, now: datetime) -> Iterator[SyntheticPartition]:
    for table in (each for each in load().tables if not each.off):
        for handle, organization in world.organizations.items():
            if table.on_prem_key and not organization.on_prem_key:
                continue
            for environment in _environments(table, organization):
                for day in _days(table, since, now.date()):
                    rows = _rows(world, table, handle, environment, day, now)
                    yield SyntheticPartition(table, handle, environment, day, rows)


def _environments(table: Table, organization: Organization) -> Sequence[Place | None]:
    if table.scope == "organization":
        return (None,)
    kinds = table.environment_types
    return [e for e in organization.environments if not kinds or e.type in kinds]


def _days(table: Table, since: date, today: date) -> Sequence[date]:
    return sorted(wanted_days(table, since, today, today))


def _rows(
    world: World,
    table: Table,
    handle: str,
    environment: Place | None,
    day: date,
    now: datetime,
) -> Sequence[Mapping[str, Any]]:
    name = environment.name if environment else None
    rows = expected_rows(world, table.name, handle, name, day, now)
    if table.resolves_apis and environment:
        ids = {name: api.id for api in environment.listed for name in (api.id, api.shown)}
        return [row | {RESOLVED: ids.get(row["api_id"])} for row in rows]
    return rows


def _file(partition: SyntheticPartition, now: datetime) -> bytes:
    columns, rows = partition.table.columns, partition.rows
    values = {
        column.name: [
            _plain(row.get(column.name, now if column.name == "exported_at" else None))
            for row in rows
        ]
        for column in columns
    }
    return encode(columns, values, len(rows))


def _plain(value: Any) -> Any:
    return microseconds(value) if isinstance(value, datetime) else value


def _entry(made: SyntheticPartition, at: datetime) -> Entry:
    environment = made.environment
    return Entry(
        table=made.table.name,
        organization=made.organization,
        environment=environment.name if environment else None,
        environment_id=environment.id if environment else None,
        day=made.day,
        status="exported",
        started=at - timedelta(seconds=20),
        seconds=20.0,
        rows=len(made.rows),
        bytes=1000,
        requests=1,
        final=is_closed(at, last_day(made.table, made.day), _SETTLE_HOURS),
        covers=made.table.covers,
        run=f"{at:%Y%m%dT%H%M%S%f}-5e7ec7ed",
        exported_at=at,
    )
