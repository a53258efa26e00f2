"""Many queries in one GraphQL request, and the reply taken apart again."""

import html
import json
import logging
import re
from collections.abc import Callable
from datetime import date
from urllib.parse import unquote

import msgspec
import pytest
from graphql import parse, validate
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.credentials import Credentials
from choreo_insights.dataset.partitions import Environment
from choreo_insights.errors import BadAnswer, InsightsError, Refused, Retriable
from choreo_insights.export.insights_api import Choreo, day_values, outcomes, request_of
from choreo_insights.export.jobs import BatchKey
from choreo_insights.export.queries import Query
from choreo_insights.http import Http
from choreo_insights.tokens.reader import Token
from choreo_insights_cli.catalogue.compiler import schema
from tests.fakes.clock import Clock
from tests.fakes.server import Answer, Received, Server

PRODUCTION = Environment("e1", "Production", "CHOREO", ("e1", "e2"), "Production")
CREDENTIALS = Credentials("acme", "org-uuid", "key", "secret")


def queries(*tables, **more):
    values = day_values(date(2026, 11, 20), CREDENTIALS, "carbon.super", PRODUCTION)
    return [Query(table, {**values, **more}, {}) for table in tables]


@given(st.lists(st.sampled_from(["hourly", "by_api", "paged"]), min_size=1, max_size=6))
def test_the_request_is_valid_and_equal_values_are_sent_once(request, names):
    tables = [request.getfixturevalue(name) for name in names]
    body = json.loads(request_of(queries(*tables, apiNames=["a"], limit=20, offset=0))[1])
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
    one, other = queries(by_api, apiNames=["a"])[0], queries(by_api, apiNames=["b"])[0]
    body = json.loads(request_of([one, other])[1])
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
        ({"data": 5}, "not a GraphQL reply"),
        ([], "not a GraphQL reply"),
    ],
)
def test_what_concerns_the_whole_request_refuses_it(reply: object, reason: str):
    with pytest.raises(Refused, match=reason):
        outcomes(json.dumps(reply).encode(), 2)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": {"t0": ', b"\xff"])
