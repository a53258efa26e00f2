"""The same event twice, runs beside each other, and answers that change meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from insights.catalogue import load
from insights.checks import key_columns
from tests.faults.cases import FIVES, HOURS, PAGES
from tests.faults.proxy import Rule
from tests.faults.selection import some
from tests.faults.station import Station
from tests.faults.surviving import PARTITIONS, mended
from tests.faults.table import named
from tests.integration.dataset import found

Record = Callable[[str, object], None]


@pytest.mark.parametrize("warm", some([True, False], 1))
def test_the_same_event_twice(station: Station, record_property: Record, *, warm: bool) -> None:
    record_property("fault", named("test_the_same_event_twice"))
    first = station.container()
    assert first.invoke({"force": True}).is_whole

    again = (first if warm else station.container()).invoke({"force": True})

    assert again.report["exported"] == PARTITIONS
    assert station.unequal(station.now.date()) == []
    mended(station)


@pytest.mark.parametrize("event", some([{}, {"force": True}], 1))
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
    mended(station)


@pytest.mark.parametrize("event", some([{}, {"force": True}], 1))
def test_a_run_that_is_overtaken(
    station: Station, record_property: Record, event: dict[str, bool]
) -> None:
    record_property("fault", named("test_a_run_that_is_overtaken"))
    overtaken, go = threading.Event(), threading.Event()
    late = station.container()

    def hold() -> None:
        overtaken.set()
        go.wait(60)

    station.proxy.replace([Rule("hold", "s3", "PutObject", who=late.name, times=None, act=hold)])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(late.invoke, event)
        assert overtaken.wait(60)
        station.see(station.now + timedelta(hours=1))
        # Few tables, so that it ends before the older run's own patience with S3 does.
        newer = station.container().invoke({**event, "tables": ["success_summary", "latency"]})
        go.set()
        ended = running.result()

    assert newer.is_whole, newer
    assert ended.is_whole, ended
    assert ended.report["settled"] > 0
    # The newer answer is there, although the older run wrote, or tried to, after it.
    wrong = station.unequal(station.now.date())
    kept = [key for key in station.overtaken() if any(key in text for text in wrong)]
    assert kept == []
    assert station.overtaken()
    mended(station)


def test_rows_that_arrive_between_the_questions(station: Station, record_property: Record) -> None:
    record_property("fault", named("test_rows_that_arrive_between_the_questions"))
    station.see(station.now - timedelta(hours=5))

    def later() -> None:
        station.sandbox.settings.now = station.sandbox.settings.clock() + timedelta(minutes=20)

    rule = Rule("hold", "choreo", "Query", times=None, act=later)
    station.proxy.replace([rule])

    ended = station.container(through_proxy=True).invoke({})

    assert ended.report["exported"] > 0, ended
    for key, body in station.objects().items():
        table = key.split("/")[1]
        keys = (
            key_columns(load().table(table))
            if table in ("success_summary", "resource_usage")
            else ()
        )
        rows = [tuple(row[name] for name in keys) for row in found(body)] if keys else []
        assert len(rows) == len(set(rows)), key
    station.proxy.forget()
    station.see(station.sandbox.settings.clock() + timedelta(hours=1))
    mended(station)


def test_what_the_source_has_forgotten_is_kept(station: Station, record_property: Record) -> None:
    record_property("fault", named("test_what_the_source_has_forgotten_is_kept"))
    container = station.container()
    assert container.invoke({}).is_whole
    station.sandbox.faults.replace(
        {"fault": "forgotten", "field": field, "times": None} for field in (PAGES, HOURS, FIVES)
    )
    day = station.since.isoformat()

    ended = container.invoke({"from": day, "to": day})

    assert ended.reply, ended
    kept = [row for row in station.ledger() if row["status"] == "kept"]
    assert len(kept) == 3 * 2
    assert all("it was kept as it is" in row["error"] for row in kept)
    assert station.unequal(station.now.date()) == []
    mended(station, container)
