"""What the scheduler runs: a job, and its queries as they wait for a request."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from choreo_insights.errors import InsightsError
from choreo_insights.export.decode import Answer
from choreo_insights.export.queries import Query, QueryGenerator, Rows


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


class JobQuery(NamedTuple):
    """One query of a job, and its position among those that the job waits for."""

    job: Job
    position: int
    query: Query
