"""What the views show after runs of the export: over renames, deletions, kills, and lapses."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from choreo_insights.dataset.coverage import state
from choreo_insights.dataset.ledger import RUNS
from choreo_insights.dataset.partitions import day_of, table_prefix
from choreo_insights_cli.sql.duckdb import connect
from choreo_insights_cli.sql.translation import translated
from dev.sandbox import SandboxServer, SandboxSettings, World, changes
from dev.sandbox.lapses import Lapse
from tests.unit.choreo_insights.export.test_run import NOW, TODAY, Place
from tests.unit.choreo_insights_cli.sql.conftest import written

TABLES = ("total_traffic", "success_summary", "apis", "environments")
YESTERDAY = TODAY - timedelta(days=1)
WHAT_IS_MISSING = Path(__file__).parents[4] / "choreo_insights_cli/sql/queries/what_is_missing.sql"


class Killed(BaseException):
    """The end of a process, which nothing catches."""


class Runs:
    """A world that changes, and runs of the export over it."""

    def __init__(self, server: SandboxServer, folder: Path, organization: str) -> None:
        self.server = server
        self.folder = folder
        self.organization = organization
        self.place = Place(server, (organization,))
        since = TODAY - timedelta(days=3)
        self.place.config = replace(self.place.config, export_since=since, tables=TABLES)

    @property
    def environments(self) -> dict[str, str]:
        """The ids of the environments by their names."""
        own = self.server.world.organization(self.organization)
        return {each.name: each.id for each in own.environments}

    def run(self, now: datetime) -> None:
        """A scheduled run at an instant."""
        self.place.now = now
        assert self.place.run().failures == []

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query in DuckDB's SQL gives of the dataset as it is."""
        files = written(self.place.dataset, self.folder)
        with connect(files, self.place.now) as database:
            return database.execute(sql).fetchall()

    def missing(self) -> list[tuple[Any, ...]]:
        """The rows of the saved query."""
        return self.rows(translated(WHAT_IS_MISSING.read_text("utf-8"), self.place.now))


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with SandboxServer(World(seed=11), SandboxSettings()) as server:
        yield Runs(server, tmp_path, "lotus")


def test_a_renamed_environment_keeps_its_history(runs: Runs):
    sql = f"SELECT environment_id, day, requests FROM traffic_daily WHERE day < DATE '{TODAY}'"
    runs.run(NOW)
    key = runs.environments["Development"]
    changes.rename_environment(runs.server.world, "lotus", key, "Stage EU")
    runs.run(NOW + timedelta(days=1))
    found = runs.rows(sql)
    assert len(found) == 3 * len(runs.environments)
    expected = {
        (environment, day, row["total_traffic"])
        for name, environment in runs.environments.items()
        for day in (YESTERDAY - timedelta(days=back) for back in range(3))
        for row in runs.place.expected("total_traffic", "lotus", name, day)
    }
    assert {*found} == expected
    names = runs.rows("SELECT DISTINCT environment_id, environment FROM traffic_daily")
    assert {*names} == {(key, name) for name, key in runs.environments.items()}


def test_a_deleted_environment_is_not_missing(runs: Runs):
    runs.run(NOW)
    gone = runs.environments["Staging"]
    at = int((NOW + timedelta(minutes=5)).timestamp())
    changes.delete_environment(runs.server.world, "lotus", gone, at)
    for hours in (1, 9, 17, 25, 49):
        runs.run(NOW + timedelta(hours=hours))
    listed = runs.rows("SELECT environment_id FROM environment_names WHERE NOT listed_now")
    assert listed == [(gone,)]
    assert runs.missing() == []


def test_a_run_that_was_killed_before_its_ledger_leaves_no_gap(runs: Runs):
    runs.place.config = replace(runs.place.config, tables=("total_traffic", "success_summary"))
    early, late = str(YESTERDAY - timedelta(days=2)), str(YESTERDAY - timedelta(days=1))
    runs.place.run({"from": early, "to": late})

    def kill(key: str) -> None:
        if key.startswith(table_prefix(RUNS)):
            raise Killed

    runs.place.dataset.before = kill
    with pytest.raises(Killed):
        runs.place.run()
    runs.place.dataset.before = lambda _: None
    for hours in (1, 2, 26, 27):
        runs.run(NOW + timedelta(hours=hours))
    assert runs.missing() == []
    found = runs.rows("SELECT DISTINCT days_exported, days_missing FROM export_freshness")
    assert found == [(5, 0)]


def test_the_views_tell_what_the_listing_shows(runs: Runs):
    """The source forgets most of a day after its noon, and never recovers."""
    runs.place.config = replace(runs.place.config, tables=("success_summary",))
    key = runs.environments["Development"]
    noon = datetime.combine(YESTERDAY, time(12), UTC)
    runs.run(noon)
    runs.server.service.lapses = (Lapse(key, YESTERDAY, "getSuccessSummary", 1),)
    states = []
    for days in (1, 2, 3, 8, 9, 10):
        runs.run(noon + timedelta(days=days))
        found = {
            (f"lotus.{name}.parquet", day): shown_day
            for name, day, shown_day in runs.rows(
                "SELECT r.key, d.day, d.state FROM export_days d"
                " JOIN registry_environments r USING (environment_id)"
            )
        }
        settle = runs.place.config.settle_hours
        listed = {
            (key.rpartition("/")[2], day_of(key)): state(stored, day_of(key), settle)
            for key, stored in runs.place.dataset.everything()
            if key.startswith(table_prefix("success_summary"))
        }
        place = ("lotus.Development.parquet", YESTERDAY)
        states.append((found.pop(place), listed.pop(place)))
        assert found == listed
        assert {*found.values()} == {"open", "closed"}
    # It closes a day after its end, and is given up a week later.
    assert states == [("kept", "open")] * 4 + [("unconfirmed", "closed")] * 2
    until = runs.rows(
        f"SELECT data_until FROM export_days WHERE environment_id = '{key}'"
        f" AND day = DATE '{YESTERDAY}'"
    )
    assert until == [(noon.replace(tzinfo=None),)]
