"""Time that is made up: what the exporter waits for passes at once, and is counted."""

import heapq
import itertools
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any

from insights.driver import Driver

# What ends next: when, a number that keeps the order of equals, and how to tell.
_Ending = tuple[float, int, Callable[[], None]]


class Timeline:
    """A clock in seconds since `begin`: call it for the time. Sleeping moves it on."""

    def __init__(self, begin: datetime) -> None:
        self._begin = begin
        self._endings: list[_Ending] = []
        self._count = itertools.count()
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self.now += seconds

    def instant(self) -> datetime:
        """The time as people tell it (UTC)."""
        return (self._begin + timedelta(seconds=self.now)).astimezone(UTC)

    def tell(self, end: float, how: Callable[[], None]) -> None:
        """Has `how` called when the time has come to `end`."""
        heapq.heappush(self._endings, (end, next(self._count), how))

    def go_on(self) -> None:
        """Moves to the next thing that ends, and tells of it."""
        end, _, how = heapq.heappop(self._endings)
        self.now = max(self.now, end)
        how()


class Workers(Executor):
    """As many threads as would be there: work waits for a free one, and takes its time.

    It is done when it is handed in, with the clock where a thread would begin it; it counts as
    over when the clock gets there again.
    """

    def __init__(self, timeline: Timeline, count: int) -> None:
        self._timeline = timeline
        self._free = [0.0] * count

    def submit(self, do: Callable[..., Any], /, *args: Any, **values: Any) -> Future[Any]:
        """Does the work, and gives a future that the timeline ends."""
        timeline, future, now = self._timeline, Future[Any](), self._timeline.now
        timeline.now = max(now, self._free[0])
        try:
            outcome = do(*args, **values)
            tell = _later(future.set_result, outcome)
        except Exception as error:
            tell = _later(future.set_exception, error)
        heapq.heapreplace(self._free, timeline.now)
        timeline.tell(timeline.now, tell)
        timeline.now = now
        return future


def _later(tell: Callable[[Any], None], what: Any) -> Callable[[], None]:
    return lambda: tell(what)


class VirtualDriver(Driver):
    """The exporter's own driver over workers whose time is made up."""

    def __init__(self, *given: Any, clock: Timeline, **settings: Any) -> None:
        super().__init__(*given, clock=clock, **settings)
        self._timeline = clock

    def _threads(self, count: int, name: str) -> Executor:
        return Workers(self._timeline, count)

    def _over(self) -> Collection[Future[Any]]:
        while not (done := [future for future in self._futures if future.done()]):
            self._timeline.go_on()
        return done
