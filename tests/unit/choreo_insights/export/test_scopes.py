"""Several tenants and projects: a query for each, whose rows have its name."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from dev.sandbox import (
    EnvironmentSpec,
    OrganizationSpec,
    SandboxServer,
    SandboxSettings,
    World,
)
from dev.sandbox.expected import expected_rows
from tests.unit.choreo_insights.export.test_run import NOW, TODAY, Place, canonical

PLACE = "Headquarters, Zürich"
TENANTS = ("carbon.super", "partners.example")
# A plain number, a series, pages, one fanned out over APIs, and a list.
TABLES = ("total_traffic", "success_summary", "errors_details", "latency", "apis")
EVENT = {"tables": [*TABLES, "tenants"], "organizations": ["acme"], "from": str(TODAY)}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(World(seed=11), SandboxSettings(tenants_have_traffic=True)) as sandbox:
        yield sandbox


@pytest.fixture
def place(server: SandboxServer) -> Place:
    return Place(server, ("acme",))


def stored(place: Place, table: str) -> list[dict]:
    environment = place.sandbox.world.organization("acme").environment(PLACE)
    for key in place.dataset.objects:
        if key.startswith(f"insights/{table}/"):
            rows = place.dataset.rows(key)
            if "Headquarters" in key:
                assert {row["environment_id"] for row in rows} <= {environment.id}
                return rows
    raise LookupError(table)


def test_each_tenant_is_queried_and_named(place: Place):
    place.config = replace(place.config, tenants=TENANTS)
    report = place.run(EVENT)
    assert report.failures == []
    for table in TABLES:
        expected = expected_rows(
            place.sandbox.world, table, "acme", PLACE, TODAY, NOW, tenants=TENANTS
        )
        assert {row["tenant"] for row in expected} == {*TENANTS}
        assert canonical(stored(place, table)) == canonical(expected), table
    assert not [row for row in place.dataset.table("checks") if row["verdict"] == "warning"]


def test_a_second_tenant_takes_nothing_away(place: Place):
    place.run(EVENT)
    one = stored(place, "success_summary")
    assert {row["tenant"] for row in one} == {None}
    place.config = replace(place.config, tenants=TENANTS)
    place.now = NOW + timedelta(minutes=30)
    report = place.run(EVENT)
    assert (report.failures, report.kept) == ([], 0)
    more = sum(row["request_count"] for row in stored(place, "success_summary"))
    assert more > sum(row["request_count"] for row in one)


def test_a_tenant_with_traffic_that_is_not_exported_is_a_warning(place: Place):
    place.run(EVENT)
    found = [row for row in place.dataset.table("checks") if "listed tenants" in row["what"]]
    assert [(row["environment"], row["verdict"]) for row in found] == [(PLACE, "warning")]
    assert "partners.example has" in found[0]["explanation"]
    assert found[0]["expected"] > found[0]["found"] > 0


def test_a_tenant_without_traffic_is_none(server: SandboxServer):
    with SandboxServer(World(seed=11), SandboxSettings()) as sandbox:
        place = Place(sandbox, ("acme",))
        place.run(EVENT)
        verdicts = {row["verdict"] for row in place.dataset.table("checks")}
    assert "warning" not in verdicts


def test_extra_ids_belong_to_their_environment(place: Place):
    """An id that no list contains is sent for the environment that the parameter names."""
    environment = place.sandbox.world.organization("acme").environment("Production")
    place.config = replace(
        place.config, extra_environment_ids={"Production": ("x1",), environment.id: ("x2",)}
    )
    bodies = []

    class Recorded(place.choreo):
        def ask(self, key, queries, deadline):
            bodies.extend(query.variables["data"] for query in queries if "data" in query.variables)
            return super().ask(key, queries, deadline)

    place.choreo = Recorded
    assert place.run({"tables": ["total_traffic"], "from": str(TODAY)}).failures == []
    sent = {tuple(data["environmentIds"]) for data in bodies}
    assert [ids for ids in sent if "x1" in ids] == [ids for ids in sent if "x2" in ids]
    assert {environment.id in ids for ids in sent if "x1" in ids} == {True}
    assert len(sent) > 1


def test_what_is_kept_under_an_unlisted_id_comes_with_the_parameter():
    spec = OrganizationSpec("acme", environments=(EnvironmentSpec("Production", unlisted=True),))
    with SandboxServer(World(seed=11, organizations=[spec]), SandboxSettings()) as sandbox:
        place = Place(sandbox, ("acme",))
        event = {"tables": ["total_traffic"], "from": str(TODAY)}
        key = f"insights/total_traffic/day={TODAY}/acme.Production.parquet"
        place.run(event)
        (less,) = place.dataset.rows(key)
        extra = sandbox.world.organization("acme").environment("Production").unlisted_id
        place.config = replace(place.config, extra_environment_ids={"Production": (extra,)})
        place.run(event)
        assert canonical(place.dataset.rows(key)) == canonical(
            place.expected("total_traffic", "acme", "Production", TODAY)
        )
        (whole,) = place.dataset.rows(key)
    assert 0 < less["total_traffic"] < whole["total_traffic"]


def test_each_project_is_listed_once_a_day_and_remembered(place: Place):
    projects = place.sandbox.world.projects("acme")
    place.config = replace(place.config, projects=projects)
    event = {"tables": ["apis", "api_projects"], "from": str(TODAY)}
    report = place.run(event)
    assert report.failures == []
    environment = place.sandbox.world.organization("acme").environment(PLACE)
    names = {own_id: name for name, own_id in projects.items()}
    expected = {api.id: names[api.project] for api in environment.listed}
    assert {row["api_id"]: row["project"] for row in stored(place, "api_projects")} == expected
    assert {*expected.values()} == {*projects}
    known = [row for row in place.dataset.table("registry_names") if row["kind"] == "api"]
    mine = [row for row in known if row["environment_id"] == environment.id]
    assert {row["id"]: row["project"] for row in mine} == expected
    # The next run of the day lists the APIs again, as they were, and the projects not.
    place.now = NOW + timedelta(hours=1)
    again = place.run(event)
    assert (again.exported, again.settled) == (0, report.exported)
    ledger = place.dataset.table("runs")
    assert {row["table"] for row in ledger if row["status"] == "unchanged"} == {"apis"}
    known = place.dataset.table("registry_names")
    assert {row["project"] for row in known if row["kind"] == "api"} == {*projects}


def test_without_projects_their_table_is_not_exported(place: Place):
    assert place.run({"tables": ["api_projects"], "from": str(TODAY)}).exported == 0
    assert not [key for key in place.dataset.objects if "/api_projects/" in key]
