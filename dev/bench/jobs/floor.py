"""The floor: decoding into types, and ZSTD, with nothing between them and nothing written."""

from typing import Annotated

import msgspec
import zstandard

from dev.bench.jobs import measure
from dev.bench.jobs.job_args import JobArgs

# As the export's files have it.
_LEVEL = 3


class _Bucket(msgspec.Struct, gc=False):
    timeSpan: str  # noqa: N815 the API's name
    count: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Series(msgspec.Struct, gc=False):
    apiId: str | None  # noqa: N815 the API's name
    granularity: str
    usage: list[_Bucket] | None


class _RawReply(msgspec.Struct):
    data: dict[str, list[_Series]]


class _FloorJob:
    """Decodes each reply, and compresses its bytes."""

    def __init__(self, args: JobArgs) -> None:
        self._args = args
        self._decoder = msgspec.json.Decoder(_RawReply)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def run(self) -> int:
        """Returns the number of rows."""
        return sum(self._one(path.read_bytes()) for _, path in self._args.replies.files())

    def _one(self, body: bytes) -> int:
        reply = self._decoder.decode(body)
        self._compressor.compress(body)
        return sum(len(one.usage or ()) for root in reply.data.values() for one in root)


if __name__ == "__main__":
    measure.run(_FloorJob(JobArgs.of_command_line()).run)
