"""Made-up time: code that sleeps runs as processes that take turns, and the clock jumps ahead."""

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

BEGIN = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)


class OverError(BaseException):
    """Raised in processes that are left when the time ends."""


class Process:
    """A function that runs in a thread of its own, at most one of all processes at a time."""

    def __init__(self, timeline: "Timeline", do: Callable[[], Any]) -> None:
        self.alive = True
        self.error: BaseException | None = None
        self.killed = False
        self.turn = threading.Semaphore(0)
        self.wakes = 0
        # Those that sleep until it has ended.
        self.joined: list[Process] = []
        self._timeline = timeline
        self._do = do
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.turn.acquire()
        try:
            self._timeline.check()
            self._do()
        except OverError:
            pass
        except BaseException as error:
            self.error = error
        self.alive = False
        self._timeline.give_back(self)

    def begin(self) -> None:
        """Starts the thread, which waits for its first turn."""
        self._thread.start()

    def kill(self) -> None:
        """It gets no more turns, as after SIGKILL: nothing is cleaned up."""
        self.killed = True


class Timeline:
    """A clock in seconds: call it for the time. Use it as a context, which ends what is left."""

    def __init__(self, begin: datetime = BEGIN) -> None:
        self.now = 0.0
        self.is_over = False
        self._begin = begin
        self._heap: list[tuple[float, int, int, Process]] = []
        self._count = itertools.count()
        self._back = threading.Semaphore(0)
        self._current: Process | None = None
        self._all: list[Process] = []

    def __call__(self) -> float:
        return self.now

    def instant(self) -> datetime:
        """The time (UTC)."""
        return self._begin + timedelta(seconds=self.now)

    def spawn(self, do: Callable[[], Any], *, after: float = 0.0) -> Process:
        """Has a function begin so many seconds from now."""
        process = Process(self, do)
        process.begin()
        self._all.append(process)
        self._wake_in(after, process)
        return process

    def sleep(self, seconds: float) -> None:
        """Lets the others go on until then. For processes."""
        assert self._current
        self._wake_in(seconds, self._current)
        self._give_turn(self._current)

    def _give_turn(self, process: Process) -> None:
        self.check()
        self._back.release()
        process.turn.acquire()
        self.check()

    def wake(self, process: Process) -> None:
        """Ends a process's sleep now."""
        self._wake_in(0.0, process)

    def join(self, process: Process) -> None:
        """Sleeps until a process has ended."""
        while process.alive and not process.killed:
            assert self._current
            process.joined.append(self._current)
            self._give_turn(self._current)

    def run(self, until: float = float("inf")) -> None:
        """Gives turns until none is due before `until`. Raises what a process has raised."""
        while self._heap and self._heap[0][0] <= until:
            at, _, wakes, process = heapq.heappop(self._heap)
            if wakes != process.wakes or process.killed or not process.alive:
                continue
            self.now = max(self.now, at)
            self._current = process
            process.turn.release()
            self._back.acquire()
            if process.error:
                raise process.error

    def check(self) -> None:
        """Raises OverError when the time has ended."""
        if self.is_over:
            raise OverError

    def give_back(self, process: Process) -> None:
        """Ends the last turn of a process."""
        for waiting in process.joined:
            self.wake(waiting)
        self._back.release()

    def _wake_in(self, seconds: float, process: Process) -> None:
        process.wakes += 1
        heapq.heappush(self._heap, (self.now + seconds, next(self._count), process.wakes, process))

    def __enter__(self) -> "Timeline":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_over = True
        for process in self._all:
            if process.alive:
                self._current = process
                process.turn.release()
                self._back.acquire()
