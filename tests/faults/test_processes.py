"""Functions that are killed at any point, or have little time."""

import os
import random
from collections.abc import Callable

import pytest

from tests.faults.proxy import Rule
from tests.faults.selection import SEED, SOAK
from tests.faults.station import Station
from tests.faults.surviving import mended
from tests.faults.table import named

Record = Callable[[str, object], None]
# At how many of its requests a function is killed; a soak kills at every one.
EXPORTS, TOKENS = (4, 3) if SOAK else (2, 1)


def drawn(number: int, of: int, most: int) -> int:
    """The number of a request: one drawn from each part of a run."""
    part = most / of
    draw = random.Random(f"{os.environ[SEED]}-{number}").random()
    return min(most, int(part * (number + draw)) + 1)


def requests(station: Station, name: str) -> int:
    """How many requests a container has sent."""
    return sum(seen.who == name for seen in station.proxy.seen)


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
        mended(station)


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
        assert ended.error == "PartitionsFailed", (point, ended)
        assert "signal: killed" in ended.said
        assert station.wrong() == [], point
        if not SOAK:
            station.an_hour_later()
        mended(station, export)


def test_little_time(station: Station, record_property: Record) -> None:
    record_property("fault", named("test_little_time"))
    station.sandbox.faults.replace([{"fault": "slow", "seconds": 0.5, "times": None}])
    # Twenty seconds are for the ledger; how much more leaves something undone, the machine tells.
    seconds = next(
        seconds for seconds in (21.0, 22.0, 24.0, 28.0, 36.0) if _stops_midway(station, seconds)
    )
    rounds = 1
    while station.continued:
        event = station.continued.pop(0)
        rounds += 1
        assert event["continued"]["round"] == rounds <= 12
        ended = station.container().invoke(event, seconds + 2 * rounds)
        assert ended.report["failed"] == 0, ended
        assert station.wrong() == []
    assert rounds > 1
    assert ended.report["remaining"] or station.unequal(station.now.date()) == []
    mended(station)


def _stops_midway(station: Station, seconds: float) -> bool:
    """Whether a run that has so long does a part, says what remains, and sends a fresh one."""
    station.reset_objects()
    ended = station.container().invoke({}, seconds)
    assert ended.report, ended
    assert ended.report["failed"] == 0, ended
    assert station.wrong() == []
    midway = bool(ended.report["exported"] and ended.report["remaining"])
    assert len(station.continued) == midway
    return midway
