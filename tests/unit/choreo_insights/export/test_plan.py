"""What a run queries, and in which order."""

import heapq
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.dataset.checks_table import key as checks_key
from choreo_insights.dataset.ledger import Ledger, encode_entries
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.export.event import Bounds
from choreo_insights.export.plan import Plan
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights.test_config import EXPORT

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
CATALOGUE = load()
CONFIG = ExportConfig.from_environment(EXPORT)
PLACE = Environment("e-1", "Production", "CHOREO", ("e-1",), "Production")


@dataclass
class Here:
    """A dataset, and what is due in it."""

    dataset: MemoryDataset

    def write(self, table: str, day: date, written: datetime) -> None:
        self.dataset.now = written
        self.dataset.put(partition(table, day).key, b"", queried_at=written, run="r")

    def plan(self, **changes: Any) -> Plan:
        event = {"tables": ["latency", "error_summary", "total_traffic", "apis"]}
        bounds = Bounds.from_event(event | {"from": "2026-03-17"}, CONFIG, CATALOGUE, TODAY)
        plan = Plan(msgspec.structs.replace(bounds, **changes), 24, NOW)
        dataset: Any = self.dataset
        plan.load(dataset, Ledger(dataset, "r", lambda: NOW))
        return plan

    def due(self, plan: Plan, *tables: str) -> list[tuple[str, int]]:
        found = [plan.due(CATALOGUE.table(name), "acme", PLACE) for name in tables]
        return [(p.table_name, p.day.day) for p in heapq.merge(*found, key=plan.urgency)]


def partition(table: str, day: date) -> Partition:
    return Partition(CATALOGUE.table(table), table, "acme", PLACE, day)


@pytest.fixture
def here() -> Here:
    return Here(MemoryDataset())


def test_of_a_day_comes_first_what_is_missing_then_what_was_written_longest_ago(
    here: Here,
) -> None:
    hour = timedelta(hours=1)
    here.write("latency", TODAY, NOW - hour)
    here.write("total_traffic", TODAY, NOW - 3 * hour)
    here.write("latency", TODAY - timedelta(days=1), NOW - 9 * hour)
    found = here.due(here.plan(), "latency", "total_traffic", "error_summary")
    assert found[:5] == [
        ("error_summary", 20),
        ("total_traffic", 20),
        ("latency", 20),
        ("total_traffic", 19),
        ("error_summary", 19),
    ]
    assert [day for _, day in found] == sorted((day for _, day in found), reverse=True)


def test_a_part_of_a_backfill_begins_with_its_oldest_day(here: Here) -> None:
    found = here.due(here.plan(part=True), "latency", "total_traffic")
    assert [day for _, day in found] == sorted([17, 18, 19, 20] * 2)


def test_beside_a_catch_up_what_is_missing_of_settled_days_is_left_to_it(here: Here) -> None:
    # Of the oldest day there is an object that is still open.
    here.write("latency", date(2026, 3, 17), datetime(2026, 3, 17, 20, tzinfo=UTC))
    plan = here.plan(open_only=True)
    assert here.due(plan, "latency", "error_summary") == [
        ("latency", 20),
        ("error_summary", 20),
        ("latency", 19),
        ("error_summary", 19),
        ("latency", 17),
    ]
    assert plan.left == 3
    assert len(here.due(here.plan(), "latency", "error_summary")) == 8


def test_a_list_that_an_earlier_round_has_written_is_not_stored_again(here: Here) -> None:
    """Otherwise each round of a part would export something, and the part would never end."""
    here.write("apis", TODAY, NOW)
    assert here.plan().holds(partition("apis", TODAY))
    assert not here.plan(since=NOW).holds(partition("apis", TODAY))
    assert here.plan(since=NOW + timedelta(seconds=1)).holds(partition("apis", TODAY))
    assert not here.plan(last=TODAY - timedelta(days=1)).holds(partition("apis", TODAY))


def test_age_alone_closes_no_day(here: Here):
    day = TODAY - timedelta(days=90)
    # A stack that was off since the evening of that day.
    here.write("latency", day, datetime(day.year, day.month, day.day, 22, tzinfo=UTC))
    plan = here.plan(first=day, last=day)
    assert here.due(plan, "latency") == [("latency", day.day)]


def test_days_that_the_event_names_are_queried_before_their_next_checkpoint(here: Here):
    yesterday = TODAY - timedelta(days=1)
    here.write("latency", yesterday, NOW - timedelta(hours=1))
    named = here.plan(first=yesterday)
    assert here.due(named, "latency") == [("latency", 20), ("latency", 19)]
    assert here.due(here.plan(first=yesterday, named_days=False), "latency") == [("latency", 20)]


def test_checks_that_cannot_be_read_raise_no_doubt(here: Here, caplog: pytest.LogCaptureFixture):
    yesterday = TODAY - timedelta(days=1)
    here.write("latency", yesterday, NOW - timedelta(hours=2))
    here.write("success_summary", yesterday, NOW - timedelta(hours=2))
    key = checks_key(yesterday, partition("latency", yesterday).place)
    here.dataset.put(key, b"not Parquet", queried_at=NOW, run="r")
    plan = here.plan(first=yesterday, named_days=False)
    assert here.due(plan, "latency") == [("latency", 20)]


OLD = date(2025, 7, 1)
LONG_AGO = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recorded", "part", "written", "found"),
    [
        pytest.param(None, False, LONG_AGO, 1, id="the ledger has nothing of the day"),
        pytest.param(LONG_AGO - timedelta(seconds=1), False, LONG_AGO, 1, id="it is older"),
        pytest.param(LONG_AGO, False, LONG_AGO, 0, id="it was written then"),
        pytest.param(LONG_AGO + timedelta(hours=1), False, LONG_AGO, 0, id="it is newer"),
        # Parts of other environments have written it since.
        pytest.param(LONG_AGO + timedelta(hours=1), True, LONG_AGO, 1, id="the part runs again"),
        pytest.param(None, False, NOW - timedelta(minutes=14), 0, id="its run may be under way"),
        pytest.param(None, True, NOW - timedelta(minutes=14), 1, id="this part was under way"),
    ],
)
def test_what_a_killed_run_wrote_of_an_old_day_is_unrecorded(
    here: Here, recorded: datetime | None, part: bool, written: datetime, found: int
) -> None:
    here.write("latency", OLD, written)
    if recorded:
        here.dataset.now = recorded
        key = f"insights/runs/day={OLD}/2026-03-01.parquet"
        here.dataset.put(key, encode_entries(()), queried_at=recorded, run="r")
    plan = here.plan(first=OLD, last=OLD, part=part)
    assert here.due(plan, "latency") == []
    assert [each.stored.written for each in plan.unrecorded] == [written] * found
    assert all(each.closed for each in plan.unrecorded)
