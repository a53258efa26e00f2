"""Each fault does what its name says, where and as often as its rule says."""

import gzip
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from dev.sandbox import SandboxServer
from dev.sandbox.faults import FAULTS, Fault, Faults

NAN = float("nan")
ASK = "{ listOrganizations { handle } }"
TRAFFIC = "getTotalTraffic(filter: $time, dataFilter: $data)"
SUCCESS = (
    'getSuccessSummary(filter: $time, dataFilter: $data, granularity: "1h")'
    " { granularity summary { timeSpan requestCount } }"
)
RESOURCES = (
    "getResourceUsage(timeFilter: $time, dataFilter: $data)"
    " { usage { apiId apiMethod count } pagination { total limit offset } }"
)


def succeeded(client: Any) -> Any:
    return client.reply(SUCCESS)["data"]["it"]


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422, 429, 500, 502, 503])
@pytest.mark.parametrize("shape", ["error_message", "code", "fault"])
def test_statuses_with_each_body(client: Any, status: int, shape: str) -> None:
    client.mint()
    client.sandbox.faults.add("status", status=status, shape=shape, code="900907")

    answer = client.post(ASK)

    body = answer.json()
    assert answer.status_code == status
    assert body.get("error_message" if shape == "error_message" else "message") or body["fault"]
    assert client.post(ASK).status_code == 200


def test_a_429_says_in_several_ways_how_long_to_wait(client: Any) -> None:
    client.mint()
    answers = {}
    for wait in ("seconds", "date", "epoch", "next", "ratelimit", "none"):
        client.sandbox.faults.add("status", status=429, wait=wait, seconds=7)
        answers[wait] = client.post(ASK)
        assert answers[wait].status_code == 429

    assert answers["seconds"].headers["Retry-After"] == "7"
    date = parsedate_to_datetime(answers["date"].headers["Retry-After"])
    assert (date - parsedate_to_datetime(answers["date"].headers["Date"])).total_seconds() > 5
    epoch = float(answers["epoch"].headers["Retry-After"])
    assert 5 < epoch - parsedate_to_datetime(answers["epoch"].headers["Date"]).timestamp() < 60
    text = answers["next"].json()["fault"]["nextAccessTime"]
    moment = datetime.strptime(text, "%Y-%b-%d %H:%M:%S%z UTC")
    assert moment > datetime(2026, 1, 1, tzinfo=UTC)
    assert answers["ratelimit"].headers["x-ratelimit-remaining"] == "0"
    assert "Retry-After" not in answers["none"].headers


@pytest.mark.parametrize("fault", ["reset", "hang", "cut"])
def test_connections_break(client: Any, fault: str) -> None:
    client.mint()
    client.sandbox.faults.add(fault, seconds=0.01)

    with pytest.raises(requests.RequestException):
        client.post(ASK)

    assert client.post(ASK).status_code == 200


def test_a_hang_ends_with_the_server(world: Any) -> None:
    with ThreadPoolExecutor() as pool:
        with SandboxServer(world) as sandbox:
            sandbox.faults.add("hang", where="token")
            waiting = pool.submit(requests.post, sandbox.token_url, data={}, timeout=300)
            while not sandbox.statistics.token_requests:
                continue
        with pytest.raises(requests.ConnectionError):
            waiting.result()


def test_slow_and_dripping_answers_are_whole(client: Any) -> None:
    client.mint()
    client.sandbox.faults.add("slow", seconds=0.01)
    client.sandbox.faults.add("drip", seconds=0.05)

    assert client.post(ASK).json()["data"]


@pytest.mark.parametrize("fault", ["truncated", "invalid_json", "html", "empty", "not_json"])
def test_bodies_that_are_no_json(client: Any, fault: str) -> None:
    client.mint()
    client.sandbox.faults.add(fault)

    answer = client.post(ASK)

    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_throttling_inside_a_success(client: Any) -> None:
    client.mint()
    client.sandbox.faults.add("throttled_200")

    answer = client.post(ASK)

    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"] == {"code": "TOO_MANY_REQUESTS"}


def test_json_of_many_levels(client: Any) -> None:
    client.mint()
    client.sandbox.faults.add("deep")

    answer = client.post(ASK)

    assert answer.status_code == 200
    assert answer.content.count(b"[") == answer.content.count(b"]") == 100_000


def test_gzip_told_and_untold(client: Any) -> None:
    client.mint()
    client.sandbox.faults.add("gzip")
    assert client.post(ASK).json()["data"]

    client.sandbox.faults.add("gzip_unannounced")
    answer = client.post(ASK)
    assert "Content-Encoding" not in answer.headers
    assert json.loads(gzip.decompress(answer.content))["data"]


def test_data_null(client: Any) -> None:
    client.sandbox.faults.add("data_null")

    assert client.reply(TRAFFIC)["data"] is None


def test_one_field_fails_beside_the_others(client: Any) -> None:
    client.sandbox.faults.add("field_error", field="getTotalErrors")
    root = f"{TRAFFIC} bad: getTotalErrors(filter: $time, dataFilter: $data)"

    reply = client.reply(root)

    assert reply["data"]["it"] > 0
    assert reply["data"]["bad"] is None
    assert reply["errors"] == [{"message": "internal system error", "path": ["bad"]}]


def test_one_alias_of_many_fails(client: Any) -> None:
    client.sandbox.faults.add("field_error", field="getTotalTraffic", only=1)

    reply = client.reply(f"{TRAFFIC} second: {TRAFFIC}")

    assert reply["data"]["it"] is None
    assert reply["data"]["second"] > 0
    assert len(reply["errors"]) == 1


