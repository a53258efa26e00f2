"""Batches queries into requests and runs the requests concurrently.

The scheduler knows jobs, queries and requests; what a query means is its job's business.

A request that fails as a whole is split until the query to blame is alone, so that one bad query
among n costs about 2 log2(n) requests. Requests become smaller while that happens. They grow as
they succeed, also beyond the size that a run begins with: what a service takes is unknown.
"""

import itertools
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from queue import SimpleQueue
from typing import Any, NamedTuple, Self

import msgspec

from choreo_insights.errors import (
    BadAnswer,
    Held,
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Retriable,
    Unauthenticated,
)
from choreo_insights.export.decode import Answer
from choreo_insights.export.queries import Query, QueryGenerator, QueryKind, Rows

log = logging.getLogger(__name__)

# After so many failures in a row, of one kind of query or of kinds that were answered before, more
# of them are sent by chance only, the less likely the more have failed.
_DOUBT_AFTER = 4
# Kinds that were never answered may be bad by themselves, as all tables of an environment may be.
_DOUBT_UNKNOWN_AFTER = 100
# Requests of the present size that must succeed before a larger one is tried: it doubles with
# each larger one that fails.
_MAX_PATIENCE = 64
# Encoded partitions that wait for S3 take memory: no job is begun beyond so many.
_MAX_STORES = 8
# A request grows only while the whole response is this quick and small. Choreo ends a request after
# 60 s by default, and a payload may have 10 MB [Choreo].
_SECONDS_TO_GROW = 10.0
_BYTES_TO_GROW = 5_000_000
# Jobs that are pulled past a batch key whose queries wait, in order to find work for the others.
_MAX_LOOKAHEAD = 2_000

# Sends queries in one request: an answer or an error for each.
Ask = Callable[["BatchKey", Sequence[Query], float], list[Answer | InsightsError]]


class BatchKey(NamedTuple):
    """Queries with the same key may share a request: same organisation and credential."""

    organization: str
    with_on_prem_key: bool = False


class Job(msgspec.Struct):
    """Queries that lead to rows, and what to do with those.

    `begin` makes a generator that yields queries, is sent their answers in that order (None for
    an optional query that failed), and returns rows. `store` gets the rows in a worker thread.
    `record` runs in the scheduler's thread exactly once, with what `store` returned or with the
    error; it may return a job that replaces this one.

    `started` is when the first query was batched for sending, `requests` how many requests held
    queries of this job.
    """

    batch_key: BatchKey
    begin: Callable[[], QueryGenerator]
    store: Callable[["Job", Rows], Any]
    record: Callable[["Job", Any | InsightsError], "Job | None"]
    started: datetime | None = None
    requests: int = 0
    # The scheduler's own: how far the job is.
    generator: QueryGenerator | None = None
    answers: list[Answer | InsightsError | None] = msgspec.field(default_factory=list)
    missing: int = 0
    over: bool = False


class _Item(NamedTuple):
    """One query of a job, and its position among those that the job waits for."""

    job: Job
    position: int
    query: Query


class _Suspect(msgspec.Struct):
    """A kind of query that failed alone: how often since it last passed, and why."""

    failures: int
    error: InsightsError


