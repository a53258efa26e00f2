"""The figures of the views are those of the sandbox's own generator."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.choreo_insights.export.test_run import NOW
from tests.unit.choreo_insights_cli.sql.conftest import Row, Spot, Views

API = ("api_id", "api_name", "api_version")
APPLICATION = ("application_id", "application_name", "application_owner")


def plain(value: Any) -> Any:
    """An instant as views have it: UTC without saying so."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def figures_of(views: Views, view: str, keys: tuple[str, ...], value: str) -> dict[Any, Any]:
    """A view's figures by place, day and keys; each key but once. Without remainders."""
    rows = [row for row in views.records(view) if not row.get("is_remainder")]
    found = {
        (*(row[k] for k in ("day", "organization", "environment")), *(row[k] for k in keys)): row[
            value
        ]
        for row in rows
    }
    assert len(found) == len(rows), f"{view}: rows that nothing distinguishes"
    return found


def key_of(views: Views, spot: Spot, row: Row, keys: tuple[str, ...]) -> Iterator[Any]:
    for key in keys:
        if key in API and "api_id" in row:
            yield views.api(spot, row["api_id"])[API.index(key)]
        else:
            yield plain(row[key])


# View, its keys, its figure; the table, the figure there, and what the table calls the keys.
COUNTED = [
    ("api_usage_hourly", ("hour", *API), "requests", "api_usage_over_time", "count", {}),
    ("api_usage_daily", API, "requests", "total_traffic_by_api", "total_traffic_by_api", {}),
    ("api_usage_daily", API, "errors", "total_errors_by_api", "proxy", {}),
    (
        "application_usage_hourly",
        ("hour", *APPLICATION),
        "requests",
        "api_usage_by_app_over_time",
        "count",
        {},
    ),
    (
        "api_application_usage_daily",
        (*API, *APPLICATION),
        "requests",
        "apis_usage_by_applications",
        "count",
        {},
    ),
    (
        "api_application_usage_hourly",
        ("hour", *API, *APPLICATION),
        "requests",
        "api_application_usage_over_time",
        "count",
        {},
    ),
    ("application_usage_daily", APPLICATION, "requests", "apis_usage_by_applications", "count", {}),
    (
        "backend_usage_hourly",
        ("hour", "backend"),
        "requests",
        "api_usage_by_backend_over_time",
        "count",
        {},
    ),
    (
        "resource_usage_daily",
        (*API, "method", "resource"),
        "requests",
        "resource_usage",
        "count",
        {"method": "api_method", "resource": "api_resource_template"},
    ),
    ("platforms_daily", ("platform",), "requests", "top_platforms", "count", {}),
    ("user_agents_daily", ("user_agent",), "requests", "top_user_agents", "count", {}),
    ("countries_daily", ("country",), "requests", "api_usage_by_geo_location", "count", {}),
    ("alerts_by_api_daily", API, "alerts", "top_apis_by_alert_count", "count", {}),
    (
        "error_details",
        ("hour", *API, *APPLICATION, "reason"),
        "errors",
        "errors_details",
        "count",
        {},
    ),
    (
        "report_hits_by_api_and_application",
        ("hour", "api_name", "application_name"),
        "requests",
        "hits_by_api_and_application",
        "hits",
        {},
    ),
    (
        "report_hits_by_application_and_target_response_code",
        ("hour", "application_name", "target_response_code"),
        "requests",
        "hits_by_application_and_target_response_code",
        "hits",
        {},
    ),
    (
        "report_errors_by_api_and_target_response_code",
        ("hour", "api_name", "target_response_code"),
        "errors",
        "errors_by_api_and_target_response_code",
        "errors",
        {},
    ),
    ("cache_daily", (), "hits", "cache_hits_and_misses", "hits", {}),
    ("cache_daily", (), "misses", "cache_hits_and_misses", "misses", {}),
]


