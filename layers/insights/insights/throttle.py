"""Paces the requests of all threads of a run."""

import math
import threading
import time
from collections.abc import Callable

from insights.errors import OutOfTime

_MINUTE = 60.0


class Throttle:
    """Spreads requests evenly over each minute; a 429 holds all of them back."""

    def __init__(
        self,
        rate_per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate_per_minute
        self._last = -math.inf
        self._not_before = -math.inf
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep

    def set_rate(self, rate_per_minute: float) -> None:
        """Holds for the very next request: its distance to the last one is that of the new rate."""
        with self._lock:
            self._rate = rate_per_minute

    def hold(self, seconds: float) -> None:
        """Nothing is sent for so long: what a 429 asks for."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

    def wait(self, deadline: float | None = None) -> None:
        """Returns when one more request may be sent.

        Raises OutOfTime at once where that would be after `deadline` (the clock's seconds).
        """
        while (seconds := self._take(deadline)) > 0:
            self._sleep(seconds)

    def _take(self, deadline: float | None) -> float:
        """0 where a request may be sent now, else the seconds to wait."""
        with self._lock:
            now = self._clock()
            free = max(self._not_before, self._last + _MINUTE / self._rate)
            if deadline is not None and free > deadline:
                msg = f"the request budget is used up for {free - now:.0f} s, more than is left"
                raise OutOfTime(msg)
            if free <= now:
                self._last = now
                return 0.0
            return free - now
