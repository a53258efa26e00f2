"""What changes at the source, from one run to the next and while one goes on."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from choreo_insights.catalogue import load
from choreo_insights.dataset.common_columns import row_key
from dev.sandbox.changes import delete_api, rename_environment
from tests.faults.cases import FIVES, HOURS, PAGES
from tests.faults.fault_rig import Station
from tests.faults.proxy import Rule
from tests.faults.surviving import recovered
from tests.faults.table import named
from tests.integration.dataset import expected, found

Record = Callable[[str, object], None]


@pytest.fixture
def changing(station: Station) -> Iterator[Station]:
    """The station, whose organisation is afterwards as it was."""
    before = station.world.organization(station.handle)
    yield station
    station.world.change(before)
    station.sandbox.settings.deleted_apis = "answered"


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
            row_key(load().table(table)) if table in ("success_summary", "resource_usage") else ()
        )
        rows = [tuple(row[name] for name in keys) for row in found(body)] if keys else []
        assert len(rows) == len(set(rows)), key
    station.proxy.forget()
    station.see(station.sandbox.settings.clock() + timedelta(hours=1))
    recovered(station)


def test_what_the_source_has_forgotten_is_kept(station: Station, record_property: Record) -> None:
    record_property("fault", named("test_what_the_source_has_forgotten_is_kept"))
    container = station.container()
    assert container.invoke({}).is_whole
    before = station.objects()
    station.proxy.forget()
    station.sandbox.faults.replace(
        {"fault": "forgotten", "field": field, "times": None} for field in (PAGES, HOURS, FIVES)
    )
    tables = ["success_summary", "api_usage_over_time", "resource_usage"]

    station.pass_checkpoint()

    # Today too: its earlier hours would be lost.
    ended = container.invoke({"tables": tables} | station.every_day)

    assert ended.is_whole, ended
    wanted = [key for key in station.wanted(station.now.date()) if key.split("/")[1] in tables]
    kept = [row for row in station.ledger() if row["status"] == "kept"]
    full = [key for key in wanted if found(before[key])]
    assert len(kept) == ended.report["kept"] == len(full) > len(tables)
    assert all("the stored data stays" in row["error"] for row in kept)
    # Nothing is written, for a write would confirm what is there.
    assert {stored.key for stored in station.proxy.stored}.isdisjoint(full)
    assert station.unequal(station.now.date()) == []
    recovered(station, container)


def test_an_environment_is_renamed(changing: Station, record_property: Record) -> None:
    record_property("fault", named("test_an_environment_is_renamed"))
    station = changing
    own = station.world.organization(station.handle).environments[0]
    before = station.objects()
    rename_environment(station.world, station.handle, own.id, "Renamed")

    ended = station.export()

    assert ended.is_whole, ended
    assert station.unequal(station.now.date()) == []
    added = station.objects().keys() - before.keys()
    assert not [key for key in added if "Renamed" in key]
    assert [key for key in added if f".{station.keys[own.id]}." in key]
    recovered(station)


def test_an_api_is_deleted_and_refused(changing: Station, record_property: Record) -> None:
    record_property("fault", named("test_an_api_is_deleted_and_refused"))
    station = changing
    environments = station.world.organization(station.handle).environments
    gone = environments[0].listed[0]
    at = station.now - timedelta(hours=3)
    station.see(at)
    assert station.export().is_whole
    before = station.objects()
    for own in environments:
        delete_api(station.world, station.handle, own.id, gone.id, int(at.timestamp()))
    station.sandbox.settings.deleted_apis = "refused"
    station.see(station.now)

    ended = station.export(station.every_day)

    assert ended.is_whole, ended
    assert ended.report["kept"] == 0
    carried = 0
    for key, place in station.wanted(station.now.date()).items():
        if place.table != "api_usage_over_time":
            continue
        rows = found(station.objects()[key])
        mine = [row for row in rows if row["api_id"] == gone.id]
        others = [row for row in rows if row["api_id"] != gone.id]
        assert mine == [row for row in found(before[key]) if row["api_id"] == gone.id], key
        carried += len(mine)
        now_expected = expected(station.world, place, station.now)
        assert others == [row for row in now_expected if row["api_id"] != gone.id], key
    assert carried > 0
