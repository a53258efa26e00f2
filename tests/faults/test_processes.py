"""Functions that are killed at any point, or have little time."""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from choreo_insights.dataset.coverage import closes_at
from choreo_insights.dataset.partitions import days
from tests.faults.cases import ALWAYS, FIVES, HOURS, PAGES, aws, error
from tests.faults.fault_rig import Ended, Station
from tests.faults.proxy import Rule
from tests.faults.selection import SEED, SOAK, some
from tests.faults.surviving import recovered
from tests.faults.table import named

Record = Callable[[str, object], None]
_SLOTS = "/state/budget/"
# At how many of its requests a function is killed; a soak kills at every one.
EXPORTS, TOKENS = (4, 3) if SOAK else (2, 1)
# As the template has it.
SETTLE_HOURS = 24
# Seconds of an invocation: twenty are for the ledger and the hand-over.
LITTLE = 32.0


def drawn(number: int, of: int, most: int) -> int:
    """The number of a request: one drawn from each part of a run."""
    part = most / of
    draw = random.Random(f"{os.environ[SEED]}-{number}").random()
    return min(most, int(part * (number + draw)) + 1)


def requests(station: Station, name: str) -> int:
    """How many requests a container has sent at least: it renews its slot as time goes by."""
    return sum(seen.who == name and _SLOTS not in seen.path for seen in station.proxy.seen)


@pytest.fixture(scope="module")
def usual(own_station: Station) -> dict[str, int]:
    """How many requests an undisturbed run takes."""
    own_station.reset()
    token = own_station.tokens_by(through_proxy=True)
    export = own_station.container(through_proxy=True)
    assert export.invoke({}).is_whole
    return {kind: requests(own_station, c.name) for kind, c in
            (("export", export), ("token", token))}  # fmt: skip


@pytest.mark.parametrize("does", ["kill", "killed_late"])
@pytest.mark.parametrize("number", range(EXPORTS))
def test_the_export_killed_at_any_point(
    station: Station, usual: dict[str, int], record_property: Record, number: int, does: str
) -> None:
    record_property("fault", named("test_the_export_killed_at_any_point"))
    points = [drawn(number, EXPORTS, usual["export"])]
    if SOAK:
        points = list(range(number + 1, usual["export"] + 1, EXPORTS))
    record_property("tried", len(points))
    for point in points:
        station.reset()
        export = station.container(through_proxy=True)
        rule = Rule(does, who=export.name, skip=point - 1, act=export.kill)  # type: ignore[arg-type]
        station.proxy.replace([rule])

        ended = export.invoke({})

        assert ended.error == "Runtime.ExitError", (point, ended)
        assert station.wrong() == [], point
        recovered(station)


@pytest.mark.parametrize("does", ["kill", "killed_late"])
@pytest.mark.parametrize("number", range(TOKENS))
def test_the_token_function_killed_at_any_point(
    station: Station, usual: dict[str, int], record_property: Record, number: int, does: str
) -> None:
    record_property("fault", named("test_the_token_function_killed_at_any_point"))
    points = [drawn(number, TOKENS, usual["token"])]
    if SOAK:
        points = list(range(number + 1, usual["token"] + 1, TOKENS))
    record_property("tried", len(points))
    for point in points:
        station.reset()
        token = station.tokens_by(through_proxy=True)
        rule = Rule(does, who=token.name, skip=point - 1, act=token.kill)  # type: ignore[arg-type]
        station.proxy.replace([rule])
        export = station.container()

        ended = export.invoke({})

        assert not token.alive
        # The query that needed the token is retried once, by another container. It passes, unless
        # the dead one holds the lease of a mint.
        assert ended.reply is not None, (point, ended)
        assert ended.is_whole or "signal: killed" in ended.said, (point, ended)
        assert station.wrong() == [], point
        if not SOAK:
            station.an_hour_later()
        recovered(station, export)


@pytest.mark.parametrize("does", some(["kill", "killed_late"], 1))
def test_the_export_killed_while_it_writes_its_ledger(
    station: Station, record_property: Record, does: str
) -> None:
    record_property("fault", named("test_the_export_killed_while_it_writes_its_ledger"))
    export = station.container()
    rule = Rule(does, "s3", "PutObject", "/runs/", export.name, act=export.kill)  # type: ignore[arg-type]
    station.proxy.replace([rule])

    ended = export.invoke({})

    assert ended.error == "Runtime.ExitError", ended
    assert station.unequal(station.now.date()) == []
    station.calm()
    station.expire_slots()
    # A run over the past day alone: what it finds of it has an entry before it ends.
    day = station.since.isoformat()
    next_run = station.export({"from": day, "to": day, "tables": ["success_summary"]})
    assert next_run.is_whole, next_run
    entries = [row for row in station.ledger() if row["table"] == "success_summary"]
    assert {row["environment_id"] for row in entries if row["day"] == day} == station.keys.keys()
    recovered(station)
    _has_entries(station)


def _has_entries(station: Station) -> None:
    """Each object has an entry of the ledger that says that it is as the source has it."""
    entries = {
        (row["table"], row["environment"], row["day"])
        for row in station.ledger()
        if row["status"] in ("exported", "unchanged")
    }
    wanted = station.wanted(station.now.date()).values()
    missing = {(p.table, p.environment, p.day.isoformat()) for p in wanted} - entries
    assert missing == set()


