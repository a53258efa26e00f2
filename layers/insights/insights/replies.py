"""An HTTP reply, and what one that failed says: whom it concerns, and how long to wait."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from insights.errors import BadAnswer, InsightsError, PersonMustAct, Retriable, Unauthenticated

_MOST_COMPLAINT = 100_000


@dataclass(frozen=True)
class Reply:
    """An HTTP reply, read to its end and decompressed. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Complaint:
    """What the body of a failure says: a code of the gateway, or an OAuth error as the code."""

    code: str = ""
    text: str = ""
    next_access_time: str = ""


def read_complaint(body: bytes, secrets: Iterable[str] = ()) -> Complaint:
    """Reads the gateway's three shapes of an error, OAuth's and GraphQL's.

    The text is shortened and redacted; it is empty where the body is none of these.
    """
    value = parse_object(body[:_MOST_COMPLAINT])
    if isinstance(value.get("fault"), dict):
        value = value["fault"]
    code = _text(value, "code") or _text(value, "error")
    head = _text(value, "message") or _text(value, "error_message") or _graphql_message(value)
    rest = _text(value, "description") or _text(value, "error_description")
    text = ": ".join(dict.fromkeys(filter(None, (head, rest))))
    return Complaint(redact(code, secrets), redact(text, secrets), _text(value, "nextAccessTime"))


def parse_object(body: bytes | str) -> dict[str, Any]:
    """The JSON object in a foreign text, {} where it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _graphql_message(value: Mapping[str, Any]) -> str:
    errors = value.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return _text(errors[0], "message")
    return ""


_JWT = re.compile(r"eyJ[\w-]*(\.[\w-]*)*", re.ASCII)
_OPAQUE = re.compile(r"(?=[\w+/=.~-]*\d)(?=[\w+/=.~-]*[A-Za-z])[\w+/=.~-]{16,}", re.ASCII)


def redact(text: str, secrets: Iterable[str] = (), most: int = 300) -> str:
    """A foreign text made fit for a log: no secrets, nothing that looks like one, one short line.

    The token service names the consumer key in its refusals, and a gateway may repeat a token.
    """
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    text = text[:2_000]
    text = _OPAQUE.sub("***", _JWT.sub("***", text))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else text[:most] + "…"


def sort_failure(
    reply: Reply, secrets: Iterable[str] = (), what: str = "Insights"
) -> InsightsError:
    """The error for a reply without success, by what the caller should do about it.

    `what` names the other side in the message. The error's `status` is the reply's.
    """
    complaint = read_complaint(reply.body, secrets)
    said = " ".join(filter(None, (complaint.code, complaint.text))) or _kind_of_body(reply)
    head = f"{what} answered HTTP {reply.status} ({said})"
    status = reply.status
    if status == 401:
        return Unauthenticated(
            f"{head}: the token was refused. Where new ones are too, check the application's "
            f"subscription and the setting Scope",
            status=status,
        )
    if is_retriable(status):
        return Retriable(head, retry_after=retry_after(reply, time.time()), status=status)
    if status == 400:
        return BadAnswer(f"{head}: the request itself was refused", status=status)
    if 200 <= status < 300:
        return BadAnswer(f"{head}, which cannot be used", status=status)
    return PersonMustAct(f"{head}: {_remedy(status)}", status=status)


def _remedy(status: int) -> str:
    if status == 403:
        return (
            "subscribe the application to the API Insights in the developer portal, and check "
            "that the setting Scope is what the API needs"
        )
    if status in (404, 410):
        return "the address has moved or is mistyped: check it in the settings"
    if status == 422:
        return "the gateway refuses this GraphQL: compare the catalogue with the live schema"
    if 300 <= status < 400:
        return "it redirects, which is not followed: put the new address into the settings"
    return "check the address and the credentials in the settings"


def _kind_of_body(reply: Reply) -> str:
    kind = redact(reply.headers.get("Content-Type", "no content type"), most=60)
    return f"{kind}, {len(reply.body)} bytes, without a known error in it"


# Waiting as asked


def is_retriable(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in (408, 429) or 500 <= status < 600


def retry_after(reply: Reply, now: float) -> float | None:
    """The seconds that a refusal asks to wait, None where it does not say.

    Read from `Retry-After` (seconds or an HTTP date), then the body's `nextAccessTime`, then
    `x-ratelimit-reset`. Dates are compared with the server's own clock where it sends `Date`;
    `now` (epoch seconds) is for where it does not.
    """
    if not is_retriable(reply.status):
        return None
    now = _server_time(reply, now)
    header = reply.headers.get("Retry-After", "").strip()
    if _is_number(header):
        return float(header)
    for instant in (
        _http_date(header),
        _next_access(read_complaint(reply.body).next_access_time),
    ):
        if instant is not None:
            return max(0.0, instant - now)
    return _reset(reply, now) if reply.status == 429 else None


def used_up(reply: Reply, now: float) -> float | None:
    """The seconds until more requests are allowed, where a success says it was the last one."""
    headers = reply.headers
    if headers.get("x-ratelimit-remaining", "").strip() != "0":
        return None
    if headers.get("x-ratelimit-enforced", "").strip().lower() == "false":
        return None
    return _reset(reply, _server_time(reply, now))


def _reset(reply: Reply, now: float) -> float | None:
    """`x-ratelimit-reset`: whether seconds or an instant is not documented; the size tells."""
    header = reply.headers.get("x-ratelimit-reset", "").strip()
    if not _is_number(header):
        return None
    value = float(header)
    if value > 1e11:
        value /= 1000
    return max(0.0, value - now) if value > 1e8 else value


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text) is not None


def _server_time(reply: Reply, now: float) -> float:
    date = _http_date(reply.headers.get("Date", ""))
    return now if date is None else date


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _next_access(text: str) -> float | None:
    """Reads `2026-Feb-10 16:20:00+0000 UTC`."""
    try:
        return datetime.strptime(text.removesuffix(" UTC"), "%Y-%b-%d %H:%M:%S%z").timestamp()
    except (ValueError, OverflowError):
        return None
