"""dlt, fed with rows as dicts, into its filesystem destination."""

import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.destinations import filesystem

from dev.bench.jobs import measure
from dev.bench.jobs.job_args import JobArgs
from dev.bench.replies import ASKED, ENVIRONMENT, ENVIRONMENT_ID, ORGANIZATION

_TABLE = "api_usage_over_time"
_REPEATED = {
    "organization": ORGANIZATION,
    "environment": ENVIRONMENT,
    "environment_id": ENVIRONMENT_ID,
    "exported_at": ASKED,
}


class _DltJob:
    """All rows are one resource in one load, which is the least work for dlt.

    They come flat: of nested ones it would make a table for each level.
    """

    def __init__(self, args: JobArgs) -> None:
        self._args = args

    def run(self) -> int:
        """Returns the number of rows."""
        with tempfile.TemporaryDirectory() as folder:
            pipeline = dlt.pipeline(
                "bench",
                pipelines_dir=folder,
                destination=self._destination(),
                dataset_name="insights",
            )
            columns: Any = {"time_span": {"data_type": "timestamp"}}
            resource = dlt.resource(self._rows(), name=_TABLE, columns=columns)
            pipeline.run(resource, loader_file_format="parquet").raise_on_failed_jobs()
            rows: int = pipeline.last_trace.last_normalize_info.row_counts[_TABLE]
            return rows

    def _destination(self) -> Any:
        credentials = {
            "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            "region_name": os.environ["AWS_REGION"],
            "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        }
        return filesystem(self._args.place, credentials=credentials)

    def _rows(self) -> Iterator[list[dict[str, Any]]]:
        for _, path in self._args.replies.files():
            for root in json.loads(path.read_bytes())["data"].values():
                yield [
                    {
                        "api_id": series["apiId"],
                        "api_id_resolved": series["apiId"],
                        "granularity": series["granularity"],
                        "time_span": bucket["timeSpan"],
                        "count": bucket["count"],
                        **_REPEATED,
                    }
                    for series in root
                    for bucket in series["usage"]
                ]


if __name__ == "__main__":
    measure.run(_DltJob(JobArgs.of_command_line()).run)
