"""Readers of tokens: memory, then SSM, then the token function; and once more after a 401."""

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.errors import InsightsError, PersonMustAct, Retriable, Unauthenticated
from choreo_insights.tokens.reader import Token, epoch, instant
from tests.fakes import stack as stacks
from tests.fakes.aws import Refused
from tests.fakes.choreo_tokens import KEY, SECRET
from tests.fakes.clock import Clock, RealClock
from tests.fakes.stack import PREFIX, Stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    with stacks.running() as running:
        yield running


def put(stack: Stack, name: str, *, lived: float = 0.0) -> Token:
    minted_at = stack.clock() - lived
    token = Token(name, expires_at=minted_at + 900, minted_at=minted_at)
    stack.vault().write("acme", token)
    return token


# Where a token comes from


def test_two_hundred_cold_readers_of_an_expired_token_cause_one_mint() -> None:
    with stacks.running(RealClock()) as stack:
        put(stack, "expired", lived=1_000)
        start = threading.Barrier(200)

        def read() -> str:
            reader = stack.reader()
            start.wait()
            return reader.get("acme").access_token

        with ThreadPoolExecutor(200) as pool:
            tokens = {call.result() for call in [pool.submit(read) for _ in range(200)]}
        assert len(stack.choreo.requests) == 1
        assert tokens == set(stack.choreo.mints)


def test_a_warm_read_makes_no_call(stack: Stack) -> None:
    reader = stack.reader()
    token = reader.get("acme")
    calls = stack.aws.total_calls()
    assert all(reader.get("acme") is token for _ in range(100))
    stack.clock.advance(839)
    assert reader.get("acme") is token
    assert stack.aws.total_calls() == calls


def test_a_cold_read_of_a_valid_token_asks_ssm_alone(stack: Stack) -> None:
    token = put(stack, "valid")
    calls = stack.aws.total_calls()
    assert stack.reader().get("acme") == token
    assert stack.aws.total_calls() == calls + 1


def test_threads_of_one_reader_ask_once(stack: Stack) -> None:
    reader = stack.reader()
    with ThreadPoolExecutor(20) as pool:
        tokens = {call.result() for call in [pool.submit(reader.get, "acme") for _ in range(20)]}
    assert len(tokens) == 1
    assert stack.aws.calls["Invoke"] == 1


def test_organisations_have_tokens_of_their_own(stack: Stack) -> None:
    reader = stack.reader()
    assert reader.get("acme") != reader.get("globex")
    assert len(stack.choreo.mints) == 2


def test_a_token_in_its_last_minute_is_replaced(stack: Stack) -> None:
    put(stack, "old", lived=841)
    assert stack.reader().get("acme").access_token == stack.choreo.mints[0]


# After a 401


def test_a_killed_token_costs_one_re_read(stack: Stack) -> None:
    reader = stack.reader()
    killed = reader.get("acme")
    newer = put(stack, "minted-by-another")
    calls = stack.aws.total_calls()

    assert reader.rejected("acme", killed) == newer
    assert stack.aws.total_calls() == calls + 1
    assert reader.get("acme") == newer
    assert stack.aws.total_calls() == calls + 1


def test_a_rejected_token_without_a_newer_one_is_minted_anew(stack: Stack) -> None:
    reader = stack.reader()
    killed = reader.get("acme")
    fresh = reader.rejected("acme", killed)
    assert fresh.access_token == stack.choreo.mints[1]
    assert reader.get("acme") == fresh


def test_a_token_that_was_replaced_already_costs_nothing(stack: Stack) -> None:
    reader = stack.reader()
    killed = reader.get("acme")
    fresh = reader.rejected("acme", killed)
    calls = stack.aws.total_calls()
    assert reader.rejected("acme", killed) == fresh
    assert stack.aws.total_calls() == calls


def test_many_threads_with_one_rejected_token_mint_once(stack: Stack) -> None:
    reader = stack.reader()
    killed = reader.get("acme")
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(reader.rejected, "acme", killed) for _ in range(20)]
        tokens = {call.result().access_token for call in calls}
    assert tokens == {stack.choreo.mints[1]}
    assert len(stack.choreo.mints) == 2


