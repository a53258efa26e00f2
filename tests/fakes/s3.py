"""A fake S3 for real boto3 clients: whole objects, their versions, conditional writes, listings."""

import hashlib
import itertools
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
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


@dataclass(frozen=True)
class Version:
    """A version of an object, or a delete marker."""

    id: str
    object: Object | None
    written: datetime


Fault = Callable[[Received], Answer | Behaviour | None]


class FakeS3:
    """Objects by key. Each of `faults` answers one request in place of S3, the first one first.

    A fault that gives None lets the request pass. `clock` gives LastModified. `history` has the
    versions of each key that requests have made, the oldest first. `buckets` has all buckets, of
    which BUCKET is there from the start.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.buckets: dict[str, dict[str, Object]] = {BUCKET: self.objects}
        self.history: dict[tuple[str, str], list[Version]] = {}
        self.clock: Callable[[], datetime] = partial(datetime.now, UTC)
        self.faults: list[Fault] = []
        self.page_size = 1000
        self.url = ""
        self._ids = itertools.count(1)
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
            bucket, key = _place(received)
            if bucket not in self.buckets:
                return refusal(404, "NoSuchBucket")
            if received.method == "PUT":
                return self._put(key, received)
            if received.method == "DELETE":
                return self._delete(bucket, key)
            query = urlsplit(received.path).query
            asked = {k: texts[0] for k, texts in parse_qs(query, keep_blank_values=True).items()}
            if key:
                return self._get(bucket, key, asked.get("versionId"))
            return (
                self._versions(bucket, asked)
                if "versions" in asked
                else self._listed(bucket, asked)
            )

    def _put(self, key: str, received: Received) -> Answer:
        bucket, _ = _place(received)
        found = self.buckets[bucket].get(key)
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
        etag = f'"{hashlib.md5(received.body, usedforsecurity=False).hexdigest()}"'
        # S3 keeps whole seconds.
        made = Object(received.body, etag, headers, self.clock().replace(microsecond=0))
        self.buckets[bucket][key] = made
        version = self._remember(bucket, key, made, made.written)
        return Answer(200, b"", {"ETag": etag, "x-amz-version-id": version})

    def _delete(self, bucket: str, key: str) -> Answer:
        self.buckets[bucket].pop(key, None)
        version = self._remember(bucket, key, None, self.clock().replace(microsecond=0))
        return Answer(204, b"", {"x-amz-delete-marker": "true", "x-amz-version-id": version})

    def _remember(self, bucket: str, key: str, made: Object | None, at: datetime) -> str:
        version = Version(f"version-{next(self._ids)}", made, at)
        self.history.setdefault((bucket, key), []).append(version)
        return version.id

    def _get(self, bucket: str, key: str, version: str | None) -> Answer:
        found = self.buckets[bucket].get(key)
        if version is not None:
            kept = {each.id: each.object for each in self.history.get((bucket, key), ())}
            if version not in kept:
                return refusal(404, "NoSuchVersion")
            found = kept[version]
        if not found:
            return refusal(404, "NoSuchKey")
        modified = format_datetime(found.written, usegmt=True)
        headers = {**found.headers, "ETag": found.etag, "Last-Modified": modified}
        return Answer(200, found.body, headers)

    def _versions(self, bucket: str, asked: dict[str, str]) -> Answer:
        """Versions and delete markers by key, the newest first, both counted in a page."""
        kept = sorted(
            (key, -number, version)
            for (of, key), versions in self.history.items()
            if of == bucket and key.startswith(asked.get("prefix", ""))
            for number, version in enumerate(versions)
        )
        ids = [(key, version.id) for key, _, version in kept]
        after = asked.get("key-marker"), asked.get("version-id-marker")
        start = ids.index((after[0] or "", after[1] or "")) + 1 if all(after) else 0
        page, more = kept[start : start + self.page_size], len(kept) > start + self.page_size
        parts = [f"<IsTruncated>{str(more).lower()}</IsTruncated>"]
        if more:
            last, _, version = page[-1]
            parts.append(f"<NextKeyMarker>{escape(last)}</NextKeyMarker>")
            parts.append(f"<NextVersionIdMarker>{version.id}</NextVersionIdMarker>")
        for key, number, version in page:
            latest = str(-number == len(self.history[bucket, key]) - 1).lower()
            name = "Version" if version.object else "DeleteMarker"
            size = f"<Size>{len(version.object.body)}</Size>" if version.object else ""
            etag = f"<ETag>{escape(version.object.etag)}</ETag>" if version.object else ""
            parts.append(
                f"<{name}><Key>{escape(key)}</Key><VersionId>{version.id}</VersionId>"
                f"<IsLatest>{latest}</IsLatest>{etag}{size}"
                f"<LastModified>{version.written:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></{name}>"
            )
        return _xml(200, f"<ListVersionsResult>{''.join(parts)}</ListVersionsResult>")

    def _listed(self, bucket: str, asked: dict[str, str]) -> Answer:
        objects = self.buckets[bucket]
        after = asked.get("continuation-token") or asked.get("start-after", "")
        keys = sorted(
            key for key in objects if key.startswith(asked.get("prefix", "")) and key > after
        )
        page, more = keys[: self.page_size], len(keys) > self.page_size
        parts = [f"<IsTruncated>{str(more).lower()}</IsTruncated>"]
        if more:
            parts.append(f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>")
        for key in page:
            found = objects[key]
            parts.append(
                f"<Contents><Key>{escape(key)}</Key><ETag>{escape(found.etag)}</ETag>"
                f"<LastModified>{found.written:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<Size>{len(found.body)}</Size></Contents>"
            )
        return _xml(200, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>")


def _place(received: Received) -> tuple[str, str]:
    """Bucket and key of a request."""
    bucket, _, key = unquote(urlsplit(received.path).path).removeprefix("/").partition("/")
    return bucket, key


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
