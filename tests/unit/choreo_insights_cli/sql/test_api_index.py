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
    "on_premise_successes_daily": (
        "successes", None, "success_apis_usage_by_applications", "count", None
    ),
}  # fmt: skip
# Views that have no sum; the test looks at each by itself.
OTHERS = ("api_names", "api_inventory", "availability_daily", "slowest_apis_daily")
QUERIED_BY_ID = ("total_traffic_by_api", "latency", "latency_daily_by_api")
TABLES = [
    *{table for _, _, table, _, _ in VIEWS.values()},
    *("top_apis_by_alert_count", "total_errors_by_api", "top_slowest_apis"),
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
        assert figures(database, view) == expected(place, view, old, new), view
    assert rows(database, "slowest_apis_daily", "p95_ms") == slowest(place, new)
    counts = "requests", "limited", "down"
    assert rows(database, "availability_daily", *counts) == availability(place, old, new)
    names = "api_name", "api_version", "api_slug", "provider", "listed_now"
    assert rows(database, "api_names", *names) == listed(place)
    calls = "application_names", "calling_applications", "last_request"
    assert rows(database, "api_inventory", *calls) == inventory(place, old, new)


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


def rows(database: duckdb.DuckDBPyConnection, view: str, *columns: str) -> dict[Any, Any]:
    """These columns of a view by API."""
    relation = database.table(view).filter("environment = 'Production'")
    if "day" in relation.columns:
        relation = relation.filter(f"day = DATE '{YESTERDAY}'")
    found = relation.project(", ".join(("api_id", *columns))).fetchall()
    assert len({api for api, *_ in found}) == len(found), view
    return {api: tuple(values) for api, *values in found}


def generated(place: Place, table: str, settings: SandboxSettings) -> list[dict[str, Any]]:
    """The generator's rows of a table, as an index that is set so has them."""
    world = place.sandbox.world
    return expected_rows(world, table, "acme", "Production", YESTERDAY, NOW, settings=settings)


def slowest(place: Place, new: Api) -> dict[Any, Any]:
    """APIs that the index does not distinguish have one percentile, over the requests of both."""
    found = generated(place, "top_slowest_apis", place.sandbox.settings)
    environment = place.sandbox.world.organization("acme").environments[0]
    ids = {api.named: api.id for api in environment.listed}
    assert new.named in ids
    return {ids.get(row["api_id"], row["api_id"]): (row["latency"],) for row in found}


def availability(place: Place, old: Api, new: Api) -> dict[Any, Any]:
    """Requests and errors are by id; codes under the shared name are those of the listed API."""
    environment = place.sandbox.world.organization("acme").environments[0]
    codes: Counter[Any] = Counter()
    start = datetime.combine(YESTERDAY, time(), UTC)
    by_id = SandboxSettings(api_index="id")
    for row in generated(place, "errors_by_status_code", by_id):
        api = held(place.sandbox.settings, environment, row["api_id"], start)
        api = new.id if api == old.named else api
        codes[api, row["status_code"][0]] += row["count"]
    errors = {r["api_id"]: r["proxy"] for r in generated(place, "total_errors_by_api", by_id)}
    found = {}
    for row in generated(place, "total_traffic_by_api", by_id):
        api, requests = row["api_id"], row["total_traffic_by_api"]
        down = min(codes[api, "5"], errors[api])
        limited = min(codes[api, "4"], errors[api] - down)
        if codes[api, "5"] + codes[api, "4"] or not errors[api]:
            found[api] = (requests, limited, down)
    return found


def listed(place: Place) -> dict[Any, Any]:
    """The APIs that were ever listed; without display names the slug is the name."""
    environment = place.sandbox.world.organization("acme").environments[0]
    return {
        api.id: (api.name, api.version, api.name, api.provider, not api.deleted)
        for api in environment.apis
        if not api.name.startswith("Retired")
    }


def inventory(place: Place, old: Api, new: Api) -> dict[Any, Any]:
    """Who called each API, and when last; what came under a shared name is of the listed API."""
    environment = place.sandbox.world.organization("acme").environments[0]
    last: dict[Any, Any] = {}
    for (api, at), count in expected(place, "api_usage_hourly", old, new).items():
        if count:
            last[api] = max(at, last.get(api, at))
    callers: dict[Any, set[str]] = {api: set() for api in last}
    by_id = SandboxSettings(api_index="id")
    for row in generated(place, "api_application_usage_over_time", by_id):
        api = held(place.sandbox.settings, environment, row["api_id"], row["time_span"])
        names = callers[new.id if api == old.named else api]
        if row["count"] and row["application_name"] != "UNKNOWN":
            names.add(row["application_name"])
    return {
        api: (", ".join(sorted(callers[api])) or None, len(callers[api]), last[api])
        if api in last
        else (None, None, None)
        for api in listed(place)
    }


def held(
    settings: SandboxSettings, environment: SandboxEnvironment, own_id: str | None, start: datetime
) -> Any:
    """What the index has for an API, if that is not the id of one that is or was listed."""
    api = next((each for each in environment.apis if each.id == own_id), None)
    if api is None:
        return None
    name = shown(settings, api, int(start.timestamp()) // 60)
    return own_id if is_uuid(name) or not api.deleted else name
