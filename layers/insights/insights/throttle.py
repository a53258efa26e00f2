"""A budget of requests a minute that all threads of a run share."""

import threading
import time
from collections import deque
from collections.abc import Callable

from insights.errors import OutOfTime

_WINDOW = 60.0


class Throttle:
    """Lets at most `per_minute` requests pass in any minute; a 429 holds all of them back."""

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sent: deque[float] = deque(maxlen=per_minute)
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep

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
        """0 where a request was taken from the budget, else the seconds to wait."""
        with self._lock:
            now = self._clock()
            free = self._not_before
            if len(self._sent) == self._sent.maxlen:
                free = max(free, self._sent[0] + _WINDOW)
            if deadline is not None and free > deadline:
                msg = f"the request budget is used up for {free - now:.0f} s, more than is left"
                raise OutOfTime(msg)
            if free <= now:
                self._sent.append(now)
                return 0.0
            return free - now
