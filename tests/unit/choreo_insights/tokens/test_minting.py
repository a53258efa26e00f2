"""Minting: as documented, no more than needed, one at a time, and what happens when it fails."""

import base64
import json
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.errors import (
    BadAnswer,
    ConfigurationError,
    InsightsError,
    PersonMustAct,
    Retriable,
)
from choreo_insights.tokens.lease import LEASE_SECONDS, SKEW_SECONDS, Lease, MintFailure
from choreo_insights.tokens.reader import Token
from choreo_insights.tokens.token_service import CredentialsRefusedError, _lifetime
from tests.fakes import stack as stacks
from tests.fakes.aws import Refused
from tests.fakes.choreo_tokens import KEY, SECRET
from tests.fakes.clock import Clock, RealClock
from tests.fakes.server import Answer
from tests.fakes.stack import PREFIX, SECONDS, STATES, Stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    with stacks.running() as running:
        yield running


@pytest.fixture
def timed() -> Iterator[Stack]:
    """A stack whose many threads share the real time."""
    with stacks.running(RealClock()) as running:
        yield running


def put(stack: Stack, name: str, *, lived: float = 0.0, lifetime: float = 900.0) -> Token:
    now = stack.clock()
    token = Token(name, expires_at=now - lived + lifetime, minted_at=now - lived)
    stack.vault().write("acme", token)
    return token


# As the documentation says


def test_the_request_is_the_documentations_curl_call(stack: Stack) -> None:
    stack.minter().ensure("acme", SECONDS)

    request = stack.choreo.requests[0]
    basic = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    assert request.path == "/oauth2/token"
    assert request.headers["Authorization"] == f"Basic {basic}"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    body = "grant_type=client_credentials&orgHandle=acme&scope=apim%3Aapi_manage"
    assert request.body.decode() == body


def test_the_parameter_is_the_contracts(stack: Stack) -> None:
    outcome = stack.minter().ensure("acme", SECONDS)

    written = stack.aws.parameters[f"{PREFIX}/acme"][-1]
    assert written["Type"] == "SecureString"
    assert written["KeyId"] == "synthetic-key-id"
    assert written["Tier"] == "Intelligent-Tiering"
    assert outcome.token is not None
    assert json.loads(written["Value"]) == {
        "access_token": stack.choreo.mints[0],
        "token_type": "Bearer",
        "scope": "apim:api_manage",
        "expires_at": "2027-01-15T08:15:00Z",
        "minted_at": "2027-01-15T08:00:00.000Z",
        "fingerprint": outcome.token.fingerprint,
    }


def test_life_counts_from_before_the_request(stack: Stack) -> None:
    asked_at = stack.clock()
    stack.choreo.gate.clear()
    with ThreadPoolExecutor() as pool:
        minting = pool.submit(stack.minter().ensure, "acme", SECONDS)
        stack.choreo.asked.acquire()
        stack.clock.advance(8)
        stack.choreo.gate.set()
        token = minting.result().token
    assert token is not None
    assert token.expires_at == asked_at + 900


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        (899.5, 899.5),
        (None, 300),
        (0, 300),
        (-1, 300),
        (True, 300),
        ("soon", 300),
        ([900], 300),
        (float("nan"), 300),
        (float("inf"), 300),
        (10**400, 300),
        (9_223_372_036_854_775, 30 * 86_400),
    ],
)
def test_lifetime(expires_in: object, seconds: float) -> None:
    assert _lifetime(expires_in) == seconds


@settings(deadline=None)
@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()))
def test_any_lifetime_is_positive_and_bounded(expires_in: object) -> None:
    assert 0 < _lifetime(expires_in) <= 30 * 86_400


def test_a_missing_lifetime_is_taken_as_five_minutes(stack: Stack) -> None:
    stack.choreo.expires_in = None
    token = stack.minter().ensure("acme", SECONDS).token
    assert token is not None
    assert token.expires_at == stack.clock() + 300


