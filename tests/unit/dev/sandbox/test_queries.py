"""The traps of the query fields, one by one."""

import re
from typing import Any

import pytest

TRAFFIC = "getTotalTraffic(filter: $time, dataFilter: $data)"
SUCCESS = "getSuccessSummary(filter: $time, dataFilter: $data{}) {{ granularity summary {{ timeSpan requestCount }} }}"  # noqa: E501
RESOURCES = (
    "getResourceUsage(timeFilter: $time, dataFilter: $data,"
    " resourceUsageFilter: { paginationFilter: $page })"
    " { usage { apiId apiResourceTemplate apiMethod count }"
    " pagination { total limit offset sortBy sortOrder } }"
)
USAGE = (
    "getAPIUsageOverTime(timeFilter: $time, dataFilter: $data,"
    ' apiUsageOvertimeFilter: { apiIds: $apiIds, granularity: "1d" })'
    " { apiId usage { timeSpan count } }"
)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def summed(answer: Any) -> int:
    return sum(row["requestCount"] for row in answer["summary"])


def message(reply: Any) -> str:
    return str(reply["errors"][0]["message"])


@pytest.mark.parametrize("place", ["Development", "Production", "Headquarters, Zürich"])
def test_each_id_holds_a_share_and_all_of_them_the_whole(client: Any, place: str) -> None:
    data = client.data(place)
    shares = [
        client.query(TRAFFIC, data=data | {"environmentIds": [each]})
        for each in data["environmentIds"]
    ]

    assert all(shares)
    assert sum(shares) == client.query(TRAFFIC, place)


def test_a_shared_environment_has_legacy_names(client: Any) -> None:
    ids = client.environment("Development").ids

    assert len(ids) == 7
    assert ids[4:] == ("dev-us-east-azure", "Dev-Internal", "sandbox-dev")


def test_one_of_the_environment_fields_must_be_given(client: Any) -> None:
    data = client.data("Production")
    assert "environmentId" in message(client.reply(TRAFFIC, data=data | {"environmentIds": []}))

    del data["environmentIds"]
    assert "environmentId" in message(client.reply(TRAFFIC, data=data))

    first = client.environment("Production").id
    assert client.query(TRAFFIC, data=data | {"environmentId": first}) > 0


def test_unknown_ids_hold_nothing(client: Any) -> None:
    data = client.data("Production") | {"environmentIds": ["nothing"]}

    assert client.query(TRAFFIC, data=data) == 0
    assert client.query("listAllAPI(dataFilter: $data) { id }", data=data) == []


def test_tenant_and_organisation_are_checked(client: Any) -> None:
    data = client.data("Headquarters, Zürich")
    assert "tenant" in message(client.reply(TRAFFIC, data=data | {"tenant": "wrong"}))
    assert client.query(TRAFFIC, data=data | {"tenant": "partners.example"}) == 0

    other = client.sandbox.world.secret("lotus")["org_id"]
    assert "authorized" in message(client.reply(TRAFFIC, data=data | {"orgId": other}))
    reply = client.reply("listEnvironments(org: $org) { id }", org={"orgId": other})
    assert reply["data"] == {"it": None}


def test_traffic_is_successes_and_errors(client: Any) -> None:
    errors = client.query("getTotalErrors(filter: $time, dataFilter: $data)")
    succeeded = client.query(SUCCESS.format(', granularity: "1h"'))

    assert errors > 0
    assert summed(succeeded) + errors == client.query(TRAFFIC)


def test_deleted_apis_count_in_totals_but_are_in_no_list(client: Any) -> None:
    listed = client.query("listAllAPI(dataFilter: $data) { id name version }")
    by_api = [
        client.query(
            f'getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: "{api["id"]}")'
        )
        for api in listed
    ]
    everything = client.query(USAGE, apiIds=None)
    names = {series["apiId"] for series in everything}

    assert not [api for api in listed if api["name"].startswith("Retired")]
    assert [name for name in names if name.startswith("Retired")]
    assert sum(by_api) < client.query(TRAFFIC)


