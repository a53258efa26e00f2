"""Foreign text without secrets, in whatever spelling they come back."""

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights import redaction
from choreo_insights.redaction import hide, redact, redact_body
from choreo_insights.replies import Reply, sort_failure

# Made up, in two parts so that no one takes it for a real one.
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeW50aGV0" + "aWMifQ.c3ludGhldGljLXNpZ25hdHVyZQ"
# Nothing by which it could be taken for a token, and every character that is escaped somewhere.
PLAIN = 'it\'s <my>/"own" key & 100% so'


def every_character(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(character)) for character in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "HTML": html.escape,
    "HTML, decimal": every_character("&#{};"),
    "HTML, hexadecimal": every_character("&#x{:X};"),
    "HTML, long": every_character("&#x0{:04x};"),
    "URL": quote,
    "URL, without a slash": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "URL, every character": every_character("%{:02X}"),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "JSON, as PHP writes it": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, every character": every_character("\\u{:04x}"),
    "JSON, every character, capitals": every_character("\\u{:04X}"),
    "HTML in part": lambda text: html.escape(text[:9]) + every_character("&#{};")(text[9:]),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [PLAIN, "opk4b1f51946ac448fa", JWT, "a-b_c.d~e+f/g=="])
def test_a_secret_is_hidden_in_every_spelling(spelling: str, secret: str) -> None:
    spelt = SPELLINGS[spelling](secret)
    assert redact(f"bad key {spelt}, given", [secret]) == "bad key ***, given"
    assert hide(f"bad key {spelt}, given", [secret]) == "bad key ***, given"
    body = f"bad key {spelt}, gïven".encode()
    assert redact_body(body, [secret]) == "bad key ***, gïven".encode()


def test_of_a_token_that_is_not_repeated_only_the_end_is_spelt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spelt: list[str] = []
    spellings = redaction._spellings
    monkeypatch.setattr(redaction, "_spellings", lambda c: spelt.append(c) or spellings(c))
    token = f"{JWT}.{JWT[::-1]}"
    other = token[:-1]
    assert hide(f"a bad key, {other}", [token]) == f"a bad key, {other}"
    assert len(spelt) < 20
    assert hide(f"a bad key, {quote(token)}", [token]) == "a bad key, ***"


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(before=st.integers(0, 5_000), times=st.integers(1, 300))
def test_the_beginning_of_a_secret_does_not_stay_where_a_text_is_cut(
    spelling: str, before: int, times: int
) -> None:
    spelt = SPELLINGS[spelling](PLAIN)
    shown = redact("x " * before + f"{spelt} " * times, [PLAIN], most=100_000)
    assert set(shown.split()) <= {"x", "***", "**", "*"}


def test_a_body_keeps_all_that_is_no_secret() -> None:
    body = bytes(range(256)) + b'{"id": "4c1f7f9e-6f2e-3a7b-8a55-6a2c0c6f7c11"}'
    assert redact_body(body, ["another one", "short", "", "\u00fcnicode one"]) == body
    assert redact_body(body + b"another one" + body, ["another one"]) == body + b"***" + body


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


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("a", "a token of abc was bad: 'ab' is no key"),
        ("ab", "a token of abc was bad: '***' is no key"),
        ("abc", "a token of *** was bad: 'ab' is no key"),
        ("toke", "a ***n of abc was bad: 'ab' is no key"),
    ],
)
def test_a_very_short_secret_does_not_destroy_a_text(secret: str, shown: str) -> None:
    text = "a token of abc was bad: 'ab' is no key"
    assert redact(text, [secret]) == shown
    assert hide(text, [secret]) == shown


def test_plain_words_pass() -> None:
    text = "Invalid Credentials: make sure your API invocation call has a header, code 900901"
    assert redact(text) == text