def test_a_narrower_scope_is_noted(stack: Stack) -> None:
    stack.choreo.extra = {"scope": "default"}
    outcome = stack.minter().ensure("acme", SECONDS)
    assert outcome.status == "minted"
    assert "'default', without 'apim:api_manage'" in outcome.note


# No more than needed


def test_a_valid_token_is_not_replaced(stack: Stack) -> None:
    token = put(stack, "valid")
    outcome = stack.minter().ensure("acme", SECONDS)
    assert (outcome.status, outcome.token) == ("cached", token)
    assert stack.choreo.requests == []


@pytest.mark.parametrize(
    ("lifetime", "lived", "status"),
    [
        (900, 839, "cached"),
        (900, 841, "minted"),
        (900, 1000, "minted"),
        # A short-lived token is used too: its margin is a quarter of its life.
        (40, 29, "cached"),
        (40, 31, "minted"),
    ],
)
def test_the_margin(stack: Stack, lifetime: float, lived: float, status: str) -> None:
    put(stack, "old", lived=lived, lifetime=lifetime)
    assert stack.minter().ensure("acme", SECONDS).status == status


def test_a_rejected_token_is_replaced(stack: Stack) -> None:
    token = put(stack, "killed")
    outcome = stack.minter().ensure("acme", SECONDS, rejected=token.fingerprint)
    assert outcome.status == "minted"
    assert stack.stored() == outcome.token


def test_another_than_the_rejected_token_is_kept(stack: Stack) -> None:
    token = put(stack, "valid")
    outcome = stack.minter().ensure("acme", SECONDS, rejected="0123456789abcdef")
    assert (outcome.status, outcome.token) == ("cached", token)


def test_renew_always_mints(stack: Stack) -> None:
    put(stack, "valid")
    minter = stack.minter()
    assert minter.renew("acme", SECONDS).status == "minted"
    stack.clock.advance(1)
    assert minter.renew("acme", SECONDS).status == "minted"
    assert len(stack.choreo.mints) == 2


def test_renew_reads_the_secret_anew(stack: Stack) -> None:
    """A warm function keeps the earlier secret for five minutes."""
    minter = stack.minter()
    first = minter.ensure("acme", SECONDS).token
    stack.put_secret("acme", consumer_secret="mistyped")
    with pytest.raises(CredentialsRefusedError):
        minter.renew("acme", SECONDS)
    assert stack.stored() == first
    assert minter.status("acme").minted_by == "other"


def test_renew_takes_nothing_that_another_secret_minted(stack: Stack) -> None:
    """A mint that began later, in a container that keeps the earlier secret."""
    warm, other = stack.minter(), stack.minter()
    warm.ensure("acme", SECONDS)
    stack.put_secret("acme")

    def mint_meanwhile(_: Any) -> None:
        del stack.aws.faults["GetParameter"]
        stack.clock.advance(1)
        rejected = stack.stored()
        assert rejected
        warm.ensure("acme", SECONDS, rejected.fingerprint)

    stack.aws.faults["GetParameter"] = mint_meanwhile
    renewed = other.renew("acme", SECONDS)
    assert (renewed.status, renewed.minted_by) == ("minted", "current")
    assert other.status("acme").minted_by == "current"


def test_which_secret_minted_the_token(stack: Stack) -> None:
    minter = stack.minter()
    minter.ensure("acme", SECONDS)
    assert minter.status("acme").minted_by == "current"
    stack.put_secret("acme")
    assert minter.status("acme").minted_by == "other"
    minter.renew("acme", SECONDS)
    assert minter.status("acme").minted_by == "current"
    stack.choreo.script = [OUT] * 3
    with pytest.raises(Retriable):
        minter.renew("acme", SECONDS)
    assert minter.status("acme").minted_by == "current"
    put(stack, "of-an-earlier-release")
    assert minter.status("acme").minted_by == "unknown"
    del stack.aws.secrets["choreo-insights/acme"]
    gone = minter.status("acme")
    assert (gone.status, gone.minted_by) == ("cached", "unknown")
    assert "there is no secret" in gone.note


