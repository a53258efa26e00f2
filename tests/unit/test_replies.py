"""What a reply that failed says: how long to wait, whom it concerns, and nothing secret."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights.errors import BadAnswer, InsightsError, PersonMustAct, Retriable, Unauthenticated
from insights.replies import Reply, read_complaint, redact, retry_after, sort_failure

NOW = 1_800_000_000.0
# Made up, in two parts so that no one takes it for a real one.
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeW50aGV0" + "aWMifQ.c3ludGhldGljLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "0"}, {}, 0),
        ({"Retry-After": "12"}, {}, 12),
        ({"Retry-After": "1.5"}, {}, 1.5),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, {}, 30),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, {}, 0),
        # The server's clock is an hour behind: its own date counts.
        (
            {
                "Retry-After": formatdate(NOW - 3_570, usegmt=True),
                "Date": formatdate(NOW - 3_600, usegmt=True),
            },
            {},
            30,
        ),
        ({"Retry-After": "Sunday, 06-Nov-94 08:49:37 GMT"}, {}, 0),
        ({"Retry-After": "soon"}, {}, None),
        ({"Retry-After": "-5"}, {}, None),
        ({"Retry-After": "1e9"}, {}, None),
        ({}, {"fault": {"code": 900802, "nextAccessTime": "2027-Jan-15 08:01:00+0000 UTC"}}, 60),
        ({}, {"nextAccessTime": "2027-Jan-15 13:31:30+0530 UTC"}, 90),
        ({}, {"nextAccessTime": "2027-Jan-15 07:00:00+0000 UTC"}, 0),
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


# Redaction


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        JWT[:30],
        "4c1f7f9e-6f2e-3a7b-8a55-6a2c0c6f7c11",
        "Zk2uVb8yQx0aT4pLr6Nf_sWc9dEa",  # pragma: allowlist secret (made up)
        "c3ludGhldGljOnN5bnRoZXRpYw4711==",
    ],
)
def test_what_looks_like_a_secret_is_hidden(secret: str) -> None:
    body = json.dumps({"code": "900901", "message": f"Bad token {secret}, given"}).encode()
    failure = sort_failure(Reply(401, {}, body))
    assert secret not in str(failure)
    assert "Bad token ***, given" in str(failure)


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=4), st.text())
def test_a_known_secret_never_passes(before: str, secret: str, after: str) -> None:
    shown = redact(f"{before} {secret} {after}", [secret])
    assert secret not in shown or secret in "***…"


@settings(deadline=None)
@given(st.text())
def test_a_redacted_text_is_one_short_line(text: str) -> None:
    shown = redact(text)
    assert len(shown) <= 301
    assert shown == "" or shown.isprintable()


def test_plain_words_pass() -> None:
    text = "Invalid Credentials: make sure your API invocation call has a header, code 900901"
    assert redact(text) == text
