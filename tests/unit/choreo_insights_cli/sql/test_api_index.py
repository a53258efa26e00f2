"""Whatever the service keys APIs by, the views have the generator's figures under listed ids."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from choreo_insights.dataset.registry_merge import is_uuid
from choreo_insights_cli.sql.duckdb import connect
from choreo_insights_cli.sql.shipped import views
from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.changes import add_api, delete_api
from dev.sandbox.expected import expected_rows
from dev.sandbox.filters import shown
from dev.sandbox.world import Api, EnvironmentSpec, OrganizationSpec, SandboxEnvironment
from tests.unit.choreo_insights.export.test_run import NOW, Place
from tests.unit.choreo_insights_cli.sql.conftest import written

YESTERDAY = NOW.date() - timedelta(days=1)
# An API is replaced by another one of its name and version during that day.
REPLACED = NOW - timedelta(days=1, hours=2, minutes=45)
# View, its figure, its time; the table, the figure there, and its time.
VIEWS = {
    "api_usage_hourly": ("requests", "hour", "api_usage_over_time", "count", "time_span"),
    "api_usage_daily": ("requests", None, "total_traffic_by_api", "total_traffic_by_api", None),
    "api_application_usage_hourly": (
        "requests", "hour", "api_application_usage_over_time", "count", "time_span"
    ),
    "api_latency_daily": ("response_p95_ms", None, "latency_daily_by_api", "response", None),
    "api_latency_hourly": ("response_p95_ms", "hour", "latency", "response", "time_span"),
    "resource_usage_daily": ("requests", None, "resource_usage", "count", None),
    "error_details": ("errors", "hour", "errors_details", "count", "time_span"),
    "errors_by_status_code_daily": ("errors", None, "errors_by_status_code", "count", None),
    "api_application_usage_daily": (
        "requests", None, "apis_usage_by_applications", "count", None
    ),
    "monthly_usage_by_application": (
        "requests", None, "apis_usage_by_applications", "count", None
    ),
    "alerts": (None, "raised_at", "alert_summary", None, "timestamp"),
    "alerts_by_api_daily": ("alerts", None, "alert_summary", None, "timestamp"),
    "availability_daily": ("requests", None, "total_traffic_by_api", "total_traffic_by_api", None),
    "slowest_apis_daily": ("p95_ms", None, "top_slowest_apis", "latency", None),
    "on_premise_successes_daily": (
        "successes", None, "success_apis_usage_by_applications", "count", None
    ),
}  # fmt: skip
# A percentile over APIs that share a name is not to be had from theirs; and their requests are by
# id, while their errors may not be.
UNLESS_SHARED = ("slowest_apis_daily", "availability_daily")
# The list itself, and what was called last; the test looks at it by itself.
OTHERS = ("api_names", "api_inventory")
QUERIED_BY_ID = ("total_traffic_by_api", "latency", "latency_daily_by_api")
TABLES = [
    *{table for _, _, table, _, _ in VIEWS.values()},
    *("top_apis_by_alert_count", "total_errors_by_api", "api_usage_over_time"),
]
MODES: dict[str, dict[str, Any]] = {
    "some by id, some by name": {},
    "by id, with other APIs": {"api_index": "id", "foreign_entries": "by_name"},
    "by id, as a sum in one object": {
        "api_index": "id", "aggregate_with_ids": True, "usage_as_object": True
    },
    "by name": {"api_index": "name"},
    "by name, as a sum": {"api_index": "name", "aggregate_with_ids": True},
    "by name, with other APIs": {"api_index": "name", "foreign_entries": "by_name"},
    "by both": {"api_index": "both"},
    "by both, as one object": {"api_index": "both", "usage_as_object": True},
    "by name, then by id": {"api_index": "switched"},
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    places = EnvironmentSpec("Production"), EnvironmentSpec("Headquarters", "ON_PREM")
    spec = OrganizationSpec("acme", environments=places)
    with SandboxServer(World(5, [spec]), SandboxSettings()) as server:
        yield server


@pytest.fixture(scope="module")
def replaced(sandbox: SandboxServer) -> tuple[Place, Api, Api]:
    """A place whose registry knows an API that was replaced by another one of its names."""
    place = Place(sandbox, ("acme",))
    place.now = REPLACED - timedelta(hours=1)
    place.run({"tables": ["apis"], "from": str(YESTERDAY)})
    own = sandbox.world.organization("acme").environments[0]
    old, at = own.listed[0], int(REPLACED.timestamp())
    delete_api(sandbox.world, "acme", own.id, old.id, at)
    return place, old, add_api(sandbox.world, "acme", own.id, at, like=old.id)


def test_every_view_with_the_id_of_an_api_is_looked_at():
    with_api = {view.name for view in views() if "api_id" in {c.name for c in view.columns}}
    assert with_api == {*VIEWS, *OTHERS}


@pytest.mark.parametrize("mode", MODES)
def test_views_have_the_figures_of_listed_apis(
    replaced: tuple[Place, Api, Api], tmp_path: Path, mode: str
):
    place, old, new = replaced
    place.now = NOW
    settings = place.sandbox.settings
    settings.update({**SandboxSettings().as_dict(), **MODES[mode], "now": NOW.isoformat()})
    before = dict(place.dataset.objects)
    try:
        report = place.run({"tables": TABLES, "from": str(YESTERDAY), "to": str(YESTERDAY)})
        database = connect(written(place.dataset, tmp_path), NOW)
    finally:
        place.dataset.objects.clear()
        place.dataset.objects.update(before)
    assert report.failures == []
    for view in VIEWS:
        found, wanted = figures(database, view), expected(place, view, old, new)
        if view in UNLESS_SHARED:
            found, wanted = (
                {key: value for key, value in each.items() if key[0] not in (old.id, new.id)}
                for each in (found, wanted)
            )
        assert found == wanted, view
    assert last_requests(database) == expected_last_requests(place, old, new)


def figures(database: duckdb.DuckDBPyConnection, view: str) -> dict[Any, Any]:
    """What a view has by API and time."""
    figure, at, *_ = VIEWS[view]
    relation = database.table(view)
    if "day" in relation.columns:
        relation = relation.filter(f"day = DATE '{YESTERDAY}'")
    relation = relation.filter("environment IS NULL OR environment = 'Production'")
    if view.startswith("api_usage"):
        relation = relation.filter("NOT is_remainder")
    columns = f"api_id, {at or 'NULL'} AS start, sum({figure or 1})"
    found = relation.aggregate(columns, "api_id" + f", {at}" * bool(at))
    return {(api, at): total for api, at, total in found.fetchall()}


def expected(place: Place, view: str, old: Api, new: Api) -> Counter[Any]:
    """What the generator has, an API that the index has by a name under what that stands for."""
    world, settings = place.sandbox.world, place.sandbox.settings
    on_premise = view == "on_premise_successes_daily"
    environment = world.organization("acme").environments[int(on_premise)]
    _, time_of_view, table, counted, instant = VIEWS[view]
    found: Counter[Any] = Counter()
    by_id = SandboxSettings(api_index="id")
    place_name = None if on_premise else environment.name
    for row in expected_rows(world, table, "acme", place_name, YESTERDAY, NOW, settings=by_id):
        start = row[instant] if instant else datetime.combine(YESTERDAY, time(), UTC)
        api = row["api_id"]
        if table not in QUERIED_BY_ID:
            api = held(settings, environment, api, start)
        api = new.id if api == old.named else api
        at = start.replace(tzinfo=None) if time_of_view else None
        found[api, at] += row[counted] if counted else 1
    return found


def last_requests(database: duckdb.DuckDBPyConnection) -> dict[Any, Any]:
    """When each API of the inventory was called last."""
    columns = database.table("api_inventory").filter("environment = 'Production'")
    rows = columns.project("api_id, last_request").fetchall()
    return {api: last for api, last in rows if last}


def expected_last_requests(place: Place, old: Api, new: Api) -> dict[Any, Any]:
    """The same by the generator; what came under a shared name is of the API that is listed."""
    last: dict[Any, Any] = {}
    for (api, at), count in expected(place, "api_usage_hourly", old, new).items():
        if count:
            last[api] = max(at, last.get(api, at))
    return last


def held(
    settings: SandboxSettings, environment: SandboxEnvironment, own_id: str | None, start: datetime
) -> Any:
    """What the index has for an API, if that is not the id of one that is or was listed."""
    api = next((each for each in environment.apis if each.id == own_id), None)
    if api is None:
        return None
    name = shown(settings, api, int(start.timestamp()) // 60)
    return own_id if is_uuid(name) or not api.deleted else name
