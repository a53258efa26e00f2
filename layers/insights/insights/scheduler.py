"""Drives many questioners at once: their questions share requests, requests run side by side."""

import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import Any, NamedTuple, Self

import msgspec

from insights.decode import Answer
from insights.errors import (
    BadAnswer,
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Refused,
    Retriable,
    Unauthenticated,
)
from insights.questions import Ask, Collecting, Rows

log = logging.getLogger(__name__)

# How many questions in a row may fail alone before an asker is given up for the run.
_GIVE_UP_AFTER = 4
# Encoded partitions that wait for S3 take memory: no more is begun beyond so many.
_STORES = 8

# Asks an asker's questions in one request: an answer or an error for each.
Asking = Callable[["Asker", Sequence[Ask], float], list[Answer | InsightsError]]


class Asker(NamedTuple):
    """Whose questions may share a request: those of one organisation with one credential."""

    organization: str
    with_on_prem_key: bool = False


class Job(msgspec.Struct):
    """Something to collect, and what to do with its rows, or with why there are none.

    `finished` runs in the driver's thread and may add jobs. `order`: the smallest goes first.
    """

    asker: Asker
    order: tuple[int, ...]
    begin: Callable[[], Collecting]
    finished: Callable[["Job", Rows | InsightsError], None]
    started: datetime | None = None
    requests: int = 0
    # The driver's own: how far the job is.
    collecting: Collecting | None = None
    answers: list[Answer | None] = msgspec.field(default_factory=list)
    missing: int = 0
    over: bool = False


class _Lane(msgspec.Struct):
    """An asker's questions, and what was learned about asking them."""

    limit: int
    waiting: deque[tuple[Job, int, Ask]] = msgspec.field(default_factory=deque)
    in_flight: int = 0
    alone_failed: int = 0
    broken: InsightsError | None = None


