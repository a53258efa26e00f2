"""An organisation's credentials: from a file or a pipe, or from Secrets Manager."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from choreo_insights.credentials import Credentials, Secrets
from choreo_insights.errors import ConfigurationError, InsightsError
from choreo_insights.replies import parse_object
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.stack import Stack

_NEEDED = ("consumer_key", "consumer_secret", "org_id")


def read_file(place: str, read_stdin: Callable[[], str]) -> dict[str, Any]:
    """The JSON object in a file, or in what is piped in where the place is `-`.

    Raises WrongUsage, never with any of the text.
    """
    try:
        text = read_stdin() if place == "-" else Path(place).expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise WrongUsage(f"--secret-file {place} cannot be read: {reason}.") from None
    found = parse_object(text)
    if not found:
        keys = ", ".join(_NEEDED)
        raise WrongUsage(f"--secret-file {place} holds no JSON object. It needs {keys}.")
    return found


def from_given(handle: str, given: Mapping[str, Any]) -> Credentials:
    """The credentials in what the file holds. Raises ConfigurationError for a lack."""

    def text(key: str) -> str:
        value = given.get(key)
        return value.strip() if isinstance(value, str) else ""

    if missing := [key for key in _NEEDED if not text(key)]:
        raise ConfigurationError(f"--secret-file has no text under {', '.join(missing)}")
    if (other := text("org_handle")) and other != handle:
        raise ConfigurationError(f"--secret-file is of the organisation {other!r}, not {handle!r}")
    return Credentials(
        org_handle=handle,
        org_id=text("org_id"),
        consumer_key=text("consumer_key"),
        consumer_secret=text("consumer_secret"),
        on_prem_key=text("on_prem_key") or None,
    )


def from_stack(handle: str, stack: Stack | None, prefix: str) -> Credentials:
    """The stored credentials. Raises InsightsError."""
    if stack is None:
        raise InsightsError("there is no access to AWS")
    try:
        return Secrets(stack.secrets, prefix).get(handle)
    except BotoCoreError as error:  # a client needs a region
        raise InsightsError(f"Secrets Manager cannot be asked: {error}") from None
