"""dlt: rows as dicts into its filesystem destination."""

import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.destinations import filesystem

from bench.jobs import measure
from bench.jobs.given import Given
from bench.replies import ASKED, ENVIRONMENT, ENVIRONMENT_ID, ORGANIZATION

_REPEATED = {
    "organization": ORGANIZATION,
    "environment": ENVIRONMENT,
    "environment_id": ENVIRONMENT_ID,
    "exported_at": ASKED,
}


def main() -> None:
    """All rows as one resource in one load."""
    given = Given.of_command_line()

    def job() -> int:
        with tempfile.TemporaryDirectory() as folder:
            pipeline = dlt.pipeline(
                "bench",
                pipelines_dir=folder,
                destination=filesystem(
                    f"s3://{given.bucket}/{given.prefix}",
                    credentials={"endpoint_url": os.environ["AWS_ENDPOINT_URL"],
                     "aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-central-1"},
                ),
                dataset_name="insights",
            )
            resource = dlt.resource(
                lambda: _rows(given),
                name="api_usage_over_time",
                columns={"time_span": {"data_type": "timestamp"}},
            )
            pipeline.run(resource, loader_file_format="parquet").raise_on_failed_jobs()
            counts = pipeline.last_trace.last_normalize_info.row_counts
            return counts["api_usage_over_time"]

    measure.run(job)


def _rows(given: Given) -> Iterator[list[dict[str, Any]]]:
    for _, path in given.replies.files():
        for root in json.loads(path.read_bytes())["data"].values():
            yield [
                {
                    "api_id": series["apiId"],
                    "granularity": series["granularity"],
                    "time_span": bucket["timeSpan"],
                    "count": bucket["count"],
                    **_REPEATED,
                }
                for series in root
                for bucket in series["usage"]
            ]


if __name__ == "__main__":
    main()