@pytest.mark.parametrize(
    ("view", "keys", "value", "table", "figure", "names"),
    COUNTED,
    ids=[f"{case[0]}.{case[2]}" for case in COUNTED],
)
def test_counts(
    views: Views,
    view: str,
    keys: tuple[str, ...],
    value: str,
    table: str,
    figure: str,
    names: dict[str, str],
):
    names = {"hour": "time_span", **names}
    expected: Counter[Any] = Counter()
    for spot in views.spots:
        for row in views.expected(table, spot):
            asked = tuple(names.get(key, key) for key in keys)
            expected[(*spot.key, *key_of(views, spot, row, asked))] += row[figure]
    assert expected
    assert figures_of(views, view, keys, value) == dict(expected)


# Percentiles and medians: the figure as it was given, never one made of several.
GIVEN = [
    ("latency_hourly", ("hour",), "p95_ms", "latency_summary", "latency_time"),
    ("traffic_daily", (), "p95_ms", "overall_latency", "overall_latency"),
    ("slowest_apis_daily", API, "p95_ms", "top_slowest_apis", "latency"),
    *(
        ("api_latency_hourly", ("hour", *API), f"{part}_{kind}_ms", "latency", column)
        for part in ("response", "backend", "request_mediation", "response_mediation")
        for kind, column in (("p95", part), ("median", f"{part}_median"))
    ),
    (
        "report_latency_by_api_and_version",
        ("hour", "api_name", "api_version"),
        "latency_ms",
        "total_latency_by_api_and_version",
        "total_latency",
    ),
    ("cache_hourly", ("hour",), "hit_percent", "cache_hits_and_misses", "hit_percentage"),
]


@pytest.mark.parametrize(
    ("view", "keys", "value", "table", "figure"), GIVEN, ids=[f"{c[0]}.{c[2]}" for c in GIVEN]
)
def test_what_is_given_stays_as_it_is(
    views: Views, view: str, keys: tuple[str, ...], value: str, table: str, figure: str
):
    asked = tuple("time_span" if key == "hour" else key for key in keys)
    expected = {
        (*spot.key, *key_of(views, spot, row, asked)): row[figure]
        for spot in views.spots
        for row in views.expected(table, spot)
    }
    assert expected
    assert figures_of(views, view, keys, value) == expected


def test_traffic_by_hour(views: Views):
    successes: Counter[Any] = Counter()
    errors: Counter[Any] = Counter()
    for spot in views.spots:
        for row in views.expected("success_summary", spot):
            successes[(*spot.key, plain(row["time_span"]))] += row["request_count"]
        for row in views.expected("error_summary", spot):
            errors[(*spot.key, plain(row["time_span"]))] += row["error_count"]
    hours = {*successes, *errors}
    assert any(hour not in errors for hour in hours)
    found = figures_of(views, "traffic_hourly", ("hour",), "errors")
    assert found == {hour: errors[hour] for hour in hours}
    found = figures_of(views, "traffic_hourly", ("hour",), "requests")
    assert found == {hour: errors[hour] + successes[hour] for hour in hours}


def test_traffic_by_day_with_the_error_rate(views: Views):
    found = {
        (row["day"], row["organization"], row["environment"]): row
        for row in views.records("traffic_daily")
    }
    assert found.keys() == {spot.key for spot in views.spots}
    for spot in views.spots:
        row = found[spot.key]
        requests = sum(r["total_traffic"] for r in views.expected("total_traffic", spot))
        errors = sum(r["total_errors"] for r in views.expected("total_errors", spot))
        assert (row["requests"], row["errors"]) == (requests, errors)
        assert row["successes"] == requests - errors
        if requests:
            assert row["error_percent"] == pytest.approx(100 * errors / requests)
        else:
            assert row["error_percent"] is None
            assert row["p95_ms"] is None


def test_hours_and_days_tell_the_same(views: Views):
    assert not views.rows(
        """SELECT * FROM traffic_daily d JOIN (
             SELECT day, organization, environment, sum(requests) requests, sum(errors) errors
             FROM traffic_hourly GROUP BY ALL
           ) h USING (day, organization, environment)
           WHERE d.requests <> h.requests OR d.errors <> h.errors"""
    )


