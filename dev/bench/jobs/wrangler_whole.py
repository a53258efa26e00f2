"""awswrangler, all partitions from one frame."""

import awswrangler
import pandas

from dev.bench.jobs import frames, measure
from dev.bench.jobs.given import Given


class _Job:
    def __init__(self, given: Given) -> None:
        self._given = given
        # From here on it is connected.
        awswrangler.s3.list_objects(f"{given.place}/")

    def run(self) -> int:
        """Returns the number of rows."""
        frame = pandas.concat(
            [
                frames.read(path).assign(day=day.isoformat())
                for day, path in self._given.replies.files()
            ],
            ignore_index=True,
        )
        awswrangler.s3.to_parquet(
            frame,
            f"{self._given.place}/",
            index=False,
            compression="zstd",
            dataset=True,
            partition_cols=["day"],
        )
        return len(frame)


if __name__ == "__main__":
    measure.run(_Job(Given.of_command_line()).run)
