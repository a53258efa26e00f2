"""Which of two documents a run sends: what the service was seen to answer is in the registry."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.world import EnvironmentSpec, OrganizationSpec
from tests.unit.choreo_insights.export.test_run import NOW, Place

TABLES = {"tables": ["apis"]}


@pytest.fixture
def place() -> Iterator[Place]:
    spec = OrganizationSpec("acme", environments=(EnvironmentSpec("Production"),))
    with SandboxServer(World(3, [spec]), SandboxSettings()) as server:
        yield Place(server, ("acme",))


def run(place: Place, days: int = 0) -> tuple[bool, list[str | None]]:
    """Whether a document was refused, and the display names, days after the first run."""
    place.now = NOW + timedelta(days=days)
    before = dict(place.sandbox.statistics.statuses)
    assert place.run(TABLES).failures == []
    statuses = place.sandbox.statistics.statuses
    refused = statuses.get("query 400", 0) > before.get("query 400", 0)
    rows = [row for row in place.dataset.table("apis") if row["exported_at"] == place.now]
    return refused, sorted({row["display_name"] for row in rows}, key=str)


def known(place: Place) -> list[Any]:
    rows = place.dataset.table("registry_environments")
    return [row["refused_documents"] for row in rows]


def test_display_names_come_where_the_service_knows_them(place: Place):
    place.sandbox.settings.newer_fields = True
    refused, names = run(place)
    assert not refused
    assert "Orders (1.0.0)" in names
    assert known(place) == [None]
    registered = place.dataset.table("registry_names")
    assert "Orders (1.0.0)" in {row["display_name"] for row in registered}


def test_a_document_that_is_refused_is_not_sent_again_for_a_week(place: Place):
    assert run(place) == (True, [None])
    assert known(place) == ["apis.graphql=2026-11-20"]
    assert run(place, 1) == (False, [None])
    assert run(place, 6) == (False, [None])
    assert run(place, 7) == (True, [None])
    assert known(place) == ["apis.graphql=2026-11-27"]


def test_a_service_that_knows_more_by_now_is_believed(place: Place):
    run(place)
    place.sandbox.settings.newer_fields = True
    assert run(place, 1) == (False, [None])
    refused, names = run(place, 7)
    assert not refused
    assert "Orders (1.0.0)" in names
    assert known(place) == [None]


def test_a_service_that_fails_has_refused_nothing(place: Place):
    place.sandbox.settings.newer_fields = True
    place.sandbox.faults.add("field_error", field="listAllAPI", times=None)
    assert place.run(TABLES).failures
    assert known(place) == [None]
    place.sandbox.faults.clear()
    assert "Orders (1.0.0)" in run(place, 1)[1]


def test_where_the_other_document_fails_the_next_run_begins_with_the_first(place: Place):
    run(place)
    place.sandbox.settings.newer_fields = True
    place.sandbox.faults.add("field_error", field="listAllAPI", times=None)
    place.now = NOW + timedelta(days=1)
    assert place.run(TABLES).failures
    place.sandbox.faults.clear()
    assert "Orders (1.0.0)" in run(place, 1)[1]


# Filters that only newer releases know


USAGE = (
    *("api_usage_over_time", "api_application_usage_over_time", "api_usage_by_app_over_time"),
    *("api_usage_by_backend_over_time", "resource_usage"),
)
YESTERDAY = NOW.date() - timedelta(days=1)


def export(place: Place, days: int = 0) -> int:
    """How many requests were refused in a run of the tables of usage, days after the first one."""
    place.now = NOW + timedelta(days=days)
    before = place.sandbox.statistics.statuses.get("query 400", 0)
    event = {"tables": [*USAGE], "from": str(YESTERDAY), "to": str(YESTERDAY), "force": True}
    assert place.run(event).failures == []
    return place.sandbox.statistics.statuses.get("query 400", 0) - before


def test_all_traffic_is_queried_where_the_service_knows_kinds_of_it(place: Place):
    place.sandbox.settings.traffic_type = "external"
    place.sandbox.settings.newer_fields = True
    assert export(place) == 0
    for table in USAGE:
        counts = [row["count"] for row in place.dataset.table(table)]
        wanted = place.expected(table, "acme", "Production", YESTERDAY)
        assert sum(counts) == sum(row["count"] for row in wanted), table
    assert known(place) == [None]


@pytest.mark.parametrize("pointed", [False, True])
def test_a_filter_that_is_refused_is_tried_again_after_a_week(place: Place, pointed: bool):
    place.sandbox.settings.newer_fields = True
    place.sandbox.settings.error_locations = pointed
    first = export(place)
    # A trial of each document, beside the lists, whatever number of partitions there is: all of
    # them in one request, where the service says which of them it refuses.
    assert 0 < first <= (1 if pointed else 4 * len(USAGE))
    (refused,) = known(place)
    assert sorted(refused.split(",")) == sorted(f"{name}.graphql=2026-11-20" for name in USAGE)
    assert (export(place, 1), export(place, 6)) == (0, 0)
    assert export(place, 7) > 0
    place.sandbox.settings.traffic_type = "same"
    assert export(place, 8) == 0
    assert known(place) != [None]
    assert export(place, 14) == 0
    assert known(place) == [None]


def test_a_failure_of_an_answered_document_does_not_lead_to_the_other_one(place: Place):
    place.sandbox.settings.traffic_type = "external"
    place.sandbox.settings.newer_fields = True
    place.sandbox.faults.add(
        "field_error", field="getAPIUsageByBackendOverTime", skip=1, times=None
    )
    place.now = NOW
    event = {"tables": [*USAGE], "from": str(YESTERDAY), "to": str(YESTERDAY)}
    failed = place.run(event).failures
    assert [each["table"] for each in failed] == ["api_usage_by_backend_over_time"]
    assert list(place.dataset.table("api_usage_by_backend_over_time")) == []


@pytest.mark.parametrize("fault", ["field_error", "wrong_type", "status", "html"])
def test_a_trial_that_fails_for_another_reason_says_nothing(place: Place, fault: str):
    place.sandbox.settings.traffic_type = "external"
    place.sandbox.settings.newer_fields = True
    status = 503 if fault == "status" else None
    place.sandbox.faults.add(fault, field="getAPIUsageByBackendOverTime", times=1, status=status)
    export(place)
    assert known(place) == [None]
    rows = place.dataset.table("api_usage_by_backend_over_time")
    wanted = place.expected("api_usage_by_backend_over_time", "acme", "Production", YESTERDAY)
    assert sum(row["count"] for row in rows) == sum(row["count"] for row in wanted)
