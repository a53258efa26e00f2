"""The dataset in S3: what is there, and replacing one object whole."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from urllib3.exceptions import HTTPError

from choreo_insights.aws import aws_failure, error_code
from choreo_insights.dataset.partitions import ROOT, day_prefix, table_prefix
from choreo_insights.errors import InsightsError, PersonMustAct
from choreo_insights.shapes import Shape

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

# Of the layout of keys and of what is in the objects. Raised where a release that does not know of
# the change would do harm: such a one refuses to write. 2: a registry binds keys to ids.
VERSION = 2
VERSION_KEY = "dataset.json"

# Of a conditional PUT: 412 where another object is there, 409 where another PUT is under way,
# NoSuchKey where the object was deleted.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409")
_READS = 3
_CONTENT = Shape(dict[str, int])
# The SDK lets urllib3's own error pass where a refusal breaks off.
_BREAKS_OFF = (HTTPClientError, IncompleteReadError, HTTPError)


class Stored(msgspec.Struct, frozen=True):
    """An object of the dataset as a listing shows it; `size` in bytes."""

    written: datetime
    etag: str
    size: int = 0


class Kept(msgspec.Struct, frozen=True):
    """An object of the dataset, read.

    `written` is LastModified, `queried_at` when the run `run` queried its rows. `confirmed` is
    False where its day was closed although its source never confirmed it.
    """

    etag: str
    written: datetime
    queried_at: datetime
    run: str
    body: bytes
    confirmed: bool = True


class Overtaken(InsightsError):  # noqa: N818 - as the errors in choreo_insights.errors
    """Somebody else has written the object since it was last looked at."""


class Dataset:
    """The dataset bucket. Its listing is the ledger: there is no other state."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def claim(self) -> None:
        """Says of which version the dataset is, where it is of none or of an older one.

        Raises PersonMustAct where it is of a newer one, or says nothing that can be read.
        """
        with _errors(f"reading {VERSION_KEY}"):
            try:
                version = _version(self._whole(VERSION_KEY, None)[1])
            except self._s3.exceptions.NoSuchKey:
                version = 0
        if version > VERSION:
            raise PersonMustAct(
                f"the dataset is of version {version}, which a newer release has made. This one"
                f" knows version {VERSION} and writes nothing: deploy the newer release again"
            )
        if version < VERSION:
            with _errors(f"writing {VERSION_KEY}"):
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=VERSION_KEY,
                    Body=msgspec.json.encode({"version": VERSION}),
                    ContentType="application/json",
                    ChecksumAlgorithm="CRC32",
                )

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        """The objects of a table from `first` to `last` by key, in one listing.

        Raises what `aws_failure` gives, as all methods do.
        """
        objects: dict[str, Stored] = {}
        end = day_prefix(table, last) + "\U0010ffff"
        with _errors(f"listing the table {table}"):
            # Keys sort by day, as it is their first part: StartAfter and the break read these days
            # alone.
            for key, stored in self._listed(table_prefix(table), day_prefix(table, first)):
                if key > end:
                    break
                objects[key] = stored
        return objects

    def everything(self) -> Iterator[tuple[str, Stored]]:
        """All objects of all tables with their keys, a page at a time."""
        with _errors("listing the dataset"):
            yield from self._listed(f"{ROOT}/", "")

    def _listed(self, prefix: str, after: str) -> Iterator[tuple[str, Stored]]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, StartAfter=after
        )
        for page in pages:
            for item in page.get("Contents", ()):
                yield item["Key"], Stored(item["LastModified"], item["ETag"], item["Size"])

    def read(self, key: str) -> Kept | None:
        """An object, or None where there is none."""
        return self._read(key, None)

    def read_version(self, key: str, version: str) -> Kept | None:
        """An earlier object by the id of its version."""
        return self._read(key, version)

    def _read(self, key: str, version: str | None) -> Kept | None:
        with _errors(f"reading {key}"):
            try:
                answer, body = self._whole(key, version)
            except self._s3.exceptions.NoSuchKey:
                return None
        # The name that release 0.1.0 gave it; objects keep theirs for years.
        text = answer["Metadata"].get("asked", "")
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            # Not written by an export: its age is all that is known.
            moment = answer["LastModified"]
        return Kept(
            answer["ETag"],
            answer["LastModified"],
            moment,
            answer["Metadata"].get("run", ""),
            body,
            confirmed=answer["Metadata"].get("confirmed") != "no",
        )

    def _whole(self, key: str, version: str | None) -> tuple[GetObjectOutputTypeDef, bytes]:
        chosen: dict[str, Any] = {"VersionId": version} if version else {}
        # The SDK retries where no answer begins, but not where a body breaks off.
        for left in reversed(range(_READS)):
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=key, **chosen)
                return answer, answer["Body"].read()
            except _BREAKS_OFF:
                if not left:
                    raise
        raise AssertionError

    def put(self, key: str, body: bytes, *, queried_at: datetime, run: str) -> None:
        """Replaces an object whole, whatever is there."""
        self._put(key, body, queried_at, run, {})

    def replace(
        self,
        key: str,
        body: bytes,
        *,
        over: str | None,
        queried_at: datetime,
        run: str,
        confirmed: bool = True,
    ) -> None:
        """Replaces the object with the ETag `over`, or makes it where that is None.

        A reader sees the old object or the new one, never a part. Raises Overtaken where another
        one is there by now.
        """
        # S3 compares and writes in one step, so that two runs need no lock.
        condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
        self._put(key, body, queried_at, run, condition, confirmed=confirmed)

    def _put(
        self,
        key: str,
        body: bytes,
        queried_at: datetime,
        run: str,
        condition: dict[str, Any],
        *,
        confirmed: bool = True,
    ) -> None:
        metadata = {"asked": queried_at.isoformat(), "run": run}
        if not confirmed:
            metadata["confirmed"] = "no"
        with _errors(f"writing {key}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/vnd.apache.parquet",
                    ChecksumAlgorithm="CRC32",
                    Metadata=metadata,
                    **condition,
                )
            except ClientError as error:
                # The object was replaced (412), is being replaced (409), or was deleted (404).
                if error_code(error) in _TAKEN:
                    raise Overtaken(f"{key} was written by somebody else") from None
                raise

    def delete(self, key: str) -> None:
        """Deletes an object. The bucket keeps its versions for a time, as it does of all."""
        with _errors(f"deleting {key}"):
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def quarantine(self, key: str, reply: bytes) -> None:
        """Keeps a reply as it came, compressed."""
        with _errors(f"writing {key}"):
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=gzip.compress(reply, mtime=0),
                ContentType="application/json",
                ContentEncoding="gzip",
                ChecksumAlgorithm="CRC32",
            )


def _version(body: bytes) -> int:
    try:
        return _CONTENT.decode(body)["version"]
    except (msgspec.MsgspecError, KeyError) as error:
        raise PersonMustAct(
            f"{VERSION_KEY} in the dataset bucket is not what an export writes there ({error}):"
            " restore its earlier version in S3"
        ) from error


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """Turns failures of AWS into errors that say what was tried."""
    try:
        yield
    except (ClientError, BotoCoreError, HTTPError) as error:
        raise aws_failure(error, what) from error
