"""A clock that tests set, and that sleeping moves."""

import threading
import time


class Clock:
    """Call it for the time; pass `sleep` where something would wait."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves the time on, never back."""
        if not seconds >= 0:
            raise ValueError(f"{seconds} s is no time to wait")
        with self._lock:
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Moves the time on and remembers by how much."""
        self.advance(seconds)
        self.sleeps.append(seconds)


class RealClock(Clock):
    """The machine's own, for tests with many threads."""

    def __call__(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Really sleeps."""
        time.sleep(seconds)
