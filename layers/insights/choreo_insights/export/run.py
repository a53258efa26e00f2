"""One run of the export: queries and writes the partitions that are missing or still open.

The path of a partition is straight, and so is the order of the methods of `Export`: it is due
(`plan`), is queried in requests that the scheduler fills (`partition_queries`, `scheduler`),
decoded (`decode`), compared with what is stored and written (`writer`), and recorded (`outcomes`).
"""

import heapq
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import msgspec

from choreo_insights.catalogue import Catalogue, Table
from choreo_insights.config import ExportConfig
from choreo_insights.credentials import Credentials, Secrets
from choreo_insights.dataset.checks_table import CHECKS, mismatches
from choreo_insights.dataset.coverage import closes_at
from choreo_insights.dataset.day_checks import Audit, PlaceDay
from choreo_insights.dataset.ledger import Ledger
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.store import Dataset
from choreo_insights.dataset.writer import KnownApis, Writer
from choreo_insights.errors import BadAnswer, InsightsError, OutOfTime, Retriable
from choreo_insights.export.capabilities import Capabilities
from choreo_insights.export.decode import Answer, Reader
from choreo_insights.export.event import Bounds
from choreo_insights.export.insights_api import Choreo
from choreo_insights.export.jobs import BatchKey, Job
from choreo_insights.export.lists import LISTS, NAME_KINDS, Lists
from choreo_insights.export.outcomes import Outcomes, StoredResponse
from choreo_insights.export.partition_file import file_of, records
from choreo_insights.export.partition_queries import PartitionQueries, no_queries
from choreo_insights.export.plan import Plan
from choreo_insights.export.queries import Query, Rows
from choreo_insights.export.report import Report
from choreo_insights.export.scheduler import Scheduler
from choreo_insights.export.trials import Trials

log = logging.getLogger(__name__)

# Left at the end of an invocation for the ledger and the hand-over; before that, beside the time of
# one request, for the responses under way.
_SECONDS_FOR_LEDGER = 20.0
_SECONDS_FOR_ANSWERS = 10.0
# A check that has begun may wait for S3: none is begun later than this before the end.
_SECONDS_FOR_CHECK = 15.0
_CHECKS_AT_A_TIME = 4

# Converts, compares and writes the rows of a partition, in a worker thread.
_Store = Callable[[Partition, Job, Rows], StoredResponse]


def utc_now() -> datetime:
    """The current time, with its zone."""
    return datetime.now(UTC)


