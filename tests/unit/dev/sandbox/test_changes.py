"""A world with a history: what was before a change stays, and its data only ever grows."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.sandbox import EnvironmentSpec, OrganizationSpec, World, changes
from dev.sandbox.expected import expected_rows
from dev.sandbox.lapses import Lapse, thinned, without
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.traffic import Traffic
from dev.sandbox.world import SandboxEnvironment
from tests.unit.dev.sandbox.conftest import Client

MOMENT = datetime(2026, 3, 11, 10, 20, tzinfo=UTC)
AT = int(MOMENT.timestamp())
HOUR = AT // 3600
LATER = MOMENT + timedelta(days=3)


@pytest.fixture
def world() -> World:
    places = (EnvironmentSpec("Development"), EnvironmentSpec("Production"))
    return World(organizations=[OrganizationSpec("acme", apis=4, environments=places)])


def first(world: World) -> SandboxEnvironment:
    return world.organization("acme").environments[0]


def total(
    place: SandboxEnvironment, now: datetime, hours: range = range(HOUR - 3, HOUR + 4)
) -> int:
    traffic = Traffic()
    return sum(cell.total for hour in hours for cell in traffic.hour(place, hour, now))


def test_a_rename_changes_the_name_alone(world: World):
    before = first(world)
    changes.rename_environment(world, "acme", before.id, "Production")
    after = first(world)
    assert (after.name, after.id, after.ids) == ("Production", before.id, before.ids)
    assert total(after, LATER) == total(before, LATER)
    assert world.organization("acme").environment(before.id) is after


def test_environments_are_listed_in_another_order(world: World):
    ids = [e.id for e in world.organization("acme").environments]
    changes.order_environments(world, "acme", ids[::-1])
    assert [e.id for e in world.organization("acme").environments] == ids[::-1]


def test_what_is_made_anew_is_another_environment_without_a_past(world: World):
    old = first(world)
    changes.delete_environment(world, "acme", old.id, AT)
    new = changes.add_environment(world, "acme", EnvironmentSpec("Development"), AT)
    assert new.name == old.name
    assert set(new.ids).isdisjoint(old.ids)
    assert total(new, LATER, range(HOUR - 48, HOUR)) == 0 < total(new, LATER)
    gone = world.organization("acme").deleted[0]
    assert total(gone, LATER, range(HOUR + 1, HOUR + 24)) == 0 < total(gone, LATER)


@given(st.integers(-90, 90), st.integers(-90, 600), st.integers(0, 600))
def test_nothing_that_was_there_goes_when_an_api_is_deleted(deleted: int, seen: int, more: int):
    world = World(organizations=[OrganizationSpec("acme", apis=4)])
    place = first(world)
    at = AT + 60 * deleted
    moment = datetime.fromtimestamp(at + 60 * max(seen, 0), UTC)
    # Until the moment of its deletion nobody sees a difference.
    known = datetime.fromtimestamp(at, UTC)
    changes.delete_api(world, "acme", place.id, place.listed[0].id, at)
    after = first(world)
    assert len(after.listed) == len(place.listed) - 1
    assert total(place, known) <= total(after, moment)
    assert total(after, moment) <= total(after, moment + timedelta(minutes=more))


def test_an_api_has_traffic_from_its_deployment_on(world: World):
    place = first(world)
    api = changes.add_api(world, "acme", place.id, AT, like=place.apis[0].id)
    after = first(world)
    assert api in after.listed
    assert (api.name, api.version) == (place.apis[0].name, place.apis[0].version)
    assert total(after, LATER, range(HOUR - 24, HOUR)) == total(
        place, LATER, range(HOUR - 24, HOUR)
    )
    assert total(after, LATER) > total(place, LATER)


def test_a_correction_changes_one_day(world: World):
    place = first(world)
    day = MOMENT.date()
    changes.multiply(world, "acme", place.id, day, 2)
    rows, before, other = (
        expected_rows(World(organizations=[OrganizationSpec("acme", apis=4)]), *given)
        if fresh
        else expected_rows(world, *given)
        for fresh, given in (
            (False, ("total_traffic", "acme", "Development", day, LATER)),
            (True, ("total_traffic", "acme", "Development", day, LATER)),
            (False, ("total_traffic", "acme", "Development", day - timedelta(days=1), LATER)),
        )
    )
    assert 0 < rows[0]["total_traffic"] <= before[0]["total_traffic"] // 2
    assert other[0]["total_traffic"] > rows[0]["total_traffic"]


def test_a_lapse_hides_a_share_of_one_day(world: World):
    place, traffic = first(world), Traffic()
    day = MOMENT.date()
    hour = HOUR - 2
    whole = traffic.hour(place, hour, LATER)
    shares = [
        len(thinned(traffic, [Lapse(place.id, day, share=share)]).hour(place, hour, LATER))
        for share in range(5)
    ]
    assert shares == sorted(shares)
    assert (shares[0], shares[4]) == (0, len(whole))
    other = thinned(traffic, [Lapse(place.id, day - timedelta(days=1))])
    assert other.hour(place, hour, LATER) == whole
    left = without(traffic, {whole[0].stream.api.id}).hour(place, hour, LATER)
    assert 0 < len(left) < len(whole)


ONE = "getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: $apiId)"
ALL = "getTotalTraffic(filter: $time, dataFilter: $data)"


def test_a_field_lapses_by_itself_and_recovers(client: Client):
    place = client.environment("Production")
    api = place.listed[0].id
    one, whole = client.query(ONE, place, apiId=api), client.query(ALL, place)
    client.sandbox.service.lapses = (Lapse(place.id, date(2026, 3, 9), "getTotalTraffic"),)
    assert (client.query(ONE, place, apiId=api), client.query(ALL, place)) == (one, 0)
    client.sandbox.service.lapses = ()
    assert client.query(ALL, place) == whole > 0


@pytest.mark.parametrize("answers", ["answered", "empty", "refused"])
def test_deleted_apis_are_answered_as_the_setting_says(client: Client, answers: str):
    place = client.environment("Production")
    api = place.listed[0].id
    one, whole = client.query(ONE, place, apiId=api), client.query(ALL, place)
    changes.delete_api(client.sandbox.world, "acme", place.id, api, AT)
    client.sandbox.settings.update({"deleted_apis": answers})
    reply = client.reply(ONE, place, apiId=api)
    if answers == "refused":
        assert "not found" in reply["errors"][0]["message"]
    else:
        assert reply["data"]["it"] == (one if answers == "answered" else 0)
    assert client.query(ALL, place) == whole
    # In another environment it is as it was.
    assert client.query(ONE, "Development", apiId=api) > 0


def test_an_unknown_way_of_answering_is_refused():
    with pytest.raises(ValueError, match="answered, empty, refused"):
        SandboxSettings().update({"deleted_apis": "perhaps"})


def test_a_token_outlives_a_change_of_its_organisation(client: Client):
    place = client.environment("Production")
    query = "listEnvironments(org: $org) { name }"
    org = {"orgId": client.secret["org_id"]}
    client.query(query, place, org=org)
    changes.rename_environment(client.sandbox.world, "acme", place.id, "Renamed")
    assert "Renamed" in [e["name"] for e in client.query(query, place, org=org)]


def test_the_operator_changes_the_world_and_what_it_gives(client: Client):
    place = client.environment("Production")
    for path, values in (
        ("changes", {"change": "rename_environment", "handle": "acme", "environment": place.id,
                     "name": "Renamed"}),
        ("lapses", [{"environment": place.id, "day": "2026-03-09", "share": 0}]),
    ):  # fmt: skip
        url = f"{client.sandbox.url}/sandbox/{path}"
        assert client.session.post(url, json=values, timeout=300).status_code == 200
    assert client.environment("Renamed").id == place.id
    assert client.query(ALL, place) == 0
