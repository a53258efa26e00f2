"""`make dashboard`: the dataset's dashboard as one file, drawn on this machine."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from insights.partitions import day_prefix, table_prefix
from local.errors import CommandError
from local.places import Folder
from local.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DAYS = 366
_THREADS = 32
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Drawn:
    """The file, and from how many of the dataset's objects it was drawn."""

    path: Path
    objects: int

    @property
    def megabytes(self) -> float:
        """The file's size."""
        return self.path.stat().st_size / 1e6


def main() -> None:
    """Draws the stack's dashboard to OUT, over the newest DAYS days. Raises CommandError."""
    folder = Folder.default()
    out = Path(os.environ.get("OUT") or folder.path / "dashboard.html").resolve()
    drawn = draw(Stack.of_terminal(), folder, out, datetime.now(UTC), _days())
    print(f"Drawn from {drawn.objects} objects ({drawn.megabytes:.1f} MB): {drawn.path}")


def _days() -> int:
    text = os.environ.get("DAYS") or str(_DAYS)
    if not text.isdecimal() or int(text) < 1:
        raise CommandError(f"DAYS={text} is no number of days, such as 30.")
    return int(text)


def draw(stack: Stack, folder: Folder, out: Path, now: datetime, days: int = _DAYS) -> Drawn:
    """Draws the dashboard of a stack. Objects are kept in the folder for the next time.

    Raises CommandError where the dataset is empty, or what boto3 raises.
    """
    # Together these take longer to import than most commands run.
    from dashboard.data import needed_tables  # noqa: PLC0415
    from dashboard.drawing import About  # noqa: PLC0415
    from dashboard.drawing import draw as draw_page  # noqa: PLC0415
    from dashboard.panels import SHEETS  # noqa: PLC0415
    from views.duckdb import connect  # noqa: PLC0415

    bucket = stack.outputs["DatasetBucketName"]
    copy = Copy(stack.s3, bucket, folder.path / "dataset" / bucket)
    since = now.astimezone(UTC).date() - timedelta(days=days - 1)
    files = copy.refresh(needed_tables(SHEETS), since)
    if not files:
        raise CommandError(
            f"The dataset in {bucket} has nothing since {since}: `make export` fills it."
        )
    about = About(_source(stack), now, _note(stack))
    out.parent.mkdir(parents=True, exist_ok=True)
    with connect(files, now) as database:
        out.write_text(draw_page(database, about), "utf-8")
    return Drawn(out, len(files))


def _source(stack: Stack) -> str:
    return f"{stack.parameters['Organizations'].replace(',', ', ')} (stack {stack.name})"


def _note(stack: Stack) -> str:
    host = urlsplit(stack.parameters["InsightsUrl"]).hostname
    return "Synthetic data from the sandbox" if host in _LOCAL else ""


@dataclass(frozen=True)
class Copy:
    """The dataset's objects as files. What did not change since the last time stays."""

    s3: "S3Client"
    bucket: str
    folder: Path

    def refresh(self, tables: frozenset[str], since: date) -> list[Path]:
        """The files of these tables from a day on, as they are in the bucket now."""
        with ThreadPoolExecutor(_THREADS) as threads:
            listed = dict(
                entry
                for entries in threads.map(lambda table: self._listed(table, since), tables)
                for entry in entries
            )
            known = self._known()
            changed = [key for key, tag in listed.items() if known.get(key) != tag]
            list(threads.map(self._fetch, changed))
        for key in known.keys() - listed.keys():
            (self.folder / key).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._tags.write_text(json.dumps(listed))
        return [self.folder / key for key in sorted(listed)]

    @property
    def _tags(self) -> Path:
        return self.folder / "tags.json"

    def _known(self) -> dict[str, str]:
        if not self._tags.exists():
            return {}
        found: dict[str, str] = json.loads(self._tags.read_text())
        return {key: tag for key, tag in found.items() if (self.folder / key).exists()}

    def _listed(self, table: str, since: date) -> list[tuple[str, str]]:
        return list(self._entries(table, since))

    def _entries(self, table: str, since: date) -> Iterator[tuple[str, str]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=table_prefix(table), StartAfter=day_prefix(table, since)
        )
        for page in pages:
            for entry in page.get("Contents", []):
                if entry["Key"].endswith(".parquet"):
                    yield entry["Key"], entry["ETag"]

    def _fetch(self, key: str) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # A copy that was cut off must not pass for a whole one.
        part = path.with_suffix(".part")
        self.s3.download_file(self.bucket, key, str(part))
        part.replace(path)