def test_a_slot_of_a_killed_run(station: Station, record_property: Record) -> None:
    record_property("fault", named("test_a_slot_of_a_killed_run"))
    killed = station.container(through_proxy=True)
    rule = Rule("kill", "choreo", "Query", who=killed.name, skip=1, act=killed.kill)
    station.proxy.replace([rule])
    assert killed.invoke({}).error == "Runtime.ExitError"
    station.proxy.forget()

    # Three minutes are for the export itself: this one does not wait for long.
    waiting = station.container().invoke({}, 181.0)

    assert waiting.reply is not None, waiting
    assert waiting.report["waiting"]
    assert waiting.report["remaining"] > 0
    assert (waiting.report["failed"], waiting.report["exported"]) == (0, 0)
    assert station.proxy.stored == []
    assert station.proxy.states.runs == {}
    if SOAK:
        # A minute and a half after its last renewal the slot is free.
        assert station.export().is_whole
    recovered(station)


def test_little_time(station: Station, record_property: Record) -> None:
    record_property("fault", named("test_little_time"))

    ended = _stopped_midway(station)

    assert ended.report["exported"] > 0, ended
    assert station.wrong() == []
    (run,) = station.proxy.states.runs.values()
    assert ended.report["catch_up"] == run.name
    parts: list[Ended] = []

    def note(ended: Ended) -> None:
        parts.append(ended)
        station.calm()

    station.carry_out(run, LITTLE, note)
    # The first part has no time for all either.
    assert len(parts) == len(run.children) + 1
    assert [part.report["remaining"] > 0 for part in parts] == [True, *[False] * len(run.children)]
    assert all(part.report["failed"] == 0 for part in parts), parts
    assert {child.status for child in run.children} == {"SUCCEEDED"}
    assert station.unequal(station.now.date()) == []
    recovered(station)


@pytest.mark.parametrize("status", some(["RUNNING", "SUCCEEDED", "FAILED", "ABORTED"], 1))
def test_the_catch_up_exists_already(
    station: Station, record_property: Record, status: str
) -> None:
    record_property("fault", named("test_the_catch_up_exists_already"))
    first = _stopped_midway(station)
    (run,) = station.proxy.states.runs.values()
    run.status = status

    again = _stopped_midway(station)

    assert again.report["catch_up"] == first.report["catch_up"] == run.name
    assert list(station.proxy.states.runs.values()) == [run]
    assert run.status == status
    recovered(station)


def test_a_run_beside_a_catch_up(station: Station, record_property: Record) -> None:
    record_property("fault", named("test_a_run_beside_a_catch_up"))
    older = station.since - timedelta(days=4)
    event = {"from": older.isoformat(), "tables": ["success_summary"]}
    _stopped_midway(station, event)
    (run,) = station.proxy.states.runs.values()
    station.calm()

    ended = station.export(event)

    now = datetime.now(UTC)
    every = list(days(older, now.date()))
    still_open = [day for day in every if now < closes_at(day, SETTLE_HOURS)]
    # Days whose time to settle is over, and that are missing: the catch-up exports them.
    left = 2 * (len(every) - len(still_open))
    assert (ended.report["exported"], ended.report["remaining"]) == (2 * len(still_open), left), (
        ended
    )
    assert left > 0
    assert ended.report["failed"] == 0, ended
    assert {row["day"] for row in station.ledger()} == {day.isoformat() for day in still_open}
    assert ended.report["catch_up"] == run.name
    assert list(station.proxy.states.runs.values()) == [run]
    recovered(station)


@pytest.mark.parametrize("fault", some(["throttled", "denied", "lost"], 1))
def test_the_hand_over_fails(station: Station, record_property: Record, fault: str) -> None:
    record_property("fault", named("test_the_hand_over_fails"))
    start = "states:StartExecution"
    rules = {
        "throttled": error(start, "ThrottlingException", 400, ALWAYS),
        "denied": error(start, "AccessDeniedException", 400, ALWAYS),
        "lost": aws("lost", start),
    }
    station.proxy.replace(rules[fault])

    ended = _stopped_midway(station, failed=int(fault != "lost"))

    if fault == "lost":
        # The retry starts no second execution.
        (run,) = station.proxy.states.runs.values()
        assert ended.report["catch_up"] == run.name
    else:
        (failure,) = ended.report["failures"]
        assert "starting the execution catchup-" in failure["reason"]
        assert ended.report["needs_person"] == int(fault == "denied")
        assert station.proxy.states.runs == {}
        station.proxy.replace()
        _stopped_midway(station)
        assert len(station.proxy.states.runs) == 1
    recovered(station)


def _stopped_midway(
    station: Station, event: dict[str, object] | None = None, *, failed: int = 0
) -> Ended:
    """A run that has time for the lists, as the service does not answer what comes after them."""
    station.sandbox.faults.replace(
        {"fault": "hang", "seconds": 3, "field": field, "times": None}
        for field in (HOURS, FIVES, PAGES)
    )
    ended = station.container().invoke(event or {}, LITTLE)
    assert ended.report["remaining"] > 0, ended
    assert ended.report["failed"] == failed, ended
    return ended
