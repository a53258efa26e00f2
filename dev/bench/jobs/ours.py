"""The export's own way from the bytes of a reply to an object in S3."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import msgspec

from choreo_insights.catalogue import load
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.dataset.store import Dataset
from choreo_insights.errors import InsightsError
from choreo_insights.export.decode import Answer, Reader
from choreo_insights.export.insights_api import outcomes
from choreo_insights.export.partition_file import file_of
from choreo_insights.export.queries import Rows, collect
from dev.bench.jobs import measure
from dev.bench.jobs.job_args import JobArgs
from dev.bench.replies import ASKED, ENVIRONMENT, ENVIRONMENT_ID, GRANULARITY, ORGANIZATION

_ENVIRONMENT = Environment(
    ENVIRONMENT_ID, ENVIRONMENT, "CHOREO", (ENVIRONMENT_ID,), ENVIRONMENT.lower()
)


class _ExporterJob:
    """Reads and converts one partition after the other; the one before is written meanwhile."""

    def __init__(self, args: JobArgs) -> None:
        self._args = args
        shipped = load().table("api_usage_over_time")
        # The shipped document queries by hour; a million rows are a month by minute.
        self._table = msgspec.structs.replace(shipped, granularity=GRANULARITY)
        self._reader = Reader(self._table)
        self._apis = tuple(map(ApiNames.of_id, args.replies.ids))
        self._listed = frozenset(args.replies.ids)
        self._dataset = Dataset(boto3.client("s3"), args.bucket)
        # As an export does first: from here on it is connected.
        self._dataset.listing(self._table.name, ASKED.date(), ASKED.date())

    def run(self) -> int:
        """Returns the number of rows."""
        rows = 0
        writing: Future[None] | None = None
        with ThreadPoolExecutor(1) as stores:
            for day, path in self._args.replies.files():
                partition = Partition(
                    self._table, self._table.name, ORGANIZATION, _ENVIRONMENT, day
                )
                file = file_of(partition, self._rows(path), self._resolved, ASKED)
                rows += file.rows
                if writing:
                    writing.result()
                writing = stores.submit(self._write, partition, file.encode(self._table.columns))
        if writing:
            writing.result()
        return rows

    def _resolved(self, answered: str | None) -> str | None:
        return answered if answered in self._listed else None

    def _write(self, partition: Partition, body: bytes) -> None:
        self._dataset.replace(partition.key, body, over=None, queried_at=ASKED, run="bench")

    def _rows(self, path: Path) -> Rows:
        values: dict[str, Any] = {"time": {}, "data": {}}
        collecting = collect(self._table, values, self._apis)
        asks = next(collecting)
        try:
            collecting.send(list(self._answers(path.read_bytes(), len(asks))))
        except StopIteration as stop:
            rows: Rows = stop.value
            return rows
        raise AssertionError

    def _answers(self, body: bytes, count: int) -> Iterator[Answer]:
        for found in outcomes(body, count):
            if isinstance(found, InsightsError):
                raise found
            yield self._reader.read(found)


if __name__ == "__main__":
    measure.run(_ExporterJob(JobArgs.of_command_line()).run)