def test_some_apis_are_named_and_not_given_by_id(client: Any) -> None:
    listed = client.query("listAllAPI(dataFilter: $data) { id name version }")
    names = {f"{api['name']} - {api['version']}" for api in listed}

    answer = client.query(USAGE, apiIds=[api["id"] for api in listed[:5]])

    given = {series["apiId"] for series in answer}
    assert len(given) == 5
    assert given & names
    assert [each for each in given if UUID.fullmatch(each)]


def test_without_ids_the_series_may_be_one(client: Any) -> None:
    total = client.query(TRAFFIC)
    client.sandbox.settings.aggregate_without_ids = True

    (series,) = client.query(USAGE, apiIds=None)

    assert series["apiId"] is None
    assert sum(row["count"] for row in series["usage"]) == total


def test_five_ids_at_most(client: Any) -> None:
    assert "5" in message(client.reply(USAGE, apiIds=list("abcdef")))
    assert client.query(USAGE, apiIds=list("abcde")) == []


def test_pages(client: Any) -> None:
    first = client.query(RESOURCES, page=None)
    assert first["pagination"] == {
        "total": first["pagination"]["total"],
        "limit": 5,
        "offset": 0,
        "sortBy": "count",
        "sortOrder": "desc",
    }
    assert len(first["usage"]) == 5
    total = first["pagination"]["total"]

    asked = {"limit": 1000, "offset": 0}
    most = client.query(RESOURCES, page=asked)
    assert most["pagination"]["limit"] == 20 == len(most["usage"])
    rest = client.query(RESOURCES, page=asked | {"offset": 20})

    rows = [tuple(row.values()) for row in most["usage"] + rest["usage"]]
    assert len(set(rows)) == len(rows) == total
    counts = [row["count"] for row in most["usage"] + rest["usage"]]
    assert counts == sorted(counts, reverse=True)


def test_pages_can_be_sorted(client: Any) -> None:
    page = {"limit": 20, "offset": 0, "sortBy": "apiMethod", "sortOrder": "asc"}
    methods = [row["apiMethod"] for row in client.query(RESOURCES, page=page)["usage"]]
    assert methods == sorted(methods)

    assert "sortBy" in message(client.reply(RESOURCES, page=page | {"sortBy": "colour"}))


def test_times_follow_the_zone_of_the_filter(client: Any) -> None:
    time = {"from": "2026-03-09T00:00:00+05:30", "to": "2026-03-10T00:00:00+05:30"}
    utc = {"from": "2026-03-08T18:30:00Z", "to": "2026-03-09T18:30:00Z"}

    local = client.query(SUCCESS.format(', granularity: "1h"'), time=time)
    day = client.query(SUCCESS.format(', granularity: "1d"'), time=time)

    assert local["summary"][0]["timeSpan"] == "2026-03-09T00:00:00.0000000+05:30"
    assert [row["timeSpan"] for row in day["summary"]] == ["2026-03-09T00:00:00.0000000+05:30"]
    assert summed(local) == summed(day) == summed(client.query(SUCCESS.format(""), time=utc))


def test_without_a_zone_times_are_utc(client: Any) -> None:
    time = {"from": "2026-03-09T00:00:00", "to": "2026-03-10T00:00:00"}

    answer = client.query(SUCCESS.format(', granularity: "1h"'), time=time)

    assert answer["summary"][0]["timeSpan"] == "2026-03-09T00:00:00.0000000Z"


@pytest.mark.parametrize(
    ("end", "granularity"),
    [
        ("2026-03-01T01:00:00Z", "1m"),
        ("2026-03-01T12:00:00Z", "15m"),
        ("2026-03-03T00:00:00Z", "1h"),
        ("2026-03-11T00:00:00Z", "1d"),
    ],
)
def test_a_granularity_left_out_follows_the_range(client: Any, end: str, granularity: str) -> None:
    time = {"from": "2026-03-01T00:00:00Z", "to": end}

    answer = client.query(SUCCESS.format(""), time=time)

    assert answer["granularity"] == granularity
    assert summed(answer) > 0


@pytest.mark.parametrize("granularity", ["1m", "15m", "1h", "1d", "7d"])
def test_every_granularity_adds_up(client: Any, granularity: str) -> None:
    answer = client.query(SUCCESS.format(f', granularity: "{granularity}"'))

    assert answer["granularity"] == granularity
    assert summed(answer) == summed(client.query(SUCCESS.format(', granularity: "1d"')))