def test_a_weighted_figure_is_what_it_is_called(views: Views):
    p95 = figures_of(views, "latency_hourly", ("hour",), "p95_ms")
    requests = figures_of(views, "traffic_hourly", ("hour",), "requests")
    weighted: defaultdict[Any, list[tuple[float, int]]] = defaultdict(list)
    for key, value in p95.items():
        weighted[key[:3]].append((value, requests[key]))
    highest = figures_of(views, "latency_daily", (), "highest_hourly_p95_ms")
    mean = figures_of(views, "latency_daily", (), "mean_hourly_p95_weighted_by_requests_ms")
    assert mean.keys() == weighted.keys()
    for place, pairs in weighted.items():
        assert highest[place] == max(value for value, _ in pairs)
        total = sum(weight for _, weight in pairs)
        assert mean[place] == pytest.approx(sum(v * w for v, w in pairs) / total)


def test_errors_by_category(views: Views):
    expected = {
        (*spot.key, plain(row["time_span"]), category): row[category]
        for spot in views.spots
        for row in views.expected("errors_by_category", spot)
        for category in ("auth", "target_connectivity", "throttled", "other")
    }
    assert (
        figures_of(views, "errors_by_category_hourly", ("hour", "category"), "errors") == expected
    )


def test_availability(views: Views):
    found = {
        (r["day"], r["organization"], r["environment"], r["api_id"]): r
        for r in views.records("availability_daily")
    }
    expected: Counter[Any] = Counter()
    classes: Counter[Any] = Counter()
    for spot in views.spots:
        for row in views.expected("total_traffic_by_api", spot):
            expected[(*spot.key, row["api_id"])] += row["total_traffic_by_api"]
        # The sandbox counts each error on one side.
        for row in views.expected("errors_by_status_code", spot):
            api_id, _, _ = views.api(spot, row["api_id"])
            classes[(*spot.key, api_id, row["status_code"][0])] += row["count"]
    assert found.keys() == expected.keys()
    assert any(key[4] == "5" for key in classes)
    for key, requests in expected.items():
        row = found[key]
        limited, down = classes[(*key, "4")], classes[(*key, "5")]
        assert (row["requests"], row["limited"], row["down"]) == (requests, limited, down)
        assert row["available"] == requests - limited - down


def test_the_inventory(views: Views):
    callers: defaultdict[Any, set[str]] = defaultdict(set)
    newest: dict[Any, Any] = {}
    for spot in views.spots:
        for row in views.expected("api_application_usage_over_time", spot):
            key = (*spot.key[1:], row["api_id"])
            callers[key].add(row["application_name"])
            newest[key] = max(newest.get(key, plain(row["time_span"])), plain(row["time_span"]))
    rows = views.records("api_inventory")
    assert len(rows) == len(views.records("api_names"))
    for row in rows:
        key = (row["organization"], row["environment"], row["api_id"])
        assert row["last_request"] == newest.get(key)
        if key in callers:
            known = callers[key] - {"UNKNOWN"}
            assert row["calling_applications"] == len(known)
            assert row["application_names"] == (", ".join(sorted(known)) or None)
        # Of the other organisation no project is configured.
        projects = ("Payments", "Logistics") if row["organization"] == "acme" else (None,)
        assert row["project"] in projects


def test_errors_by_status_code(views: Views):
    expected: Counter[Any] = Counter()
    for spot in views.spots:
        for row in views.expected("errors_by_status_code", spot):
            api = views.api(spot, row["api_id"])
            code = row["status_code"]
            key = (*spot.key, row["error_type"].lower(), *api, code, f"{code[0]}xx")
            expected[key] += row["count"]
    keys = ("side", *API, "status_code", "status_class")
    assert figures_of(views, "errors_by_status_code_daily", keys, "errors") == dict(expected)


def test_errors_of_proxy_and_target(views: Views):
    expected = {
        (*spot.key, plain(row["time_span"]), side, kind): row[f"{side}_{kind}"]
        for spot in views.spots
        for row in views.expected("proxy_target_errors_over_time", spot)
        for side in ("proxy", "target")
        for kind in ("4xx", "5xx")
    }
    assert None in expected.values()
    found = figures_of(
        views, "errors_proxy_target_hourly", ("hour", "side", "status_class"), "errors"
    )
    assert found == expected


