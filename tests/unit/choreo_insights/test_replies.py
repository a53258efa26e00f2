"""What a reply that failed says: how long to wait, whom it concerns, and nothing secret."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.errors import (
    BadAnswer,
    InsightsError,
    PersonMustAct,
    Retriable,
    Unauthenticated,
)
from choreo_insights.replies import Reply, read_complaint, retry_after, sort_failure, used_up

NOW = 1_800_000_000.0
# Made up, in two parts so that no one takes it for a real one.
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeW50aGV0" + "aWMifQ.c3ludGhldGljLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "0"}, {}, None),
        ({"Retry-After": "12"}, {}, 12),
        ({"Retry-After": "1.5"}, {}, 1.5),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, {}, 30),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, {}, None),
        # What has passed says nothing; the next source may.
        ({"Retry-After": "0", "x-ratelimit-reset": "8"}, {}, 8),
        (
            {"Retry-After": formatdate(NOW - 30, usegmt=True)},
            {"nextAccessTime": "2027-Jan-15 08:01:00+0000 UTC"},
            60,
        ),
        ({"Retry-After": "9", "x-ratelimit-reset": "8"}, {}, 9),
        # Instants since 1970, in seconds and in milliseconds.
        ({"Retry-After": str(int(NOW) + 5)}, {}, 5),
        ({"Retry-After": str(int(NOW) * 1000 + 5_000)}, {}, 5),
        ({"Retry-After": str(int(NOW) - 5)}, {}, None),
        # Ten years are seconds all the same: whoever waits has a limit.
        ({"Retry-After": "315360000"}, {}, 315_360_000),
        ({"Retry-After": "999999999"}, {}, 999_999_999),
        # The server's clock is an hour behind: its own date counts.
        (
            {
                "Retry-After": formatdate(NOW - 3_570, usegmt=True),
                "Date": formatdate(NOW - 3_600, usegmt=True),
            },
            {},
            30,
        ),
        ({"Retry-After": "Sunday, 06-Nov-94 08:49:37 GMT"}, {}, None),
        ({"Retry-After": "soon"}, {}, None),
        ({"Retry-After": "-5"}, {}, None),
        ({"Retry-After": "1e9"}, {}, None),
        ({}, {"fault": {"code": 900802, "nextAccessTime": "2027-Jan-15 08:01:00+0000 UTC"}}, 60),
        ({}, {"nextAccessTime": "2027-Jan-15 13:31:30+0530 UTC"}, 90),
        ({}, {"nextAccessTime": "2027-Jan-15 07:00:00+0000 UTC"}, None),
        ({}, {"nextAccessTime": "later"}, None),
        ({"Retry-After": "soon"}, {"nextAccessTime": "2027-Jan-15 08:01:00+0000 UTC"}, 60),
        ({"x-ratelimit-reset": "42"}, {}, 42),
        ({"x-ratelimit-reset": str(int(NOW) + 42)}, {}, 42),
        ({"x-ratelimit-reset": str(int(NOW) * 1000 + 42_000)}, {}, 42),
        ({"x-ratelimit-reset": "never"}, {}, None),
        ({}, {}, None),
    ],
)
def test_how_long_to_wait(
    headers: dict[str, str], body: dict[str, object], seconds: float | None
) -> None:
    assert retry_after(Reply(429, headers, json.dumps(body).encode()), NOW) == seconds


@settings(deadline=None)
@given(st.text(), st.text(), st.text(), st.binary())
def test_no_header_breaks_it(after: str, reset: str, date: str, body: bytes) -> None:
    headers = {"Retry-After": after, "x-ratelimit-reset": reset, "Date": date}
    seconds = retry_after(Reply(429, headers, body), NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "11"}, 11),
        ({"x-ratelimit-remaining": " 0 ", "x-ratelimit-reset": str(int(NOW) + 12)}, 12),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "13"}, None),
        ({"x-ratelimit-remaining": "", "x-ratelimit-reset": "14"}, None),
        ({"x-ratelimit-reset": "15"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        (
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "16",
                "x-ratelimit-enforced": "False",
            },
            None,
        ),
        (
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "17",
                "x-ratelimit-enforced": "true",
            },
            17,
        ),
    ],
)
def test_a_success_may_be_the_last_one(headers: dict[str, str], seconds: float | None) -> None:
    assert used_up(Reply(200, headers, b""), NOW) == seconds


def test_a_503_does_not_read_rate_limits() -> None:
    assert retry_after(Reply(503, {"x-ratelimit-reset": "42"}, b""), NOW) is None


# Sorting failures


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (
            {
                "error_message": "Invalid Credentials",
                "code": "900901",
                "error_description": "expired",
            },
            "900901",
            "Invalid Credentials: expired",
        ),
        (
            {"code": 900901, "message": "Invalid Credentials", "description": "expired"},
            "900901",
            "Invalid Credentials: expired",
        ),
        (
            {"fault": {"code": 900802, "message": "Throttled", "description": "Quota"}},
            "900802",
            "Throttled: Quota",
        ),
        ({"error": "invalid_client", "error_description": "no"}, "invalid_client", "no"),
        ({"errors": [{"message": "too complex"}]}, "", "too complex"),
        ({"code": True, "message": None}, "", ""),
        ({"fault": "text"}, "", ""),
        ({"errors": []}, "", ""),
        ([1], "", ""),
        ("text", "", ""),
    ],
)
def test_every_shape_of_an_error(body: object, code: str, text: str) -> None:
    complaint = read_complaint(json.dumps(body).encode())
    assert (complaint.code, complaint.text) == (code, text)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, Unauthenticated, "check the application's subscription"),
        (403, PersonMustAct, "subscribe"),
        (404, PersonMustAct, "moved"),
        (410, PersonMustAct, "moved"),
        (422, PersonMustAct, "GraphQL"),
        (302, PersonMustAct, "redirects"),
        (418, PersonMustAct, "check the address"),
        (400, BadAnswer, "the request itself"),
        (408, Retriable, "900999"),
        (429, Retriable, "900999"),
        (500, Retriable, "900999"),
        (503, Retriable, "900999"),
        (200, BadAnswer, "cannot be used"),
    ],
)
def test_failures_are_sorted(status: int, error: type[InsightsError], said: str) -> None:
    body = b'{"code":"900999","message":"Some failure"}'
    failure = sort_failure(Reply(status, {}, body))
    assert type(failure) is error
    assert said in str(failure)
    assert f"HTTP {status} (900999 Some failure)" in str(failure)
    assert failure.status == status


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"{", b"null", b"[" * 100_000])
def test_bodies_that_are_no_error(body: bytes) -> None:
    reply = Reply(502, {"Content-Type": "text/html"}, body)
    said = f"Insights answered HTTP 502 (text/html, {len(body)} bytes, without a known error in it)"
    assert str(sort_failure(reply)) == said


def test_a_content_type_names_no_secret() -> None:
    reply = Reply(502, {"Content-Type": "text/synthetic-secret"}, b"")
    assert "(text/***, 0 bytes" in str(sort_failure(reply, ["synthetic-secret"]))
