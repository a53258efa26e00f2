"""The token service: client credentials, and revocation as in RFC 7009."""

import base64
import binascii
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from urllib.parse import parse_qs

from dev.sandbox.replies import SandboxReply, invalid_client, oauth_error, of_json
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.world import Organization, World

_FORM = "application/x-www-form-urlencoded"


@dataclass
class IssuedToken:
    """An issued access token; `expires_at` is of the service's clock."""

    organization: Organization
    client: str
    scope: str
    expires_at: float
    revoked: bool = False


class SandboxTokenService:
    """Issues tokens and remembers them. Safe to share among threads."""

    def __init__(self, world: World, clock: Callable[[], float] = time.monotonic) -> None:
        self._world = world
        self._clock = clock
        self._issued: dict[str, IssuedToken] = {}
        self._lock = Lock()

    def mint(
        self, headers: Mapping[str, str], body: bytes, settings: SandboxSettings, size: int = 0
    ) -> SandboxReply:
        """The reply to a token request; `size` makes its token so many characters long."""
        client, refusal = self._client(headers)
        if refusal:
            return refusal
        form, refusal = _form(headers, body)
        if refusal:
            return refusal
        grant = form.get("grant_type")
        if grant is None:
            return oauth_error(400, "invalid_request", "Missing parameters: grant_type")
        if grant != "client_credentials":
            return oauth_error(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")
        organization = self._world.organizations.get(form.get("orgHandle", ""))
        if organization is None or organization.consumer_key != client:
            text = "The orgHandle is missing, unknown, or not of this application"
            return oauth_error(400, "invalid_request", text)
        # The token service leaves out scopes that it does not know, and gives a lesser token.
        requested = form.get("scope", "").split()
        scope = settings.scope if settings.scope in requested else "default"
        token = self._issue(organization, client, scope, settings, size or settings.token_size)
        return of_json(
            200,
            {
                "access_token": token,
                "scope": scope,
                "token_type": "Bearer",
                "expires_in": settings.token_lifetime,
            },
            {"Cache-Control": "no-store", "Pragma": "no-cache"},
        )

    def revoke(self, headers: Mapping[str, str], body: bytes) -> SandboxReply:
        """The reply to a revocation: 200 and nothing more, for an unknown token too."""
        client, refusal = self._client(headers)
        if refusal:
            return refusal
        form, refusal = _form(headers, body)
        if refusal:
            return refusal
        if "token" not in form:
            return oauth_error(400, "invalid_request", "Missing parameters: token")
        with self._lock:
            issued = self._issued.get(form["token"])
            if issued and issued.client == client:
                issued.revoked = True
        # RFC 7009, section 2.2: the client cannot do anything about an unknown token.
        return SandboxReply(200, b"")

    def find(self, token: str, *, revoked_work: bool = False) -> IssuedToken | None:
        """A live token, or None."""
        with self._lock:
            issued = self._issued.get(token)
            if issued is None or issued.expires_at <= self._clock():
                return None
            return None if issued.revoked and not revoked_work else issued

    def kill_all(self, handle: str | None = None) -> int:
        """Ends all live tokens (of one organisation) at once; returns how many."""
        with self._lock:
            killed = 0
            for token, issued in list(self._issued.items()):
                if handle in (None, issued.organization.handle):
                    killed += 1
                    del self._issued[token]
            return killed

    def _issue(
        self,
        organization: Organization,
        client: str,
        scope: str,
        settings: SandboxSettings,
        size: int,
    ) -> str:
        token = _jwt(organization.handle, scope, size)
        expires_at = self._clock() + settings.token_lifetime
        key = (client, scope, organization.handle)
        with self._lock:
            # As WSO2 does where tokens are persisted: a new JWT revokes the earlier one of the same
            # key and scope [WSO2].
            if settings.one_token:
                self._issued = {
                    text: other
                    for text, other in self._issued.items()
                    if (other.client, other.scope, other.organization.handle) != key
                }
            self._issued[token] = IssuedToken(organization, client, scope, expires_at)
        return token

    def _client(self, headers: Mapping[str, str]) -> tuple[str, SandboxReply | None]:
        """The consumer key of the Basic header, or the refusal."""
        kind, _, encoded = headers.get("Authorization", "").partition(" ")
        try:
            key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            kind, key, secret = "", "", ""
        if kind.lower() != "basic" or not key:
            text = "Client credentials are missing or not readable"
            return "", oauth_error(401, "invalid_client", text)
        owners = (o for o in self._world.organizations.values() if o.consumer_key == key)
        known = next((owner.consumer_secret for owner in owners), None)
        # In constant time, as a token service must.
        if known is None or not secrets.compare_digest(known.encode(), secret.encode()):
            return "", invalid_client(key)
        return key, None


def _form(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], SandboxReply | None]:
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        return {}, oauth_error(400, "invalid_request", f"The Content-Type must be {_FORM}")
    try:
        parsed = parse_qs(body.decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        return {}, oauth_error(400, "invalid_request", "The body is not a form")
    if repeated := [name for name, values in parsed.items() if len(values) > 1]:
        return {}, oauth_error(400, "invalid_request", f"Repeated parameters: {repeated}")
    return {name: values[0] for name, values in parsed.items()}, None


def _jwt(handle: str, scope: str, size: int) -> str:
    """A token that looks like a JWT; its signature signs nothing."""
    header = _part({"alg": "RS256", "typ": "at+jwt", "kid": "synthetic"})
    claims = {"iss": "https://synthetic.example/oauth2/token", "org": handle, "scope": scope}
    payload = _part(claims | {"jti": secrets.token_hex(16)})
    # 342 characters: an RSA signature of 2,048 bits in base64.
    missing = max(size - len(header) - len(payload) - 2, 342)
    return f"{header}.{payload}.{secrets.token_urlsafe(missing)[:missing]}"


def _part(value: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
