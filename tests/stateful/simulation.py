"""Time that is made up, and tasks that take turns in it: one runs, the others sleep.

A task is a function in a thread of its own. Whatever it does takes no time but for its sleeping;
who sleeps shortest goes on first. So the same seed gives the same interleaving.
"""

import itertools
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Killed(BaseException):
    """The end of a Lambda container in the middle of what it does."""


class Task:
    """Something that goes on in simulated time. `end` is when Lambda kills it, if it does."""

    def __init__(self, do: Callable[[], Any], wake: float, order: int) -> None:
        self.wake = wake
        self.order = order
        self.done = False
        self.error: BaseException | None = None
        self._do = do
        self._turn = threading.Semaphore(0)
        self._started = False

    def go_on(self, back: threading.Semaphore) -> None:
        """Lets it run until it sleeps or ends."""
        if self._started:
            self._turn.release()
        else:
            self._started = True
            threading.Thread(target=self._run, args=(back,), daemon=True).start()
        back.acquire()

    def pause(self, back: threading.Semaphore) -> None:
        """Gives the turn back, in the task's own thread."""
        back.release()
        self._turn.acquire()

    def _run(self, back: threading.Semaphore) -> None:
        try:
            self._do()
        except BaseException as error:
            self.error = error
        finally:
            self.done = True
            back.release()


class Simulation:
    """The clock and the tasks. Times are seconds since 1970."""

    def __init__(self, begin: datetime, seed: int) -> None:
        self.time = begin.timestamp()
        self.random = random.Random(seed)
        self.current: Task | None = None
        self._tasks: list[Task] = []
        self._orders = itertools.count()
        self._back = threading.Semaphore(0)

    def now(self) -> datetime:
        """The instant (UTC)."""
        return datetime.fromtimestamp(self.time, UTC)

    def clock(self) -> float:
        """The time, in place of the wall's clock and of the monotonic one."""
        return self.time

    def start(self, do: Callable[[], Any], after: float = 0.0) -> Task:
        """Begins a task, so many seconds from now."""
        task = Task(do, self.time + after, next(self._orders))
        self._tasks.append(task)
        return task

    def sleep(self, seconds: float) -> None:
        """Lets time pass; tasks that wake before go on first.

        Raises ValueError for less than nothing, as `time.sleep` does.
        """
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        wake = self.time + seconds
        task = self.current
        if task is None:
            self.run(until=wake)
            self.time = wake
            return
        task.wake, task.order = wake, next(self._orders)
        if all(other is task or other.wake > wake for other in self._tasks):
            self.time = wake
            return
        task.pause(self._back)

    def wake(self, task: Task) -> None:
        """Ends a task's sleep."""
        task.wake, task.order = self.time, next(self._orders)

    def run(self, until: float | None = None) -> None:
        """Runs the tasks until none is left, or none wakes before `until`."""
        while self._tasks:
            task = min(self._tasks, key=lambda each: (each.wake, each.order))
            if until is not None and task.wake > until:
                return
            self.time = max(self.time, task.wake)
            self.current = task
            task.go_on(self._back)
            self.current = None
            if task.done:
                self._tasks.remove(task)
                if task.error is not None and not isinstance(task.error, Killed):
                    raise task.error