def test_many_readers_with_one_rejected_token_mint_once() -> None:
    with stacks.running(RealClock()) as stack:
        readers = [stack.reader() for _ in range(20)]
        killed = [reader.get("acme") for reader in readers]
        with ThreadPoolExecutor(20) as pool:
            calls = [
                pool.submit(reader.rejected, "acme", token)
                for reader, token in zip(readers, killed, strict=True)
            ]
            tokens = {call.result().access_token for call in calls}
        assert tokens == {stack.choreo.mints[1]}
        assert len(stack.choreo.mints) == 2


def test_a_gateway_that_refuses_everything_causes_few_mints(stack: Stack) -> None:
    reader = stack.reader()
    token = reader.get("acme")
    with pytest.raises(Unauthenticated, match="3 new tokens within a minute"):  # noqa: PT012
        for _ in range(10):
            token = reader.rejected("acme", token)
    assert len(stack.choreo.mints) == 4
    stack.clock.advance(61)
    assert reader.rejected("acme", token) != token


def test_the_same_token_again_is_no_better_one(stack: Stack) -> None:
    stack.choreo.extra = {"access_token": "always-the-same"}
    reader = stack.reader()
    token = reader.get("acme")
    with pytest.raises(Unauthenticated, match="gives no other one"):
        reader.rejected("acme", token)


# Clocks and stores that lag


def test_a_reader_whose_clock_is_ahead_believes_the_token_function(stack: Stack) -> None:
    token = put(stack, "valid")
    ahead = Clock(stack.clock() + 900)
    reader = stack.reader(clock=ahead)
    assert reader.get("acme") == token
    calls = stack.aws.total_calls()
    assert reader.get("acme") == token
    assert stack.aws.total_calls() == calls
    assert stack.choreo.requests == []


def test_a_store_that_shows_the_token_late_is_waited_for(stack: Stack) -> None:
    token = put(stack, "late")
    answer = {"status": "minted", "fingerprint": token.fingerprint, "expires_at": "9999"}
    stack.aws.functions["token-function"] = lambda _: {"organizations": {"acme": answer}}
    old = put(stack, "old", lived=1_000)
    shown = iter([old.to_json()] * 3)

    def lag(body: dict[str, Any]) -> None:
        value = next(shown, token.to_json())
        stack.aws.parameters[f"{PREFIX}/acme"][-1]["Value"] = value

    stack.aws.faults["GetParameter"] = lag
    assert stack.reader().get("acme") == token


@pytest.mark.parametrize(("later", "served"), [(-1, False), (0, False), (1, True)])
def test_a_token_newer_than_the_one_named_serves_too(
    stack: Stack, later: float, *, served: bool
) -> None:
    """Between the token function's answer and the read another mint may have ended."""

    def answer(_: object) -> object:
        newer = put(stack, "newer")
        named = {"status": "minted", "fingerprint": "0123456789abcdef",
                 "expires_at": instant(newer.expires_at - later)}  # fmt: skip
        return {"organizations": {"acme": named}}

    stack.aws.functions["token-function"] = answer
    if served:
        assert stack.reader().get("acme").access_token == "newer"
    else:
        with pytest.raises(Retriable, match="is not in"):
            stack.reader().get("acme")


def test_a_store_that_stays_empty(stack: Stack) -> None:
    answer = {"status": "minted", "fingerprint": "0123456789abcdef"}
    stack.aws.functions["token-function"] = lambda _: {"organizations": {"acme": answer}}
    with pytest.raises(Retriable, match="is not in '/synthetic/token/acme'"):
        stack.reader().get("acme")


# A token function that fails


def test_its_words_reach_the_reader(stack: Stack) -> None:
    stack.choreo.clients.clear()
    with pytest.raises(PersonMustAct, match="make secret ORG=acme"):
        stack.reader().get("acme")


def test_what_may_pass_is_retriable(stack: Stack) -> None:
    failed = {"status": "failed", "error": "away", "retriable": True}
    stack.aws.functions["token-function"] = lambda _: {"organizations": {"acme": failed}}
    with pytest.raises(Retriable, match="acme: no token: away"):
        stack.reader().get("acme")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PersonMustAct("TokenUrl is wrong"), PersonMustAct),
        (ValueError("a defect"), Retriable),
    ],
)
def test_one_that_raises(stack: Stack, error: Exception, expected: type[InsightsError]) -> None:
    def fail(_: dict[str, Any]) -> None:
        raise error

    stack.aws.functions["token-function"] = fail
    with pytest.raises(expected, match="token-function failed"):
        stack.reader().get("acme")