CIPHERTEXT = "The ciphertext refers to a customer master key that you are not allowed to access."
KMS_DECRYPT = "User: arn:aws:sts::1:assumed-role/r/f is not authorized to perform: kms:Decrypt"


class OtherKey:
    """A parameter is encrypted by another key until it is overwritten."""

    def __init__(self, stack: Stack, refusal: Refused, heals: bool = True) -> None:
        self._stack = stack
        self._refusal = refusal
        self._heals = heals
        stack.aws.faults["GetParameter"] = self._get
        self._before = len(stack.aws.parameters[f"{PREFIX}/acme"])

    def _get(self, body: dict[str, Any]) -> None:
        if body["Name"] == f"{PREFIX}/acme":
            written = len(self._stack.aws.parameters[body["Name"]]) > self._before
            if not (written and self._heals):
                raise self._refusal


@pytest.mark.parametrize(
    "refusal",
    [
        Refused("InvalidKeyId", "arn:aws:kms:eu-central-1:1:key/2 is pending deletion."),
        Refused("AccessDeniedException", CIPHERTEXT),
        Refused("AccessDeniedException", KMS_DECRYPT),
    ],
    ids=("gone", "ciphertext", "refused"),
)
def test_what_cannot_be_decrypted_counts_as_absent(stack: Stack, refusal: Refused) -> None:
    put(stack, "of-an-earlier-stack")
    OtherKey(stack, refusal)
    minter = stack.minter()
    status = minter.status("acme")
    assert (status.status, status.token) == ("absent", None)
    assert f"{PREFIX}/acme' cannot be decrypted ({refusal.code})" in status.note
    assert "The next mint overwrites it" in status.note
    revoked = minter.revoke("acme", SECONDS)
    assert revoked.status == "absent"
    assert "cannot be revoked" in revoked.note
    assert stack.reader().get("acme").access_token == stack.choreo.mints[0]
    assert minter.status("acme").status == "cached"


def test_a_renewal_overwrites_what_cannot_be_decrypted(stack: Stack) -> None:
    put(stack, "of-an-earlier-stack")
    OtherKey(stack, Refused("InvalidKeyId"))
    assert stack.minter().renew("acme", SECONDS).status == "minted"


def test_a_key_that_stays_unusable_is_no_mint_for_each_use(stack: Stack) -> None:
    put(stack, "as-before")
    OtherKey(stack, Refused("AccessDeniedException", KMS_DECRYPT), heals=False)
    for _ in range(3):
        with pytest.raises(PersonMustAct, match=r"cannot be decrypted.*Deploy the stack again"):
            stack.reader().get("acme")
    assert len(stack.choreo.mints) == 1


def test_a_reader_that_may_not_decrypt_says_so(stack: Stack) -> None:
    """The function's key policy lets it in; the reader's role has lost the right."""
    stack.minter().ensure("acme", SECONDS)
    reader = stack.reader()
    stack.aws.functions["token-function"] = lambda _: {
        "organizations": {"acme": {"status": "cached", "fingerprint": "0123456789abcdef"}}
    }
    OtherKey(stack, Refused("AccessDeniedException", KMS_DECRYPT), heals=False)
    with pytest.raises(PersonMustAct, match="cannot be decrypted"):
        reader.get("acme")


def test_what_is_no_token_in_the_parameter_is_replaced(stack: Stack) -> None:
    stack.ssm.put_parameter(Name=f"{PREFIX}/acme", Value="broken", Type="SecureString")
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


# Sizes


def test_a_token_over_four_kilobytes_is_kept(stack: Stack) -> None:
    stack.choreo.padding = 5_000
    outcome = stack.minter().ensure("acme", SECONDS)
    assert outcome.status == "minted"
    assert stack.stored() == outcome.token