class Export:
    """One run over the dataset. `ends` is when the invocation ends, in seconds of `clock`."""

    def __init__(
        self,
        config: ExportConfig,
        catalogue: Catalogue,
        bounds: Bounds,
        *,
        dataset: Dataset,
        choreo: Choreo,
        secrets: Secrets,
        run_id: str,
        ends: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._bounds = bounds
        self._dataset = dataset
        self._choreo = choreo
        self._secrets = secrets
        self._run_id = run_id
        self._ends = ends
        self._clock = clock
        self._now = now
        self._today = now().date()
        self.report = Report()
        self._plan = Plan(bounds, config.settle_hours, now())
        self._ledger = Ledger(dataset, run_id, now)
        self._registry = Registry(dataset, run_id, now)
        self._writer = Writer(dataset, run_id, bounds.force, config.settle_hours, now)
        self._capabilities = Capabilities(self._registry, self._today)
        self._readers: dict[str, Reader] = {}
        self._credentials: dict[str, Credentials] = {}
        self._lists = Lists(
            self._registry, self._capabilities, self._plan, bounds, self.report, self._today
        )
        self._queries = PartitionQueries(
            config, catalogue, self._registry, self._lists, self._credentials, force=bounds.force
        )
        self._trials = Trials(self._capabilities, self._lists, self._queries.values)
        deadline = ends - _SECONDS_FOR_LEDGER
        left = deadline - clock()
        self._scheduler = Scheduler(
            self._ask,
            concurrency=config.concurrency,
            batch_size=config.batch_size,
            max_batch_size=config.max_batch_size,
            stop_taking=deadline - min(config.request_seconds + _SECONDS_FOR_ANSWERS, left / 4),
            deadline=deadline,
            clock=clock,
            now=now,
        )
        self._outcomes = Outcomes(
            dataset,
            self._plan,
            self._ledger,
            self.report,
            self._scheduler,
            run_id=run_id,
            clock=clock,
            now=now,
        )

    def export(self) -> Report:
        """Brings the dataset up to date within the bounds. What fails is in the report.

        The ledger is written as the run goes on, and at its end. Raises what makes all of it
        impossible: PersonMustAct where the dataset is of a newer release, and what the bucket's
        listing raises.
        """
        self._dataset.claim()
        self._plan.load(self._dataset, self._ledger)
        with self._scheduler:
            # One after the other: each is over what the one before has learned.
            self._scheduler.run(self._environment_lists())
            self._scheduler.run(chain(self._name_lists(), self._trials.jobs(self._bounds.tables)))
            self._scheduler.run(self._partitions())
        self.report.requests = self._scheduler.requests
        self.report.settled += self._plan.settled
        self.report.remaining += self._plan.left
        self._capabilities.save()
        self._outcomes.record_unrecorded()
        self._outcomes.flush()
        return self.report

    # ---------------------------------------------------------------- The lists

    def _environment_lists(self) -> Iterator[Job]:
        table = self._catalogue.table("environments")
        for organization in self._bounds.organizations:
            partition = Partition(table, table.name, organization, None, self._today)
            try:
                self._credentials[organization] = self._secrets.get(organization)
            except InsightsError as error:
                self._fail(partition, None, error)
                continue
            learn = partial(self._lists.learn_environments, organization)
            yield self._list_job(partition, learn)

    def _name_lists(self) -> Iterator[Job]:
        """APIs and applications: the registry remembers them, whichever tables are exported."""
        for organization, environment in self._lists.environments():
            for table in self._catalogue.tables:
                if table.name in NAME_KINDS and not table.off:
                    partition = Partition(table, table.name, organization, environment, self._today)
                    yield self._list_job(partition, partial(self._lists.learn_names, partition))

    def _list_job(self, partition: Partition, learn: Callable[[Rows], Callable[[], None]]) -> Job:
        """Queries a list that others wait for; it is stored where the bounds hold it."""

        def store(partition: Partition, job: Job, rows: Rows) -> StoredResponse:
            learned = learn(rows)
            if not self._plan.holds(partition):
                return StoredResponse(None, learn=learned)
            try:
                stored = self._store(partition, job, rows)
            except InsightsError as error:
                return StoredResponse(None, error, learn=learned)
            return msgspec.structs.replace(stored, learn=learned)

        return self._job(partition, store)

    # ---------------------------------------------------------------- Plan

    def _partitions(self) -> Iterator[Job]:
        """A job for each partition that is due, made when it is taken."""
        due = [
            self._plan.due(table, organization, environment)
            for organization, environment in self._lists.places()
            for table in self._tables(organization, environment)
        ]
        due += [
            self._plan.due(table, organization, environment, stored_only=True)
            for organization, environment in self._lists.gone()
            for table in self._tables(organization, environment)
        ]
        for partition in heapq.merge(*due, key=self._plan.urgency):
            self._outcomes.record_unrecorded()
            try:
                self._lists.names_of(partition)
            except InsightsError as error:
                self._fail(partition, None, error, tried=False)
                continue
            is_projects = partition.table_name == "api_projects"
            yield self._job(partition, self._store_projects if is_projects else self._store)

    def _tables(self, organization: str, environment: Environment | None) -> Iterator[Table]:
        scope = "environment" if environment else "organization"
        for table in self._bounds.tables:
            keyless = table.on_prem_key and not self._credentials[organization].on_prem_key
            without_projects = table.per_project and not self._config.projects
            if table.scope == scope and not (table.name in LISTS or keyless or without_projects):
                yield table

    # ---------------------------------------------------------------- Query

    def _job(self, partition: Partition, store: _Store) -> Job:
        """Queries a partition by the document that the service is known to answer."""
        return self._job_by(self._capabilities.answered(partition), store)

    def _job_by(self, partition: Partition, store: _Store) -> Job:
        with_key = partition.table.on_prem_key == "header"
        return Job(
            BatchKey(partition.organization, with_key),
            begin=partial(self._queries.of, partition),
            store=partial(store, partition),
            record=partial(self._record, partition, store),
        )

    def _ask(
        self, key: BatchKey, queries: Sequence[Query], deadline: float
    ) -> list[Answer | InsightsError]:
        outcomes = self._choreo.ask(key, queries, deadline)
        return [
            outcome if isinstance(outcome, InsightsError) else self._decode(query.table, outcome)
            for query, outcome in zip(queries, outcomes, strict=True)
        ]

    # ---------------------------------------------------------------- Decode

    def _decode(self, table: Table, raw: msgspec.Raw) -> Answer | InsightsError:
        key = f"{table.name} {table.document}"
        reader = self._readers.get(key)
        if reader is None:
            # Several threads may make the same one: harmless, and a lock would cost more.
            reader = self._readers[key] = Reader(table)
        try:
            return reader.read(raw)
        except BadAnswer as error:
            return error

    # ---------------------------------------------------------------- Compare and write

    def _store(self, partition: Partition, job: Job, rows: Rows) -> StoredResponse:
        """Converts, compares and writes; runs in a thread beside the requests."""
        # A fan-out over nothing sends no query: then it counts from here, in the ledger too.
        queried_at = job.started = job.started or self._now()
        names = self._lists.names_of(partition)
        file = file_of(partition, rows, names.resolve, queried_at)
        apis = KnownApis(names.listed, frozenset(rows.unanswered), names.resolve)
        over = self._plan.stored(partition)
        written = self._writer.write(partition, file, over=over, queried_at=queried_at, apis=apis)
        return StoredResponse(
            written, dropped=file.dropped, unknown_fields=rows.answers_with_unknown_fields
        )

    def _store_projects(self, partition: Partition, job: Job, rows: Rows) -> StoredResponse:
        """Stores the list, and has the registry remember each API's project."""
        environment = partition.environment
        assert environment is not None  # noqa: S101 - for the type checker
        self._registry.projects(partition.organization, environment, records(rows))
        return self._store(partition, job, rows)

    # ---------------------------------------------------------------- Record

    def _record(
        self, partition: Partition, store: _Store, job: Job, result: StoredResponse | InsightsError
    ) -> Job | None:
        """Records what became of a partition; returns a job that may still get its answer."""
        self._outcomes.flush_now_and_then()
        if isinstance(result, InsightsError):
            self._capabilities.failed(partition, result)
            other = self._instead(partition, store, job, result)
            if other is None:
                self._fail(partition, job, result)
            return other
        self._capabilities.succeeded(partition)
        if result.failure:
            self._fail(partition, job, result.failure)
        if result.learn:
            # After the failure: a list of APIs that could not be stored is known all the same.
            result.learn()
        self._outcomes.stored(partition, job, result)
        return None

    def _instead(
        self, partition: Partition, store: _Store, job: Job, error: InsightsError
    ) -> Job | None:
        """Another way to an answer: another document, or none where the environment is gone."""
        if isinstance(error, OutOfTime):
            return None
        if other := self._capabilities.other_way(partition, error):
            return self._job_by(other, store)
        is_gone = self._lists.is_gone(partition)
        if not (is_gone and job.requests) or isinstance(error, Retriable) or self._bounds.force:
            # With `force`, nothing would keep the stored rows from an answer that never came.
            return None
        # The service knows nothing of it any more: an answer without rows, which loses nothing.
        empty = self._job_by(partition, store)
        empty.begin = no_queries
        empty.started = job.started
        return empty

    def _fail(
        self, partition: Partition, job: Job | None, error: InsightsError, *, tried: bool = True
    ) -> None:
        self._lists.failed(partition, error)
        self._outcomes.failed(partition, job, error, tried=tried)

    # ---------------------------------------------------------------- Whether the numbers agree

    def check(self) -> None:
        """Compares the tables of each day that was written, with the time that is left.

        What it has no time for is checked by the next run, which sees that the day's objects are
        newer than their checks. What fails is in the report.
        """
        days = (*self._outcomes.written_days, *self._queries.tenant_checks, *self._unchecked())
        places = dict.fromkeys(sorted(days, key=_newest_first))
        with ThreadPoolExecutor(_CHECKS_AT_A_TIME, "check") as threads:
            for place, result in zip(places, threads.map(self._checked, places), strict=True):
                if isinstance(result, InsightsError):
                    name = place.environment.name if place.environment else None
                    self.report.count_failure(CHECKS, place.organization, name, place.day, result)
                else:
                    self.report.mismatches += result

    def _unchecked(self) -> Iterator[PlaceDay]:
        # Days of an environment that is gone too: nobody else would check what was written last.
        for organization, environment in (*self._lists.places(), *self._lists.gone()):
            for day in self._plan.unchecked(organization, environment):
                yield PlaceDay(organization, environment, day)

    def _checked(self, place: PlaceDay) -> int | InsightsError:
        """The mismatches of a day; 0 where no time was left."""
        if self._clock() > self._ends - _SECONDS_FOR_CHECK:
            return 0
        audit = Audit(self._dataset, self._catalogue, self._run_id, self._config.tables)
        now = self._now()
        try:
            checks = audit.check(
                place, final=now >= closes_at(place.day, self._config.settle_hours)
            )
            if tenants := self._queries.tenant_checks.get(place):
                checks.append(tenants)
            audit.write(place, checks, now)
        except Exception as error:
            return _known(error, f"the checks of {place.organization} on {place.day}")
        return len(mismatches(checks))


def _newest_first(place: PlaceDay) -> int:
    return -place.day.toordinal()


def _known(error: BaseException, what: str) -> InsightsError:
    if isinstance(error, InsightsError):
        return error
    log.error("%s failed unexpectedly", what, exc_info=error)
    return InsightsError(f"{what} failed: {type(error).__name__}: {error}"[:300])