@pytest.mark.parametrize("reply", [None, [], {}, {"organizations": []}, {"organizations": {}}])
def test_one_that_answers_nonsense(stack: Stack, reply: object) -> None:
    stack.aws.functions["token-function"] = lambda _: reply
    with pytest.raises(Retriable):
        stack.reader().get("acme")


def test_a_throttled_call_is_made_again(stack: Stack) -> None:
    refusals = iter([True, True])

    def throttle(_: dict[str, Any]) -> None:
        if next(refusals, False):
            raise Refused("TooManyRequestsException", status=429)

    stack.aws.faults["Invoke"] = throttle
    assert stack.reader().get("acme").access_token == stack.choreo.mints[0]
    assert len(stack.clock.sleeps) == 2


def test_a_call_that_stays_throttled_gives_up(stack: Stack) -> None:
    def throttle(_: dict[str, Any]) -> None:
        raise Refused("TooManyRequestsException", status=429)

    stack.aws.faults["Invoke"] = throttle
    with pytest.raises(Retriable, match="TooManyRequestsException"):
        stack.reader().get("acme")


def test_a_missing_function_is_named(stack: Stack) -> None:
    stack.aws.functions.clear()
    with pytest.raises(InsightsError, match="asking token-function for a token"):
        stack.reader().get("acme")


# Tokens themselves


@settings(deadline=None)
@given(
    lifetime=st.floats(min_value=1, max_value=30 * 86_400),
    now=st.floats(min_value=0, max_value=31 * 86_400),
)
def test_the_margin(lifetime: float, now: float) -> None:
    token = Token("t", expires_at=lifetime, minted_at=0.0)
    if token.is_fresh(now):
        assert now < lifetime
        # Never a token in its last minute, save for one that lives less than four.
        assert lifetime - now > min(60, lifetime / 4) - 1e-6
    else:
        # Never thrown away while more than a minute is left.
        assert lifetime - now <= 60 + 1e-6


@settings(deadline=None)
@given(
    text=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    minted_at=st.floats(min_value=0, max_value=4e9),
    lifetime=st.floats(min_value=1, max_value=1e6),
)
def test_a_stored_token_comes_back_and_never_lives_longer(
    text: str, minted_at: float, lifetime: float
) -> None:
    token = Token(text, expires_at=minted_at + lifetime, minted_at=minted_at, scope="a b")
    back = Token.from_json(token.to_json())
    assert back is not None
    assert back.access_token == text
    assert -1e-5 <= token.expires_at - back.expires_at <= 1
    assert -1e-5 <= token.minted_at - back.minted_at <= 0.002


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_instants_come_back(seconds: int) -> None:
    assert epoch(instant(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"access_token":"a","expires_at":"never","minted_at":"2026-01-01T00:00:00Z"}',
        '{"access_token":"a","expires_at":5,"minted_at":"2026-01-01T00:00:00Z"}',
        '{"access_token":"a b","expires_at":"2026-01-01T00:00:00Z","minted_at":"2026-01-01"}',
        '{"access_token":7,"expires_at":"2026-01-01T00:00:00Z","minted_at":"2026-01-01"}',
    ],
)
def test_what_is_no_token(text: str) -> None:
    assert Token.from_json(text) is None


def test_the_fingerprint_is_the_start_of_the_hash() -> None:
    token = Token("synthetic", 0.0, 0.0)
    assert token.fingerprint == "b3cc0475bb78a502"  # pragma: allowlist secret (made up)
    assert json.loads(token.to_json())["fingerprint"] == token.fingerprint


def test_nothing_shows_a_token_or_a_secret(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reader = stack.reader()
    token = reader.get("acme")
    newer = reader.rejected("acme", token)
    reply = stack.function({"action": "revoke"})
    seen = f"{token} {token!r} {newer!r} {vars(reader)} {reply} {caplog.text}"
    for secret in (*stack.choreo.mints, KEY, SECRET):
        assert secret not in seen
