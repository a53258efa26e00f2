"""The floor: decoding into types, and ZSTD, with nothing between them and nothing written."""

from typing import Annotated

import msgspec
import zstandard

from bench.jobs import measure
from bench.jobs.given import Given

_LEVEL = 3


class _Bucket(msgspec.Struct, gc=False):
    timeSpan: str  # noqa: N815 the API's name
    count: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Series(msgspec.Struct, gc=False):
    apiId: str | None  # noqa: N815 the API's name
    granularity: str
    usage: list[_Bucket] | None


class _Reply(msgspec.Struct):
    data: dict[str, list[_Series]]


def main() -> None:
    """Decodes each reply, and compresses it."""
    given = Given.of_command_line()
    decoder = msgspec.json.Decoder(_Reply)
    compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def job() -> int:
        rows = 0
        for _, path in given.replies.files():
            body = path.read_bytes()
            reply = decoder.decode(body)
            rows += sum(len(s.usage or ()) for root in reply.data.values() for s in root)
            compressor.compress(body)
        return rows

    measure.run(job)


if __name__ == "__main__":
    main()
