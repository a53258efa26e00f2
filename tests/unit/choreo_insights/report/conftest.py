"""Two months of a small organisation in memory, as the sandbox's generator gives them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from choreo_insights.catalogue import RESOLVED, load
from choreo_insights.dataset.coverage import closes_at
from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.partitions import Environment, Partition, safe_name
from choreo_insights.dataset.registry import Registry
from choreo_insights.report.figures import BEFORE, Figures, ReportSettings, figures
from choreo_insights.report.month import Month
from choreo_insights.times import microseconds
from dev.sandbox import OrganizationSpec, World
from dev.sandbox.expected import expected_rows
from dev.sandbox.world import EnvironmentSpec
from tests.unit.choreo_insights.memory import MemoryDataset

if TYPE_CHECKING:
    from choreo_insights.report.targets import Targets

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
MONTH = Month(2026, 2)
SINCE = date(2026, 1, 1)
SETTLE = 24.0
TABLES = (
    *("total_traffic", "total_errors", "overall_latency", "total_traffic_by_api"),
    *("total_errors_by_api", "errors_by_status_code", "latency", "apis_usage_by_applications"),
    *("errors_details", "apis", "applications"),
)
SETTINGS = ReportSettings(load().chosen(TABLES), SINCE, SETTLE)
_DAILY = [table for table in SETTINGS.tables if table.daily]


@dataclass
class Dataset:
    """The dataset and the world that it is of."""

    world: World
    store: MemoryDataset

    def rows(self, table: str, environment: str, month: Month) -> list[dict[str, Any]]:
        """What the generator says of a table in a month, with `day`."""
        return [
            row | {"day": day}
            for day in days(month.first, month.last)
            for row in expected_rows(self.world, table, "acme", environment, day, NOW)
        ]

    def figures(self, month: Month = MONTH, **changes: Any) -> Figures:
        """The report's figures, with other settings by name."""
        targets: Targets | None = changes.pop("targets", None)
        now = changes.pop("now", NOW)
        settings = ReportSettings(**{**_settings(), **changes})
        return figures(self.store, "acme", month, settings, now, targets)

    def key(self, table: str, day: date, environment: str = "Production") -> str:
        """The key of an object."""
        return partition(self.world, table, environment, day).key


def _settings() -> dict[str, Any]:
    return {name: getattr(SETTINGS, name) for name in ("tables", "since", "settle_hours")}


def days(first: date, last: date) -> list[date]:
    """The days, the oldest first."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def partition(world: World, table: str, environment: str, day: date) -> Partition:
    """A partition of the world's organisation."""
    place = world.organization("acme").environment(environment)
    known = Environment(place.id, place.name, place.type, place.ids, safe_name(place.name))
    return Partition(load().table(table), table, "acme", known, day)


def body(world: World, made: Partition) -> bytes:
    """The object of a partition."""
    assert made.environment
    name = made.environment.name
    rows = expected_rows(world, made.table_name, "acme", name, made.day, NOW)
    if made.table.resolves_apis:
        listed = world.organization("acme").environment(name).listed
        ids = {api.shown: api.id for api in listed}
        rows = [row | {RESOLVED: ids.get(row["api_id"])} for row in rows]
    rows = [{"exported_at": NOW, **row} for row in rows]
    values = {c.name: [plain(row.get(c.name)) for row in rows] for c in made.table.columns}
    return encode(made.table.columns, values, len(rows))


def plain(value: Any) -> Any:
    """A value as `encode` takes it."""
    return microseconds(value) if isinstance(value, datetime) else value


def fill(store: MemoryDataset, world: World, first: date, last: date) -> None:
    """Writes what a report of the last month reads, each day after it has settled."""
    for environment in world.organization("acme").environments:
        for table in _DAILY:
            for day in days(first, last):
                if day.month != last.month and table.name not in BEFORE:
                    continue
                made = partition(world, table.name, environment.name, day)
                store.now = closes_at(day, SETTLE) + timedelta(minutes=1)
                store.put(made.key, body(world, made), queried_at=store.now, run="r")
    registry = Registry(store, "r", lambda: NOW)  # type: ignore[arg-type]
    own = world.organization("acme")
    store.now = NOW
    listed = expected_rows(world, "environments", "acme", None, NOW.date(), NOW)
    found = registry.environments("acme", listed, NOW.date())
    for environment in found.usable:
        for kind, table in (("api", "apis"), ("application", "applications")):
            rows = expected_rows(world, table, "acme", environment.name, NOW.date(), NOW)
            registry.names("acme", environment, kind, rows, NOW.date())  # type: ignore[arg-type]
    assert len(found.usable) == len(own.environments)


@pytest.fixture(scope="session")
def filled() -> Dataset:
    """January and February 2026, all of it closed. Nobody changes it."""
    specs = (EnvironmentSpec("Production"), EnvironmentSpec("Development"))
    world = World(seed=5, organizations=[OrganizationSpec("acme", None, 3, 3, 1, specs)])
    store = MemoryDataset()
    fill(store, world, date(2026, 1, 1), date(2026, 2, 28))
    return Dataset(world, store)


@pytest.fixture
def dataset(filled: Dataset) -> Dataset:
    """The same, to be changed."""
    store = MemoryDataset()
    store.objects = dict(filled.store.objects)
    store.now = NOW
    return Dataset(filled.world, store)


@pytest.fixture(scope="session")
def february(filled: Dataset) -> Figures:
    """The figures of February."""
    return filled.figures()


def summed(rows: list[dict[str, Any]], value: str, *keys: str) -> Counter[Any]:
    """Sums by keys."""
    counts: Counter[Any] = Counter()
    for row in rows:
        counts[tuple(row[key] for key in keys)] += row[value]
    return counts
