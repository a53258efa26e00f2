"""The credentials of an organisation, from its secret in Secrets Manager."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure, error_code
from choreo_insights.errors import ConfigurationError
from choreo_insights.redaction import redact
from choreo_insights.replies import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_secretsmanager.client import SecretsManagerClient

# A warm function notices a changed secret after this many seconds at the latest.
_MAX_AGE = 300.0


@dataclass(frozen=True)
class Credentials:
    """The credentials of a secret. `version` is the version of the secret that was read."""

    org_handle: str
    org_id: str
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    on_prem_key: str | None = field(default=None, repr=False)
    version: str = field(default="", compare=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that must not be seen, for redacting foreign texts."""
        return tuple(filter(None, (self.consumer_key, self.consumer_secret, self.on_prem_key)))


class Secrets:
    """Reads secrets and keeps them for five minutes."""

    def __init__(
        self, client: SecretsManagerClient, prefix: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._kept: dict[str, tuple[float, Credentials]] = {}

    def get(self, handle: str, *, fresh: bool = False) -> Credentials:
        """The credentials of an organisation; `fresh` reads the secret whatever is kept.

        Raises ConfigurationError where the secret is missing or wrong, and what `aws_failure`
        gives where it cannot be read.
        """
        kept = self._kept.get(handle)
        if kept and not fresh and self._clock() - kept[0] < _MAX_AGE:
            return kept[1]
        # The age counts from before the read, so that a secret never seems newer than it is.
        now = self._clock()
        credentials = self._read(handle)
        self._kept[handle] = (now, credentials)
        return credentials

    def kept_version(self, handle: str) -> str:
        """The version of the secret that was read last; empty where none was."""
        kept = self._kept.get(handle)
        return kept[1].version if kept else ""

    def _read(self, handle: str) -> Credentials:
        name = f"{self._prefix}/{handle}"
        remedy = f"store it with `make secret ORG={handle}`"
        try:
            answer = self._client.get_secret_value(SecretId=name)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                raise ConfigurationError(f"there is no secret {name!r}: {remedy}") from None
            if error_code(error) == "InvalidRequestException":
                msg = f"secret {name!r} is being deleted: restore it, or {remedy}"
                raise ConfigurationError(msg) from None
            if "AccessDenied" in error_code(error):
                # The function's policy names each secret with the six characters that Secrets
                # Manager appends: of one that is not there AWS says the same.
                said = redact(str(error.response["Error"].get("Message", "")))
                msg = (
                    f"secret {name!r} is missing, or this may not read it ({said}): {remedy}, or "
                    f"deploy the stack again if it is there"
                )
                raise ConfigurationError(msg) from None
            raise aws_failure(error, f"reading secret {name!r}") from error
        except BotoCoreError as error:
            raise aws_failure(error, f"reading secret {name!r}") from error
        values = parse_object(answer.get("SecretString", ""))
        if not values:
            msg = f"secret {name!r} is not a JSON object with credentials: {remedy}"
            raise ConfigurationError(msg)
        return _credentials(name, handle, values, answer.get("VersionId", ""))


def _credentials(name: str, handle: str, values: dict[str, Any], version: str) -> Credentials:
    def text(key: str) -> str:
        value = values.get(key)
        # A secret that was pasted often ends with a newline.
        return value.strip() if isinstance(value, str) else ""

    for key in ("consumer_key", "consumer_secret", "org_handle", "org_id"):
        if not text(key):
            msg = (
                f"secret {name!r} has no text under {key!r}: "
                f"store it again with `make secret ORG={handle}`"
            )
            raise ConfigurationError(msg)
    if text("org_handle") != handle:
        # Otherwise one organisation's data would be kept under another one's name.
        msg = (
            f"secret {name!r} belongs to another organisation, {text('org_handle')!r}: "
            f"store it again with `make secret ORG={handle}`"
        )
        raise ConfigurationError(msg)
    return Credentials(
        org_handle=handle,
        org_id=text("org_id"),
        consumer_key=text("consumer_key"),
        consumer_secret=text("consumer_secret"),
        on_prem_key=text("on_prem_key") or None,
        version=version,
    )
