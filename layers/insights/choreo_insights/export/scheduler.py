"""Batches queries into requests and runs the requests concurrently.

The scheduler knows jobs, queries and requests; what a query means is its job's business, and how
many share a request that of `batches`.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from queue import SimpleQueue
from typing import Any, Self

from choreo_insights.errors import (
    BadAnswer,
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Retriable,
    Unauthenticated,
)
from choreo_insights.export.batches import BatchQueue, may_pass
from choreo_insights.export.decode import Answer
from choreo_insights.export.jobs import BatchKey, Job, JobQuery
from choreo_insights.export.queries import Query, Rows

log = logging.getLogger(__name__)

# Encoded partitions that wait for S3 take memory: no job is begun beyond so many.
_MAX_STORES = 8
# Jobs that are pulled past a batch key whose queries wait, in order to find work for the others.
_MAX_LOOKAHEAD = 2_000

# Sends queries in one request: an answer or an error for each.
Ask = Callable[[BatchKey, Sequence[Query], float], list[Answer | InsightsError]]


class Scheduler:
    """Runs jobs with at most `concurrency` requests at a time.

    A request begins with `batch_size` queries, and grows to `max_batch_size` where that works
    (None: it does not grow).
    After `stop_taking` no job is begun, after `deadline` nothing is sent (seconds of `clock`).
    Organisations get even shares of the requests, and one that fails ends for itself alone.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        concurrency: int,
        batch_size: int,
        max_batch_size: int | None = None,
        stop_taking: float,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime],
        random: Callable[[], float] = random.random,
    ) -> None:
        self._ask = ask
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._max_batch_size = max(batch_size, max_batch_size or batch_size)
        self._stop_taking = stop_taking
        self._deadline = deadline
        self._clock = clock
        self._now = now
        self._random = random
        self._queues: dict[BatchKey, BatchQueue] = {}
        self._jobs: Iterator[Job] = iter(())
        self._sending: Counter[str] = Counter()  # requests under way, by organisation
        self._background = 0
        self._under_way = 0
        self._done: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.requests = 0

    def __enter__(self) -> Self:
        # Two pools: a slow write to S3 must not keep a request from being sent.
        self._senders = ThreadPoolExecutor(self._concurrency, "send")
        self._workers = ThreadPoolExecutor(_MAX_STORES // 2, "store")
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the threads; waits for what is under way."""
        # What was not begun is for the next run; a write that was begun ends.
        self._senders.shutdown(cancel_futures=True)
        self._workers.shutdown()

    @property
    def has_time(self) -> bool:
        """Whether jobs are still begun."""
        return self._clock() < self._stop_taking

    def background(
        self, do: Callable[[], Any], then: Callable[[Any | InsightsError], None]
    ) -> None:
        """Runs `do` in a worker thread, and `then` with its outcome in the scheduler's thread."""

        def finished(future: Future[Any]) -> None:
            self._background -= 1
            then(_outcome(future))

        self._background += 1
        self._submit(self._workers, finished, do)

    def run(self, jobs: Iterable[Job]) -> None:
        """Returns when all jobs are recorded and all background work is done.

        Jobs are pulled as requests need them; those that there is no time for are recorded with
        OutOfTime. It can be called again.
        """
        self._jobs = iter(jobs)
        while True:
            begun = self._begin_jobs()
            taken = self._send()
            if self._under_way:
                # Blocks until a thread has finished something.
                self._done.get()()
            elif not (begun or taken or self._drop_jobs()):
                return

    def _submit(
        self,
        threads: ThreadPoolExecutor,
        then: Callable[[Future[Any]], None],
        do: Callable[..., Any],
        *args: Any,
    ) -> None:
        def finished(future: Future[Any]) -> None:
            self._under_way -= 1
            then(future)

        self._under_way += 1
        future = threads.submit(do, *args)
        # The queue brings every outcome into the scheduler's own thread, so that its state needs no
        # lock.
        future.add_done_callback(lambda done: self._done.put(lambda: finished(done)))

    def _begin_jobs(self) -> bool:
        """Begins as many jobs as keep all requests full: memory follows from that number."""
        begun = False
        while self._background < _MAX_STORES and self.has_time and (job := self._next_job()):
            begun = True
            if broken := self._queue(job.batch_key).broken:
                self._finish(job, broken)
            else:
                self._step(job)
        return begun

    def _next_job(self) -> Job | None:
        """The next job of a queue that has room, or None."""
        queues = self._queues.values()
        for queue in queues:
            if queue.jobs and queue.has_room:
                return queue.jobs.popleft()
        pulled = sum(len(queue.jobs) for queue in queues)
        while pulled < _MAX_LOOKAHEAD:
            if queues and not any(queue.has_room for queue in queues if not queue.broken):
                return None
            job = next(self._jobs, None)
            if job is None:
                return None
            queue = self._queue(job.batch_key)
            if queue.has_room:
                return job
            # Kept in order for when its queue has room again.
            queue.jobs.append(job)
            pulled += 1
        return None

    def _queue(self, key: BatchKey) -> BatchQueue:
        if key not in self._queues:
            self._queues[key] = BatchQueue(
                self._batch_size, self._max_batch_size, self._concurrency, self._random
            )
        return self._queues[key]

    def _drop_jobs(self) -> bool:
        """Records the jobs that were never begun; False where there were none."""
        dropped = False
        while job := self._unbegun():
            dropped = True
            broken = self._queue(job.batch_key).broken
            self._finish(job, broken or OutOfTime("there was no time left to query this"))
        return dropped

    def _unbegun(self) -> Job | None:
        for queue in self._queues.values():
            if queue.jobs:
                return queue.jobs.popleft()
        return next(self._jobs, None)

    def _step(self, job: Job, answers: Sequence[Answer | None] = ()) -> None:
        """Gives a job its answers; it has more queries, or its rows, or fails."""
        try:
            if job.generator is None:
                job.generator = job.begin()
                queries = next(job.generator)
            else:
                queries = job.generator.send(list(answers))
            while not queries:
                queries = job.generator.send([])
        except StopIteration as stop:
            self._finish(job, stop.value)
        except Exception as error:
            self._finish(job, _known(error))
        else:
            job.answers = [None] * len(queries)
            job.missing = len(queries)
            self._queue(job.batch_key).add(
                JobQuery(job, position, query) for position, query in enumerate(queries)
            )

    def _send(self) -> bool:
        """Fills the free requests, the organisation with the fewest under way first.

        False where no query was waiting.
        """
        taken = False
        if self._clock() >= self._deadline:
            for queue in self._queues.values():
                self._fail_all(queue, OutOfTime("there was no time left to query this"))
        while self._sending.total() < self._concurrency:
            waiting = [key for key, queue in self._queues.items() if queue.waiting]
            if not waiting:
                break
            taken = True
            # Fair by organisation: one with a thousand APIs must not starve one with three.
            key = min(waiting, key=self._share)
            queue = self._queues[key]
            batch, given_up = queue.take()
            for item, error in given_up:
                self._finish(item.job, error)
            if batch:
                self._send_batch(key, queue, batch)
        return taken

    def _share(self, key: BatchKey) -> tuple[int, int]:
        return self._sending[key.organization], self._queues[key].last_sent

    def _send_batch(self, key: BatchKey, queue: BatchQueue, batch: list[JobQuery]) -> None:
        now, sent = self._now(), self._clock()
        for job in {id(item.job): item.job for item in batch}.values():
            job.requests += 1
            job.started = job.started or now
        self.requests += 1
        queue.last_sent = self.requests
        self._sending[key.organization] += 1

        def received(future: Future[Any]) -> None:
            self._sending[key.organization] -= 1
            self._received(queue, batch, sent, future)

        queries = [item.query for item in batch]
        self._submit(self._senders, received, self._ask, key, queries, self._deadline)

    def _received(
        self, queue: BatchQueue, batch: list[JobQuery], sent: float, future: Future[Any]
    ) -> None:
        if failure := future.exception():
            error = self._in_time(_known(failure))
            for item, reason in queue.failed(batch, error):
                self._answer(item, reason)
            if queue.broken:
                self._fail_all(queue, queue.broken)
            return
        answers: list[Answer | InsightsError] = future.result()
        size = sum(answer.size for answer in answers if isinstance(answer, Answer))
        queue.succeeded(batch, self._clock() - sent, size)
        for item, answer in zip(batch, answers, strict=True):
            self._answer(item, answer)

    def _in_time(self, error: InsightsError) -> InsightsError:
        """OutOfTime for a failure that the deadline may have caused."""
        if self._clock() < self._deadline or not may_pass(error):
            return error
        return OutOfTime(f"there was no time left: {error}")

    def _answer(self, item: JobQuery, answer: Answer | InsightsError) -> None:
        job = item.job
        if job.over:
            return
        if isinstance(answer, InsightsError) and not (item.query.optional and _is_own(answer)):
            self._finish(job, answer)
            return
        job.answers[item.position] = answer
        job.missing -= 1
        if job.missing:
            return
        answers, job.answers = job.answers, []
        errors = [found for found in answers if isinstance(found, InsightsError)]
        # Where no query of the job was answered, the service may be at fault and not the queries.
        if len(errors) == len(answers) and any(map(may_pass, errors)):
            self._finish(job, errors[0])
            return
        self._step(job, [found if isinstance(found, Answer) else None for found in answers])

    def _fail_all(self, queue: BatchQueue, error: InsightsError) -> None:
        for item in queue.drain():
            self._finish(item.job, error)

    def _finish(self, job: Job, result: Rows | InsightsError) -> None:
        if job.over:
            return
        job.over = True
        job.generator = None
        job.answers = []
        if isinstance(result, InsightsError):
            self._record(job, result)
        else:
            self.background(
                lambda: job.store(job, result), lambda outcome: self._record(job, outcome)
            )

    def _record(self, job: Job, outcome: Any) -> None:
        replacement = job.record(job, outcome)
        if replacement:
            self._queue(replacement.batch_key).jobs.appendleft(replacement)


def _is_own(error: InsightsError) -> bool:
    """Whether an error is about a query, and not about all that its organisation sends."""
    about_all = isinstance(error, PersonMustAct | Unauthenticated | OutOfTime)
    return not about_all and (not isinstance(error, Retriable) or may_pass(error))


def _outcome(future: Future[Any]) -> Any:
    error = future.exception()
    return _known(error) if error else future.result()


def _known(error: BaseException) -> InsightsError:
    if isinstance(error, InsightsError):
        return error
    log.error("unexpected failure", exc_info=error)
    # Nobody has looked at what its text may hold.
    return BadAnswer(f"unexpected failure ({type(error).__name__}): see the log")
