"""Many questions in one GraphQL request, and the reply taken apart again."""

import json
from datetime import date

import msgspec
import pytest
from graphql import parse, validate
from hypothesis import given
from hypothesis import strategies as st

from catalogue.compiler import schema
from insights.choreo import day_values, outcomes, request_body
from insights.credentials import Credentials
from insights.errors import InsightsError, Refused
from insights.partitions import Environment
from insights.questions import Query

PRODUCTION = Environment("e1", "Production", "CHOREO", ("e1", "e2"), "Production")
CREDENTIALS = Credentials("acme", "org-uuid", "key", "secret")


def queries(*tables, **more):
    values = day_values(date(2026, 11, 20), CREDENTIALS, "carbon.super", PRODUCTION)
    return [Query(table, {**values, **more}, {}) for table in tables]


@given(st.lists(st.sampled_from(["hourly", "by_api", "paged"]), min_size=1, max_size=6))
def test_the_request_is_valid_and_equal_values_are_sent_once(request, names):
    tables = [request.getfixturevalue(name) for name in names]
    body = json.loads(request_body(queries(*tables, apiIds=["a"], limit=20, offset=0)))
    assert not validate(schema(), parse(body["query"]))
    assert all(body["query"].count(f"t{i}:") == 1 for i in range(len(names)))
    values = list(map(json.dumps, body["variables"].values()))
    assert (
        values.count(
            json.dumps({"from": "2026-11-20T00:00:00.000Z", "to": "2026-11-21T00:00:00.000Z"})
        )
        == 1
    )


def test_ids_of_two_questions_stay_apart(by_api):
    one, other = queries(by_api, apiIds=["a"])[0], queries(by_api, apiIds=["b"])[0]
    body = json.loads(request_body([one, other]))
    assert [v for v in body["variables"].values() if isinstance(v, list)] == [["a"], ["b"]]


def test_times_are_the_whole_day_and_have_a_zone():
    values = day_values(date(2026, 11, 19), CREDENTIALS, "carbon.super", PRODUCTION)
    assert values["time"] == {"from": "2026-11-19T00:00:00.000Z", "to": "2026-11-20T00:00:00.000Z"}
    assert values["data"]["environmentIds"] == ["e1", "e2"]


def split(count: int, **reply: object) -> list[msgspec.Raw | InsightsError]:
    return outcomes(json.dumps(reply).encode(), count)


def test_an_error_that_names_an_alias_is_that_ones_alone():
    found = split(
        2,
        data={"t0": {"a": 1}, "t1": None},
        errors=[{"message": "internal system error", "path": ["t1"]}],
    )
    assert bytes(found[0]) == b'{"a": 1}'
    assert "internal system error" in str(found[1])


def test_an_answer_that_is_missing_is_no_null():
    found = split(2, data={"t0": None})
    assert bytes(found[0]) == b"null"
    assert isinstance(found[1], InsightsError)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"errors": [{"message": "query is too complex"}]}, "too complex"),
        ({"data": None}, "neither data nor errors"),
        ({}, "neither data nor errors"),
        ({"data": {"t0": 1}, "errors": [{"message": "no path"}]}, "no path"),
        ({"data": None, "errors": [{"message": "not null", "path": ["t1", "x"]}]}, "not null"),
        ({"data": 5}, "no GraphQL reply"),
        ([], "no GraphQL reply"),
    ],
)
def test_what_concerns_the_whole_request_refuses_it(reply: object, reason: str):
    with pytest.raises(Refused, match=reason):
        outcomes(json.dumps(reply).encode(), 2)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": {"t0": ', b"\xff"])
def test_a_body_that_is_no_json_refuses_the_request(body: bytes):
    with pytest.raises(Refused, match="no GraphQL reply"):
        outcomes(body, 1)