def test_a_token_over_eight_kilobytes_is_refused_in_words(stack: Stack) -> None:
    stack.choreo.padding = 9_000
    with pytest.raises(
        PersonMustAct, match="holds 8192 at the most, so it was not stored"
    ) as raised:
        stack.minter().ensure("acme", SECONDS)
    assert stack.choreo.mints[0] not in str(raised.value)
    assert stack.stored() is None
    # Nor does the next caller have one minted in vain.
    with pytest.raises(PersonMustAct, match="8192"):
        stack.minter().ensure("acme", SECONDS)
    assert len(stack.choreo.mints) == 1


# One at a time


def test_many_containers_mint_once(timed: Stack) -> None:
    put(timed, "expired", lived=1_000)
    start = threading.Barrier(40)

    def ensure() -> str:
        minter = timed.minter()
        start.wait()
        token = minter.ensure("acme", SECONDS).token
        assert token is not None
        return token.access_token

    with ThreadPoolExecutor(40) as pool:
        tokens = {call.result() for call in [pool.submit(ensure) for _ in range(40)]}
    assert tokens == set(timed.choreo.mints)
    assert len(timed.choreo.mints) == 1


def test_a_mint_that_ended_between_look_and_claim_is_seen(stack: Stack) -> None:
    put(stack, "expired", lived=1_000)
    turns = iter([True])

    def mint_meanwhile(body: dict[str, str]) -> None:
        if body["Name"].startswith(STATES) and next(turns, False):
            stack.minter().ensure("acme", SECONDS)

    stack.aws.faults["GetParameter"] = mint_meanwhile
    assert stack.minter().ensure("acme", SECONDS).status == "cached"
    assert len(stack.choreo.mints) == 1


def test_renewals_side_by_side_never_overlap(timed: Stack) -> None:
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(timed.minter().renew, "acme", SECONDS) for _ in range(12)]
        assert {call.result().status for call in calls} <= {"minted", "cached"}
    assert timed.choreo.most_at_once == 1


def test_a_dead_holder_is_succeeded_after_its_lease(stack: Stack) -> None:
    lease = stack.lease()
    assert lease.claim("acme", lease.read("acme"))
    died = stack.clock()

    outcome = stack.minter().ensure("acme", SECONDS)

    assert outcome.status == "minted"
    assert LEASE_SECONDS <= stack.clock() - died < LEASE_SECONDS + 5
    assert len(stack.choreo.mints) == 1


def test_a_long_dead_holder_holds_nobody_back(stack: Stack) -> None:
    lease = stack.lease()
    assert lease.claim("acme", lease.read("acme"))
    stack.clock.advance(LEASE_SECONDS + SKEW_SECONDS + 1)
    assert stack.minter().ensure("acme", SECONDS).status == "minted"
    assert stack.clock.sleeps == []


def test_a_holder_with_a_wrong_clock_is_succeeded_too(stack: Stack) -> None:
    ahead = stack.lease(Clock(stack.clock() + 600))
    assert ahead.claim("acme", ahead.read("acme"))
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


def test_a_lease_holds_for_a_clock_that_is_less_than_a_minute_ahead(stack: Stack) -> None:
    lease, ahead = stack.lease(), stack.lease(Clock(stack.clock() + 55))
    seen = lease.read("acme")
    assert lease.claim("acme", seen)
    assert ahead.claim("acme", seen) is None
    assert not ahead.read("acme").is_free(stack.clock() + LEASE_SECONDS + 55)


def test_who_has_no_time_to_wait_says_so(stack: Stack) -> None:
    lease = stack.lease()
    assert lease.claim("acme", lease.read("acme"))
    began = stack.clock()
    with pytest.raises(Retriable, match="another mint is under way"):
        stack.minter().ensure("acme", 10.0)
    assert stack.choreo.requests == []
    # It waits as long as there is time, and not a moment longer.
    assert began + 5 < stack.clock() <= began + 10


