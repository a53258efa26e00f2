"""What can be brought back: versions of a bucket's objects, and objects of a copy of the bucket."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.ledger import RUNS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# restore: to be brought back. same: it is there as it was. newer: it did not exist then. there:
# another one is there. merged: it is there, and grows by itself: an earlier one would lose entries.
Verdict = Literal["restore", "same", "newer", "there", "merged"]


class RestoreSource(NamedTuple):
    """What is brought back. `version` is None for the newest one."""

    version: str | None
    written: datetime


@dataclass(frozen=True)
class RestoreTask:
    """A key, and what is to be done. `etag` is of the object that is there now, if one is."""

    key: str
    verdict: Verdict
    source: RestoreSource | None = None
    etag: str | None = None


class _Version(NamedTuple):
    """A version of an object, or a delete marker, which has no ETag."""

    key: str
    id: str
    written: datetime
    is_latest: bool
    content: tuple[str, int] | None


def table_of(key: str) -> str:
    """The table whose folder a key lies in."""
    return key.split("/", 2)[1]


def is_partition(key: str) -> bool:
    """Whether a key lies in a folder of a day, as all data does."""
    return key.rpartition("/")[0].rpartition("/")[2].startswith("day=")


def _grows(key: str, named: bool) -> bool:
    """Whether what is there is better than what was, as runs only ever append to it.

    Checks are made anew by the next run. Of tables that the user names this holds for the
    registry alone, which binds keys to environments for ever.
    """
    return not is_partition(key) or (not named and table_of(key) in (RUNS, CHECKS))


def versions(
    s3: "S3Client", bucket: str, prefix: str, before: datetime, *, named: bool
) -> Iterator[RestoreTask]:
    """Every key below a prefix, with the version that it had before a time.

    Memory does not grow with the number of keys. Raises what botocore does.
    """
    for key, each in groupby(_versions(s3, bucket, prefix), lambda version: version.key):
        if key.endswith(".parquet"):
            yield _at(key, list(each), before, named=named)


def _at(key: str, history: list[_Version], before: datetime, *, named: bool) -> RestoreTask:
    """What to do about a key, given its versions, the newest first."""
    latest = history[0]
    etag = latest.content[0] if latest.content else None
    then = next((each for each in history if each.written < before), None)
    if then is None or then.content is None:
        # Deleted at the time, or not there yet.
        return RestoreTask(key, "newer" if latest.content else "same")
    if latest.content == then.content:
        return RestoreTask(key, "same")
    source = RestoreSource(then.id, then.written)
    if latest.content and _grows(key, named):
        return RestoreTask(key, "merged")
    return RestoreTask(key, "restore", source, etag)


def _versions(s3: "S3Client", bucket: str, prefix: str) -> Iterator[_Version]:
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        versions = [
            _Version(
                v["Key"], v["VersionId"], v["LastModified"], v["IsLatest"], (v["ETag"], v["Size"])
            )
            for v in page.get("Versions", ())
        ]
        versions += [
            _Version(m["Key"], m["VersionId"], m["LastModified"], m["IsLatest"], None)
            for m in page.get("DeleteMarkers", ())
        ]
        # S3 lists versions and delete markers apart. Sorting keeps the order of each list, which is
        # that of writing, also within a second. What was deleted in that very second comes back.
        versions.sort(key=lambda each: (each.is_latest, each.written), reverse=True)
        yield from sorted(versions, key=lambda each: each.key)


def copies(
    s3: "S3Client", copy: str, bucket: str, prefix: str, *, replace: bool, named: bool
) -> Iterator[RestoreTask]:
    """Every key below a prefix of a copy of the bucket.

    Objects that are there already stay, unless `replace`. Memory does not grow with the number of
    keys. Raises what botocore does.
    """
    there = _listed(s3, bucket, prefix)
    own = next(there, None)
    for item in _listed(s3, copy, prefix):
        while own and own.key < item.key:
            own = next(there, None)
        if not item.key.endswith(".parquet"):
            continue
        present = own if own and own.key == item.key else None
        yield _copied(item, present, replace=replace, named=named)


class _ListedObject(NamedTuple):
    key: str
    written: datetime
    content: tuple[str, int]


def _copied(
    item: _ListedObject, present: _ListedObject | None, *, replace: bool, named: bool
) -> RestoreTask:
    source = RestoreSource(None, item.written)
    if present is None:
        return RestoreTask(item.key, "restore", source)
    if present.content == item.content:
        return RestoreTask(item.key, "same")
    if _grows(item.key, named):
        return RestoreTask(item.key, "merged")
    return RestoreTask(item.key, "restore" if replace else "there", source, present.content[0])


def _listed(s3: "S3Client", bucket: str, prefix: str) -> Iterator[_ListedObject]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for item in page.get("Contents", ()):
            yield _ListedObject(item["Key"], item["LastModified"], (item["ETag"], item["Size"]))


def together(sources: Iterable[Iterator[RestoreTask]]) -> Iterator[RestoreTask]:
    """One source after the other."""
    for source in sources:
        yield from source
