"""Replies of the sandbox: the body shapes of the gateway and of the token service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from dev.sandbox.faults import Fault

HTML = b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1><p>proxy error</p></body></html>\n"
_FIXED = {
    "html": (HTML, "text/html; charset=utf-8"),
    "empty": (b"", "application/json"),
    "not_json": (b"access_token=abc", "text/plain"),
}
# Code and message that the gateway gives with a status.
_USUAL = {
    400: ("400", "Bad Request", "The request could not be processed"),
    401: ("900901", "Invalid Credentials", "Make sure you have provided the correct credentials"),
    403: ("900908", "Resource forbidden", "User is NOT authorized to access the Resource"),
    404: ("404", "Not Found", "The requested resource is not available."),
    410: ("410", "Gone", "The requested resource is not available any more."),
    422: ("900422", "Unprocessable Entity", "The GraphQL query was refused"),
    429: ("900802", "Message throttled out", "You have exceeded your quota"),
    500: ("900900", "Unclassified Authentication Failure", "internal system error"),
    502: ("101503", "Error connecting to the back end", "Error connecting to the back end"),
    503: ("700700", "API blocked", "The API is temporarily blocked"),
}


@dataclass
class SandboxReply:
    """What is sent: a status, headers, a body, and how the body is sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    # Seconds over which the body is sent in small pieces.
    drip: float = 0.0
    # The connection breaks after half of the body.
    cut: bool = False


def of_json(status: int, value: object, headers: Mapping[str, str] | None = None) -> SandboxReply:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return SandboxReply(status, body, {"Content-Type": "application/json", **(headers or {})})


def gateway_error(status: int, shape: str, code: str | None = None, text: str = "") -> SandboxReply:
    """An error of the gateway in one of its three shapes."""
    usual, message, description = _USUAL.get(status, (str(status), "Error", "Error"))
    return of_json(status, _shaped(shape, code or usual, message, text or description))


def _shaped(shape: str, code: str, message: str, description: str) -> dict[str, Any]:
    if shape == "error_message":
        return {"error_message": message, "code": code, "error_description": description}
    if shape == "fault":
        # In this shape the gateway sends the code as a number [WSO2].
        number = int(code) if code.isdigit() else code
        return {"fault": {"code": number, "message": message, "description": description}}
    return {"code": code, "message": message, "description": description}


def throttled(shape: str, seconds: float, wait: str = "seconds") -> SandboxReply:
    """A 429. How it says when to retry is `wait`.

    `seconds`, `date` and `epoch` are in Retry-After, `next` in the body, `ratelimit` in a header of
    its own; `none` does not say it.
    """
    after = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    reply = gateway_error(429, "fault" if wait == "next" else shape)
    headers = reply.headers
    if wait == "seconds":
        headers["Retry-After"] = str(round(seconds))
    elif wait == "date":
        headers["Retry-After"] = format_datetime(after, usegmt=True)
    elif wait == "epoch":
        headers["Retry-After"] = str(round(after.timestamp()))
    elif wait == "next":
        body = json.loads(reply.body)
        body["fault"]["nextAccessTime"] = f"{after:%Y-%b-%d %H:%M:%S}+0000 UTC"
        reply.body = json.dumps(body).encode()
    elif wait == "ratelimit":
        headers |= {
            "x-ratelimit-limit": "120",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(round(seconds)),
            "x-ratelimit-enforced": "true",
        }
    return reply


def throttled_in_200(code: str | None = None) -> SandboxReply:
    """Throttling as an error of GraphQL."""
    extensions = {"code": code or "TOO_MANY_REQUESTS"}
    error = {"message": "Rate limit exceeded", "extensions": extensions}
    return of_json(200, {"data": None, "errors": [error]})


def too_complex(most: int, shape: str, status: int = 400) -> SandboxReply:
    """The refusal of a request with more query fields than that."""
    text = f"QUERY TOO COMPLEX: more than {most} fields"
    return gateway_error(status, shape, "900821", text)


def oauth_error(status: int, error: str, description: str) -> SandboxReply:
    """An error of the token service."""
    return of_json(status, {"error": error, "error_description": description})


def invalid_client(key: str) -> SandboxReply:
    """What the token service says to credentials that it does not know."""
    text = f"A valid OAuth client could not be found for client_id: {key}"
    reply = oauth_error(401, "invalid_client", text)
    reply.headers["WWW-Authenticate"] = 'Basic realm="localhost"'
    return reply


def of_fault(fault: Fault, shape: str) -> SandboxReply | None:
    """The reply that an early fault puts in place of the true one; None where it gives none."""
    if fixed := _FIXED.get(fault.fault):
        body, kind = fixed
        return SandboxReply(fault.status or 200, body, {"Content-Type": kind})
    if fault.fault == "invalid_client":
        return invalid_client("unknown")
    if fault.fault == "complexity":
        return too_complex(fault.size, fault.shape or shape, fault.status or 400)
    if fault.fault == "throttled_200":
        return throttled_in_200(fault.code)
    if fault.fault == "status":
        return _status(fault, fault.shape or shape)
    return None


def _status(fault: Fault, shape: str) -> SandboxReply:
    status = fault.status or 503
    if status == 429:
        return throttled(shape, fault.seconds or 1, fault.wait or "none")
    reply = gateway_error(status, shape, fault.code)
    if fault.wait == "seconds":
        reply.headers["Retry-After"] = str(round(fault.seconds))
    return reply