def test_a_pause_may_end_with_the_callers_time_and_not_after_it(stack: Stack) -> None:
    minter = stack.minter(sleep=stack.clock.sleep)
    minter._random = lambda: 0.5
    now = stack.clock()
    minter._pause("acme", 0, now + 0.2)
    assert stack.clock.sleeps == [pytest.approx(0.2)]
    with pytest.raises(Retriable):
        minter._pause("acme", 0, stack.clock() + 0.199)
    assert len(stack.clock.sleeps) == 1


def test_a_late_claim_over_a_finished_one_holds(stack: Stack) -> None:
    lease = stack.lease()
    seen = lease.read("acme")
    first = lease.claim("acme", seen)
    assert first
    lease.release("acme", first)
    seen = lease.read("acme")
    second = lease.claim("acme", seen)
    assert second
    lease.release("acme", second, MintFailure("why", retriable=True))
    # This one looked before the second, and its write comes after the second was done.
    late = lease.claim("acme", seen)
    assert late
    assert late.missed == MintFailure("why", retriable=True)
    assert not lease.read("acme").is_free(stack.clock())


def test_a_claim_over_a_held_lease_is_void(stack: Stack) -> None:
    lease = stack.lease()
    stack.minter().ensure("acme", SECONDS)
    seen = lease.read("acme")
    assert lease.claim("acme", seen)
    assert lease.claim("acme", seen) is None
    assert lease.claim("acme", seen) is None


def test_only_one_creates_the_state(stack: Stack) -> None:
    lease = stack.lease()
    seen = lease.read("acme")
    assert lease.claim("acme", seen)
    assert lease.claim("acme", seen) is None


@pytest.mark.parametrize("fresh", [True, False])
def test_a_claim_whose_answer_was_lost_is_known_again(stack: Stack, *, fresh: bool) -> None:
    if not fresh:
        stack.minter().ensure("acme", SECONDS)
    lease = stack.lease()
    seen = lease.read("acme")
    lost = iter([True])

    def lose(body: dict[str, Any]) -> None:
        if next(lost, False):
            stack.aws._PutParameter(body)
            raise Refused("InternalServerError", status=500)

    stack.aws.faults["PutParameter"] = lose
    patient = stack.aws.ssm(attempts=3)
    held = Lease(patient, STATES, stack.clock).claim("acme", seen)
    assert held
    assert lease.claim("acme", seen) is None
    lease.release("acme", held)
    assert lease.read("acme").is_free(stack.clock())


def test_a_throttled_claim_waits_its_turn(stack: Stack) -> None:
    failures = iter([True])

    def throttle(body: dict[str, str]) -> None:
        if body["Name"].startswith(STATES) and next(failures, False):
            raise Refused("ThrottlingException", "Rate exceeded")

    stack.aws.faults["PutParameter"] = throttle
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


def test_a_mint_that_outlasts_its_lease_is_not_stored(stack: Stack) -> None:
    class Slow:
        def mint(self, credentials: object, seconds: float) -> Token:
            stack.clock.advance(LEASE_SECONDS)
            return Token("late", stack.clock() + 900, stack.clock())

    with pytest.raises(Retriable, match="outlasted its lease"):
        stack.minter(service=Slow()).ensure("acme", SECONDS)
    assert stack.stored() is None


def test_a_lease_that_cannot_be_given_back_does_not_lose_the_token(stack: Stack) -> None:
    puts = iter(range(10))

    def fail(body: dict[str, str]) -> None:
        if body["Name"].startswith(STATES) and next(puts) > 0:
            raise Refused("InternalServerError", status=500)

    stack.aws.faults["PutParameter"] = fail
    assert stack.minter().ensure("acme", SECONDS).status == "minted"
    assert stack.minter().ensure("acme", SECONDS).status == "cached"


# Refused credentials


