"""The export's own way from the bytes of a reply to an object in S3."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import msgspec

from bench.jobs import measure
from bench.jobs.given import Given
from bench.replies import ASKED, ENVIRONMENT, ENVIRONMENT_ID, GRANULARITY, ORGANIZATION
from insights.catalogue import Table, load
from insights.choreo import outcomes
from insights.dataset import Dataset
from insights.decode import Answer, Reader
from insights.errors import InsightsError
from insights.files import Apis, file_of
from insights.partitions import Environment, Partition
from insights.questions import Rows, collect

_ENVIRONMENT = Environment(
    ENVIRONMENT_ID, ENVIRONMENT, "CHOREO", (ENVIRONMENT_ID,), ENVIRONMENT.lower()
)


def main() -> None:
    """Reads, converts and writes one partition after the other."""
    given = Given.of_command_line()
    shipped = load().table("api_usage_over_time")
    # The shipped document asks by hour. By minute, a million rows are an organisation's month.
    table = msgspec.structs.replace(shipped, granularity=GRANULARITY)

    def job() -> int:
        dataset = Dataset(boto3.client("s3"), given.bucket)
        reader = Reader(table)
        apis = Apis(tuple(given.replies.ids), {})
        return sum(
            _export(table, reader, apis, dataset, day, path) for day, path in given.replies.files()
        )

    measure.run(job)


def _export(
    table: Table, reader: Reader, apis: Apis, dataset: Dataset, day: date, path: Path
) -> int:
    partition = Partition(table, table.name, ORGANIZATION, _ENVIRONMENT, day)
    file = file_of(partition, _rows(table, reader, apis, path), apis, ASKED)
    dataset.put(partition.key, file.body, asked=ASKED, run="bench")
    return file.rows


def _rows(table: Table, reader: Reader, apis: Apis, path: Path) -> Rows:
    values: dict[str, Any] = {"time": {}, "data": {}}
    collecting = collect(table, values, apis.ids)
    asks = next(collecting)
    try:
        collecting.send(list(_answers(reader, path.read_bytes(), len(asks))))
    except StopIteration as stop:
        rows: Rows = stop.value
        return rows
    raise AssertionError


def _answers(reader: Reader, body: bytes, count: int) -> Iterator[Answer]:
    for found in outcomes(body, count):
        if isinstance(found, InsightsError):
            raise found
        yield reader.read(found)


if __name__ == "__main__":
    main()
