"""What a job is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from bench.replies import Replies


@dataclass(frozen=True)
class Given:
    """The replies to read and the bucket to write to."""

    replies: Replies
    bucket: str
    prefix: str

    @classmethod
    def of_command_line(cls) -> "Given":
        """From `FOLDER DAYS APIS BUCKET PREFIX`."""
        parser = argparse.ArgumentParser()
        parser.add_argument("folder", type=Path)
        parser.add_argument("days", type=int)
        parser.add_argument("apis", type=int)
        parser.add_argument("bucket")
        parser.add_argument("prefix")
        given = parser.parse_args()
        return cls(Replies(given.folder, given.days, given.apis), given.bucket, given.prefix)
