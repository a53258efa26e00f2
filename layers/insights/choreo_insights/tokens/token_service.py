"""Choreo's token and revoke endpoints, as OAuth 2.0 (RFC 6749) and RFC 7009 have them."""

from __future__ import annotations

import base64
import math
import time
from typing import TYPE_CHECKING

from choreo_insights.errors import BadAnswer, InsightsError, PersonMustAct, Retriable
from choreo_insights.redaction import hide, redact
from choreo_insights.replies import parse_object, read_complaint, sort_failure
from choreo_insights.tokens.reader import Token, is_sendable

if TYPE_CHECKING:
    from collections.abc import Callable

    from choreo_insights.credentials import Credentials
    from choreo_insights.http import Http
    from choreo_insights.replies import Reply

# Where the token service does not say how long a token lives, or says what cannot be.
_FALLBACK_LIFETIME = 300
_LONGEST_LIFETIME = 30 * 86_400
_MAX_SCOPE = 2_000


class CredentialsRefusedError(PersonMustAct):
    """The token service does not take the consumer key or the secret."""


class TokenService:
    """Choreo's token and revoke endpoints."""

    def __init__(
        self,
        http: Http,
        token_url: str,
        revoke_url: str,
        scope: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._token_url = token_url
        self._revoke_url = revoke_url
        self._scope = scope
        self._clock = clock

    def mint(self, credentials: Credentials, seconds: float) -> Token:
        """Requests a new token as the documentation's curl call does, within `seconds`.

        Its life counts from before the request, so that it never seems longer than it is.

        Raises CredentialsRefusedError, PersonMustAct, Retriable or BadAnswer.
        """
        # Before the request: `expires_in` counts from some moment after it (RFC 6749, section 5.1).
        minted_at = self._clock()
        reply = self._http.post(
            self._token_url,
            data=(
                ("grant_type", "client_credentials"),
                ("orgHandle", credentials.org_handle),
                ("scope", self._scope),
            ),
            headers={"Authorization": _basic(credentials)},
            deadline=time.monotonic() + seconds,
        )
        if not reply.ok:
            raise _refusal(reply, credentials)
        answer = parse_object(reply.body)
        access_token = answer.get("access_token")
        # A reply may repeat what it was sent, so that secrets are hidden in all that is shown.
        hidden = (*credentials.secrets, _encoded(credentials), str(access_token or ""))

        def shown(value: object) -> str:
            """What is stored beside the token and shown: without secrets."""
            return hide(value[:100_000], hidden)[:_MAX_SCOPE] if isinstance(value, str) else ""

        if not isinstance(access_token, str) or not is_sendable(access_token):
            kind = redact(reply.headers.get("Content-Type", "no content type"), hidden, most=60)
            msg = (
                f"{credentials.org_handle}: the token service answered HTTP {reply.status} without "
                f"an access_token ({kind}, {len(reply.body)} bytes): check the setting TokenUrl"
            )
            raise BadAnswer(msg, status=reply.status)
        return Token(
            access_token=access_token,
            expires_at=minted_at + _lifetime(answer.get("expires_in")),
            minted_at=minted_at,
            token_type=shown(answer.get("token_type")) or "Bearer",
            scope=shown(answer.get("scope")) or self._scope,
        )

    def scope_note(self, token: Token) -> str:
        """A warning where the token lacks a part of the requested scope; else empty."""
        lacking = set(self._scope.split()) - set(token.scope.split())
        if not lacking:
            return ""
        return (
            f"the token service granted the scope {token.scope!r}, without {' '.join(lacking)!r}: "
            f"the API may refuse the token"
        )

    def revoke(self, credentials: Credentials, token: Token, seconds: float) -> None:
        """Asks for the token to be revoked (RFC 7009). Success does not prove that it was.

        Raises as `mint` does.
        """
        reply = self._http.post(
            self._revoke_url,
            # The hint saves the server a search (RFC 7009, section 2.1).
            data=(("token", token.access_token), ("token_type_hint", "access_token")),
            headers={"Authorization": _basic(credentials)},
            deadline=time.monotonic() + seconds,
        )
        if not reply.ok:
            raise _refusal(reply, credentials, token.access_token)


def _basic(credentials: Credentials) -> str:
    return f"Basic {_encoded(credentials)}"


def _encoded(credentials: Credentials) -> str:
    pair = f"{credentials.consumer_key}:{credentials.consumer_secret}"
    return base64.b64encode(pair.encode()).decode()


def _lifetime(expires_in: object) -> float:
    """The seconds that a token lives, from `expires_in`, which RFC 6749 only recommends."""
    try:
        seconds = float(expires_in) if isinstance(expires_in, int | float | str) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    # A bool is an int in Python. NaN fails every comparison, and so this one.
    if isinstance(expires_in, bool) or not 0 < seconds < math.inf:
        return _FALLBACK_LIFETIME
    return min(seconds, _LONGEST_LIFETIME)


def _refusal(reply: Reply, credentials: Credentials, *more_secrets: str) -> InsightsError:
    handle = credentials.org_handle
    hidden = (*credentials.secrets, _encoded(credentials), *more_secrets)
    complaint = read_complaint(reply.body, hidden)
    # RFC 6749 allows 400 and 401 for `invalid_client`.
    if reply.status == 401 or (reply.status == 400 and complaint.code == "invalid_client"):
        msg = (
            f"the token service refused the consumer key and secret of {handle!r} (HTTP "
            f"{reply.status} {complaint.code}): store the application's Production credentials "
            f"with `make secret ORG={handle}`"
        )
        return CredentialsRefusedError(msg, status=reply.status)
    error = sort_failure(reply, hidden, "the token service")
    if isinstance(error, Retriable):
        return error
    msg = f"{error}. Check the settings TokenUrl, RevokeUrl and Scope, and the handle {handle!r}"
    return PersonMustAct(msg, status=reply.status)
