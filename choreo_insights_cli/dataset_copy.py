"""Copies the dataset's objects to files on this machine, to read them without Athena."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from choreo_insights.dataset.partitions import day_prefix, table_prefix
from choreo_insights.dataset.registry import UNPARTITIONED
from choreo_insights_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CACHE = user_cache_path("choreo-insights")
_THREADS = 32


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

    def refresh(self, tables: Iterable[str], since: date) -> list[Path]:
        """The files of these tables from a day on, as they are in the bucket now.

        Tables without partitions have no days: all of their files are included. Files of other
        tables stay in the folder.
        """
        tables = tuple(tables)
        with ThreadPoolExecutor(_THREADS) as threads:
            listed = dict(
                entry
                for entries in threads.map(lambda table: self._listed(table, since), tables)
                for entry in entries
            )
            known = self._known()
            mine = tuple(map(table_prefix, tables))
            others = {key: tag for key, tag in known.items() if not key.startswith(mine)}
            changed = [key for key, tag in listed.items() if known.get(key) != tag]
            list(threads.map(self._fetch, changed))
        for key in known.keys() - listed.keys() - others.keys():
            (self.folder / key).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._tags.write_text(json.dumps(others | listed))
        return [self.folder / key for key in sorted(listed)]

    @property
    def _tags(self) -> Path:
        return self.folder / "tags.json"

    def _known(self) -> dict[str, str]:
        if not self._tags.exists():
            return {}
        tags: dict[str, str] = json.loads(self._tags.read_text())
        return {key: tag for key, tag in tags.items() if (self.folder / key).exists()}

    def _listed(self, table: str, since: date) -> list[tuple[str, str]]:
        return list(self._entries(table, since))

    def _entries(self, table: str, since: date) -> Iterator[tuple[str, str]]:
        after = table_prefix(table) if table in UNPARTITIONED else day_prefix(table, since)
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=table_prefix(table), StartAfter=after
        )
        for page in pages:
            for entry in page.get("Contents", []):
                if entry["Key"].endswith(".parquet"):
                    yield entry["Key"], entry["ETag"]

    def _fetch(self, key: str) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # An interrupted download must not look complete.
        part = path.with_suffix(".part")
        self.s3.download_file(self.bucket, key, str(part))
        part.replace(path)