class _Queue:
    """The waiting queries of a batch key, and what was learned about sending them."""

    def __init__(
        self,
        batch_size: int,
        max_batch_size: int,
        concurrency: int,
        random: Callable[[], float],
    ) -> None:
        self.jobs: deque[Job] = deque()  # pulled, but not begun yet
        self.waiting = 0
        self.last_sent = 0
        self.broken: InsightsError | None = None
        self._random = random
        self._fresh: deque[_Item] = deque()
        # Parts of batches that failed, and suspects, which are sent alone: never mixed with others.
        self._parts: deque[list[_Item]] = deque()
        self._suspects: dict[QueryKind, _Suspect] = {}
        # Hashes of the kinds that were answered.
        self._answered: set[int] = set()
        # Since the last success: queries that failed alone, of kinds that were answered before
        # and of others, and the last error.
        self._failed_known = self._failed_unknown = 0
        self._last_error: InsightsError | None = None
        # In a row; those that were under way together count once more.
        self._throttled = 0
        self._max_throttled = _DOUBT_AFTER + concurrency
        # The size of a batch. It was smaller until `grown_from`, if that was not confirmed yet.
        self._max_batch_size = max_batch_size
        self._limit = batch_size
        self._concurrency = concurrency
        self._grown_from = 0
        self._patience = 1
        self._successes = 0

    @property
    def has_room(self) -> bool:
        """Whether fewer queries wait than fill all requests."""
        return self.waiting < self._concurrency * self._limit

    def add(self, items: Iterable[_Item]) -> None:
        """Takes queries to send."""
        for item in items:
            if item.query.kind in self._suspects:
                self._parts.append([item])
            else:
                self._fresh.append(item)
            self.waiting += 1

    def take(self) -> tuple[list[_Item], list[tuple[_Item, InsightsError]]]:
        """The next batch, empty where nothing waits, and the queries that are not worth sending."""
        batch: list[_Item] = []
        given_up: list[tuple[_Item, InsightsError]] = []
        while not batch and (self._parts or self._fresh):
            items = self._parts.popleft() if self._parts else self._next_fresh()
            self.waiting -= len(items)
            items = [item for item in items if not item.job.over]
            for item in items:
                if len(items) > 1 and item.query.kind in self._suspects:
                    self._put_back([item], last=True)
                elif error := self._given_up(item.query):
                    given_up.append((item, error))
                else:
                    batch.append(item)
        self._put_back(batch[self._limit :])
        return batch[: self._limit], given_up

    def _next_fresh(self) -> list[_Item]:
        return [self._fresh.popleft() for _ in range(min(self._limit, len(self._fresh)))]

    def drain(self) -> list[_Item]:
        """Removes all that waits."""
        items = [*itertools.chain.from_iterable(self._parts), *self._fresh]
        self._parts.clear()
        self._fresh.clear()
        self.waiting = 0
        return items

    def succeeded(self, batch: Sequence[_Item], *, may_grow: bool) -> None:
        """Learns from a request that was answered; `may_grow`: quickly, and not with too much."""
        self._throttled = self._failed_known = self._failed_unknown = 0
        for item in batch:
            kind = item.query.kind
            self._answered.add(hash(kind))
            self._suspects.pop(kind, None)
        if len(batch) > self._grown_from > 0:
            self._grown_from = 0
            self._patience = max(1, self._patience // 2)
        if may_grow and len(batch) >= self._limit < self._max_batch_size:
            self._successes += 1
            if self._successes >= self._patience:
                self._successes = 0
                self._grown_from = self._limit
                self._limit = min(self._max_batch_size, 2 * self._limit)

    def failed(self, batch: list[_Item], error: InsightsError) -> list[_Item]:
        """Learns from a request that failed; gives the queries that failed with it.

        The others wait again, in smaller batches. Sets `broken` where no request of this batch
        key is likely to pass.
        """
        if isinstance(error, PersonMustAct | Unauthenticated | Held):
            self.broken = error
        elif isinstance(error, Retriable) and error.status == 429:
            self._throttled += 1
            if self._throttled >= self._max_throttled:
                self.broken = error
        elif not isinstance(error, OutOfTime):
            if len(batch) > 1:
                self._split(batch)
                return []
            failures = self._isolate(batch[0].query, error)
            if failures == 1 and _may_pass(error):
                # The service or the query? Later, after the others, the same shows which.
                self._put_back(batch, last=True)
                return []
        return batch

    def _put_back(self, items: list[_Item], *, last: bool = False) -> None:
        if items:
            (self._parts.append if last else self._parts.appendleft)(items)
            self.waiting += len(items)

    def _given_up(self, query: Query) -> InsightsError | None:
        """Why not to send a query: its kind, or all that was sent, failed again and again.

        What fails for the newest days may work for older ones, and a service may come back. So
        some are sent all the same, and the first success ends the doubt.
        """
        failures, error = 0, self._last_error
        if self._failed_known >= _DOUBT_AFTER:
            failures = self._failed_known
        elif self._failed_unknown >= _DOUBT_UNKNOWN_AFTER:
            failures = self._failed_unknown
        suspect = self._suspects.get(query.kind)
        if suspect and suspect.failures > max(failures, _DOUBT_AFTER) and not query.optional:
            failures, error = suspect.failures, suspect.error
        if not failures or self._random() < _DOUBT_AFTER / failures:
            return None
        text = f"not queried, as {failures} queries failed in a row: {error}"
        return Retriable(text) if isinstance(error, Retriable) else BadAnswer(text)

    def _split(self, batch: list[_Item]) -> None:
        """Puts the batch back in two parts, and makes the next batches smaller.

        A table that was to blame before is the first to suspect.
        """
        tables = {table for table, _ in self._suspects}
        bad = [item for item in batch if item.query.table.name in tables]
        rest = [item for item in batch if item.query.table.name not in tables]
        if not bad or not rest:
            middle = len(batch) // 2
            bad, rest = batch[:middle], batch[middle:]
        self._put_back(rest)
        self._put_back(bad)
        self._successes = 0
        if len(batch) > self._grown_from > 0:
            self._limit = min(self._limit, self._grown_from)
            self._patience = min(_MAX_PATIENCE, 2 * self._patience)
        else:
            self._limit = max(1, min(self._limit, len(batch) // 2))
        self._grown_from = 0

    def _isolate(self, query: Query, error: InsightsError) -> int:
        """Remembers a query that failed alone: its kind is sent alone until it passes.

        Gives how often in a row that happened to the kind.
        """
        # The query was to blame, not the size of its batch.
        self._patience = 1
        kind = query.kind
        suspect = self._suspects.setdefault(kind, _Suspect(0, error))
        suspect.failures += 1
        suspect.error = self._last_error = error
        # A kind that fails again and again says nothing new of the service.
        if suspect.failures <= 2:
            known = hash(kind) in self._answered
            self._failed_known += known
            self._failed_unknown += not known
        return suspect.failures


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
        self._queues: dict[BatchKey, _Queue] = {}
        self._jobs: Iterator[Job] = iter(())
        self._sending: Counter[str] = Counter()  # requests under way, by organisation
        self._background = 0
        self._under_way = 0
        self._done: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.requests = 0

    def __enter__(self) -> Self:
        self._senders = ThreadPoolExecutor(self._concurrency, "send")
        self._workers = ThreadPoolExecutor(_MAX_STORES // 2, "store")
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the threads; waits for what is under way."""
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
            queue.jobs.append(job)
            pulled += 1
        return None

    def _queue(self, key: BatchKey) -> _Queue:
        if key not in self._queues:
            self._queues[key] = _Queue(
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
                _Item(job, position, query) for position, query in enumerate(queries)
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

    def _send_batch(self, key: BatchKey, queue: _Queue, batch: list[_Item]) -> None:
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
        self, queue: _Queue, batch: list[_Item], sent: float, future: Future[Any]
    ) -> None:
        if failure := future.exception():
            error = self._in_time(_known(failure))
            for item in queue.failed(batch, error):
                self._answer(item, error)
            if queue.broken:
                self._fail_all(queue, queue.broken)
            return
        answers: list[Answer | InsightsError] = future.result()
        size = sum(answer.size for answer in answers if isinstance(answer, Answer))
        is_quick = self._clock() - sent <= _SECONDS_TO_GROW
        queue.succeeded(batch, may_grow=is_quick and size <= _BYTES_TO_GROW)
        for item, answer in zip(batch, answers, strict=True):
            self._answer(item, answer)

    def _in_time(self, error: InsightsError) -> InsightsError:
        """OutOfTime for a failure that the deadline may have caused."""
        if self._clock() < self._deadline or not _may_pass(error):
            return error
        return OutOfTime(f"there was no time left: {error}")

    def _answer(self, item: _Item, answer: Answer | InsightsError) -> None:
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
        if len(errors) == len(answers) and any(map(_may_pass, errors)):
            self._finish(job, errors[0])
            return
        self._step(job, [found if isinstance(found, Answer) else None for found in answers])

    def _fail_all(self, queue: _Queue, error: InsightsError) -> None:
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


def _may_pass(error: InsightsError) -> bool:
    """Whether the same query may pass a moment later."""
    return isinstance(error, Retriable) and not isinstance(error, Held) and error.status != 429


def _is_own(error: InsightsError) -> bool:
    """Whether an error is about a query, and not about all that its organisation sends."""
    about_all = isinstance(error, PersonMustAct | Unauthenticated | OutOfTime)
    return not about_all and (not isinstance(error, Retriable) or _may_pass(error))


def _outcome(future: Future[Any]) -> Any:
    error = future.exception()
    return _known(error) if error else future.result()


def _known(error: BaseException) -> InsightsError:
    if isinstance(error, InsightsError):
        return error
    log.error("unexpected failure", exc_info=error)
    # Nobody has looked at what its text may hold.
    return BadAnswer(f"unexpected failure ({type(error).__name__}): see the log")