def test_wrong_granularity(client: Any) -> None:
    client.sandbox.faults.add("wrong_granularity")

    assert succeeded(client)["granularity"] == "7d"


@pytest.mark.parametrize("size", [-3, 4])
def test_totals_of_pages_shrink_and_grow(client: Any, size: int) -> None:
    whole = client.query(RESOURCES)["pagination"]["total"]
    client.sandbox.faults.add("wrong_total", size=size)

    assert client.query(RESOURCES)["pagination"]["total"] == whole + size


def test_rows_twice_and_not_at_all(client: Any) -> None:
    rows = succeeded(client)["summary"]
    client.sandbox.faults.add("duplicate_rows")
    assert succeeded(client)["summary"] == rows + rows[-2:]

    client.sandbox.faults.add("missing_rows")
    assert succeeded(client)["summary"] == rows[:-1]


@pytest.mark.parametrize(
    ("fault", "found"),
    [("huge_int", 2**70), ("nan", NAN), ("wrong_type", "seventeen")],
)
@pytest.mark.parametrize("root", [SUCCESS, TRAFFIC])
def test_numbers_that_are_none(client: Any, fault: str, found: object, root: str) -> None:
    client.sandbox.faults.add(fault)

    text = client.raw(root).text

    assert json.dumps(found) in text


def test_fields_go_and_come(client: Any) -> None:
    whole = succeeded(client)
    client.sandbox.faults.add("missing_field")
    assert [row.keys() for row in succeeded(client)["summary"][:2]] != [
        row.keys() for row in whole["summary"][:2]
    ]

    client.sandbox.faults.add("extra_field")
    assert "addedLater" in succeeded(client)["summary"][0]

    client.sandbox.faults.add("null_item")
    assert None in succeeded(client)["summary"]

    client.sandbox.faults.add("wrong_time")
    assert not succeeded(client)["summary"][0]["timeSpan"].startswith("2026")


def test_a_complexity_limit(client: Any) -> None:
    client.mint()
    client.sandbox.faults.add("complexity", size=2, times=None)
    many = " ".join(f"a{i}: listOrganizations {{ id }}" for i in range(3))

    assert client.post(f"{{ {many} }}").status_code == 400
    assert client.post(ASK).status_code == 200
    assert client.sandbox.faults.taken == 1


def test_tokens_are_killed_in_the_middle(client: Any) -> None:
    client.mint()
    client.sandbox.faults.add("kill_tokens", skip=1)

    assert [client.post(ASK).status_code for _ in range(3)] == [200, 401, 401]
    client.mint()
    assert client.post(ASK).status_code == 200


def test_token_answers(client: Any) -> None:
    faults = client.sandbox.faults
    faults.add("no_expires_in", where="token")
    assert "expires_in" not in client.ask_token().json()
    faults.add("wrong_expires_in", where="token")
    assert client.ask_token().json()["expires_in"] == "soon"
    faults.add("token_size", where="token", size=5000)
    assert len(client.ask_token().json()["access_token"]) == 5000
    faults.add("invalid_client", where="token")
    answer = client.ask_token()
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    faults.add("status", where="token", status=503)
    assert client.ask_token().status_code == 503
    faults.add("truncated", where="token")
    assert len(client.ask_token().content) < 400
    faults.add("status", where="revoke", status=500)
    assert client.revoke("x").status_code == 500


def test_rules_are_for_a_field_and_an_organisation(client: Any) -> None:
    client.mint()
    faults = client.sandbox.faults
    faults.add("status", organization="lotus")
    faults.add("status", field="getTotalTraffic", times=None)

    assert client.post(ASK).status_code == 200
    assert client.reply(TRAFFIC).get("code") == "700700"
    faults.clear()
    assert client.query(TRAFFIC) > 0


def test_rules_count() -> None:
    faults = Faults()
    faults.add("reset", times=2, skip=1)
    faults.replace([*faults.as_list(), {"fault": "slow", "times": "forever"}])

    met = [[fault.fault for fault in faults.take("query", None)] for _ in range(4)]

    assert met == [["slow"], ["reset", "slow"], ["reset", "slow"], ["slow"]]
    assert faults.taken == 6


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "gremlins"},
        {"fault": "slow", "where": "moon"},
        {"fault": "slow", "x": 1},
        {"fault": "status", "shape": "round"},
    ],
)
def test_what_is_no_rule_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is no|unknown"):
        Faults().replace([rule])


def test_every_fault_is_known_once() -> None:
    assert len(set(FAULTS)) == len(FAULTS)
    assert Fault("slow").times == 1


def test_faults_over_http(client: Any) -> None:
    url = client.sandbox.url + "/sandbox/faults"
    set_to = requests.post(url, json=[{"fault": "html", "times": 1}], timeout=300).json()
    assert set_to == requests.get(url, timeout=300).json()
    added = requests.post(url, json={"fault": "reset"}, timeout=300).json()
    assert [rule["fault"] for rule in added] == ["html", "reset"]

    refused = requests.post(url, json=[{"fault": "gremlins"}], timeout=300)
    assert refused.status_code == 400
    assert "gremlins" in refused.json()["error"]
    assert requests.post(url, json=[], timeout=300).json() == []


def test_a_client_that_goes_away_breaks_nothing(client: Any, capfd: Any) -> None:
    client.mint()
    place = urlsplit(client.sandbox.url)
    for _ in range(3):
        with closing(socket.create_connection((place.hostname, place.port))) as gone:
            gone.sendall(b"POST /oauth2/token HTTP/1.1\r\nContent-Length: 99\r\n\r\nabc")

    assert client.post(ASK).status_code == 200
    assert capfd.readouterr().err == ""
