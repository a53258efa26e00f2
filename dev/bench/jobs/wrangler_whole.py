"""awswrangler, all partitions from one frame."""

import awswrangler
import pandas

from dev.bench.jobs import frames, measure
from dev.bench.jobs.job_args import JobArgs


class _WholeJob:
    def __init__(self, args: JobArgs) -> None:
        self._args = args
        # From here on it is connected.
        awswrangler.s3.list_objects(f"{args.place}/")

    def run(self) -> int:
        """Returns the number of rows."""
        frame = pandas.concat(
            [
                frames.read(path).assign(day=day.isoformat())
                for day, path in self._args.replies.files()
            ],
            ignore_index=True,
        )
        awswrangler.s3.to_parquet(
            frame,
            f"{self._args.place}/",
            index=False,
            compression="zstd",
            dataset=True,
            partition_cols=["day"],
        )
        return len(frame)


if __name__ == "__main__":
    measure.run(_WholeJob(JobArgs.of_command_line()).run)
