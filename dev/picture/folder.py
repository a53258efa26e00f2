"""A dataset in a folder, as the monthly report reads one in S3."""

from datetime import UTC, date, datetime
from pathlib import Path

from choreo_insights.dataset.partitions import day_prefix, table_prefix
from choreo_insights.dataset.store import Kept, Stored


class FolderDataset:
    """Objects by key; each was queried and written at one instant."""

    def __init__(self, folder: Path, at: datetime) -> None:
        self._folder = folder
        self._at = at.astimezone(UTC)

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        """The objects of a table from a day to another by key."""
        keys = sorted(
            path.relative_to(self._folder).as_posix()
            for path in (self._folder / table_prefix(table)).rglob("*.parquet")
        )
        end = day_prefix(table, last) + "\U0010ffff"
        return {
            key: Stored(self._at, "synthetic")
            for key in keys
            if day_prefix(table, first) <= key <= end
        }

    def read(self, key: str) -> Kept | None:
        """An object, or None where there is none."""
        path = self._folder / key
        if not path.exists():
            return None
        return Kept("synthetic", self._at, self._at, "synthetic", path.read_bytes())
