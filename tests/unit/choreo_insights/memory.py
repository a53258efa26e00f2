"""A dataset in memory, for runs without AWS."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq

from choreo_insights.dataset.partitions import day_prefix, table_prefix
from choreo_insights.dataset.store import Kept, Overtaken, Stored
from choreo_insights.errors import PersonMustAct, Retriable


@dataclass
class Object:
    """An object of the dataset."""

    written: datetime
    body: bytes
    queried_at: datetime
    run: str
    etag: str
    confirmed: bool = True


class MemoryDataset:
    """What `choreo_insights.dataset.store.Dataset` does; `now` is when an object is written."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.quarantined: dict[str, bytes] = {}
        self.now = datetime.now(UTC)
        self.broken: set[str] = set()
        self.newer = False
        # Called before an object is replaced: another run may be faster.
        self.before: Callable[[str], None] = lambda key: None
        self._lock = threading.Lock()

    def claim(self) -> None:
        if self.newer:
            raise PersonMustAct("the dataset is of version 2")

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        start, end = day_prefix(table, first), day_prefix(table, last) + "~"
        return {
            key: stored
            for key, stored in self.everything()
            if key.startswith(table_prefix(table)) and start <= key <= end
        }

    def everything(self) -> Iterator[tuple[str, Stored]]:
        for key, found in sorted(self.objects.items()):
            yield key, Stored(found.written, found.etag, len(found.body))

    def read(self, key: str) -> Kept | None:
        found = self.objects.get(key)
        if not found:
            return None
        return Kept(
            found.etag,
            found.written,
            found.queried_at,
            found.run,
            found.body,
            confirmed=found.confirmed,
        )

    def put(
        self, key: str, body: bytes, *, queried_at: datetime, run: str, confirmed: bool = True
    ) -> None:
        if any(key.startswith(prefix) for prefix in self.broken):
            raise Retriable("no space")
        # As in S3: two objects of the same bytes have one ETag.
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.objects[key] = Object(self.now, body, queried_at, run, etag, confirmed)

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
        self.before(key)
        # One at a time, as in S3: the lists of two environments write into one registry.
        with self._lock:
            found = self.objects.get(key)
            if (found.etag if found else None) != over:
                raise Overtaken(key)
            self.put(key, body, queried_at=queried_at, run=run, confirmed=confirmed)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def quarantine(self, key: str, reply: bytes) -> None:
        self.quarantined[key] = reply

    def rows(self, key: str) -> list[dict[str, Any]]:
        """An object's rows."""
        return pq.read_table(BytesIO(self.objects[key].body)).to_pylist()

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        """All rows of a table."""
        for key in self.objects:
            if key.startswith(table_prefix(name)):
                yield from self.rows(key)