class Driver:
    """Runs jobs until none is left, or the time is over.

    After `stop_taking` no job is begun, after `deadline` nothing is asked any more (both seconds
    of `clock`).
    """

    def __init__(
        self,
        ask: Asking,
        *,
        concurrency: int,
        batch_size: int,
        stop_taking: float,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime],
    ) -> None:
        self._now = now
        self._ask = ask
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._stop_taking = stop_taking
        self._deadline = deadline
        self._clock = clock
        self._jobs: list[tuple[tuple[int, ...], int, Job]] = []
        self._count = itertools.count()
        self._lanes: dict[Asker, _Lane] = {}
        self._futures: dict[Future[Any], Callable[[Future[Any]], None]] = {}
        self._asking = 0
        self.requests = 0

    def add(self, job: Job) -> None:
        """Takes one more job; also while it runs."""
        heapq.heappush(self._jobs, (job.order, next(self._count), job))

    def store(self, do: Callable[[], Any], then: Callable[[Future[Any]], None]) -> None:
        """Does something beside the asking, and tells `then` of it in the driver's thread."""
        self._futures[self._stores.submit(do)] = then

    @property
    def has_time(self) -> bool:
        """Whether jobs are still begun."""
        return self._clock() < self._stop_taking

    def run(self) -> None:
        """Returns when every job is finished; those it had no time for with OutOfTime.

        It can be called again when there are more.
        """
        while True:
            self._begin_jobs()
            self._send()
            if not self._futures:
                if not self._jobs:
                    return
                self._drop_jobs()
                continue
            for future in self._over():
                self._futures.pop(future)(future)

    def _over(self) -> Collection[Future[Any]]:
        """What is over by now; waits until something is."""
        return wait(self._futures, return_when=FIRST_COMPLETED).done

    def __enter__(self) -> Self:
        """Starts the threads."""
        self._requests = self._threads(self._concurrency, "ask")
        self._stores = self._threads(_STORES // 2, "store")
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the threads; what is under way is waited for."""
        self._requests.shutdown()
        self._stores.shutdown()

    def _threads(self, count: int, name: str) -> Executor:
        return ThreadPoolExecutor(count, name)

    def _lane(self, asker: Asker) -> _Lane:
        return self._lanes.setdefault(asker, _Lane(self._batch_size))

    def _begin_jobs(self) -> None:
        """Begins as many jobs as keep all requests full: memory follows from that number."""
        enough = self._concurrency * self._batch_size
        while self._jobs and self.has_time:
            waiting = sum(len(lane.waiting) for lane in self._lanes.values())
            if waiting >= enough or len(self._futures) - self._asking >= _STORES:
                return
            job = heapq.heappop(self._jobs)[2]
            if broken := self._lane(job.asker).broken:
                self._finish(job, broken)
                continue
            job.started = self._now()
            job.collecting = job.begin()
            self._step(job, job.collecting, None)

    def _drop_jobs(self) -> None:
        while self._jobs:
            job = heapq.heappop(self._jobs)[2]
            self._finish(job, OutOfTime("there was no time left to ask"))

    def _step(self, job: Job, collecting: Collecting, answers: list[Answer] | None) -> None:
        """Gives a job its answers; it has more questions, or its rows, or fails."""
        try:
            asks = next(collecting) if answers is None else collecting.send(answers)
        except StopIteration as stop:
            self._finish(job, stop.value)
        except InsightsError as error:
            self._finish(job, error)
        else:
            if not asks:
                self._step(job, collecting, [])
                return
            job.answers = [None] * len(asks)
            job.missing = len(asks)
            self._lane(job.asker).waiting.extend(
                (job, number, ask) for number, ask in enumerate(asks)
            )

    def _finish(self, job: Job, result: Rows | InsightsError) -> None:
        if not job.over:
            job.over = True
            job.finished(job, result)

    def _send(self) -> None:
        """Fills the free requests, the asker with the fewest under way first."""
        while self._asking < self._concurrency:
            lanes = [(lane.in_flight, key) for key, lane in self._lanes.items() if lane.waiting]
            if not lanes:
                return
            asker = min(lanes)[1]
            lane = self._lanes[asker]
            batch: list[tuple[Job, int, Ask]] = []
            while lane.waiting and len(batch) < lane.limit:
                item = lane.waiting.popleft()
                if not item[0].over:
                    batch.append(item)
            if batch:
                self._send_batch(asker, lane, batch)

    def _send_batch(self, asker: Asker, lane: _Lane, batch: list[tuple[Job, int, Ask]]) -> None:
        for job in {id(job): job for job, _, _ in batch}.values():
            job.requests += 1
        self.requests += 1
        lane.in_flight += 1
        self._asking += 1
        asks = [ask for _, _, ask in batch]
        future = self._requests.submit(self._ask, asker, asks, self._deadline)
        self._futures[future] = lambda done: self._received(lane, batch, done)

    def _received(self, lane: _Lane, batch: list[tuple[Job, int, Ask]], done: Future[Any]) -> None:
        lane.in_flight -= 1
        self._asking -= 1
        error = done.exception()
        if error is None:
            lane.alone_failed = 0
            for (job, number, _), answer in zip(batch, done.result(), strict=True):
                self._answered(job, number, answer)
            return
        self._failed(lane, batch, _known(error))

    def _answered(self, job: Job, number: int, answer: Answer | InsightsError) -> None:
        if job.over:
            return
        if isinstance(answer, InsightsError):
            self._finish(job, answer)
            return
        job.answers[number] = answer
        job.missing -= 1
        if not job.missing and job.collecting:
            answers, job.answers = job.answers, []
            self._step(job, job.collecting, [found for found in answers if found])

    def _failed(self, lane: _Lane, batch: list[tuple[Job, int, Ask]], error: InsightsError) -> None:
        """Decides what a request's failure means for its questions and for the asker."""
        if self._clock() >= self._deadline:
            error = OutOfTime(f"there was no time left: {error}")
        elif isinstance(error, PersonMustAct | Unauthenticated):
            self._break(lane, error)
        elif len(batch) > 1 and isinstance(error, Refused | Retriable) and error.status != 429:
            # What is learned holds for the run: the next requests are as small.
            lane.limit = max(1, min(lane.limit, len(batch) // 2))
            lane.waiting.extendleft(reversed(batch))
            return
        elif isinstance(error, Retriable):
            lane.alone_failed += 1
            if lane.alone_failed >= _GIVE_UP_AFTER:
                self._break(lane, error)
        for job, _, _ in batch:
            self._finish(job, error)

    def _break(self, lane: _Lane, error: InsightsError) -> None:
        """No request of this asker will pass: the rest is not asked in this run."""
        lane.broken = error
        waiting, lane.waiting = lane.waiting, deque()
        for job, _, _ in waiting:
            self._finish(job, error)


def _known(error: BaseException) -> InsightsError:
    if isinstance(error, InsightsError):
        return error
    log.error("a request failed unexpectedly", exc_info=error)
    return BadAnswer(f"{type(error).__name__} where an answer was expected")