def test_refused_credentials_are_asked_once_a_minute(stack: Stack) -> None:
    stack.choreo.clients.clear()
    for _ in range(5):
        with pytest.raises(PersonMustAct, match="make secret ORG=acme"):
            stack.minter().ensure("acme", SECONDS)
    assert len(stack.choreo.requests) == 1

    stack.clock.advance(61)
    with pytest.raises(PersonMustAct):
        stack.minter().ensure("acme", SECONDS)
    assert len(stack.choreo.requests) == 2


def test_renew_heeds_the_remembered_refusal(stack: Stack) -> None:
    stack.choreo.clients.clear()
    for _ in range(2):
        with pytest.raises(PersonMustAct):
            stack.minter().renew("acme", SECONDS)
    assert len(stack.choreo.requests) == 1


def test_a_new_secret_is_tried_at_once(stack: Stack) -> None:
    stack.choreo.clients = {KEY: "another"}
    with pytest.raises(CredentialsRefusedError):
        stack.minter().ensure("acme", SECONDS)
    stack.put_secret("acme", consumer_secret="another")
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


def test_a_cached_secret_is_read_again_once(stack: Stack) -> None:
    secrets = stack.secrets()
    secrets.get("acme")
    stack.choreo.clients = {KEY: "rotated"}
    stack.put_secret("acme", consumer_secret="rotated")
    reads = stack.aws.calls["GetSecretValue"]

    outcome = stack.minter(secrets=secrets).ensure("acme", SECONDS)

    assert outcome.status == "minted"
    assert stack.aws.calls["GetSecretValue"] == reads + 1
    assert len(stack.choreo.requests) == 2


def test_a_refusal_names_no_key(stack: Stack) -> None:
    stack.choreo.clients.clear()
    with pytest.raises(PersonMustAct) as raised:
        stack.minter().ensure("acme", SECONDS)
    seen = f"{raised.value!r} {raised.value} {stack.aws.value(f'{STATES}/acme')}"
    assert KEY not in seen
    assert SECRET not in seen


def test_a_missing_secret_is_not_remembered(stack: Stack) -> None:
    kept = stack.aws.secrets.pop("choreo-insights/acme")
    with pytest.raises(ConfigurationError, match="make secret ORG=acme"):
        stack.minter().ensure("acme", SECONDS)
    stack.aws.secrets["choreo-insights/acme"] = kept
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


def old_failure(stack: Stack, age: float) -> None:
    failure = {"error": "refused long ago", "retriable": False,
               "until": stack.clock() - age, "secret_version": "1"}  # fmt: skip
    stack.ssm.put_parameter(
        Name=f"{STATES}/acme", Type="String", Value=json.dumps({"failure": failure})
    )


@pytest.mark.parametrize("age", [1.0, 7 * 86_400.0])
def test_an_old_refusal_is_not_raised_because_a_claim_had_to_wait(stack: Stack, age: float) -> None:
    old_failure(stack, age)
    claims = iter([True])

    def throttle(body: dict[str, str]) -> None:
        if body["Name"] == f"{STATES}/acme" and next(claims, False):
            raise Refused("ThrottlingException")

    stack.aws.faults["PutParameter"] = throttle
    assert stack.minter().ensure("acme", SECONDS).status == "minted"
    assert len(stack.choreo.requests) == 1


def test_a_failure_that_came_while_it_waited_is_raised(stack: Stack) -> None:
    old_failure(stack, 7 * 86_400.0)
    lease = stack.lease()
    held = lease.claim("acme", lease.read("acme"))
    assert held

    def sleep(seconds: float) -> None:
        stack.clock.sleep(seconds)
        lease.release("acme", held, MintFailure("refused just now", retriable=False))

    with pytest.raises(PersonMustAct, match="refused just now"):
        stack.minter(sleep=sleep).ensure("acme", SECONDS)
    assert stack.choreo.requests == []


# A token service in trouble

OUT = Answer.of({"error": "server_error"}, 503)


def test_it_is_asked_again_after_a_blip(stack: Stack) -> None:
    stack.choreo.script = [OUT, Answer(500, b"<html>no</html>")]
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


