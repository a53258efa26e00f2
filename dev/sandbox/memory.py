"""What was made last is kept, so that it need not be made again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Memory(Generic[V]):
    """Keeps the values that were used last. Safe to share among threads.

    A key must hold everything that its value depends on. The sizes of the values add up to `most`.
    """

    def __init__(self, most: int, size: Callable[[V], int] = lambda _: 1) -> None:
        self._most = most
        self._size = size
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._taken = 0
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, made where it is not kept; threads do not wait for each other."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._taken += self._size(value)
            while self._taken > self._most:
                self._taken -= self._size(self._kept.popitem(last=False)[1])
        return value
