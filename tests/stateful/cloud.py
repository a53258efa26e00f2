"""AWS and Choreo in the same process, behind the real clients of boto3 and requests.

Only the wire is left out: an SDK's request is answered before it would be sent.
"""

import io
import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.utils import format_datetime
from functools import cache
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import boto3
import requests
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

from dev.sandbox.service import INSIGHTS_PATH, Service
from tests.fakes.s3 import BUCKET, FakeS3, Object
from tests.fakes.server import Answer, Received

ADDRESS = "http://127.0.0.1:9"
INSIGHTS_URL = ADDRESS + INSIGHTS_PATH
_SESSION = boto3.Session("synthetic", "synthetic", region_name="eu-central-1")


class Wire(Protocol):
    """Answers requests, and may take its time or kill who sends them."""

    def aws(self, service: str, operation: str, received: Received) -> Answer:
        """The answer of an AWS service."""

    def choreo(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer of the Insights API."""


class _Raw(io.BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self, *_: Any, **__: Any) -> Any:
        while piece := self.read(65_536):
            yield piece


class Line:
    """The clients of one process, answered by the wire that is plugged in."""

    wire: Wire | None = None

    def plugged(self) -> Wire:
        """The wire."""
        assert self.wire is not None
        return self.wire


LINE = Line()


@cache
def client(service: str) -> Any:
    """A real client of boto3, made once for all tests."""
    # To sign a request takes a fifth of its time.
    config = Config(retries={"total_max_attempts": 1}, signature_version=UNSIGNED)
    made = _SESSION.client(service, endpoint_url=ADDRESS, config=config)

    def answered(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        answer = LINE.plugged().aws(service, event_name.rpartition(".")[2], _received(request))
        return AWSResponse(request.url, answer.status, answer.headers, _Raw(answer.body))

    made.meta.events.register("before-send", answered)
    return made


def _received(request: AWSPreparedRequest) -> Received:
    headers: Message[str, str] = Message()
    for name, value in request.headers.items():
        headers[name] = value.decode() if isinstance(value, bytes) else str(value)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    parts = urlsplit(request.url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return Received(request.method, path, headers, body.encode() if isinstance(body, str) else body)


class Adapter(BaseAdapter):
    """The transport of `requests`, without a socket."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Sends."""
        assert request.url is not None
        assert isinstance(request.body, bytes)
        answer = LINE.plugged().choreo(
            urlsplit(request.url).path, dict(request.headers), request.body
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = HTTPResponse(
            io.BytesIO(answer.body), headers=dict(answer.headers), preload_content=False
        )
        response.url, response.request = request.url, request
        return response

    def close(self) -> None:
        """Closes nothing."""


@dataclass(frozen=True)
class Version:
    """A version of an object, and who wrote it."""

    key: str
    body: bytes
    etag: str
    metadata: Mapping[str, str]
    written: datetime
    writer: Any


class VersionedS3(FakeS3):
    """A bucket whose versions say who wrote them, and whose clock is another one."""

    def __init__(self, now: Callable[[], datetime], writer: Callable[[], Any]) -> None:
        super().__init__()
        self.clock = now
        self.versions: list[Version] = []
        self._writer = writer

    def respond(self, received: Received) -> Answer:
        """Answers one request, with the time in it."""
        answer = super().respond(received)
        assert isinstance(answer, Answer)
        date = format_datetime(self.clock().replace(microsecond=0), usegmt=True)
        return Answer(answer.status, answer.body, {**answer.headers, "Date": date})

    def _remember(self, bucket: str, key: str, made: Object | None, at: datetime) -> str:
        if made is not None:
            metadata = {
                name.removeprefix("x-amz-meta-"): text
                for name, text in made.headers.items()
                if name.startswith("x-amz-meta-")
            }
            self.versions.append(Version(key, made.body, made.etag, metadata, at, self._writer()))
        return super()._remember(bucket, key, made, at)

    def store(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Writes an object past the client, as somebody else did."""
        headers: Message[str, str] = Message()
        headers["x-amz-checksum-crc32"] = b64encode(zlib.crc32(body).to_bytes(4)).decode()
        for name, text in (metadata or {}).items():
            headers[f"x-amz-meta-{name}"] = text
        assert self._put(key, Received("PUT", f"/{BUCKET}/{key}", headers, body)).status == 200


def insights_answer(service: Service, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """The sandbox's answer."""
    reply = service.answer(path, {name.title(): text for name, text in headers.items()}, body)
    return Answer(reply.status, reply.body, reply.headers)


def function_name(received: Received) -> str:
    """The function that a call of Lambda is for."""
    name = unquote(received.path.split("/")[3])
    return name.rpartition(":")[2]


def json_of(received: Received) -> dict[str, Any]:
    """A request's body."""
    value: dict[str, Any] = json.loads(received.body or b"{}")
    return value
