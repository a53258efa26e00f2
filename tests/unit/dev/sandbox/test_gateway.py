"""The gateway before the query endpoint, and what the endpoint refuses as a whole."""

from typing import Any

import pytest
import requests

ASK = "{ listOrganizations { handle } }"


def shaped(shape: str, body: dict[str, Any]) -> tuple[Any, Any, Any]:
    if shape == "error_message":
        return body["code"], body["error_message"], body["error_description"]
    if shape == "fault":
        body = body["fault"]
    return body["code"], body["message"], body["description"]


@pytest.mark.parametrize("shape", ["error_message", "code", "fault"])
def test_an_unknown_token_is_refused_in_each_shape(client: Any, shape: str) -> None:
    client.sandbox.settings.update({"error_shape": shape})
    client.token = "unknown"

    answer = client.post(ASK)

    code, message, description = shaped(shape, answer.json())
    assert (answer.status_code, str(code), message) == (401, "900901", "Invalid Credentials")
    assert isinstance(code, int) == (shape == "fault")
    assert description


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic abc"}])
def test_a_missing_token_is_refused(client: Any, headers: dict[str, str]) -> None:
    url = client.sandbox.insights_url
    answer = requests.post(url, json={"query": ASK}, headers=headers, timeout=300)

    assert (answer.status_code, answer.json()["code"]) == (401, "900902")


def test_a_granularity_that_is_none_is_a_bad_request(client: Any) -> None:
    field = 'getSuccessSummary(filter: $time, dataFilter: $data, granularity: "1w")'

    client.mint()
    answer = client.post(
        f"query ($time: TimeFilter!, $data: DataFilter!) {{ it: {field} {{ granularity }} }}",
        time={"from": "2026-03-09T00:00:00Z", "to": "2026-03-10T00:00:00Z"},
        data=client.data("Production"),
    )

    assert answer.status_code == 400
    assert "1w" in answer.json()["description"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"variables": {}}', b'"text"', b"\xff"])
def test_a_body_that_is_no_query_is_a_bad_request(client: Any, body: bytes) -> None:
    client.mint()
    headers = {"Authorization": f"Bearer {client.token}"}
    answer = requests.post(client.sandbox.insights_url, data=body, headers=headers, timeout=300)

    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["{", "{ noSuchField }", "{ listOrganizations { secret } }"])
def test_a_wrong_document_is_a_bad_request_with_errors(client: Any, query: str) -> None:
    answer = client.post(query)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"]


def test_introspection_can_be_off(client: Any) -> None:
    query = "{ __schema { queryType { fields { name } } } }"
    fields = client.post(query).json()["data"]["__schema"]["queryType"]["fields"]
    assert len(fields) == 38

    client.sandbox.settings.introspection = False
    assert client.post(query).status_code == 400
    assert client.post(ASK).status_code == 200


def test_newer_fields_can_be_there(client: Any) -> None:
    root = "listAllAPI(dataFilter: $data) { displayName }"
    assert "errors" in client.reply(root)

    client.sandbox.settings.newer_fields = True
    assert client.query(root)[0]["displayName"]


def test_other_places_are_not_found(client: Any) -> None:
    answer = requests.post(client.sandbox.url + "/query", json={}, timeout=300)
    assert answer.status_code == 404
    assert requests.get(client.sandbox.insights_url, timeout=300).status_code == 405


def test_the_rate_limit(client: Any) -> None:
    client.sandbox.settings.rate_limit = 0

    answer = client.post(ASK)

    assert answer.status_code == 429
    assert answer.json()["fault"]["nextAccessTime"].endswith("+0000 UTC")


def test_queries_are_counted(client: Any) -> None:
    client.post("{ a: listOrganizations { handle } b: listOrganizations { id } }")
    client.post(ASK)

    statistics = client.sandbox.statistics
    assert statistics.mints == 1
    assert statistics.mints_by_organization == {"acme": 1}
    assert statistics.queries == 2
    assert statistics.root_fields == {"listOrganizations": 3}
    assert statistics.statuses == {"token 200": 1, "query 200": 2}
