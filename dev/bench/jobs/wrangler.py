"""awswrangler, partition by partition."""

import awswrangler

from dev.bench.jobs import frames, measure
from dev.bench.jobs.given import Given
from dev.bench.replies import ORGANIZATION


class _Job:
    def __init__(self, given: Given) -> None:
        self._given = given
        # From here on it is connected.
        awswrangler.s3.list_objects(f"{given.place}/")

    def run(self) -> int:
        """Returns the number of rows."""
        rows = 0
        for day, path in self._given.replies.files():
            frame = frames.read(path)
            awswrangler.s3.to_parquet(
                frame,
                f"{self._given.place}/day={day.isoformat()}/{ORGANIZATION}.parquet",
                index=False,
                compression="zstd",
            )
            rows += len(frame)
        return rows


if __name__ == "__main__":
    measure.run(_Job(Given.of_command_line()).run)
