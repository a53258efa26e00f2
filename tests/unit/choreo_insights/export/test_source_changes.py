"""Runs while environments and APIs come, go and change names, and while runs are killed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from choreo_insights.errors import InsightsError
from choreo_insights.export.insights_api import Choreo
from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.changes import (
    add_api,
    add_environment,
    delete_api,
    delete_environment,
    order_environments,
    rename_environment,
)
from dev.sandbox.world import EnvironmentSpec
from tests.unit.choreo_insights.export.test_run import NOW, TODAY, Place

TABLES = ("api_usage_over_time", "total_traffic", "total_traffic_by_api", "resource_usage")
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def place() -> Iterator[Place]:
    with SandboxServer(World(seed=11), SandboxSettings()) as server:
        place = Place(server, ("acme",))
        place.config = replace(place.config, export_since=YESTERDAY, tables=TABLES)
        yield place


def environments(place: Place) -> Any:
    return place.sandbox.world.organization("acme").environments


def keys(place: Place, table: str = "total_traffic") -> set[str]:
    return {key for key in place.dataset.objects if f"/{table}/" in key}


def requests_by_api(place: Place, day: date, environment: str) -> Counter[str]:
    found: Counter[str] = Counter()
    key = f"insights/api_usage_over_time/day={day}/acme.{environment}.parquet"
    for row in place.dataset.rows(key):
        found[row["api_id_resolved"] or row["api_id"]] += row["count"] or 0
    return found


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def test_an_environment_keeps_its_key_through_a_rename(place: Place):
    place.run()
    before = keys(place)
    first, second = environments(place)[:2]
    rename_environment(place.sandbox.world, "acme", first.id, second.name)
    rename_environment(place.sandbox.world, "acme", second.id, first.name)
    order_environments(place.sandbox.world, "acme", [e.id for e in reversed(environments(place))])
    report = place.run({"force": True})
    assert (report.failed, keys(place)) == (0, before)
    for key in before:
        (row,) = place.dataset.rows(key)
        first_name = key.split("acme.")[1].removesuffix(".parquet")
        assert {first.name: first.id, second.name: second.id}.get(
            first_name, row["environment_id"]
        ) == row["environment_id"]


def test_a_list_is_rewritten_only_when_it_changes(place: Place):
    place.config = replace(place.config, tables=("apis", "environments"))
    place.run()
    before = {key: place.dataset.objects[key] for key in keys(place, "apis")}
    place.now += timedelta(hours=1)
    report = place.run()
    assert (report.exported, report.settled, report.failed) == (0, len(before) + 1, 0)
    assert {key: place.dataset.objects[key] for key in before} == before
    added = add_api(
        place.sandbox.world, "acme", environments(place)[0].id, seconds(place.now), like=None
    )
    place.now += timedelta(hours=1)
    place.run()
    changed = [key for key in before if place.dataset.objects[key] is not before[key]]
    (key,) = changed
    assert added.id in {row["api_id"] for row in place.dataset.rows(key)}
    assert {row["exported_at"] for row in place.dataset.rows(key)} == {
        place.dataset.objects[key].queried_at
    }


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_part_is_of_the_environments_that_are_named_or_given_by_id(place: Place, by: str):
    first, second = environments(place)[:2]
    place.run({"environments": [getattr(second, by)]})
    assert {key.split("acme.")[1] for key in keys(place)} == {f"{second.name}.parquet"}
    assert len(keys(place)) == 2
    assert first.name != second.name


def test_an_environment_that_is_made_anew_gets_a_key_of_its_own(place: Place):
    place.run()
    before = keys(place)
    old = environments(place)[0]
    delete_environment(place.sandbox.world, "acme", old.id, seconds(NOW))
    spec = EnvironmentSpec(old.name, old.type)
    new = add_environment(place.sandbox.world, "acme", spec, seconds(NOW))
    place.now += timedelta(hours=1)
    assert place.run().failed == 0
    added = keys(place) - before
    ids = {row["environment_id"] for key in added for row in place.dataset.rows(key)}
    assert (len(added), ids) == (2, {new.id})


def test_the_hours_of_an_api_that_is_deleted_today_stay(place: Place):
    place.now = datetime(2026, 11, 20, 18, 5, tzinfo=UTC)
    place.run()
    environment = environments(place)[1]
    before = requests_by_api(place, TODAY, environment.name)
    busiest = before.most_common(1)[0][0]
    delete_api(place.sandbox.world, "acme", environment.id, busiest, seconds(place.now))
    place.now += timedelta(hours=1)
    assert place.run().failed == 0
    after = requests_by_api(place, TODAY, environment.name)
    assert after[busiest] >= before[busiest]
    assert sum(after.values()) > sum(before.values())
    # A day on, its days are still queried and close; it is not queried for later days.
    place.now = datetime(2026, 11, 22, 1, tzinfo=UTC)
    place.run()
    assert requests_by_api(place, TODAY, environment.name)[busiest] >= before[busiest]
    assert busiest not in requests_by_api(place, date(2026, 11, 22), environment.name)


def test_an_api_that_is_gone_and_refused_keeps_its_rows_and_fails_nothing(place: Place):
    place.run()
    environment = environments(place)[1]
    before = requests_by_api(place, TODAY, environment.name)
    busiest = before.most_common(1)[0][0]
    delete_api(place.sandbox.world, "acme", environment.id, busiest, seconds(NOW))

    class Refusing(Choreo):
        def ask(self, key: Any, queries: Any, deadline: float) -> Any:
            outcomes = super().ask(key, queries, deadline)
            refusal = InsightsError("GraphQL says: no such API")
            return [
                refusal if {busiest, environment.id} <= _texts(query.variables) else outcome
                for query, outcome in zip(queries, outcomes, strict=True)
            ]

    place.choreo = Refusing
    place.now += timedelta(hours=1)
    report = place.run()
    assert (report.failed, report.kept) == (0, 0)
    after = requests_by_api(place, TODAY, environment.name)
    assert after[busiest] == before[busiest]
    assert sum(after.values()) >= sum(before.values())


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_texts, value))
    return {str(value)}


def test_days_of_an_environment_that_is_gone_are_completed_and_closed(place: Place):
    place.run()
    gone = environments(place)[1]
    key = f"insights/total_traffic/day={TODAY}/acme.{gone.name}.parquet"
    (before,) = place.dataset.rows(key)
    delete_environment(place.sandbox.world, "acme", gone.id, seconds(NOW + timedelta(hours=1)))
    place.now = datetime(2026, 11, 22, 1, tzinfo=UTC)
    assert place.run().failed == 0
    (after,) = place.dataset.rows(key)
    assert after["total_traffic"] > before["total_traffic"]
    written = place.dataset.objects[key].written
    assert written == place.now
    # It is closed, and no other day of it is begun.
    place.now += timedelta(hours=1)
    place.run()
    assert place.dataset.objects[key].written == written
    assert f"insights/total_traffic/day=2026-11-22/acme.{gone.name}.parquet" not in keys(place)


def test_an_environment_that_is_gone_and_refused_is_closed_as_unconfirmed(place: Place):
    place.run()
    gone = environments(place)[1]
    here = {key for key in keys(place) if f".{gone.name}." in key}
    delete_environment(place.sandbox.world, "acme", gone.id, seconds(NOW))
    place.sandbox.world.change(replace(place.sandbox.world.organization("acme"), deleted=()))
    before = {key: place.dataset.rows(key) for key in here}
    for days in range(1, 12):
        place.now = NOW + timedelta(days=days)
        report = place.run()
        assert report.failed == 0
    assert {key: place.dataset.rows(key) for key in here} == before
    assert not any(place.dataset.objects[key].confirmed for key in here)


def test_a_forced_run_empties_no_day_of_an_environment_that_is_gone_and_refused(place: Place):
    place.run()
    gone = environments(place)[1]
    key = f"insights/total_traffic_by_api/day={TODAY}/acme.{gone.name}.parquet"
    before = place.dataset.rows(key)
    delete_environment(place.sandbox.world, "acme", gone.id, seconds(NOW))
    place.sandbox.faults.add("field_error", field="getTotalTrafficByAPI", times=None)

    report = place.run({"force": True, "from": str(TODAY), "tables": ["total_traffic_by_api"]})

    assert before
    assert place.dataset.rows(key) == before
    assert gone.name in {failure["environment"] for failure in report.failures}


@pytest.mark.parametrize("field", ["listEnvironments", "listAllAPI"])
def test_an_empty_list_is_a_failure_until_force_accepts_it(place: Place, field: str):
    place.run()
    place.sandbox.faults.add("forgotten", field=field, times=None)
    place.now += timedelta(hours=1)
    for _ in range(2):
        report = place.run()
        assert report.needs_person >= 1
        assert "is empty, although the last one was not" in report.failures[0]["reason"]
    place.run({"force": True, "from": str(TODAY)})
    report = place.run()
    assert report.failed == 0


def test_a_first_list_of_apis_that_is_empty_is_a_failure_where_there_is_traffic(place: Place):
    place.config = replace(place.config, export_since=TODAY - timedelta(days=5))
    with_traffic = {e.name for e in environments(place) if e.streams}
    place.sandbox.faults.add("forgotten", field="listAllAPI", times=None)
    report = place.run()
    failed = {each["environment"] for each in report.failures if each["table"] == "apis"}
    assert failed == with_traffic
    assert report.needs_person == report.failed
    assert not keys(place, "total_traffic_by_api")
    place.sandbox.faults.clear()
    place.now += timedelta(hours=1)
    assert place.run().failed == 0
    assert len(keys(place, "total_traffic_by_api")) == 6 * len(environments(place))


def test_a_first_list_of_apis_may_be_empty_where_there_is_no_traffic(place: Place):
    place.config = replace(place.config, organizations=("lotus",))
    place.sandbox.faults.add("forgotten", field="listAllAPI", times=None)
    failed = {each["environment"] for each in place.run().failures}
    assert "Staging" in {e.name for e in place.sandbox.world.organization("lotus").environments}
    assert "Staging" not in failed


def test_what_needs_no_query_is_as_old_in_the_ledger_as_in_its_object(place: Place):
    class Ticking(Place):
        """Its clock goes on whenever somebody looks."""

        @property
        def now(self) -> datetime:
            self._now += timedelta(seconds=1)
            return self._now

        @now.setter
        def now(self, now: datetime) -> None:
            self._now = now

    ticking = Ticking(place.sandbox, ("lotus",))
    ticking.config = replace(
        ticking.config, export_since=TODAY, tables=("total_traffic_by_api", "total_traffic")
    )
    ticking.sandbox.faults.add("forgotten", field="listAllAPI", times=None)
    ticking.run()
    rows = {
        (row["table"], row["environment"]): row
        for key in keys(ticking, "runs")
        for row in ticking.dataset.rows(key)
    }
    # This one has no APIs, so that a query for each of them is none.
    assert rows["total_traffic_by_api", "Staging"]["requests"] == 0
    assert rows["total_traffic", "Staging"]["requests"] == 1
    for table in ("total_traffic_by_api", "total_traffic"):
        found = ticking.dataset.objects[f"insights/{table}/day={TODAY}/lotus.Staging.parquet"]
        assert rows[table, "Staging"]["started"] == found.queried_at


def test_an_object_that_the_ledger_does_not_know_is_recorded_by_the_next_run(place: Place):
    class Killed(BaseException):
        pass

    def kill(key: str) -> None:
        if "/runs/" in key:
            raise Killed

    place.now = datetime(2026, 11, 21, 1, tzinfo=UTC)
    place.dataset.before = kill
    with pytest.raises(Killed):
        place.run()
    assert not keys(place, "runs")
    place.dataset.before = lambda key: None
    for _ in range(2):
        place.now += timedelta(hours=1)
        place.run()
    # The day was closed by the run that was killed: no other has queried it.
    entries = [
        (row["table"], row["status"], row["final"], row["rows"], row["started"])
        for key in keys(place, "runs")
        if f"day={YESTERDAY}" in key
        for row in place.dataset.rows(key)
    ]
    before = datetime(2026, 11, 21, 0, 45, tzinfo=UTC)
    assert Counter(entries) == {
        (table, "exported", True, None, before): len(environments(place)) for table in TABLES
    }


def test_what_a_killed_backfill_of_old_days_wrote_is_recorded_by_the_next_run(place: Place):
    class Killed(BaseException):
        pass

    def kill(key: str) -> None:
        if "/runs/" in key:
            raise Killed

    old = TODAY - timedelta(days=40)
    place.config = replace(place.config, export_since=old, tables=("total_traffic",))
    place.dataset.before = kill
    with pytest.raises(Killed):
        place.run({"from": str(old), "to": str(old), "part": True})
    place.dataset.before = lambda key: None
    written = [key for key in keys(place) if f"day={old}" in key]
    place.now += timedelta(hours=1)
    place.run()
    rows = [
        row for key in keys(place, "runs") if f"day={old}" in key for row in place.dataset.rows(key)
    ]
    assert len(written) == len(environments(place)) == len(rows)
    assert {(row["status"], row["final"]) for row in rows} == {("exported", True)}
    before = place.dataset.objects.keys()
    place.now += timedelta(hours=1)
    place.run()
    assert {key for key in place.dataset.objects.keys() - before if f"day={old}" in key} == set()


def test_what_a_killed_run_wrote_of_an_open_day_is_recorded_by_the_next_one(place: Place):
    class Killed(BaseException):
        pass

    def kill(key: str) -> None:
        if "/runs/" in key:
            raise Killed

    def newest(table: str) -> set[str]:
        rows = [
            row
            for key in keys(place, "runs")
            if f"day={YESTERDAY}" in key
            for row in place.dataset.rows(key)
            if row["table"] == table
        ]
        rows.sort(key=lambda row: row["exported_at"])
        return set({row["environment_id"]: row["status"] for row in rows}.values())

    place.config = replace(place.config, tables=("total_traffic",))
    place.sandbox.faults.add("field_error", field="getTotalTraffic", times=None)
    place.run()
    assert newest("total_traffic") == {"failed"}
    place.sandbox.faults.clear()
    place.now += timedelta(minutes=30)
    place.dataset.before = kill
    with pytest.raises(Killed):
        place.run()
    place.dataset.before = lambda key: None

    place.now += timedelta(minutes=30)
    place.run()

    assert newest("total_traffic") == {"exported"}


def test_what_a_run_did_itself_is_the_newest_entry_of_an_object_without_one(place: Place):
    place.run()
    for key in keys(place, "runs"):
        del place.dataset.objects[key]
    place.sandbox.faults.add("forgotten", field="getResourceUsage", times=None)
    place.now += timedelta(hours=1)
    report = place.run({"from": str(YESTERDAY)})
    assert report.kept == 2 * len(environments(place))
    for key in keys(place, "runs"):
        rows = [row for row in place.dataset.rows(key) if row["table"] == "resource_usage"]
        rows.sort(key=lambda row: row["exported_at"])
        statuses = {row["environment_id"]: row["status"] for row in rows}
        assert set(statuses.values()) == {"kept"}
        assert len(rows) == 2 * len(statuses)


def test_a_day_whose_checks_are_older_than_its_objects_is_checked_by_the_next_run(place: Place):
    place.config = replace(place.config, tables=None)
    place.run({"tables": ["total_traffic", "success_summary", "error_summary"]}, check=False)
    assert not keys(place, "checks")
    place.now += timedelta(minutes=1)
    place.run({"tables": ["total_traffic"]})
    days = {key.split("day=")[1][:10] for key in keys(place, "checks")}
    assert days == {str(TODAY), str(YESTERDAY)}
    assert len(keys(place, "checks")) == 2 * len(environments(place))
    # Written again, and not checked: an older check does not stand for the newer object.
    place.now += timedelta(hours=1)
    place.run({"from": str(YESTERDAY), "to": str(YESTERDAY)}, check=False)
    place.now += timedelta(minutes=1)
    place.run({"tables": ["total_traffic"]})
    written = {
        name: [
            place.dataset.objects[key].written
            for key in keys(place, name)
            if f"day={YESTERDAY}" in key
        ]
        for name in ("checks", "success_summary")
    }
    assert min(written["checks"]) >= max(written["success_summary"])


def test_a_day_of_an_environment_that_is_gone_is_checked_too(place: Place):
    place.run(check=False)
    gone = environments(place)[1]
    delete_environment(place.sandbox.world, "acme", gone.id, seconds(NOW))
    place.now += timedelta(hours=1)
    place.run()
    assert f"insights/checks/day={YESTERDAY}/acme.{gone.name}.parquet" in keys(place, "checks")


def test_settling_at_once_still_waits_for_the_end_of_the_day(place: Place):
    place.config = replace(place.config, settle_hours=0, export_since=TODAY)
    place.now = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
    place.run()
    # Requested before midnight, written after it.
    written = datetime(2026, 11, 21, 0, 4, tzinfo=UTC)
    for found in place.dataset.objects.values():
        found.written = written
    place.now = datetime(2026, 11, 21, 0, 20, tzinfo=UTC)
    day = {"from": str(TODAY), "to": str(TODAY)}
    report = place.run(day)
    assert (report.exported, report.settled) == (len(TABLES) * len(environments(place)), 0)
    assert place.run(day).settled == report.exported
