"""The command line of a job."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from dev.bench.replies import Replies


@dataclass(frozen=True)
class JobArgs:
    """The replies to read, and the bucket to write to."""

    replies: Replies
    bucket: str

    @property
    def place(self) -> str:
        """Where a tool writes the table, if it does not choose the place itself."""
        return f"s3://{self.bucket}/insights/api_usage_over_time"

    @classmethod
    def of_command_line(cls) -> "JobArgs":
        """Parses `FOLDER DAYS APIS BUCKET`, the words of `words`."""
        parser = argparse.ArgumentParser()
        parser.add_argument("folder", type=Path)
        parser.add_argument("days", type=int)
        parser.add_argument("apis", type=int)
        parser.add_argument("bucket")
        parsed = parser.parse_args()
        return cls(Replies(parsed.folder, parsed.days, parsed.apis), parsed.bucket)

    def words(self) -> list[str]:
        """The arguments as `of_command_line` parses them."""
        replies = self.replies
        return [str(replies.folder), str(replies.days), str(replies.apis), self.bucket]
