"""The same event twice, runs beside each other, and answers that change meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.faults.cases import PARTITIONS
from tests.faults.fault_rig import Station
from tests.faults.proxy import Rule
from tests.faults.selection import some
from tests.faults.surviving import recovered
from tests.faults.table import named

Record = Callable[[str, object], None]


@pytest.mark.parametrize("warm", some([True, False], 1))
def test_the_same_event_twice(station: Station, record_property: Record, *, warm: bool) -> None:
    record_property("fault", named("test_the_same_event_twice"))
    first = station.container()
    assert first.invoke({"force": True}).is_whole

    again = (first if warm else station.container()).invoke({"force": True})

    assert again.report["exported"] == PARTITIONS
    assert station.unequal(station.now.date()) == []
    recovered(station)


@pytest.mark.parametrize("event", some([{}, {"force": True}, {"part": True}], 1))
def test_runs_at_once(station: Station, record_property: Record, event: dict[str, bool]) -> None:
    record_property("fault", named("test_runs_at_once"))
    station.sandbox.faults.replace([{"fault": "slow", "seconds": 0.1, "times": None}])
    containers = [station.container() for _ in range(3)]

    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(lambda container: container.invoke(event), containers))

    for one in ended:
        assert one.is_whole, one
        assert one.report["exported"] + one.report["settled"] == PARTITIONS
    assert station.unequal(station.now.date()) == []
    recovered(station)


@pytest.mark.parametrize("event", some([{}, {"force": True}], 1))
def test_a_run_that_is_overtaken(
    station: Station, record_property: Record, event: dict[str, Any]
) -> None:
    record_property("fault", named("test_a_run_that_is_overtaken"))
    overtaken, go = threading.Event(), threading.Event()
    late = station.container()

    def hold() -> None:
        overtaken.set()
        go.wait(300)

    # One request queries all of this table: before the newer run begins.
    event = {**event, "tables": ["success_summary"]}
    held = "/success_summary/"
    rule = Rule("hold", "s3", "PutObject", held, late.name, times=None, act=hold)
    station.proxy.replace([rule])
    with ThreadPoolExecutor(1) as pool:
        # A part, so that both may send requests.
        running = pool.submit(late.invoke, {**event, "part": True})
        assert overtaken.wait(300)
        station.see(station.now + timedelta(hours=1))
        newer = station.container().invoke(event)
        go.set()
        ended = running.result()

    assert newer.is_whole, newer
    assert ended.is_whole, ended
    assert (ended.report["settled"], ended.report["exported"]) == (4, 0), ended
    # The newer answer is there, although the older run wrote, or tried to, after it.
    wrong = station.unequal(station.now.date())
    overtaken_keys = station.overtaken()
    assert len(overtaken_keys) == 4
    assert [key for key in overtaken_keys if any(key in text for text in wrong)] == []
    recovered(station)
