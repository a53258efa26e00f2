"""The dataset in S3: what is there, and replacing one object whole."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insights.partitions import day_prefix, table_prefix

if TYPE_CHECKING:
    from datetime import date, datetime

    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True)
class Stored:
    """An object of the dataset as a listing shows it."""

    written: datetime
    size: int


class Dataset:
    """The dataset bucket. Its listing is the ledger: there is no other state."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        """The objects of a table from `first` to `last` by key, in one listing."""
        found: dict[str, Stored] = {}
        end = day_prefix(table, last) + "\U0010ffff"
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=table_prefix(table),
            StartAfter=day_prefix(table, first),
        )
        for page in pages:
            for item in page.get("Contents", ()):
                if item["Key"] > end:
                    return found
                found[item["Key"]] = Stored(item["LastModified"], item["Size"])
        return found

    def put(self, key: str, body: bytes) -> None:
        """Replaces an object whole; a reader sees the old one or the new one, never a part."""
        self._s3.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=body,
            ContentType="application/vnd.apache.parquet",
            ChecksumAlgorithm="CRC32",
        )

    def quarantine(self, key: str, reply: bytes) -> None:
        """Keeps a reply as it came, compressed."""
        self._s3.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=gzip.compress(reply, mtime=0),
            ContentType="application/json",
            ContentEncoding="gzip",
            ChecksumAlgorithm="CRC32",
        )
