"""awswrangler, partition by partition."""

import awswrangler

from dev.bench.jobs import frames, measure
from dev.bench.jobs.job_args import JobArgs
from dev.bench.replies import ORGANIZATION


class _WranglerJob:
    def __init__(self, args: JobArgs) -> None:
        self._args = args
        # From here on it is connected.
        awswrangler.s3.list_objects(f"{args.place}/")

    def run(self) -> int:
        """Returns the number of rows."""
        rows = 0
        for day, path in self._args.replies.files():
            frame = frames.read(path)
            awswrangler.s3.to_parquet(
                frame,
                f"{self._args.place}/day={day.isoformat()}/{ORGANIZATION}.parquet",
                index=False,
                compression="zstd",
            )
            rows += len(frame)
        return rows


if __name__ == "__main__":
    measure.run(_WranglerJob(JobArgs.of_command_line()).run)
