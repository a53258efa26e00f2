"""Minting, keeping and revoking tokens: what the token function does."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from choreo_insights.errors import (
    ConfigurationError,
    InsightsError,
    PersonMustAct,
    Retriable,
    Undecryptable,
)
from choreo_insights.tokens.lease import LEASE_SECONDS, Minted, MintFailure
from choreo_insights.tokens.reader import Token, instant
from choreo_insights.tokens.token_service import CredentialsRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from choreo_insights.credentials import Credentials, Secrets
    from choreo_insights.tokens.lease import HeldLease, Lease, LeaseState
    from choreo_insights.tokens.token_service import TokenService
    from choreo_insights.tokens.vault import TokenVault

# With what belongs to it (two SSM calls, one for the secret) a mint stays within its lease.
MINT_SECONDS = 25.0
# A refusal is repeated from memory for a minute.
REFUSED_SECONDS = 60.0
# A token service that asks for a longer pause is believed for so long.
_LONGEST_PAUSE = 900.0
# Parameter Store may show the older value for a moment after a write.
_READ_BACK_ATTEMPTS = 5
REVOKED_NOTE = (
    "The cached token is deleted, and the token service was asked to revoke it. A token that is "
    "a JWT may go on working at the gateway until it expires"
)


_T = TypeVar("_T")


# Whether the secret that is stored now minted the token: `current` that very version did.
SecretState = Literal["current", "other", "unknown"]


@dataclass(frozen=True)
class TokenOutcome:
    """What became of an organisation's token: the status is the contract's.

    `error` is why it is `failed` where there is a token nevertheless. `minted_by` is None where
    nobody looked at the stored secret.
    """

    status: str
    token: Token | None = None
    note: str = ""
    error: InsightsError | None = None
    minted_by: SecretState | None = None


class Minter:
    """The token function's four actions. One mint at a time for each organisation.

    `seconds` is how long an action may take. Each raises InsightsError.
    """

    def __init__(
        self,
        vault: TokenVault,
        lease: Lease,
        secrets: Secrets,
        service: TokenService,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._vault = vault
        self._lease = lease
        self._secrets = secrets
        self._service = service
        self._clock = clock
        self._sleep = sleep
        self._random = random

    def ensure(self, organization: str, seconds: float, rejected: str = "") -> TokenOutcome:
        """The cached token while it is valid, unless it is the one of the fingerprint `rejected`;
        otherwise a new one.
        """

        def serves(token: Token) -> bool:
            return token.is_fresh(self._clock()) and token.fingerprint != rejected

        return self._obtain(organization, serves, seconds)

    def renew(self, organization: str, seconds: float) -> TokenOutcome:
        """A new token, by the secret as it is stored now.

        Another container's mint with that secret serves too, if it began after this call.
        """
        called_at = self._clock()
        # The cached secret may be the one that was just replaced.
        version = self._secrets.get(organization, fresh=True).version

        def serves(token: Token) -> bool:
            if token.minted_at <= called_at:
                return False
            return self._minted_with(organization, token) == version

        return replace(self._obtain(organization, serves, seconds), minted_by="current")

    def revoke(self, organization: str, seconds: float) -> TokenOutcome:
        """Revokes the cached token and forgets it; where revoking fails, it stays cached."""
        try:
            token = self._vault.read(organization)
        except Undecryptable as error:
            return TokenOutcome(
                "absent", note=f"{error}. It cannot be revoked: it ends when it expires"
            )
        if token is None:
            return TokenOutcome("absent")
        end = self._clock() + min(seconds, MINT_SECONDS)

        def revoke(credentials: Credentials) -> None:
            self._service.revoke(credentials, token, end - self._clock())

        try:
            self._with_credentials(organization, revoke)
            self._vault.delete(organization)
        except InsightsError as error:
            return TokenOutcome("failed", token, error=error)
        return TokenOutcome("revoked", token, REVOKED_NOTE)

    def status(self, organization: str) -> TokenOutcome:
        """What is cached, without asking the token service."""
        try:
            token = self._vault.read(organization)
        except Undecryptable as error:
            return TokenOutcome("absent", note=f"{error}. The next mint overwrites it")
        if token is None:
            return TokenOutcome("absent")
        secret, note = self._compared(organization, token)
        if self._clock() >= token.expires_at:
            return TokenOutcome("absent", token, "the cached token has expired", minted_by=secret)
        return TokenOutcome("cached", token, note, minted_by=secret)

    def _compared(self, organization: str, token: Token) -> tuple[SecretState, str]:
        """Whether the stored secret minted the token, and why where that is unknown."""
        try:
            stored = self._secrets.get(organization, fresh=True).version
        except InsightsError as error:
            return "unknown", str(error)
        with_version = self._minted_with(organization, token)
        if with_version is None:
            return "unknown", ""
        return ("current" if with_version == stored else "other"), ""

    def _minted_with(self, organization: str, token: Token) -> str | None:
        """The version of the secret that minted a token, None where that is not known."""
        minted = self._lease.read(organization).minted
        return minted.secret_version if minted and minted.fingerprint == token.fingerprint else None

    def _cached(self, organization: str) -> tuple[Token | None, bool]:
        """The stored token, and whether there is one that cannot be decrypted.

        That counts as absent, and is overwritten.
        """
        try:
            return self._vault.read(organization), False
        except Undecryptable:
            return None, True

    def _obtain(
        self, organization: str, serves: Callable[[Token], bool], seconds: float
    ) -> TokenOutcome:
        end = self._clock() + seconds
        pauses = 0
        first: LeaseState | None = None
        seen: LeaseState | None = None
        seen_at = self._clock()
        while True:
            token, _ = self._cached(organization)
            if token and serves(token):
                return TokenOutcome("cached", token)
            state = self._lease.read(organization)
            first = first or state
            # A failure that was there from the beginning is of an earlier mint, not of the one
            # that was waited for.
            self._heed(organization, state.failure, waited=state.version != first.version)
            now = self._clock()
            if seen is None or seen.version != state.version:
                seen, seen_at = state, now
            # A holder that was watched for a whole lease is dead, whatever its clock said.
            if state.is_free(now) or now - seen_at >= LEASE_SECONDS:
                held = self._lease.claim(organization, state)
                if held:
                    return self._mint(organization, serves, held, end)
            self._pause(organization, pauses, end)
            pauses += 1

    def _heed(self, organization: str, failure: MintFailure | None, *, waited: bool) -> None:
        """Raises a failure that is this caller's too, or that is remembered.

        With another version of the secret than it failed with, trying again makes sense.
        """
        if failure is None:
            return
        now = self._clock()
        if waited:
            raise failure.as_error(now)
        if now < failure.until <= now + _LONGEST_PAUSE and self._is_current(organization, failure):
            raise failure.as_error(now)

    def _is_current(self, organization: str, failure: MintFailure) -> bool:
        return self._secrets.get(organization, fresh=True).version == failure.secret_version

    def _pause(self, organization: str, pauses: int, end: float) -> None:
        # `GetParameter` shares 40 requests a second by default [AWS]: waiting readers must not use
        # them up.
        wait = min(2.0, 0.2 * 1.5**pauses) * (0.5 + self._random())
        if self._clock() + wait > end:
            msg = f"{organization}: another mint is under way and did not end in time: ask again"
            raise Retriable(msg)
        self._sleep(wait)

    def _mint(
        self, organization: str, serves: Callable[[Token], bool], held: HeldLease, end: float
    ) -> TokenOutcome:
        failure, minted = held.missed, None
        try:
            # Another mint may have ended between the look and the claim.
            token, undecryptable = self._cached(organization)
            if token and serves(token):
                failure = None
                return TokenOutcome("cached", token)
            self._heed(organization, failure, waited=True)
            failure = None
            # The version is of the very secret that was used: it may have changed in between.
            token, version = self._ask(organization, min(end, self._clock() + MINT_SECONDS))
            # Another container may be minting by now, and its token be revoked by this one.
            if self._clock() >= held.until:
                raise Retriable(f"{organization}: the mint outlasted its lease: ask again")
            self._vault.write(organization, token)
            if undecryptable:
                self._read_back(organization)
            minted = Minted(token.fingerprint, version)
            return TokenOutcome("minted", token, self._service.scope_note(token))
        except InsightsError as error:
            failure = failure or self._remembered(organization, error)
            raise
        finally:
            with suppress(InsightsError):  # not given back, it ends by itself
                self._lease.release(organization, held, failure, minted)

    def _read_back(self, organization: str) -> None:
        """Raises Undecryptable where what was just stored cannot be decrypted either.

        Otherwise each use of the token would mint another one.
        """
        for attempt in range(_READ_BACK_ATTEMPTS):
            _, undecryptable = self._cached(organization)
            if not undecryptable:
                return
            self._sleep(0.1 * (attempt + 1))
        self._vault.read(organization)

    def _ask(self, organization: str, end: float) -> tuple[Token, str]:
        """A new token, and the version of the secret that it was minted with."""
        return self._with_credentials(
            organization, lambda c: (self._service.mint(c, end - self._clock()), c.version)
        )

    def _with_credentials(self, organization: str, call: Callable[[Credentials], _T]) -> _T:
        """Calls with the credentials held, and where they are refused and the secret has others
        by now, with those.
        """
        credentials = self._secrets.get(organization)
        try:
            return call(credentials)
        except CredentialsRefusedError:
            newer = self._secrets.get(organization, fresh=True)
            if newer == credentials:
                raise
            return call(newer)

    def _remembered(self, organization: str, error: InsightsError) -> MintFailure:
        """The failure as the other containers see it, and for how long.

        A refusal is remembered for a minute, throttling for as long as `Retry-After` says.
        A failure that may pass at any moment (the network, a 503 without a time) is raised for
        those who waited for this mint; the next caller tries again.
        """
        now = self._clock()
        until, version = 0.0, ""
        if isinstance(error, Retriable):
            if error.retry_after:
                until = now + min(error.retry_after, _LONGEST_PAUSE)
        elif isinstance(error, PersonMustAct) and not isinstance(error, ConfigurationError):
            until = now + REFUSED_SECONDS
        if until:
            version = self._secrets.kept_version(organization)
        text = str(error)[:1_000]
        if until:
            text += f" (the token service is asked again after {instant(until)})"
        retriable = not isinstance(error, PersonMustAct)
        return MintFailure(text, retriable, until, version)