def test_the_cache_of_a_day_is_weighed_by_its_requests(views: Views):
    for row in views.records("cache_daily"):
        expected = 100 * row["hits"] / (row["hits"] + row["misses"])
        assert row["hit_percent"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("view", "by_api", "total", "hour"),
    [
        ("api_usage_hourly", ("api_usage_over_time", "count"),
         ("api_usage_by_app_over_time", "count"), "time_span"),
        ("api_usage_daily", ("total_traffic_by_api", "total_traffic_by_api"),
         ("total_traffic", "total_traffic"), None),
    ],
)  # fmt: skip
def test_what_belongs_to_no_listed_api_is_a_row(
    views: Views, view: str, by_api: tuple[str, str], total: tuple[str, str], hour: str | None
):
    expected: dict[Any, int | None] = {}
    for spot in views.spots:
        left: Counter[Any] = Counter()
        for (table, figure), sign in ((total, 1), (by_api, -1)):
            for row in views.expected(table, spot):
                left[row[hour] if hour else None] += sign * row[figure]
        for start, count in left.items():
            end = start + timedelta(hours=1) if start else spot.end
            if count or end > NOW:
                at = (plain(start),) if start else ()
                expected[(*spot.key, *at)] = count if end <= NOW else None
    rows = [row for row in views.records(view) if row["is_remainder"]]
    keys = ("day", "organization", "environment", *(("hour",) if hour else ()))
    assert {tuple(row[key] for key in keys): row["requests"] for row in rows} == expected
    assert any(expected.values())
    assert None in expected.values()
    assert {(row["api_id"], row["api_name"]) for row in rows} == {(None, "(not listed)")}


def test_alerts(views: Views):
    columns = ("category", "metric", "severity", "message")
    expected = Counter(
        (*spot.key, plain(r["timestamp"]), *views.api(spot, r["api_id"]), *(r[c] for c in columns))
        for spot in views.spots
        for r in views.expected("alert_summary", spot)
    )
    names = ("day", "organization", "environment", "raised_at", *API, *columns)
    found = Counter(tuple(row[n] for n in names) for row in views.records("alerts"))
    assert expected
    assert found == expected


def test_successes_on_premise(views: Views):
    keys = (*API, *APPLICATION)
    named = ("api_name", "api_version", *APPLICATION)
    expected: Counter[Any] = Counter()
    for spot in views.spots:
        if spot.environment.type == "ON_PREM":
            for row in views.expected("success_apis_usage_by_applications", spot):
                own_id, *_ = views.api(spot, row["api_id"])
                key = (spot.day, spot.organization, None, own_id, *(row[name] for name in named))
                expected[key] += row["count"]
    assert figures_of(views, "on_premise_successes_daily", keys, "successes") == dict(expected)


def test_names_are_those_of_the_newest_list(views: Views):
    listed = {
        (organization.handle, environment.name, api.id, api.name, api.version, api.provider)
        for organization in views.world.organizations.values()
        for environment in organization.environments
        for api in environment.listed
    }
    rows = views.records("api_names")
    names = ("organization", "environment", "api_id", "api_name", "api_version", "provider")
    assert {tuple(row[name] for name in names) for row in rows} == listed
    assert {(row["last_listed"], row["listed_now"]) for row in rows} == {(NOW.date(), True)}


def test_the_newest_day_is_as_old_as_the_run(views: Views):
    rows = views.records("export_freshness")
    keys = {(r["organization"], r["environment"], r["table_name"]) for r in rows}
    assert len(keys) == len(rows)
    assert len(views.records("export_days")) == views.report.exported
    for row in rows:
        assert row["age_hours"] == 0
        assert row["last_status"] == "exported"
        assert (row["days_missing"], row["days_failed"]) == (0, 0)
        is_past = row["table_name"] == "latency_daily_by_api"
        assert row["newest_day"] == NOW.date() - timedelta(days=is_past)
        # The rows are those of this moment: the rest of the day is still to come.
        assert row["data_until"] <= plain(NOW)
    assert sum(row["rows_written"] for row in rows) == views.report.rows
    assert views.records("export_failures") == []