def test_a_body_that_is_no_json_refuses_the_request(body: bytes):
    with pytest.raises(Refused, match="not a GraphQL reply"):
        outcomes(body, 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"t0":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"data":{},"errors":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"errors":[{"message":"x","extensions":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
    ],
)
def test_what_is_nested_too_deeply_refuses_the_request(body: bytes):
    with pytest.raises(Refused, match=r"nested too deeply|not a GraphQL reply") as raised:
        outcomes(body, 1)
    # So that it is requested once more, as every body that cannot be read, and kept for a person.
    assert raised.value.reply == body


def test_very_many_errors_are_no_great_work():
    errors = [{"message": "m" * 300, "path": [f"x{i}"]} for i in range(100_000)]
    with pytest.raises(Refused, match="GraphQL says: mmm") as raised:
        split(1, data=None, errors=errors)
    assert len(str(raised.value)) < 1_000


@pytest.mark.parametrize("message", ["m" * 5_000_000, ["m" * 5_000_000], None, {"a": 1}, 5])
def test_a_message_is_short_whatever_it_is(message: object):
    (found,) = split(1, data={"t0": None}, errors=[{"message": message, "path": ["t0"]}])
    assert isinstance(found, InsightsError)
    assert len(str(found)) < 400


# Throttling inside HTTP 200

THROTTLED = [
    {"extensions": {"code": "THROTTLED"}},
    {"extensions": {"code": "RATE_LIMITED"}},
    {"extensions": {"code": "TOO_MANY_REQUESTS"}},
    {"extensions": {"code": "tooManyRequests"}},
    {"extensions": {"code": 429}},
    {"extensions": {"code": "900802"}},
    {"extensions": {"type": "RATE-LIMITED"}},
    {"extensions": {"errorType": "ThrottlingException"}},
    {"extensions": {"classification": "Throttled"}},
    {"extensions": {"exception": {"code": "THROTTLED"}}},
    {"extensions": {"http": {"status": 429}}},
    {"extensions": {"response": {"statusCode": 429, "headers": {}}}},
    {"extensions": {"errors": [{"code": "x"}, {"code": "RATE_LIMIT_EXCEEDED"}]}},
    {"type": "THROTTLED"},
    {"code": "THROTTLED"},
    {"errorType": "THROTTLED"},
]
NOT_THROTTLED = [
    {"extensions": {"code": "INTERNAL_SERVER_ERROR"}},
    {"extensions": {"code": None, "type": [], "status": 200, "reason": True}},
    {"extensions": {"message": "THROTTLED", "other": 429}},
    {"extensions": "THROTTLED elsewhere"},
    {"extensions": {"code": "NOT_THROTTLED"}},
    {"extensions": {"padding": "x" * 50_000, "code": "THROTTLED"}},
    {"message": "THROTTLED"},
    {},
]


@pytest.mark.parametrize("error", THROTTLED)
def test_throttling_inside_a_success_is_a_429(error: dict):
    with pytest.raises(Retriable, match="slow down") as raised:
        split(2, data=None, errors=[{"message": "slow down", **error}])
    assert raised.value.status == 429
    with pytest.raises(Retriable):
        split(2, data=None, errors=[{"message": "slow down", "path": ["t1"], **error}])
    good, throttled = split(
        2, data={"t0": 1, "t1": None}, errors=[{"message": "slow down", "path": ["t1"], **error}]
    )
    assert bytes(good) == b"1"
    assert isinstance(throttled, Retriable)
    assert throttled.status == 429


@pytest.mark.parametrize("error", NOT_THROTTLED)
def test_what_is_no_throttling_is_none(error: dict):
    with pytest.raises(Refused):
        split(2, data=None, errors=[{"message": "internal", **error}])


# Requests, over a real connection


class Tokens:
    """Gives one token after the other."""

    def __init__(self) -> None:
        self.given = 0

    def get(self, organization: str) -> Token:
        return Token(f"synthetic-token-{self.given:04}-of-{organization}", 2e9, 1e9)

    def rejected(self, organization: str, token: Token) -> Token:
        self.given += 1
        return self.get(organization)


class Secrets:
    """One secret for all."""

    def get(self, handle: str) -> Credentials:
        return Credentials(handle, "org-uuid", "key", "secret", "synthetic-on-prem-key")


class Place:
    """A client of a server that answers as a test says, and all holds."""

    def __init__(self, url: str) -> None:
        self.holds: list[tuple[float, str]] = []
        self.clock = Clock()
        http = Http(
            sleep=self.clock.sleep,
            on_throttle=lambda seconds, who: self.holds.append((seconds, who)),
        )
        self.choreo = Choreo(http, url, Tokens(), Secrets())  # type: ignore[arg-type]

    def ask(self, queries, *, with_on_prem_key: bool = False):
        return self.choreo.ask(BatchKey("acme", with_on_prem_key), queries, 9e9)


def test_throttling_inside_a_success_holds_back_and_is_sent_again(hourly):
    throttled = {"data": None, "errors": [{"message": "no", "extensions": {"code": "THROTTLED"}}]}
    left = [Answer.of(throttled, retry_after="7"), Answer.of(throttled)]
    with Server(lambda _: left.pop(0) if left else Answer.of({"data": {"t0": 1}})) as server:
        place = Place(server.url)
        assert place.ask(queries(hourly)) == [msgspec.Raw(b"1")]
        assert len(server.requests) == 3
    assert place.holds == [(7, "acme"), (8, "acme")]


def test_throttling_that_lasts_is_a_429(hourly):
    throttled = {"data": None, "errors": [{"message": "no", "extensions": {"code": "THROTTLED"}}]}
    with Server(lambda _: Answer.of(throttled)) as server:
        with pytest.raises(Retriable) as raised:
            Place(server.url).ask(queries(hourly))
        assert len(server.requests) == 4
    assert raised.value.status == 429


@pytest.mark.parametrize("status", [400, 413, 422, 429])
def test_a_request_that_is_refused_may_pass_when_it_is_smaller(hourly, status: int):
    refusal = {"fault": {"code": 900821, "message": "QUERY TOO COMPLEX"}}
    with Server(lambda _: Answer.of(refusal, status)) as server:
        with pytest.raises(Refused, match="QUERY TOO COMPLEX"):
            Place(server.url).ask(queries(hourly))
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 400])
def test_a_refusal_says_which_query_it_is_about(hourly, status: int):
    document = request_of(queries(hourly, hourly))[0]
    column = document.text.index("summary", document.starts[1]) + 1
    says = 'Cannot query field "summary" by Bearer synthetic-token-0000-of-acme'
    error = {"message": says, "locations": [{"line": 1, "column": column}]}
    with (
        Server(lambda _: Answer.of({"errors": [error]}, status)) as server,
        pytest.raises(Refused) as raised,
    ):
        Place(server.url).ask(queries(hourly, hourly))
    ((number, reason),) = raised.value.blamed.items()
    assert (number, str(reason)) == (1, 'GraphQL says: Cannot query field "summary" by Bearer ***')