def test_weeks_begin_on_monday(client: Any) -> None:
    time = {"from": "2026-03-04T00:00:00Z", "to": "2026-03-10T00:00:00Z"}

    weeks = client.query(SUCCESS.format(', granularity: "7d"'), time=time)["summary"]

    assert [row["timeSpan"][:10] for row in weeks] == ["2026-03-02", "2026-03-09"]


def test_to_may_be_inclusive(client: Any) -> None:
    root = SUCCESS.format(', granularity: "1h"')
    before = client.query(root)["summary"]
    client.sandbox.settings.to_inclusive = True

    after = client.query(root)["summary"]

    assert len(after) == len(before) + 1
    assert after[-1]["timeSpan"] == "2026-03-10T00:00:00.0000000Z"


def test_an_empty_range_is_empty(client: Any) -> None:
    time = {"from": "2026-03-09T00:00:00Z", "to": "2026-03-09T00:00:00Z"}

    assert client.query(TRAFFIC, time=time) == 0
    assert client.query(SUCCESS.format(', granularity: "1h"'), time=time)["summary"] == []
    assert client.query("getOverallLatency(filter: $time, dataFilter: $data)", time=time) is None


def test_wrong_times_are_refused(client: Any) -> None:
    time = {"from": "2026-03-09T00:00:00Z", "to": "2026-03-08T00:00:00Z"}
    assert "range" in message(client.reply(TRAFFIC, time=time))
    assert "time" in message(client.reply(TRAFFIC, time=time | {"to": "tomorrow"}))


def test_one_field_always_fails_and_leaves_the_others_alone(client: Any) -> None:
    other = 'other: getOverallLatencyByAPI(apiId: "x", dataFilter: $data) { response }'

    reply = client.reply(f"{TRAFFIC} {other}")

    assert reply["data"]["it"] > 0
    assert reply["data"]["other"] is None
    assert reply["errors"][0]["path"] == ["other"]
    assert message(reply) == "internal system error"


def test_platforms_are_nine_and_other(client: Any) -> None:
    rows = client.query("getTopPlatforms(timeFilter: $time, dataFilter: $data) { platform count }")

    assert [row["platform"] for row in rows].index("Other") == len(rows) - 1 == 9
    assert sum(row["count"] for row in rows) == client.query(TRAFFIC)


def test_countries_are_known_on_premise_only(client: Any) -> None:
    root = "getAPIUsageByGeoLocation(timeFilter: $time, dataFilter: $data) { country count }"

    assert client.query(root, "Production") == []
    assert client.query(root, "Headquarters, Zürich")


def test_alerts_are_kept_one_week(client: Any) -> None:
    root = (
        "getAlertSummary(timeFilter: $time, dataFilter: $data)"
        " { usage { timestamp } pagination { total } }"
    )
    time = {"from": "2026-01-01T00:00:00Z", "to": "2026-03-12T00:00:00Z"}

    answer = client.query(root, time=time | {"to": "2026-03-04T12:00:00Z"})
    assert answer["pagination"]["total"] == 0
    answer = client.query(root, time=time)
    assert answer["pagination"]["total"] > 0
    times = [row["timestamp"] for row in answer["usage"]]
    assert all("2026-03-04T12:30" <= each <= "2026-03-11T12:31" for each in times)


def test_on_prem_keys(client: Any) -> None:
    key = client.secret["on_prem_key"]
    own = "getSuccessAPIsUsageByApplications(timeFilter: $time) { apiId count }"
    named = own.replace("Applications(", f'ApplicationsWithOnPremKey(onPremKey: "{key}", ')
    assert "on-prem key" in message(client.reply(own))
    assert "on-prem key" in message(client.reply(named.replace(key, "wrong")))

    rows = client.query(named)
    client.token = key
    assert client.query(own) == rows
    assert rows

    environment = client.environment("Headquarters, Zürich")
    assert client.query(TRAFFIC, environment) > 0
    data = client.data(environment) | {"projectId": "p"}
    assert "projectId" in message(client.reply(TRAFFIC, data=data))


