"""Tokens for those who use them: from memory, then SSM, then the token function."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure, error_code, is_throttled
from choreo_insights.errors import (
    InsightsError,
    PersonMustAct,
    Retriable,
    Unauthenticated,
    Undecryptable,
)
from choreo_insights.redaction import redact
from choreo_insights.replies import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_ssm.client import SSMClient

# A token is not handed out for its last minute, for clocks that differ and requests on their
# way; nor for its last quarter where it is short-lived. A longer margin would do harm: a new
# token may kill the old one while others still use it.
_MARGIN = 60.0
# A reader whose clock is ahead believes the token function for so long.
_VOUCHED = 30.0
# A gateway that refuses every token must not become a mint for each request.
_FORCED_MINTS = 3
_FORCED_WITHIN = 60.0
_ATTEMPTS = 8
_SETTLE_ATTEMPTS = 10
# How Parameter Store says that KMS does not decrypt: the key is deleted, disabled or pending
# deletion. Where the key's policy refuses, it is an AccessDenied that names KMS or the ciphertext.
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
_UNUSABLE_KEY = {
    "DisabledException",
    "IncorrectKeyException",
    "InvalidCiphertextException",
    "InvalidKeyId",
    "KMSInvalidStateException",
}


@dataclass(frozen=True, repr=False)
class Token:
    """An access token. Its text and repr show the fingerprint alone. Times are epoch seconds.

    `minted_at` is when its request was sent, from which its life is counted.
    """

    access_token: str
    expires_at: float
    minted_at: float
    token_type: str = "Bearer"  # noqa: S105 - a kind, not a token
    scope: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """The token's name: the first 16 hex digits of its SHA-256."""
        return hashlib.sha256(self.access_token.encode()).hexdigest()[:16]

    def is_fresh(self, now: float) -> bool:
        """Whether it may be handed out: valid, and for longer than the margin."""
        margin = min(_MARGIN, (self.expires_at - self.minted_at) / 4)
        return now < self.expires_at - margin

    def to_json(self) -> str:
        """The value of the SSM parameter."""
        return json.dumps(
            {
                "access_token": self.access_token,
                "token_type": self.token_type,
                "scope": self.scope,
                "expires_at": instant(self.expires_at),
                "minted_at": instant(self.minted_at, "milliseconds"),
                "fingerprint": self.fingerprint,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Token | None:
        """Reads `to_json`'s text, None where it is something else."""
        try:
            values = parse_object(text)
            token = cls(
                access_token=values["access_token"],
                expires_at=epoch(values["expires_at"]),
                minted_at=epoch(values["minted_at"]),
                token_type=str(values.get("token_type", "Bearer")),
                scope=str(values.get("scope", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None
        return token if is_sendable(token.access_token) else None

    def __repr__(self) -> str:
        return f"Token({self.fingerprint}, expires {instant(self.expires_at)})"


def is_sendable(access_token: object) -> bool:
    """Whether this can stand in a header: visible ASCII."""
    return isinstance(access_token, str) and bool(re.fullmatch(r"[!-~]+", access_token))


def instant(seconds: float, precision: str = "seconds") -> str:
    """Epoch seconds as `2026-01-31T12:00:00Z`, rounded down."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision)
    return text.removesuffix("+00:00") + "Z"


def epoch(text: str) -> float:
    """The reverse of `instant`. Raises ValueError or TypeError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class TokenStore:
    """The shared cache: one SecureString for each organisation."""

    def __init__(self, ssm: SSMClient, prefix: str) -> None:
        self._ssm = ssm
        self._prefix = prefix

    def read(self, organization: str) -> Token | None:
        """The stored token, valid or not; None where there is none that can be read.

        Raises Undecryptable, and what `aws_failure` gives.
        """
        name = self.name(organization)
        try:
            answer = self._ssm.get_parameter(Name=name, WithDecryption=True)
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error_code(error) == "ParameterNotFound":
                return None
            if _is_undecryptable(error):
                msg = (
                    f"the token {name!r} cannot be decrypted ({error_code(error)}): its key is "
                    f"gone or refuses this function. Deploy the stack again if this stays"
                )
                raise Undecryptable(msg) from error
            raise aws_failure(error, f"reading the token {name!r}") from error
        return Token.from_json(answer["Parameter"].get("Value", ""))

    def name(self, organization: str) -> str:
        """The name of the organisation's parameter."""
        return f"{self._prefix}/{organization}"


def _is_undecryptable(error: ClientError | BotoCoreError) -> TypeGuard[ClientError]:
    """Whether KMS refused, as for a parameter that an earlier stack of the same name left."""
    if not isinstance(error, ClientError):
        return False
    said = str(error.response["Error"].get("Message", "")).lower()
    refused = "AccessDenied" in error_code(error) and ("kms:" in said or "ciphertext" in said)
    return refused or error_code(error) in _UNUSABLE_KEY


@dataclass
class _Slot:
    """What a reader knows of one organisation."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: Token | None = None
    vouched_until: float = 0.0
    forced: list[float] = field(default_factory=list)

    def usable(self, now: float) -> Token | None:
        if self.token and (self.token.is_fresh(now) or now < self.vouched_until):
            return self.token
        return None


class Tokens:
    """Tokens for threads to share. Only the token function mints; this asks it to."""

    def __init__(
        self,
        ssm: SSMClient,
        lambda_client: LambdaClient,
        token_function: str,
        prefix: str,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._store = TokenStore(ssm, prefix)
        self._lambda = lambda_client
        self._function = token_function
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._slots: dict[str, _Slot] = {}

    def get(self, organization: str) -> Token:
        """A token that should work; without any call over the network while the one held does.

        Raises PersonMustAct or Retriable, with the token function's own words, where there is
        none to be had.
        """
        slot = self._slot(organization)
        if token := slot.usable(self._clock()):
            return token
        with slot.lock:
            # Another thread may have got one while this one waited.
            if token := slot.usable(self._clock()):
                return token
            stored = self._read(organization)
            if stored and stored.is_fresh(self._clock()):
                return self._keep(slot, stored)
            return self._keep(slot, self._obtain(organization), vouched=True)

    def rejected(self, organization: str, token: Token) -> Token:
        """Another token after the API refused `token`: somebody else's newer one, or a new one.

        Raises Unauthenticated where there is no better one: the same again, or too many refused
        within a minute.
        """
        slot = self._slot(organization)
        with slot.lock:
            held = slot.usable(self._clock())
            if held and held.fingerprint != token.fingerprint:
                return held
            slot.token = None
            stored = self._read(organization)
            if stored and stored != token and stored.is_fresh(self._clock()):
                return self._keep(slot, stored)
            # Only here, after memory and the store: to take somebody else's new token costs no
            # mint.
            self._count_forced(slot, organization)
            fresh = self._obtain(organization, rejected=token.fingerprint)
            if fresh.fingerprint == token.fingerprint:
                msg = (
                    f"{organization}: the API refuses the token {token.fingerprint}, and the token "
                    f"service gives no other one: check the application's subscription and scope"
                )
                raise Unauthenticated(msg)
            return self._keep(slot, fresh, vouched=True)

    def _read(self, organization: str) -> Token | None:
        """The stored token. What nobody can decrypt counts as absent: the minter overwrites it."""
        try:
            return self._store.read(organization)
        except Undecryptable:
            return None

    def _slot(self, organization: str) -> _Slot:
        # `setdefault` is atomic in CPython: two threads get the same slot.
        return self._slots.get(organization) or self._slots.setdefault(organization, _Slot())

    def _keep(self, slot: _Slot, token: Token, *, vouched: bool = False) -> Token:
        slot.vouched_until = self._clock() + _VOUCHED if vouched else 0.0
        slot.token = token
        return token

    def _count_forced(self, slot: _Slot, organization: str) -> None:
        now = self._clock()
        slot.forced = [t for t in slot.forced if abs(now - t) < _FORCED_WITHIN]
        if len(slot.forced) >= _FORCED_MINTS:
            msg = (
                f"{organization}: the API refused {_FORCED_MINTS} new tokens within a minute: "
                f"check the application's subscription to Insights, and whether something else "
                f"mints tokens with the same consumer key"
            )
            raise Unauthenticated(msg)
        slot.forced.append(now)

    def _obtain(self, organization: str, rejected: str = "") -> Token:
        """Has the token function ensure a token, and takes it from the store."""
        for attempt in range(_ATTEMPTS):
            try:
                outcome = self._ask(organization, rejected)
            except ClientError as error:
                if not is_throttled(error) or attempt == _ATTEMPTS - 1:
                    raise aws_failure(error, f"asking {self._function} for a token") from error
            except BotoCoreError as error:
                raise aws_failure(error, f"asking {self._function} for a token") from error
            else:
                return self._settled(organization, outcome)
            self._sleep(self._random() * min(5.0, 0.25 * 2.0**attempt))
            # The call that got through instead may have brought what this one wants.
            stored = self._read(organization)
            if stored and stored.fingerprint != rejected and stored.is_fresh(self._clock()):
                return stored
        raise AssertionError  # the last attempt returns or raises

    def _ask(self, organization: str, rejected: str) -> dict[str, Any]:
        """Calls the token function and gives what it says of the organisation."""
        event = {"action": "ensure", "organization": organization}
        if rejected:
            event["rejected"] = rejected
        # Synchronous: an asynchronous event may come twice, and each could mint.
        answer = self._lambda.invoke(
            FunctionName=self._function, Payload=json.dumps(event).encode()
        )
        reply = parse_object(answer["Payload"].read())
        if "FunctionError" in answer:
            raise _function_failure(self._function, reply)
        outcome = _member(_member(reply, "organizations"), organization)
        if outcome.get("status") == "failed":
            msg = f"{organization}: no token: {outcome.get('error', '')}"
            raise Retriable(msg) if outcome.get("retriable") else PersonMustAct(msg)
        return outcome

    def _settled(self, organization: str, outcome: dict[str, Any]) -> Token:
        """The token that the token function named, or a later one, once the store shows it."""
        for attempt in range(_SETTLE_ATTEMPTS):
            stored = self._store.read(organization)
            if stored and (
                stored.fingerprint == outcome.get("fingerprint")
                or instant(stored.expires_at) > str(outcome.get("expires_at", ""))
            ):
                return stored
            # Parameter Store may show the older value for a moment after a write.
            self._sleep(0.05 * (attempt + 1))
        name = self._store.name(organization)
        msg = f"{organization}: the token that {self._function} speaks of is not in {name!r}"
        raise Retriable(msg)


def _member(values: dict[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _function_failure(function: str, reply: dict[str, Any]) -> InsightsError:
    kind = redact(str(reply.get("errorType", "")))
    said = redact(str(reply.get("errorMessage", "")))
    msg = f"the function {function} failed ({kind}): {said}. See its log"
    if kind in ("ConfigurationError", "PersonMustAct"):
        return PersonMustAct(msg)
    return Retriable(msg)
