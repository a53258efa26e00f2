"""A dataset in memory, for runs without AWS."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq

from insights.dataset import Stored
from insights.partitions import day_prefix, table_prefix


class MemoryDataset:
    """What `insights.dataset.Dataset` does; `now` is when an object is written."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[datetime, bytes]] = {}
        self.quarantined: dict[str, bytes] = {}
        self.now = datetime.now(UTC)
        self.broken: set[str] = set()
        self.puts: list[str] = []

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        start, end = day_prefix(table, first), day_prefix(table, last) + "~"
        return {
            key: Stored(written, len(body))
            for key, (written, body) in self.objects.items()
            if key.startswith(table_prefix(table)) and start <= key <= end
        }

    def put(self, key: str, body: bytes) -> None:
        if key in self.broken:
            raise OSError("no space")
        self.puts.append(key)
        self.objects[key] = (self.now, body)

    def quarantine(self, key: str, reply: bytes) -> None:
        self.quarantined[key] = reply

    def rows(self, key: str) -> list[dict[str, Any]]:
        """An object's rows."""
        return pq.read_table(BytesIO(self.objects[key][1])).to_pylist()

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        """All rows of a table."""
        for key in self.objects:
            if key.startswith(table_prefix(name)):
                yield from self.rows(key)
