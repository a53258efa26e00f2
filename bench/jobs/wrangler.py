"""awswrangler: the replies through pandas."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import awswrangler
import pandas

from bench.jobs import measure
from bench.jobs.given import Given
from bench.replies import ASKED, ENVIRONMENT, ENVIRONMENT_ID, ORGANIZATION


def main() -> None:
    """One frame of all days, written as a partitioned dataset."""
    given = Given.of_command_line()

    def job() -> int:
        rows = 0
        for day, path in given.replies.files():
            frame = _frame(path)
            key = f"day={day.isoformat()}/{ORGANIZATION}.parquet"
            awswrangler.s3.to_parquet(
                frame, f"s3://{given.bucket}/{given.prefix}{key}", index=False, compression="zstd"
            )
            rows += len(frame)
        return rows

    def whole() -> int:
        frame = pandas.concat(
            [_frame(path).assign(day=day) for day, path in given.replies.files()], ignore_index=True
        )
        awswrangler.s3.to_parquet(
            frame,
            f"s3://{given.bucket}/{given.prefix}",
            index=False,
            compression="zstd",
            dataset=True,
            partition_cols=["day"],
        )
        return len(frame)

    import os
    measure.run(whole if os.environ.get("WHOLE") else job)


def _frame(path: Path) -> pandas.DataFrame:
    series = [one for root in json.loads(path.read_bytes())["data"].values() for one in root]
    frame = pandas.json_normalize(series, "usage", ["apiId", "granularity"])
    return pandas.DataFrame({
        "api_id": frame["apiId"],
        "granularity": frame["granularity"],
        "time_span": pandas.to_datetime(frame["timeSpan"], utc=True),
        "count": frame["count"].astype("int64"),
        "organization": ORGANIZATION,
        "environment": ENVIRONMENT,
        "environment_id": ENVIRONMENT_ID,
        "exported_at": ASKED,
    })


if __name__ == "__main__":
    main()