def test_an_environment_without_traffic_lists_its_apis(client: Any) -> None:
    client.handle = "lotus"

    assert len(client.query("listAllAPI(dataFilter: $data) { id }", "Staging")) == 5
    assert client.query(TRAFFIC, "Staging") == 0


def test_custom_reports(client: Any) -> None:
    fields = "groupByFields: [API_NAME, API_METHOD]"
    values = client.query(f"getGroupByValues(dataFilter: $data, {fields}, groupByValues: [])")
    assert ["Orders", "GET"] in values
    given = client.query(
        f'getGroupByValues(dataFilter: $data, {fields}, groupByValues: ["Orders"])'
    )
    assert given == [each for each in values if each[0] == "Orders"]

    common = 'dataFilter: $data, timeFilter: $time, granularity: "1d", metric: HIT_COUNT'
    everything = client.query(
        f"getCustomReportOvertime({common}, {fields}, groupByValues: []) {{ usage {{ value }} }}"
    )
    assert everything["usage"] == [{"value": client.query(TRAFFIC)}]
    top = client.query(
        f'getCustomReportTopOvertime({common}, {fields}, groupByValues: ["Orders"])'
        " { usage { groupByValue usage { value } } }"
    )
    one = client.query(
        f'getCustomReportOvertime({common}, {fields}, groupByValues: ["Orders", "GET"])'
        " { usage { value } }"
    )
    by_method = {each["groupByValue"]: each["usage"] for each in top["usage"]}
    assert by_method["GET"] == one["usage"]

    wrong = f"getGroupByValues(dataFilter: $data, {fields}, groupByValues: [null, null, null])"
    assert "values" in message(client.reply(wrong))


@pytest.mark.parametrize(
    ("name", "found"),
    [("listProviders(dataFilter: $data) { name }", 3), ("listOrganizations { name }", 1)],
)
def test_small_lists(client: Any, name: str, found: int) -> None:
    assert len(client.query(name)) == found


def test_lists_can_be_narrowed(client: Any) -> None:
    apis = client.query('listAllAPI(dataFilter: $data, provider: "admin") { id provider }')
    assert {api["provider"] for api in apis} == {"admin"}

    root = 'listApplications(dataFilter: $data, applicationFilter: { owner: "o\'neil" }) { owner }'
    assert {app["owner"] for app in client.query(root)} == {"o'neil"}

    call = "listSubscribers(dataFilter: $data, subscriberFilter: { apiIds: $apiIds }) { name }"
    assert len(client.query(call, apiIds=[apis[0]["id"]])) <= len(client.query(call, apiIds=[]))


def test_errors_can_be_searched(client: Any) -> None:
    page = "paginationFilter: { limit: 20 }"
    root = (
        "getErrorsDetails(timeFilter: $time, dataFilter: $data, errorsDetailsFilter: {"
        f' category: "auth", granularity: "1d", {page},'
        ' searchFilter: { searchText: "FORBIDDEN" } }) { usage { reason } }'
    )

    assert {row["reason"] for row in client.query(root)["usage"]} == {"Resource forbidden"}


def test_fields_forget_what_is_older_than_they_keep(client: Any) -> None:
    errors = "getTotalErrors(filter: $time, dataFilter: $data)"
    whole = client.query(TRAFFIC, "Production"), client.query(errors, "Production")
    assert all(whole)
    settings = client.sandbox.settings
    settings.update({"retention": {"getTotalTraffic": 1}})
    assert client.query(TRAFFIC, "Production") == 0
    assert client.query(errors, "Production") == whole[1]
    settings.update({"retention": {"getTotalTraffic": 30, "*": 1}})
    assert (client.query(TRAFFIC, "Production"), client.query(errors, "Production")) == (
        whole[0],
        0,
    )
    assert settings.as_dict()["retention"] == {"*": 1, "getTotalTraffic": 30}
    with pytest.raises(ValueError, match="retention of a takes whole days"):
        settings.update({"retention": {"a": 0.5}})


def test_a_project_has_the_traffic_of_its_apis(client: Any) -> None:
    data = client.data("Production")
    projects = client.sandbox.world.projects("acme").values()
    parts = [client.query(TRAFFIC, data=data | {"projectId": each}) for each in projects]
    assert all(parts)
    assert sum(parts) == client.query(TRAFFIC, data=data)
