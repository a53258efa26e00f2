"""Classes that foreign values are checked against.

msgspec describes a class to itself when it first reads one. Where two threads do so at once, one of
them uses a half of that description, and the process ends with a segmentation fault (seen with
msgspec 0.22). A `Shape` has it from the beginning: make it with the module, before any thread.
"""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Shape(Generic[T]):
    """Reads values of one class. Raises msgspec.MsgspecError where one does not fit."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        # Makes the description too.
        self._decoder = msgspec.json.Decoder(kind)

    def convert(self, value: object) -> T:
        """From plain values, as a parser makes them."""
        return msgspec.convert(value, self._kind)

    def decode(self, body: bytes | memoryview | msgspec.Raw) -> T:
        """From JSON."""
        return self._decoder.decode(body)
