"""The shared cache of tokens for the one who fills it: the token function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure, error_code
from choreo_insights.errors import PersonMustAct
from choreo_insights.tokens.reader import Token, TokenStore

if TYPE_CHECKING:
    from mypy_boto3_ssm.client import SSMClient

_MOST_BYTES = 8_192


class TokenVault(TokenStore):
    """The shared cache for the one who fills it."""

    def __init__(self, ssm: SSMClient, prefix: str, key_id: str) -> None:
        super().__init__(ssm, prefix)
        self._client = ssm
        self._key_id = key_id

    def write(self, organization: str, token: Token) -> None:
        """Stores a token, never under a label. Raises PersonMustAct or what `aws_failure` gives."""
        # A label would stay on its version, and the 101st write would fail on it [AWS].
        text = token.to_json()
        if (size := len(text.encode())) > _MOST_BYTES:
            msg = (
                f"the token of {organization!r} takes {size} bytes with what belongs to it, and "
                f"Parameter Store holds {_MOST_BYTES} at the most, so it was not stored: make "
                f"tokens smaller, by fewer subscriptions or scopes of the application"
            )
            raise PersonMustAct(msg)
        try:
            self._client.put_parameter(
                Name=self.name(organization),
                Value=text,
                Type="SecureString",
                KeyId=self._key_id,
                # Tokens are JWTs that grow: a Standard parameter holds 4,096 bytes, an Advanced one
                # costs money and cannot go back [AWS].
                Tier="Intelligent-Tiering",
                Overwrite=True,
            )
        except (ClientError, BotoCoreError) as error:
            what = f"storing the token {self.name(organization)!r}"
            # Without its cause: AWS quotes values that it does not like.
            raise aws_failure(error, what) from None

    def delete(self, organization: str) -> None:
        """Deletes the stored token, if there is one. Raises what `aws_failure` gives."""
        name = self.name(organization)
        try:
            self._client.delete_parameter(Name=name)
        except (ClientError, BotoCoreError) as error:
            # Gone already is as good as deleted.
            if not isinstance(error, ClientError) or error_code(error) != "ParameterNotFound":
                raise aws_failure(error, f"deleting the token {name!r}") from error
