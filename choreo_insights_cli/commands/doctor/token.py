"""A token to ask with: the deployed token function's, or one that is kept nowhere."""

import math
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.credentials import Credentials
from choreo_insights.errors import InsightsError, Retriable, Unauthenticated, Undecryptable
from choreo_insights.http import Http
from choreo_insights.tokens.reader import Token, Tokens, instant
from choreo_insights.tokens.token_service import TokenService
from choreo_insights_cli.commands import token
from choreo_insights_cli.commands.doctor.findings import Diagnosis
from choreo_insights_cli.commands.doctor.settings import DoctorSettings
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.stack import Stack

# Outputs of the stack.
_FUNCTION, _PREFIX = "TokenFunctionName", "TokenParameterPrefix"
_MINT_SECONDS = 60.0
# A token that lives shorter than this is replaced again and again within one export.
_SHORT = 300


class MintedTokens:
    """One token, minted when it is first wanted, in place of the reader's `Tokens`."""

    def __init__(self, service: TokenService, credentials: Credentials) -> None:
        self._service = service
        self._credentials = credentials
        self._token: Token | None = None

    def get(self, organization: str) -> Token:
        """The token. Raises InsightsError where there is none to be had."""
        self._token = self._token or self._service.mint(self._credentials, _MINT_SECONDS)
        return self._token

    def renew(self) -> Token:
        """Another token in place of the first one. Raises InsightsError."""
        self._token = self._service.mint(self._credentials, _MINT_SECONDS)
        return self._token

    def rejected(self, organization: str, token: Token) -> Token:
        """Raises Unauthenticated: what refuses a token this new refuses the next one too."""
        raise Unauthenticated(f"the API refuses the token {token.fingerprint}, which is new")


def obtain(
    settings: DoctorSettings, credentials: Credentials, http: Http, diagnosis: Diagnosis
) -> Tokens | None:
    """What gives a token for this organisation, None where there is none; both are noted."""
    handle = diagnosis.organization
    service = TokenService(http, settings.token_url, settings.token_url, settings.scope)
    own = cast("Tokens", MintedTokens(service, credentials))
    says = ""
    try:
        if settings.stack and settings.uses_token_function(handle):
            tokens, says = _deployed(settings.stack, handle)
            tokens, found = _readable(tokens, own, handle)
        else:
            tokens, found = own, own.get(handle)
    except (CommandError, InsightsError, ClientError, BotoCoreError) as error:
        diagnosis.check("token", "failed", str(error), _remedy(error))
        return None
    diagnosis.hidden.add(found.access_token)
    diagnosis.check("token", "ok", "; ".join(filter(None, (says, _minted(found, tokens, own)))))
    if settings.stack and says:
        _check_secret(settings.stack, handle, diagnosis)
    _check_scope(service, found, diagnosis)
    _check_life(found, diagnosis)
    return tokens


def two_tokens(stack: Stack | None, tokens: Tokens, handle: str) -> tuple[Token, Token]:
    """The present token, and another one that was minted now.

    Of a deployed stack its token function mints, so that all who use its tokens get the new one.
    Raises CommandError, InsightsError and what AWS raises.
    """
    first = tokens.get(handle)
    if isinstance(tokens, MintedTokens):
        return first, tokens.renew()
    if stack is None:
        raise CommandError("there is no access to AWS")
    outcome = token.call(stack, "renew", handle).get(handle, {})
    if outcome.get("status") != "minted":
        raise CommandError(f"The token function says: {outcome.get('error', 'nothing')}")
    return first, tokens.rejected(handle, first)


def lifetime(found: Token) -> int:
    """The seconds that a token lives; what is stored was rounded down."""
    return math.ceil(found.expires_at - found.minted_at)


def _deployed(stack: Stack, handle: str) -> tuple[Tokens, str]:
    """The stack's own tokens. Its function makes a new one only where none is valid."""
    if missing := {_FUNCTION, _PREFIX} - stack.outputs.keys():
        names = " and ".join(sorted(missing))
        raise CommandError(f"The stack {stack.name} has no output {names}: deploy it again")
    outcome: dict[str, Any] = token.call(stack, "ensure", handle).get(handle, {})
    if outcome.get("status") not in ("cached", "minted"):
        said = str(outcome.get("error", "nothing")).removeprefix(f"{handle}: ")
        wrong = _MayPassError if outcome.get("retriable") else CommandError
        raise wrong(f"The token function says: {said}")
    function, prefix = stack.outputs[_FUNCTION], stack.outputs[_PREFIX]
    says = f"{outcome['status']} by the token function, fingerprint {outcome.get('fingerprint')}"
    return Tokens(stack.ssm, stack.functions, function, prefix), says


def _readable(tokens: Tokens, own: Tokens, handle: str) -> tuple[Tokens, Token]:
    """The stack's tokens where they can be read here, else others of the same secret.

    On AWS the key of the stack decrypts for its functions alone.
    """
    try:
        return tokens, tokens.get(handle)
    except Undecryptable:
        return own, own.get(handle)


def _minted(found: Token, tokens: Tokens, own: Tokens) -> str:
    if tokens is not own:
        return ""
    return (
        f"minted for this run and stored nowhere, fingerprint {found.fingerprint}. A new token may"
        " end an older one of the same key: an exporter that has it gets itself another"
    )


def _check_secret(stack: Stack, handle: str, diagnosis: Diagnosis) -> None:
    """Whether the stored secret works, of which a token that an earlier one minted says nothing."""
    what = "stored secret"
    store = f"Store the present credentials with `insights secret {handle}`"
    try:
        entry = token.call(stack, "status", handle).get(handle, {})
        if entry.get("secret") == "current":
            diagnosis.check(what, "ok", "minted the cached token")
            return
        renewed = token.call(stack, "renew", handle).get(handle, {})
    except (CommandError, ClientError, BotoCoreError) as error:
        diagnosis.check(what, "failed", str(error), _remedy(error))
        return
    if renewed.get("status") == "failed":
        says = f"did not mint the cached token, and mints none: {renewed.get('error', '')}"
        diagnosis.check(what, "failed", says, store)
        return
    diagnosis.check(what, "ok", "had not minted the cached token, and mints one: it was renewed")


class _MayPassError(CommandError):
    """What the token function may not meet again."""


def _remedy(error: Exception) -> str:
    if isinstance(error, _MayPassError):
        return "Try again later. Where it stays, check the parameter TokenUrl"
    if isinstance(error, ClientError):
        return (
            "Whoever runs this needs lambda:InvokeFunction on the token function and"
            " ssm:GetParameter; or give --secret-file, and the token service is asked directly"
        )
    if isinstance(error, Retriable) and error.status is None:
        return "Check TokenUrl, and that this machine gets there"
    return "Try again later" if isinstance(error, Retriable) else ""


def _check_scope(service: TokenService, found: Token, diagnosis: Diagnosis) -> None:
    if note := service.scope_note(found):
        change = "Set the parameter Scope to what the API needs, and see the application's scopes"
        diagnosis.check("scope", "differs", note, change)
    else:
        diagnosis.check("scope", "ok", found.scope)


def _check_life(found: Token, diagnosis: Diagnosis) -> None:
    life = lifetime(found)
    says = f"expires {instant(found.expires_at)}, lives {life} s"
    if life < _SHORT:
        change = "Set a longer token expiry time in the application: 900 s is Choreo's own"
        diagnosis.check("expiry", "note", says, change)
    else:
        diagnosis.check("expiry", "ok", says)