def test_an_outage_is_not_remembered(stack: Stack) -> None:
    stack.choreo.script = [OUT] * 3
    with pytest.raises(Retriable, match="503"):
        stack.minter().ensure("acme", SECONDS)
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


def test_a_pause_that_was_asked_for_is_kept(stack: Stack) -> None:
    stack.choreo.script = [Answer.of({}, 429, Retry_After="300")]
    with pytest.raises(Retriable, match="429"):
        stack.minter().ensure("acme", SECONDS)
    with pytest.raises(Retriable, match="asked again after") as raised:
        stack.minter().ensure("acme", SECONDS)
    assert raised.value.retry_after == pytest.approx(300, abs=2)
    assert len(stack.choreo.requests) == 1
    stack.clock.advance(301)
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


def test_who_waited_for_a_failed_mint_does_not_repeat_it(timed: Stack) -> None:
    waiting = threading.Semaphore(0)

    def sleep(seconds: float) -> None:
        waiting.release()
        time.sleep(seconds)

    timed.choreo.script = [Answer(200, b"no token")] * 9
    timed.choreo.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(timed.minter().ensure, "acme", SECONDS)
        timed.choreo.asked.acquire()
        rest = [pool.submit(timed.minter(sleep=sleep).ensure, "acme", SECONDS) for _ in range(7)]
        for _ in rest:
            waiting.acquire()
        timed.choreo.gate.set()
        for call in [first, *rest]:
            with pytest.raises(InsightsError, match="without an access_token"):
                call.result()
    assert len(timed.choreo.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>maintenance</html>", {"Content-Type": "text/html"}),
        Answer(200, b""),
        Answer(200, b"[]"),
        Answer(200, b'{"token_type":"Bearer"}'),
        Answer(200, b'{"access_token":"","expires_in":900}'),
        Answer(200, b'{"access_token":17,"expires_in":900}'),
        Answer(200, b'{"access_token":"two\\r\\nlines","expires_in":900}'),
        Answer(200, b'{"access_token":"cut o'),
        Answer(200, b"\xff\xfe"),
    ],
)
def test_answers_without_a_token(stack: Stack, answer: Answer) -> None:
    stack.choreo.script = [answer]
    with pytest.raises(BadAnswer, match="without an access_token") as raised:
        stack.minter().ensure("acme", SECONDS)
    assert "two" not in str(raised.value)
    assert stack.stored() is None
    assert stack.minter().ensure("acme", SECONDS).status == "minted"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b'{"error":"invalid_scope"}', "invalid_scope"),
        (403, b"", "Scope"),
        (404, b"<html>", "moved"),
        (302, b"", "redirects"),
    ],
)
def test_other_refusals_say_what_to_check(
    stack: Stack, status: int, body: bytes, said: str
) -> None:
    stack.choreo.script = [Answer(status, body)]
    with pytest.raises(PersonMustAct, match=said) as raised:
        stack.minter().ensure("acme", SECONDS)
    assert "TokenUrl" in str(raised.value)
    with pytest.raises(PersonMustAct):
        stack.minter().ensure("acme", SECONDS)
    assert len(stack.choreo.requests) == 1


BASIC = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()


@pytest.mark.parametrize("secret", [KEY, SECRET, BASIC])
def test_what_it_repeats_is_not_shown(stack: Stack, secret: str) -> None:
    """In the scope, the type of the token, the content type, and a refusal's parts."""
    escaped = "".join(f"&#{ord(character)};" for character in secret)
    shown = []
    for said in (secret, escaped):
        stack.choreo.extra = {"scope": f"for {said}", "token_type": f"type {said}"}
        outcome = stack.minter().renew("acme", SECONDS)
        assert outcome.token
        shown += [outcome.note, outcome.token.scope, outcome.token.token_type]
        shown.append(str(stack.aws.value(f"{PREFIX}/acme")))
        for answer in (
            Answer(200, b"", {"Content-Type": said}),
            Answer.of({"error": said, "error_description": said}, 400),
            Answer.of({"error": "invalid_client", "error_description": said}, 401),
            Answer(403, b"", {"Content-Type": said}),
        ):
            stack.clock.advance(100)
            stack.choreo.script = [answer]
            with pytest.raises(InsightsError) as raised:
                stack.minter().renew("acme", SECONDS)
            shown += [str(raised.value), str(stack.aws.value(f"{STATES}/acme"))]
            stack.clock.advance(100)
    assert not [text for text in shown if secret in text or escaped in text]
    assert "for ***" in shown


