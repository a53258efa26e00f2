"""How far a run of the export is, by the ledger that it writes every minute."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.dataset.ledger import RUNS, Entry, object_key, read_entries
from choreo_insights.dataset.partitions import day_of, day_prefix, table_prefix
from choreo_insights_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SECONDS = 15.0
# The days that a run of the schedule queries, when no other was named.
_USUAL_DAYS = timedelta(days=3)
# A look costs at most so many requests: a long history is counted in part.
_LISTED, _READ = 3_000, 40


@dataclass
class RunProgress:
    """What the ledger has of the runs since an instant, for data days from `first` on."""

    s3: "S3Client"
    bucket: str
    first: date
    begun: datetime
    _tags: dict[str, str] = field(default_factory=dict)
    _entries: dict[str, list[Entry]] = field(default_factory=dict)

    def look(self) -> str:
        """What is done so far, in words; empty where the ledger has nothing yet."""
        for key, tag in list(self._changed())[:_READ]:
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            entries = read_entries(body, day_of(key))
            self._entries[key] = [each for each in entries if each.exported_at >= self.begun]
            self._tags[key] = tag
        return counted([each for entries in self._entries.values() for each in entries], self.begun)

    def _changed(self) -> Iterator[tuple[str, str]]:
        """The ledger's objects of today's runs that were not read as they are now."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket,
            Prefix=table_prefix(RUNS),
            StartAfter=day_prefix(RUNS, self.first),
            PaginationConfig={"MaxItems": _LISTED},
        )
        for page in pages:
            for item in page.get("Contents", ()):
                key, tag = item["Key"], item["ETag"]
                is_of_today = key == object_key(day_of(key), self.begun.date())
                if is_of_today and self._tags.get(key) != tag:
                    yield key, tag


def counted(entries: list[Entry], begun: datetime) -> str:
    """The entries in words: how many, how many of them failed, and how fast it goes."""
    if not entries:
        return ""
    failed = sum(entry.status == "failed" for entry in entries)
    seconds = max(1.0, (max(entry.exported_at for entry in entries) - begun).total_seconds())
    done = len(entries) - failed
    parts = [f"{done:,} partition{'' if done == 1 else 's'} done"]
    parts += [f"{failed:,} failed"] if failed else []
    return ", ".join([*parts, f"{len(entries) * 60 / seconds:,.0f} a minute"])


@contextmanager
def watched(stack: Stack, first: date | None, say: Callable[[str], None]) -> Iterator[None]:
    """Says how far a run is, until the block ends; nothing to who may not read the ledger."""
    begun = datetime.now(UTC)
    bucket = stack.outputs["DatasetBucketName"]
    progress = RunProgress(stack.s3, bucket, first or (begun - _USUAL_DAYS).date(), begun)
    ended = Event()

    def watch() -> None:
        with suppress(ClientError, BotoCoreError, ValueError):
            while not ended.wait(_SECONDS):
                if text := progress.look():
                    say(text)

    Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
