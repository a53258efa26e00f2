"""Paces requests, and holds them back while the service asks for it."""

import threading
import time
from collections.abc import Callable

from choreo_insights.errors import Held, OutOfTime

# No service silences a process for longer, whatever it asks for.
MAX_HOLD = 900.0
# So that no rounding lets one request more into a minute.
_ROUNDING = 1e-6
# A waiting thread looks this often whether the rate has changed.
_LONGEST_SLEEP = 5.0


class Throttle:
    """Lets requests of all threads pass one by one, evenly spaced: 60 / rate seconds apart.

    A burst at the start of a minute would use up what other processes count on, so there is
    none: no minute has more than the rate, rounded up. A hold ends by itself after `MAX_HOLD`
    seconds at the latest, and concerns one sender: each has a limit of its own at the service.
    """

    def __init__(
        self,
        rate_per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._holds: dict[str, float] = {}  # by sender, until when
        self._last = float("-inf")
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep
        self.set_rate(rate_per_minute)

    def set_rate(self, rate_per_minute: float) -> None:
        """Changes the pace, also for those that wait. Raises ValueError unless it is positive."""
        if not rate_per_minute > 0:
            raise ValueError(f"a rate of {rate_per_minute} requests a minute sends nothing")
        # A plain assignment, without the lock: a reader sees the old pace or the new one.
        self._interval = 60 / rate_per_minute + _ROUNDING

    def hold(self, seconds: float, sender: str = "") -> None:
        """Sends nothing of this sender for so long, `MAX_HOLD` seconds at the most."""
        with self._lock:
            until = self._clock() + min(seconds, MAX_HOLD)
            self._holds[sender] = max(self._holds.get(sender, until), until)

    def wait(self, deadline: float | None = None, sender: str = "") -> None:
        """Returns when one more request may be sent.

        Raises Held or OutOfTime at once where that would be after `deadline` (seconds of the
        clock), by whether the service or the pace is the reason.
        """
        while (seconds := self._take(deadline, sender)) > 0:
            self._sleep(min(seconds, _LONGEST_SLEEP))

    def _take(self, deadline: float | None, sender: str) -> float:
        """0 where the caller may send, else the seconds until it may try again."""
        with self._lock:
            now = self._clock()
            # The lock is never held while a thread sleeps: others pass meanwhile, or take the turn.
            held = self._holds.get(sender, now)
            if deadline is not None and held > deadline:
                msg = (
                    f"the service asked to wait, for {held - now:.0f} s more: that is longer than "
                    f"this run lasts. The next run tries again"
                )
                raise Held(msg, retry_after=held - now)
            free = max(held, self._last + self._interval)
            if deadline is not None and free > deadline:
                msg = f"the next request may be sent in {free - now:.0f} s, which is too late"
                raise OutOfTime(msg)
            if free <= now:
                self._last = now
                return 0.0
            return free - now
