"""Foreign text made fit to be shown or kept: bounded, printable and without secrets.

A foreign text may repeat the request. The token service names the consumer key
in its refusals, GraphQL servers quote the values of variables, and gateways escape what they
quote.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from html.entities import codepoint2name

_HIDDEN = "***"
# Only the beginning of a foreign text is looked at.
_MAX_LOOKED_AT = 2_000
# A shorter secret is too likely to be a word of the body.
_MIN_IN_BODY = 8
# A shorter one is hidden as a word of its own only, and a single character not at all: a
# placeholder such as `x` would turn the whole text into asterisks.
_MIN_ANYWHERE = 4
_MIN_HIDDEN = 2
# Where its last characters are not, a secret is not.
_END = 16
# The longest spelling of a character that is looked for: &#x0000ff; or more backslashes.
_SPELLING = 12

_JWT = re.compile(r"eyJ[\w-]*(\.[\w-]*)*", re.ASCII)
_OPAQUE = re.compile(r"(?=[\w+/=.~-]*\d)(?=[\w+/=.~-]*[A-Za-z])[\w+/=.~-]{16,}", re.ASCII)
# ASCII characters, escaped as in JSON, a URL or HTML.
_ESCAPES = re.compile(rb"\\u00[2-7][0-9a-f]|\\[^a-z]|%[2-7][0-9a-f]|&[#a-z]", re.IGNORECASE)


def redact(text: str, secrets: Iterable[str] = (), most: int = 300) -> str:
    """A foreign text for a log or an error: one short printable line, without these secrets.

    What looks like a token is hidden too. Secrets are found also where characters of them are
    escaped as in JSON, HTML or a URL.
    """
    secrets = [secret for secret in secrets if len(secret) >= _MIN_HIDDEN]
    for secret in secrets:
        # The whole text, quickly: most secrets are repeated as they are.
        if len(secret) >= _MIN_ANYWHERE:
            text = text.replace(secret, _HIDDEN)
    margin = _SPELLING * max(map(len, secrets), default=0)
    cut = len(text) > _MAX_LOOKED_AT + margin
    text = hide(text[: _MAX_LOOKED_AT + margin], secrets)
    if cut and margin:
        # The beginning of a secret may stand at the end.
        text = text[:-margin]
    text = _OPAQUE.sub(_HIDDEN, _JWT.sub(_HIDDEN, text))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else text[:most] + "…"


def hide(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets, however their characters are escaped."""
    for secret in secrets:
        # The pattern of a whole token takes a tenth of a second to compile.
        if len(secret) >= _MIN_HIDDEN and _any_spelling(secret[-_END:]).search(text):
            text = _any_spelling(secret).sub(_HIDDEN, text)
    return text


def redact_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """A foreign body without these secrets, however they are escaped."""
    secrets = [secret for secret in secrets if len(secret) >= _MIN_IN_BODY and secret.isascii()]
    escaped = _ESCAPES.search(body) is not None
    if not escaped and not any(secret.encode() in body for secret in secrets):
        return body
    # In Latin-1 each byte is a character, so nothing else changes.
    return hide(body.decode("latin-1"), secrets).encode("latin-1")


@lru_cache(maxsize=128)
def _any_spelling(secret: str) -> re.Pattern[str]:
    pattern = "".join(map(_spellings, secret))
    if len(secret) < _MIN_ANYWHERE:
        pattern = rf"(?<!\w){pattern}(?!\w)"
    return re.compile(pattern, re.IGNORECASE)


def _spellings(character: str) -> str:
    code = ord(character)
    spellings = [
        re.escape(character),
        rf"\\+u{code:04x}",
        rf"\\+{re.escape(character)}",
        "".join(f"%{byte:02x}" for byte in character.encode()),
        rf"&\#0*{code};?",
        rf"&\#x0*{code:x};?",
    ]
    if code in codepoint2name:
        spellings.append(f"&{codepoint2name[code]};?")
    if character == " ":
        spellings.append(r"\+")
    return f"(?:{'|'.join(spellings)})"