def test_the_scope_does_not_repeat_the_new_token(stack: Stack) -> None:
    stack.choreo.extra = {"access_token": "synthetic-token", "scope": "for synthetic-token"}
    outcome = stack.minter().ensure("acme", SECONDS)
    assert outcome.token
    assert outcome.token.scope == "for ***"


# AWS in trouble


def test_a_mint_state_that_cannot_be_read_is_not_taken_for_free(stack: Stack) -> None:
    def refuse(body: dict[str, str]) -> None:
        if body["Name"].startswith(STATES):
            raise Refused("AccessDeniedException", "not authorized")

    stack.aws.faults["GetParameter"] = refuse
    with pytest.raises(PersonMustAct, match="reading '/synthetic/mint/acme'"):
        stack.minter().ensure("acme", SECONDS)
    assert stack.choreo.requests == []
    assert f"{STATES}/acme" not in stack.aws.parameters


def test_a_refused_put_does_not_quote_the_token(stack: Stack) -> None:
    def refuse(body: dict[str, str]) -> None:
        if body["Type"] == "SecureString":
            raise Refused("ValidationException", f"Value '{body['Value']}' is wrong")

    stack.aws.faults["PutParameter"] = refuse
    with pytest.raises(InsightsError, match="storing the token") as raised:
        stack.minter().ensure("acme", SECONDS)
    assert stack.choreo.mints[0] not in "".join(traceback.format_exception(raised.value))


def test_a_lacking_permission_is_named(stack: Stack) -> None:
    def refuse(_: dict[str, str]) -> None:
        raise Refused("AccessDeniedException", "no identity-based policy allows ssm:GetParameter")

    stack.aws.faults["GetParameter"] = refuse
    with pytest.raises(PersonMustAct, match="allows ssm:GetParameter"):
        stack.minter().ensure("acme", SECONDS)


# Revoke and status


def test_revoke_asks_forgets_and_the_next_ensure_mints(stack: Stack) -> None:
    minter = stack.minter()
    minted = minter.ensure("acme", SECONDS).token

    outcome = minter.revoke("acme", SECONDS)

    assert (outcome.status, outcome.token) == ("revoked", minted)
    assert "may go on working" in outcome.note
    assert stack.choreo.revoked == [stack.choreo.mints[0]]
    form = [("token", stack.choreo.mints[0]), ("token_type_hint", "access_token")]
    assert stack.choreo.forms[-1] == form
    assert stack.stored() is None
    assert minter.revoke("acme", SECONDS).status == "absent"
    assert minter.ensure("acme", SECONDS).status == "minted"


def test_where_revoking_fails_the_token_can_be_revoked_again(stack: Stack) -> None:
    minter = stack.minter()
    minter.ensure("acme", SECONDS)
    stack.choreo.script = [OUT] * 3
    failed = minter.revoke("acme", SECONDS)
    assert (failed.status, failed.token) == ("failed", stack.stored())
    assert isinstance(failed.error, Retriable)
    assert minter.revoke("acme", SECONDS).status == "revoked"


def test_status_never_asks(stack: Stack) -> None:
    minter = stack.minter()
    assert minter.status("acme").status == "absent"
    token = put(stack, "valid")
    assert (minter.status("acme").status, minter.status("acme").token) == ("cached", token)
    stack.clock.advance(901)
    expired = minter.status("acme")
    assert (expired.status, expired.token) == ("absent", token)
    assert stack.choreo.requests == []
