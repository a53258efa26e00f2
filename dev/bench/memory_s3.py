"""An S3 in memory that counts what it is asked, on a clock that the benchmark turns.

The local AWS dates objects by the clock on the wall; here two days pass in minutes.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError

_PAGE = 1000


class _NoSuchKey(ClientError):  # noqa: N818 - S3 calls it so
    pass


class _Exceptions:
    NoSuchKey = _NoSuchKey


class MemoryS3:
    """The operations of an S3 client that the export uses. `now` is the LastModified of writes.

    `requests` counts by operation and, of writes, by the key's first folder below the dataset.
    """

    exceptions = _Exceptions

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.requests: Counter[tuple[str, str]] = Counter()
        self.objects: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def count(self, operation: str) -> int:
        """How many requests of an operation there were."""
        return sum(times for (name, _), times in self.requests.items() if name == operation)

    def put_object(self, **request: Any) -> dict[str, Any]:
        """PutObject with If-Match and If-None-Match. Raises ClientError."""
        key, body = request["Key"], request["Body"]
        with self._lock:
            self.requests["PutObject", _folder(key)] += 1
            there = self.objects.get(key)
            if request.get("IfNoneMatch") and there:
                raise _error("PreconditionFailed", 412)
            if match := request.get("IfMatch"):
                if not there:
                    raise _error("NoSuchKey", 404)
                if there["ETag"] != match:
                    raise _error("PreconditionFailed", 412)
            etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
            metadata = request.get("Metadata", {})
            self.objects[key] = {
                "ETag": etag,
                "LastModified": self.now,
                "Size": len(body),
                "Metadata": metadata,
                "body": bytes(body),
            }
            return {"ETag": etag, "ResponseMetadata": _answered(self.now)}

    def get_object(self, **request: Any) -> dict[str, Any]:
        """GetObject. Raises NoSuchKey."""
        key = request["Key"]
        with self._lock:
            self.requests["GetObject", _folder(key)] += 1
            if key not in self.objects:
                raise _NoSuchKey({"Error": {"Code": "NoSuchKey"}}, "GetObject")
            there = dict(self.objects[key])
            return there | {
                "Body": BytesIO(there.pop("body")),
                "ResponseMetadata": _answered(self.now),
            }

    def get_paginator(self, operation: str) -> "MemoryS3":
        """That of ListObjectsV2."""
        assert operation == "list_objects_v2"  # noqa: S101 - the export uses no other
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        """The pages of a listing."""
        prefix, after = request["Prefix"], request.get("StartAfter", "")
        with self._lock:
            keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        for start in range(0, max(1, len(keys)), _PAGE):
            with self._lock:
                self.requests["ListObjectsV2", _folder(prefix)] += 1
                page = keys[start : start + _PAGE]
                yield {"Contents": [{"Key": key, **self.objects[key]} for key in page]}


def _folder(key: str) -> str:
    root, _, rest = key.partition("/")
    return rest.partition("/")[0] if root == "insights" else root


def _answered(now: datetime) -> dict[str, Any]:
    date = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return {"HTTPStatusCode": 200, "HTTPHeaders": {"date": date}}


def _error(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutObject")
