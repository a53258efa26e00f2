"""A fake S3 for real boto3 clients: one bucket, whole objects, conditional writes and listings."""

import itertools
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config

from tests.fakes.server import Answer, Behaviour, Received, Server, Wire

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

BUCKET = "synthetic-bucket"
_SESSION = boto3.Session("synthetic", "synthetic", region_name="eu-central-1")
_META = "x-amz-meta-"
_KEPT = ("content-type", "content-encoding")


@dataclass
class Object:
    """An object with the headers that it was written with."""

    body: bytes
    etag: str
    headers: dict[str, str]
    written: datetime = field(default_factory=lambda: datetime.now(UTC))


Fault = Callable[[Received], Answer | Behaviour | None]


class FakeS3:
    """Objects by key. Each of `faults` answers one request in place of S3, the first one first.

    A fault that gives None lets the request pass.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.faults: list[Fault] = []
        self.page_size = 1000
        self.url = ""
        self._etags = itertools.count(1)
        self._lock = threading.Lock()

    def client(self, attempts: int = 1) -> "S3Client":
        """A real client of this fake, which asks so many times."""
        config = Config(retries={"total_max_attempts": attempts})
        client: S3Client = _SESSION.client("s3", endpoint_url=self.url, config=config)
        return client

    def respond(self, received: Received) -> Answer | Behaviour:
        """Answers one request."""
        with self._lock:
            fault = self.faults.pop(0) if self.faults else None
            answer = fault(received) if fault else None
            if answer is not None:
                return answer
            url = urlsplit(received.path)
            key = unquote(url.path).removeprefix(f"/{BUCKET}").removeprefix("/")
            if received.method == "PUT":
                return self._put(key, received)
            if received.method == "DELETE":
                self.objects.pop(key, None)
                return Answer(204, b"")
            if not key:
                return self._listed({name: texts[0] for name, texts in parse_qs(url.query).items()})
            return self._get(key)

    def _put(self, key: str, received: Received) -> Answer:
        found = self.objects.get(key)
        wanted, new = received.headers.get("If-Match"), received.headers.get("If-None-Match")
        if wanted and not found:
            return refusal(404, "NoSuchKey")
        if (wanted and found and found.etag != wanted) or (new == "*" and found):
            return refusal(412, "PreconditionFailed")
        crc = b64encode(zlib.crc32(received.body).to_bytes(4)).decode()
        if received.headers.get("x-amz-checksum-crc32") != crc:
            return refusal(400, "BadDigest")
        headers = {
            name.lower(): text
            for name, text in received.headers.items()
            if name.lower() in _KEPT or name.lower().startswith(_META)
        }
        self.objects[key] = Object(received.body, f'"{next(self._etags):032x}"', headers)
        return Answer(200, b"", {"ETag": self.objects[key].etag})

    def _get(self, key: str) -> Answer:
        found = self.objects.get(key)
        if not found:
            return refusal(404, "NoSuchKey")
        modified = format_datetime(found.written, usegmt=True)
        headers = {**found.headers, "ETag": found.etag, "Last-Modified": modified}
        return Answer(200, found.body, headers)

    def _listed(self, asked: dict[str, str]) -> Answer:
        after = asked.get("continuation-token") or asked.get("start-after", "")
        keys = sorted(
            key for key in self.objects if key.startswith(asked.get("prefix", "")) and key > after
        )
        page, more = keys[: self.page_size], len(keys) > self.page_size
        parts = [f"<IsTruncated>{str(more).lower()}</IsTruncated>"]
        if more:
            parts.append(f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>")
        for key in page:
            found = self.objects[key]
            parts.append(
                f"<Contents><Key>{escape(key)}</Key><ETag>{escape(found.etag)}</ETag>"
                f"<LastModified>{found.written:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<Size>{len(found.body)}</Size></Contents>"
            )
        return _xml(200, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>")


def refusal(status: int, code: str) -> Answer:
    """An error as S3 gives it."""
    return _xml(status, f"<Error><Code>{code}</Code><Message>synthetic</Message></Error>")


def _xml(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})


def cut_off(status: int, head: bytes = b"Content-Length: 1000", body: bytes = b"<Error>") -> Fault:
    """An answer whose body ends before it is whole."""

    def send(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 %d Cut\r\n%s\r\n\r\n%s" % (status, head, body))

    return lambda _: send


@contextmanager
def running() -> Iterator[FakeS3]:
    """A fake S3 that listens until the block ends."""
    fake = FakeS3()
    with Server(fake.respond) as server:
        fake.url = server.url
        yield fake
