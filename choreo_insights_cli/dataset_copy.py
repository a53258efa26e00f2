"""Copies the dataset's objects to files on this machine, to read them without Athena."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from platformdirs import user_cache_path

from choreo_insights.dataset.partitions import day_prefix, table_prefix
from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights_cli.stack import Stack

try:
    import fcntl
except ImportError:  # Windows: there nobody is kept from running it twice.
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CACHE = user_cache_path("choreo-insights")
_THREADS = 32
# Whoever writes to the bucket chooses its keys: only one of this form becomes a path.
_KEY = re.compile(r"[a-z0-9_]+/[a-z0-9_]+/(day=\d{4}-\d\d-\d\d/)?[^/\\\0]+\.parquet", re.ASCII)
_LONGEST = 255

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Copy:
    """The dataset's objects as files. Only changed objects are copied again."""

    s3: "S3Client"
    bucket: str
    folder: Path

    @classmethod
    def of(cls, stack: Stack, cache: Path) -> "Copy":
        """The copy of a stack's dataset, in a folder of `cache`."""
        bucket = stack.outputs["DatasetBucketName"]
        return cls(stack.s3, bucket, cache / bucket)

    @contextmanager
    def held(
        self, tables: Iterable[str], since: date, say: Tell = lambda _: None
    ) -> Iterator[list[Path]]:
        """The files of `refresh`, which no other run changes until the block ends."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w", encoding="utf-8") as lock:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._refresh(tuple(tables), since, say)

    def refresh(self, tables: Iterable[str], since: date) -> list[Path]:
        """The files of these tables from a day on, as they are in the bucket now.

        Those of tables without partitions are of no day: all of them are there. Files of other
        tables and of earlier days stay for whoever queries these.
        """
        with self.held(tables, since) as files:
            return files

    def _refresh(self, tables: tuple[str, ...], since: date, say: Tell) -> list[Path]:
        known = self._known()
        with ThreadPoolExecutor(_THREADS) as threads:
            entries = threads.map(lambda table: list(self._entries(table, since)), tables)
            listed = dict(entry for found in entries for entry in found)
            changed = [key for key, tag in listed.items() if known.get(key) != tag]
            for key in changed:
                # Until it is whole, the file is not known: a run that is cut off fetches it again.
                known.pop(key, None)
            self._write_tags(known)
            for number, (key, tag) in enumerate(threads.map(self._fetch, changed), 1):
                say(f"copying the dataset: {number:,} of {len(changed):,} objects")
                if tag is None:
                    del listed[key]
                else:
                    known[key] = tag
        for key in [key for key in known.keys() - listed.keys() if _within(key, tables, since)]:
            del known[key]
            (self.folder / key).unlink(missing_ok=True)
        self._write_tags(known)
        return [self.folder / key for key in sorted(listed)]

    @property
    def _tags(self) -> Path:
        return self.folder / "tags.json"

    def _known(self) -> dict[str, str]:
        """The tags of the files that are there; none where nobody can read them."""
        tags = None
        with suppress(OSError, ValueError):
            tags = json.loads(self._tags.read_text("utf-8"))
        if not isinstance(tags, dict):
            return {}
        return {
            key: tag
            for key, tag in tags.items()
            if isinstance(tag, str) and is_safe(key) and (self.folder / key).exists()
        }

    def _write_tags(self, tags: dict[str, str]) -> None:
        part = self._tags.with_suffix(".part")
        part.write_text(json.dumps(tags), "utf-8")
        part.replace(self._tags)

    def _entries(self, table: str, since: date) -> Iterator[tuple[str, str]]:
        after = table_prefix(table) if table in UNPARTITIONED else day_prefix(table, since)
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=table_prefix(table), StartAfter=after
        )
        for page in pages:
            for entry in page.get("Contents", []):
                if is_safe(entry["Key"]):
                    yield entry["Key"], entry["ETag"]

    def _fetch(self, key: str) -> tuple[str, str | None]:
        """Fetches an object; gives its key and its tag, None where it was deleted meanwhile."""
        try:
            reply = self.s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return key, None
            raise
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # A copy that was cut off must not pass for a whole one.
        part = path.parent / f"{sha256(key.encode()).hexdigest()[:32]}.part"
        part.write_bytes(reply["Body"].read())
        part.replace(path)
        # The object may have changed since it was listed: the tag is that of what was read.
        return key, reply["ETag"]


def is_safe(key: str) -> bool:
    """Whether a key is one of a table's objects, and so a path in the folder of the copy."""
    name = key.rpartition("/")[2]
    return _KEY.fullmatch(key) is not None and len(name.encode()) <= _LONGEST


def _within(key: str, tables: Iterable[str], since: date) -> bool:
    """Whether a listing of these tables from a day on would hold the key."""
    for table in tables:
        if key.startswith(table_prefix(table)):
            return table in UNPARTITIONED or key > day_prefix(table, since)
    return False
