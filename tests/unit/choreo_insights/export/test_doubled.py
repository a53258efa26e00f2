"""Runs over a dataset that release 0.1.0 has doubled by a rename, until it is migrated and on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.partitions import safe_name
from choreo_insights_cli.releases.environments import Merge
from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.changes import rename_environment
from tests.unit.choreo_insights.export.test_run import CATALOGUE, TODAY, Place

if TYPE_CHECKING:
    from choreo_insights.dataset.store import Dataset

TABLES = ("apis", "environments", "success_summary", "total_traffic", "api_usage_over_time")
DAYS = [TODAY - timedelta(days=n) for n in range(3)]
FORMER, NEW = "Production", safe_name("Prod EU")


@pytest.fixture
def place() -> Iterator[Place]:
    """A dataset whose environment Production was renamed to Prod EU and exported once more."""
    with SandboxServer(World(seed=11), SandboxSettings()) as server:
        place = Place(server, ("acme",))
        place.config = replace(place.config, tables=TABLES)
        place.run()
        objects = place.dataset.objects
        for key in [key for key in objects if key.startswith("insights/registry_")]:
            del objects[key]
        for key in [key for key in objects if key.endswith(f"/acme.{FORMER}.parquet")]:
            objects[key.replace(FORMER, NEW)] = replace(objects[key])
        listed = f"insights/environments/day={TODAY}/acme.parquet"
        objects[listed.replace(f"{TODAY}", f"{DAYS[1]}")] = replace(objects[listed])
        environment = server.world.organization("acme").environments[1]
        rename_environment(server.world, "acme", environment.id, "Prod EU")
        rows = place.dataset.rows(listed)
        for row in rows:
            if row["environment_name"] == FORMER:
                row["environment_name"] = "Prod EU"
        values: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        del values["exported_at"]
        columns = CATALOGUE.table("environments").columns
        objects[listed].body = encode(columns, values, len(rows))
        place.now += timedelta(hours=1)
        yield place


def total(place: Place, day: date) -> int:
    """All requests of a day by the dataset."""
    keys = [key for key in place.dataset.objects if f"/total_traffic/day={day}/" in key]
    return sum(row["total_traffic"] for key in keys for row in place.dataset.rows(key))


def truth(place: Place, day: date) -> int:
    """All requests of a day by the sandbox."""
    return sum(
        row["total_traffic"]
        for each in place.sandbox.world.organization("acme").environments
        for row in place.expected("total_traffic", "acme", each.name, day)
    )


def migrate(place: Place) -> None:
    dataset = cast("Dataset", place.dataset)
    tables = {table.name: table for table in CATALOGUE.tables}
    place.dataset.now = place.now
    Merge(dataset, tables, place.now, 24.0, dry=False).run(["acme"])


def test_a_doubled_environment_fails_alone_and_is_exported_after_the_migration(place: Place):
    assert total(place, DAYS[1]) > truth(place, DAYS[1])
    report = place.run()
    [failure] = report.failures
    assert (failure["environment"], report.needs_person) == ("Prod EU", 1)
    assert "`insights migrate`" in failure["reason"]
    assert report.exported > 0
    written = [key for key, found in place.dataset.objects.items() if found.written == place.now]
    assert not [key for key in written if FORMER in key or NEW in key]
    migrate(place)
    assert not [key for key in place.dataset.objects if NEW in key]
    place.now += timedelta(days=1)
    assert place.run().failed == 0
    assert not [key for key in place.dataset.objects if NEW in key]
    assert [total(place, day) for day in DAYS] == [truth(place, day) for day in DAYS]
    place.now += timedelta(days=2)
    place.run()
    assert [total(place, day) for day in DAYS] == [truth(place, day) for day in DAYS]
