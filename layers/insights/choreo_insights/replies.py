"""An HTTP reply, and what one that failed says: whom it concerns, and how long to wait."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from choreo_insights.errors import (
    BadAnswer,
    InsightsError,
    PersonMustAct,
    Retriable,
    Unauthenticated,
)
from choreo_insights.redaction import redact

_MOST_COMPLAINT = 100_000
# The gateway limits how deep and how complex a query is with the status of throttling.
_TOO_COMPLEX = frozenset({"900820", "900821"})
# Seconds, or an instant? As seconds these are more than 31 years, as instants later than 2001.
_MIN_EPOCH = 1e9
_MIN_EPOCH_MS = 1e12


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
    """The body of a failure: a code of the gateway, or an OAuth error as the code."""

    code: str = ""
    text: str = ""
    next_access_time: str = ""


def read_complaint(body: bytes, secrets: Iterable[str] = ()) -> Complaint:
    """Reads the gateway's three shapes of an error, OAuth's and GraphQL's.

    The text is shortened and redacted; it is empty where the body is none of these.
    """
    # The gateway's code is a text or a number, in one of three shapes of bodies [WSO2].
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
    text = body.removeprefix("\ufeff") if isinstance(body, str) else body
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    return str(text) if isinstance(text, str | int) and not isinstance(text, bool) else ""


def _graphql_message(value: Mapping[str, Any]) -> str:
    errors = value.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return _text(errors[0], "message")
    return ""


def sort_failure(
    reply: Reply, secrets: Iterable[str] = (), what: str = "Insights"
) -> InsightsError:
    """The error for a reply without success, by what the caller should do about it.

    `what` names the other side in the message. The error's `status` is the reply's.
    """
    complaint = read_complaint(reply.body, secrets)
    said = " ".join(filter(None, (complaint.code, complaint.text)))
    said = said or _kind_of_body(reply, secrets)
    head = f"{what} answered HTTP {reply.status} ({said})"
    status = reply.status
    if status == 401:
        return Unauthenticated(
            f"{head}: the token was refused. Where new ones are too, check the application's "
            f"subscription and the setting Scope",
            status=status,
        )
    # The gateway answers 400 too where a filter or a granularity is wrong [Choreo].
    if status == 400 or complaint.code in _TOO_COMPLEX:
        return BadAnswer(f"{head}: the request itself was refused", status=status)
    if is_retriable(status):
        return Retriable(head, retry_after=retry_after(reply, time.time()), status=status)
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


def _kind_of_body(reply: Reply, secrets: Iterable[str]) -> str:
    kind = redact(reply.headers.get("Content-Type", "no content type"), secrets, most=60)
    return f"{kind}, {len(reply.body)} bytes, without a known error in it"


# Throttling, and how long to wait


def is_retriable(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in (408, 429) or 500 <= status < 600


def is_too_complex(reply: Reply) -> bool:
    """Whether the gateway refuses a query that is too deep or too complex, whatever its status."""
    return reply.status >= 400 and read_complaint(reply.body).code in _TOO_COMPLEX


def is_throttled(reply: Reply) -> bool:
    """Whether the same request may succeed later, if fewer are sent."""
    return reply.status == 429 and not is_too_complex(reply)


def retry_after(reply: Reply, now: float) -> float | None:
    """The seconds that a refusal asks to wait, None where it does not say so.

    Read from `Retry-After` (seconds, an HTTP date, or an instant since 1970 in seconds or
    milliseconds), then the body's `nextAccessTime`, then `x-ratelimit-reset`. Instants are
    compared with the server's own clock where it sends `Date`; `now` (epoch seconds) is for where
    it does not. What has passed already does not count.
    """
    now = _server_time(reply, now)
    # RFC 9110 allows seconds and an HTTP date; both occur [Choreo].
    header = reply.headers.get("Retry-After", "").strip()
    waits = [
        _seconds_until(header, now),
        _http_date(header, now),
        _next_access(read_complaint(reply.body).next_access_time, now),
        # Of another failure the header says nothing about when it ends.
        _reset(reply, now) if reply.status == 429 else None,
    ]
    return next((seconds for seconds in waits if seconds), None)


def used_up(reply: Reply, now: float) -> float | None:
    """The seconds until more requests are allowed, where a success says it was the last one."""
    headers = reply.headers
    if headers.get("x-ratelimit-remaining", "").strip() != "0":
        return None
    # Choreo documents the header: the limit is only counted, not enforced [Choreo].
    if headers.get("x-ratelimit-enforced", "").strip().lower() == "false":
        return None
    return _reset(reply, _server_time(reply, now))


def _reset(reply: Reply, now: float) -> float | None:
    """`x-ratelimit-reset`: whether seconds or an instant is not documented."""
    return _seconds_until(reply.headers.get("x-ratelimit-reset", "").strip(), now)


def _seconds_until(text: str, now: float) -> float | None:
    """Seconds from seconds, or from an instant since 1970 in seconds or milliseconds."""
    if not _is_number(text):
        return None
    value = float(text)
    if value >= _MIN_EPOCH_MS:
        value /= 1000
    return max(0.0, value - now) if value >= _MIN_EPOCH else value


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text) is not None


def _server_time(reply: Reply, now: float) -> float:
    since_1970 = _http_date(reply.headers.get("Date", ""), 0.0)
    return now if since_1970 is None else since_1970


def _http_date(text: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return _left(moment if moment.tzinfo else moment.replace(tzinfo=UTC), now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _next_access(text: str, now: float) -> float | None:
    """Reads `2026-Feb-10 16:20:00+0000 UTC`."""
    try:
        moment = datetime.strptime(text.removesuffix(" UTC"), "%Y-%b-%d %H:%M:%S%z")
        return _left(moment, now)
    except (ValueError, OverflowError):
        return None


def _left(moment: datetime, now: float) -> float:
    return max(0.0, moment.timestamp() - now)
