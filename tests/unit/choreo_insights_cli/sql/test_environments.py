"""An environment is its id: its figures add up over renames, and it has one name in every view."""

from datetime import timedelta
from pathlib import Path

import pytest

from choreo_insights_cli.sql.duckdb import all_views
from tests.unit.choreo_insights.export.test_run import TODAY
from tests.unit.choreo_insights_cli.sql.conftest import Views
from tests.unit.choreo_insights_cli.sql.literal import Literal

YESTERDAY = TODAY - timedelta(days=1)
LONG = "c73cf160-ac11-46cf-89c0-05f9e14ff7e9"


@pytest.fixture
def dataset(tmp_path: Path) -> Literal:
    return Literal(tmp_path)


def test_a_renamed_environment_is_one_with_its_newest_name(dataset: Literal):
    dataset.table("total_traffic", YESTERDAY, {"total_traffic": 5})
    dataset.table("total_traffic", TODAY, {"environment": "Prod EU", "total_traffic": 7})
    dataset.table("total_errors", TODAY, {"environment": "Production", "total_errors": 1})
    dataset.environments({"first_name": "Production", "name": "Prod EU"})
    assert dataset.rows(
        "SELECT day, environment, environment_id, requests, errors FROM traffic_daily ORDER BY day"
    ) == [(YESTERDAY, "Prod EU", "e1", 5, None), (TODAY, "Prod EU", "e1", 7, 1)]


def test_environments_of_one_name_are_told_apart_by_their_ids(dataset: Literal):
    dataset.table(
        "total_traffic",
        TODAY,
        *({"environment_id": key, "total_traffic": n} for n, key in enumerate((LONG, "e2", "e3"))),
    )
    dataset.environments(
        {"environment_id": LONG}, {"environment_id": "e2"}, {"environment_id": "e3", "name": "Dev"}
    )
    # Another organisation may use the same name.
    dataset.environments({"organization": "lotus", "environment_id": "e4"})
    assert dataset.rows("SELECT environment, requests FROM traffic_daily ORDER BY requests") == [
        ("Production (c73cf160)", 0),
        ("Production (e2)", 1),
        ("Dev", 2),
    ]
    found = dataset.rows("SELECT environment FROM environment_names WHERE organization = 'lotus'")
    assert found == [("Production",)]


def test_ids_that_begin_alike_are_told_apart_too(dataset: Literal):
    keys = ("environment-1", "environment-2", "elsewhere")
    dataset.environments(*({"environment_id": key} for key in keys))
    assert dataset.rows("SELECT environment FROM environment_names ORDER BY 1") == [
        ("Production (elsewher)",),
        ("Production (environment-1)",),
        ("Production (environment-2)",),
    ]


def test_what_the_registry_does_not_know_keeps_its_own_name(dataset: Literal):
    dataset.table("total_traffic", TODAY, {"environment_id": "e9", "total_traffic": 5})
    dataset.environments({"name": "Prod EU"}, {"environment_id": "e2", "name": ""})
    assert dataset.rows("SELECT environment, environment_id FROM traffic_daily") == [
        ("Production", "e9")
    ]
    # One without a name is called by its id.
    assert dataset.rows("SELECT environment FROM environment_names ORDER BY 1") == [
        ("Prod EU",),
        ("e2",),
    ]


def test_names_are_those_of_the_own_environment(dataset: Literal):
    """Two environments of one name may have the same API under different names."""
    usage = {"api_id": "a1", "total_traffic_by_api": 5}
    dataset.table("total_traffic_by_api", TODAY, usage, {**usage, "environment_id": "e2"})
    dataset.environments({}, {"environment_id": "e2"})
    dataset.names({"id": "a1", "name": "Orders", "version": "v1"})
    dataset.names({"id": "a1", "name": "Ordering", "version": "v2", "environment_id": "e2"})
    assert dataset.rows(
        "SELECT environment_id, api_name, api_version, requests FROM api_usage_daily ORDER BY 1"
    ) == [("e1", "Orders", "v1", 5), ("e2", "Ordering", "v2", 5)]


def test_nothing_is_listed_where_the_newest_list_is_empty(dataset: Literal):
    dataset.environments({"last_listed": TODAY}, {"environment_id": "e2", "name": "Dev"})
    for key in ("e1", "e2"):
        dataset.names(
            {"id": "a1", "environment_id": key, "last_listed": YESTERDAY, "listed": False},
            {"id": "p1", "environment_id": key, "kind": "application", "listed": key == "e2"},
        )
    found = dataset.rows("SELECT environment, api_id, last_listed, listed_now FROM api_names")
    assert sorted(found) == [
        ("Dev", "a1", YESTERDAY, False),
        ("Production", "a1", YESTERDAY, False),
    ]
    # What one environment lists says nothing of another.
    found = dataset.rows("SELECT environment, application_id, listed_now FROM application_names")
    assert sorted(found) == [("Dev", "p1", True), ("Production", "p1", False)]


def test_what_is_in_a_deleted_environment_is_not_listed(dataset: Literal):
    dataset.environments({"last_listed": YESTERDAY, "listed": False})
    dataset.names({"id": "a1"}, {"id": "p1", "kind": "application"})
    for view in ("environment_names", "api_names", "application_names"):
        assert dataset.rows(f"SELECT environment, listed_now FROM {view}") == [
            ("Production", False)
        ]


def test_a_deleted_api_keeps_its_name(dataset: Literal):
    names = {"name": "Orders", "version": "v1", "provider": "admin"}
    dataset.names({"id": "a1", **names, "last_listed": YESTERDAY, "listed": False})
    dataset.names({"id": "p1", "kind": "application", "name": "Shop", "owner": "lee"})
    assert dataset.rows(
        "SELECT api_id, api_name, api_version, provider, last_listed, listed_now FROM api_names"
    ) == [("a1", "Orders", "v1", "admin", YESTERDAY, False)]
    assert dataset.rows(
        "SELECT application_id, application_name, application_owner FROM application_names"
    ) == [("p1", "Shop", "lee")]


# What distinguishes the rows of a view from others of the same environment and time.
def places(views: Views, view: str) -> list[tuple[object, ...]]:
    names = [c.name for c in all_views()[view].columns]
    columns = [name for name in names if name not in ("environment", "age_hours")]
    listed = ", ".join(f'"{name}"' for name in columns)
    return sorted(views.rows(f'SELECT {listed} FROM "{view}"'), key=repr)


@pytest.mark.parametrize("view", all_views())
def test_every_view_has_the_newest_name_and_the_same_figures(
    views: Views, renamed: Views, view: str
):
    """All environments were renamed after the last run: names change, and nothing else."""
    found = renamed.rows(f'SELECT DISTINCT environment_id, environment FROM "{view}"')
    ids = {e.id for org in views.world.organizations.values() for e in org.environments}
    assert {*found} - {(None, None)} <= {(key, f"New {key}") for key in ids}
    assert places(renamed, view) == places(views, view)
