"""What a job is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from dev.bench.replies import Replies


@dataclass(frozen=True)
class Given:
    """The replies to read, and the bucket to write to."""

    replies: Replies
    bucket: str

    @property
    def place(self) -> str:
        """Where a tool writes the table that has no place of its own for it."""
        return f"s3://{self.bucket}/insights/api_usage_over_time"

    @classmethod
    def of_command_line(cls) -> "Given":
        """From `FOLDER DAYS APIS BUCKET`, as `words` gives them."""
        parser = argparse.ArgumentParser()
        parser.add_argument("folder", type=Path)
        parser.add_argument("days", type=int)
        parser.add_argument("apis", type=int)
        parser.add_argument("bucket")
        given = parser.parse_args()
        return cls(Replies(given.folder, given.days, given.apis), given.bucket)

    def words(self) -> list[str]:
        """The command line."""
        replies = self.replies
        return [str(replies.folder), str(replies.days), str(replies.apis), self.bucket]
