"""How many queries share a request: batches that shrink when they fail and grow when they succeed.

A request that fails as a whole is split until the query to blame is alone, so that one bad query
among n costs about 2 log2(n) requests. Requests become smaller while that happens. They grow as
they succeed, also beyond the size that a run begins with: what a service takes is unknown.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from choreo_insights.errors import (
    BadAnswer,
    Held,
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Refused,
    Retriable,
    Unauthenticated,
)
from choreo_insights.export.jobs import Job, JobQuery
from choreo_insights.export.queries import Query, QueryKind

# After so many failures in a row, of one kind of query or of kinds that were answered before, more
# of them are sent by chance only, the less likely the more have failed.
_DOUBT_AFTER = 4
# Kinds that were never answered may be bad by themselves, as all tables of an environment may be.
_DOUBT_UNKNOWN_AFTER = 100
# Requests of the present size that must succeed before a larger one is tried: it doubles with
# each larger one that fails.
_MAX_PATIENCE = 64
# A request grows only while the whole response is this quick and small. Choreo ends a request after
# 60 s by default, and a payload may have 10 MB [Choreo].
_SECONDS_TO_GROW = 10.0
_BYTES_TO_GROW = 5_000_000

_FailedQuery = tuple[JobQuery, InsightsError]


class _Suspect(msgspec.Struct):
    """A kind of query that failed alone: how often since it last passed, and why."""

    failures: int
    error: InsightsError


class BatchQueue:
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
        self._fresh: deque[JobQuery] = deque()
        # Parts of batches that failed, and suspects, which are sent alone: never mixed with others.
        self._parts: deque[list[JobQuery]] = deque()
        self._suspects: dict[QueryKind, _Suspect] = {}
        # Hashes of the kinds that were answered: a kind holds its variables as JSON, and there may
        # be thousands.
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

    def add(self, items: Iterable[JobQuery]) -> None:
        """Takes queries to send."""
        for item in items:
            if item.query.kind in self._suspects:
                self._parts.append([item])
            else:
                self._fresh.append(item)
            self.waiting += 1

    def take(self) -> tuple[list[JobQuery], list[_FailedQuery]]:
        """The next batch, empty where nothing waits, and the queries that are not worth sending."""
        batch: list[JobQuery] = []
        given_up: list[_FailedQuery] = []
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
        # The limit may have shrunk since this part was made.
        self._put_back(batch[self._limit :])
        return batch[: self._limit], given_up

    def _next_fresh(self) -> list[JobQuery]:
        return [self._fresh.popleft() for _ in range(min(self._limit, len(self._fresh)))]

    def drain(self) -> list[JobQuery]:
        """Removes all that waits."""
        items = [*itertools.chain.from_iterable(self._parts), *self._fresh]
        self._parts.clear()
        self._fresh.clear()
        self.waiting = 0
        return items

    def succeeded(self, batch: Sequence[JobQuery], seconds: float, size: int) -> None:
        """Learns from a request that was answered after `seconds` with `size` bytes."""
        self._throttled = self._failed_known = self._failed_unknown = 0
        for item in batch:
            kind = item.query.kind
            self._answered.add(hash(kind))
            self._suspects.pop(kind, None)
        if len(batch) > self._grown_from > 0:
            self._grown_from = 0
            self._patience = max(1, self._patience // 2)
        may_grow = seconds <= _SECONDS_TO_GROW and size <= _BYTES_TO_GROW
        if may_grow and len(batch) >= self._limit < self._max_batch_size:
            self._successes += 1
            if self._successes >= self._patience:
                self._successes = 0
                self._grown_from = self._limit
                self._limit = min(self._max_batch_size, 2 * self._limit)

    def failed(self, batch: list[JobQuery], error: InsightsError) -> Iterable[_FailedQuery]:
        """Learns from a request that failed; gives the queries that failed with it, and why.

        The others wait again, in smaller batches unless it is known which queries are to blame.
        Sets `broken` where no request of this batch key is likely to pass.
        """
        if isinstance(error, PersonMustAct | Unauthenticated | Held):
            self.broken = error
        elif isinstance(error, Retriable) and error.status == 429:
            self._throttled += 1
            if self._throttled >= self._max_throttled:
                self.broken = error
        elif isinstance(error, Refused) and error.blamed:
            return self._take_out(batch, error.blamed)
        elif not isinstance(error, OutOfTime):
            if len(batch) > 1:
                self._split(batch)
                return []
            failures = self._isolate(batch[0].query, error)
            if failures == 1 and may_pass(error):
                # The service or the query? Later, after the others, the same shows which.
                self._put_back(batch, last=True)
                return []
        return [(item, error) for item in batch]

    def _take_out(
        self, batch: list[JobQuery], blamed: Mapping[int, InsightsError]
    ) -> list[_FailedQuery]:
        """Takes the blamed queries out of a batch, which may have as many others then.

        A service that says so much works: it is not in doubt.
        """
        others = [item for number, item in enumerate(batch) if number not in blamed]
        self._fresh.extendleft(reversed(others))
        self.waiting += len(others)
        failed = [(batch[number], error) for number, error in blamed.items()]
        for item, error in failed:
            self._suspect(item.query, error)
        return failed

    def _put_back(self, items: list[JobQuery], *, last: bool = False) -> None:
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

    def _split(self, batch: list[JobQuery]) -> None:
        """Puts the batch back in two parts, and makes the next batches smaller.

        A table that was to blame before is the first to suspect.
        """
        tables = {table for table, _ in self._suspects}
        bad = [item for item in batch if item.query.table.name in tables]
        rest = [item for item in batch if item.query.table.name not in tables]
        if not bad or not rest:
            middle = len(batch) // 2
            bad, rest = batch[:middle], batch[middle:]
        # `bad` goes back last, so it is sent first: the sooner it is alone, the sooner the rest is
        # safe.
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
        failures = self._suspect(query, error)
        self._last_error = error
        # A kind that fails again and again says nothing new of the service.
        if failures <= 2:
            known = hash(query.kind) in self._answered
            self._failed_known += known
            self._failed_unknown += not known
        return failures

    def _suspect(self, query: Query, error: InsightsError) -> int:
        suspect = self._suspects.setdefault(query.kind, _Suspect(0, error))
        suspect.failures += 1
        suspect.error = error
        return suspect.failures


def may_pass(error: InsightsError) -> bool:
    """Whether the same query may pass a moment later."""
    return isinstance(error, Retriable) and not isinstance(error, Held) and error.status != 429