def test_a_body_that_breaks_off_is_requested_once_more(hourly):
    left = [Answer(200, b'{"data":{"t0":'), Answer.of({"data": {"t0": 1}})]
    with Server(lambda _: left.pop(0)) as server:
        assert Place(server.url).ask(queries(hourly)) == [msgspec.Raw(b"1")]


# A service that repeats what it was sent

REPEATED: dict[str, Callable[[str], Answer]] = {
    "error": lambda said: Answer.of({"errors": [{"message": said}]}),
    "error of an alias": lambda said: Answer.of(
        {"data": {"t0": None}, "errors": [{"message": said, "path": ["t0"]}]}
    ),
    "message that is no text": lambda said: Answer.of({"errors": [{"message": [said]}]}),
    "path": lambda said: Answer.of({"data": None, "errors": [{"message": "m", "path": [said]}]}),
    "throttling": lambda said: Answer.of(
        {"errors": [{"message": said, "extensions": {"code": "THROTTLED", "x": said}}]}
    ),
    "data": lambda said: Answer.of({"data": {"t0": said}}),
    "name of a field": lambda said: Answer.of({"data": {"t0": {said: 1}}}),
    "data of another shape": lambda said: Answer.of({"data": said}),
    "cut-off body": lambda said: Answer(200, f'{{"data": {{"t0": "{said}'.encode()),
    "no JSON": lambda said: Answer(200, f"<html>{said}</html>".encode()),
    "gateway's message": lambda said: Answer.of({"code": "900908", "message": said}, 403),
    "gateway's code": lambda said: Answer.of({"fault": {"code": said, "description": said}}, 500),
    "refusal": lambda said: Answer.of({"error": said, "error_description": said}, 400),
    "content type": lambda said: Answer(502, b"", {"Content-Type": f"text/{said}"}),
    "headers": lambda said: Answer(
        503, b"", {"Retry-After": said, "Location": said, "WWW-Authenticate": said}
    ),
    "redirect": lambda said: Answer(302, b"", {"Location": f"https://example.com/?{said}"}),
    "unauthenticated": lambda said: Answer.of({"message": said}, 401),
}
ESCAPED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "HTML": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "URL": lambda text: "".join(f"%{ord(c):02X}" for c in text),
    "JSON": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
}


@pytest.mark.parametrize("where", REPEATED)
@pytest.mark.parametrize("how", ESCAPED)
@pytest.mark.parametrize("sent", ["bearer", "on-prem key", "variable"])
def test_no_credential_comes_back_in_any_part_of_a_reply(
    hourly, where: str, how: str, sent: str, caplog: pytest.LogCaptureFixture
):
    secrets = ["synthetic-on-prem-key", *(f"synthetic-token-{n:04}-of-acme" for n in range(3))]

    def respond(request: Received) -> Answer:
        bearer = request.headers["Authorization"].removeprefix("Bearer ")
        secret = "synthetic-on-prem-key" if sent == "variable" else bearer
        assert secret in secrets
        return REPEATED[where](f"bad {ESCAPED[how](secret)} given")

    caplog.set_level(logging.DEBUG)
    seen: list[object] = []
    (query,) = queries(hourly)
    query = msgspec.structs.replace(
        query, variables={**query.variables, "onPremKey": "synthetic-on-prem-key"}
    )
    with Server(respond) as server:
        try:
            seen += Place(server.url).ask([query], with_on_prem_key=sent == "on-prem key")
        except InsightsError as error:
            seen.append(error)
    seen += [error.reply for error in seen if isinstance(error, BadAnswer)]
    shown = "".join(
        bytes(found).decode("latin-1") if isinstance(found, bytes | msgspec.Raw) else str(found)
        for found in seen
    )
    shown = unquote(html.unescape(f"{shown} {caplog.text}"))
    shown = re.sub(r"\\+u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), shown)
    assert not any(secret in shown for secret in secrets)
    assert not re.search("synthetic-(token|on)", shown)
