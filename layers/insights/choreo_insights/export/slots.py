"""Slots in the bucket: who holds a share of the request budget (`budget`), and since when."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from choreo_insights.aws import aws_failure, error_code
from choreo_insights.dataset.store import Overtaken
from choreo_insights.shapes import Shape

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PREFIX = "state/budget/"
# Seconds after which a slot that was not renewed is free.
EXPIRES = 90.0
# Of a conditional PUT: 412 where another object is there, 409 where another PUT is under way, and
# NoSuchKey where the object was deleted [AWS].
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409")


class State(msgspec.Struct, frozen=True):
    """A slot's content: the run that holds it, and whether that has all of the budget.

    An ETag follows from the content. `count` makes that of each write another one, so that nobody
    overwrites a slot that was renewed since it was read.
    """

    holder: str = ""
    whole: bool = False
    count: int = 0


_STATE = Shape(State)


class Seen(NamedTuple):
    """A slot as it was read; `age` is seconds since it was written."""

    etag: str
    state: State
    age: float

    @property
    def is_live(self) -> bool:
        """Whether somebody holds it."""
        return bool(self.state.holder) and self.age < EXPIRES

    @property
    def idle(self) -> float:
        """Seconds since it was released or has expired; negative while it is live."""
        return self.age - EXPIRES if self.state.holder else self.age


class Slots(Protocol):
    """Where slots are kept. Both methods raise what `aws_failure` gives."""

    def read(self, name: str) -> Seen | None:
        """A slot, None before its first use."""

    def write(self, name: str, state: State, *, over: str | None) -> str:
        """Replaces the slot with this ETag (None: there is none); gives the new one.

        Raises Overtaken where another one is there by now.
        """


class BucketSlots:
    """Slots in a bucket."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def read(self, name: str) -> Seen | None:
        key = _key(name)
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            body = answer["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        except (ClientError, BotoCoreError, HTTPError) as error:
            raise aws_failure(error, f"reading {key}") from error
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        age = (now - answer["LastModified"]).total_seconds()
        return Seen(answer["ETag"], _decoded(body), age)

    def write(self, name: str, state: State, *, over: str | None) -> str:
        key = _key(name)
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
        try:
            answer = self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=msgspec.json.encode(state),
                ContentType="application/json",
                ChecksumAlgorithm="CRC32",
                **condition,
            )
        except (ClientError, BotoCoreError, HTTPError) as error:
            if isinstance(error, ClientError) and error_code(error) in _TAKEN:
                raise Overtaken(f"{key} was written by another run") from None
            raise aws_failure(error, f"writing {key}") from error
        return answer["ETag"]


def _key(name: str) -> str:
    return f"{PREFIX}{name}.json"


def _decoded(body: bytes) -> State:
    """Unreadable content counts as free."""
    try:
        return _STATE.decode(body)
    except msgspec.MsgspecError:
        return State()
