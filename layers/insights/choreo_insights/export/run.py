"""One run of the export: queries and writes the partitions that are missing or still open.

The path of a partition is straight: it is due (`plan`), is queried in requests that the scheduler
fills (`queries`, `scheduler`), decoded, compared with what is stored and written (`files`,
`writer`), and recorded in the ledger.
"""

import heapq
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from choreo_insights.catalogue import Catalogue, Table
from choreo_insights.config import ExportConfig
from choreo_insights.credentials import Credentials, Secrets
from choreo_insights.dataset.checks_table import CHECKS, Check, mismatches
from choreo_insights.dataset.coverage import LONGEST_RUN, closes_at
from choreo_insights.dataset.day_checks import Audit, PlaceDay, tenants_check
from choreo_insights.dataset.ledger import RUNS, Entry, Ledger, Status
from choreo_insights.dataset.partitions import Environment, Partition, quarantine_key
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_merge import Names
from choreo_insights.dataset.store import Dataset
from choreo_insights.dataset.writer import KnownApis, Writer, Written
from choreo_insights.errors import (
    NEEDS_PERSON,
    BadAnswer,
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Retriable,
)
from choreo_insights.export.capabilities import Capabilities, other_way
from choreo_insights.export.decode import Answer, Reader
from choreo_insights.export.event import Bounds
from choreo_insights.export.insights_api import Choreo, day_values, time_filter
from choreo_insights.export.jobs import BatchKey, Job
from choreo_insights.export.partition_file import file_of, records
from choreo_insights.export.plan import Plan
from choreo_insights.export.queries import Query, QueryGenerator, Rows, collect
from choreo_insights.export.report import Report
from choreo_insights.export.scheduler import Scheduler
from choreo_insights.export.scopes import Scope, for_each, scopes

log = logging.getLogger(__name__)

# Left at the end of an invocation for the ledger and the hand-over; before that, beside the time of
# one request, for the responses under way.
_SECONDS_FOR_LEDGER = 20.0
_SECONDS_FOR_ANSWERS = 10.0
# A check that has begun may wait for S3: none is begun later than this before the end.
_SECONDS_FOR_CHECK = 15.0
# A run that is killed loses so much of the ledger.
_SECONDS_BETWEEN_FLUSHES = 60.0
_CHECKS_AT_A_TIME = 4
# An environment with traffic in so many days up to now has APIs.
_TRAFFIC_DAYS = 7


def utc_now() -> datetime:
    """The current time, with its zone."""
    return datetime.now(UTC)


class _Stored(msgspec.Struct, frozen=True):
    """What became of a response that could be converted.

    `learned` is done with what a list says, also where its object could not be written: `failure`.
    """

    written: Written | None
    failure: InsightsError | None = None
    dropped: int = 0
    unknown_fields: int = 0
    learned: Any = None


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
        self._plan = Plan(bounds, config.settle_hours, now())
        self._ledger = Ledger(dataset, run_id, now)
        self._registry = Registry(dataset, run_id, now)
        self._writer = Writer(dataset, run_id, bounds.force, config.settle_hours, now)
        self._capabilities = Capabilities(self._registry, self._today)
        self._readers: dict[str, Reader] = {}
        self._credentials: dict[str, Credentials] = {}
        self._environments: dict[str, Sequence[Environment]] = {}
        self._names: dict[tuple[str, str], Names | InsightsError] = {}
        # Environments that are not listed any more, with days that are not closed yet.
        self._gone: dict[tuple[str, str], Environment] = {}
        # The days that were written, by place: a set that keeps its order.
        self._touched: dict[PlaceDay, None] = {}
        self._tenant_checks: dict[PlaceDay, Check] = {}
        self._next_flush = clock() + _SECONDS_BETWEEN_FLUSHES
        self.report = Report()
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

    def export(self) -> Report:
        """Brings the dataset up to date within the bounds. What fails is in the report.

        The ledger is written as the run goes on, and at its end. Raises what makes all of it
        impossible: PersonMustAct where the dataset is of a newer release, and what the bucket's
        listing raises.
        """
        self._dataset.claim()
        self._plan.load(self._dataset, self._ledger)
        with self._scheduler:
            self._scheduler.run(self._environment_lists())
            self._scheduler.run(self._name_lists())
            self._scheduler.run(self._partitions())
        self.report.requests = self._scheduler.requests
        self.report.settled += self._plan.settled
        self.report.remaining += self._plan.left
        self._capabilities.save()
        self._record_unrecorded()
        self._flush()
        return self.report

    # ---------------------------------------------------------------- What there is: three lists

    def _environment_lists(self) -> Iterator[Job]:
        table = self._catalogue.table("environments")
        for organization in self._bounds.organizations:
            partition = Partition(table, table.name, organization, None, self._today)
            try:
                self._credentials[organization] = self._secrets.get(organization)
            except InsightsError as error:
                self._fail(partition, None, error)
                continue
            yield self._list_job(partition, partial(self._learn_environments, organization))

    def _learn_environments(self, organization: str, rows: Rows) -> Callable[[], None]:
        """The listed environments, and those that are gone while days of theirs are open."""
        found = self._registry.environments(
            organization, records(rows), self._today, force=self._bounds.force
        )
        gone = []
        for known in self._registry.known(organization):
            self._capabilities.remember(organization, known)
            each = known.environment
            if known.listed or known.unmerged_keys or not self._plan.has_open(organization, each):
                continue
            names = self._registry.recalled(organization, each, "api")
            gone.append((each, names))

        def learn() -> None:
            self._environments[organization] = list(filter(self._is_chosen, found.usable))
            for each, names in gone:
                if self._is_chosen(each):
                    self._gone[organization, each.id] = each
                    self._names[organization, each.id] = names
            for refused in found.refused:
                if not self._is_chosen_by(refused.environment_id, refused.name):
                    continue
                self.report.count_failure(
                    "environments", organization, refused.name, self._today, refused.reason
                )

        return learn

    def _is_chosen(self, environment: Environment) -> bool:
        return self._is_chosen_by(environment.id, environment.name)

    def _is_chosen_by(self, *names: str | None) -> bool:
        chosen = self._bounds.environments
        return chosen is None or not chosen.isdisjoint(names)

    def _name_lists(self) -> Iterator[Job]:
        """APIs and applications: the registry remembers them, whichever tables are exported."""
        for organization, environments in self._environments.items():
            for environment in environments:
                for table in self._catalogue.tables:
                    if table.name in ("apis", "applications") and not table.off:
                        partition = Partition(
                            table, table.name, organization, environment, self._today
                        )
                        yield self._list_job(partition, partial(self._learn_names, partition))

    def _learn_names(self, partition: Partition, rows: Rows) -> Callable[[], None]:
        environment = partition.environment
        assert environment is not None  # noqa: S101 - for the type checker
        names = self._registry.names(
            partition.organization,
            environment,
            "api" if partition.table_name == "apis" else "application",
            records(rows),
            self._today,
            force=self._bounds.force,
        )
        if partition.table_name != "apis":
            return lambda: None
        place = partition.organization, environment.id
        return partial(self._names.__setitem__, place, names)

    def _list_job(self, partition: Partition, learn: Callable[[Rows], Callable[[], None]]) -> Job:
        """Queries a list that others wait for; it is stored where the bounds hold it."""

        def store(partition: Partition, job: Job, rows: Rows) -> _Stored:
            learned = learn(rows)
            if not self._plan.holds(partition):
                return _Stored(None, learned=learned)
            try:
                stored = self._store(partition, job, rows)
            except InsightsError as error:
                return _Stored(None, error, learned=learned)
            return msgspec.structs.replace(stored, learned=learned)

        return self._job(partition, store)

    # ---------------------------------------------------------------- What is due

    def _partitions(self) -> Iterator[Job]:
        """A job for each partition that is due, made when it is taken."""
        due = [
            self._plan.due(table, organization, environment)
            for organization, environments in self._environments.items()
            for environment in (None, *environments)
            for table in self._tables(organization, environment)
        ]
        due += [
            self._plan.due(table, organization, environment, stored_only=True)
            for (organization, _), environment in self._gone.items()
            for table in self._tables(organization, environment)
        ]
        for partition in heapq.merge(*due, key=self._plan.urgency):
            self._record_unrecorded()
            reason = self._blocked(partition)
            if reason:
                self._fail(partition, None, reason, tried=False)
            elif partition.table_name == "api_projects":
                yield self._job(partition, self._store_projects)
            else:
                yield self._job(partition, self._store)

    def _tables(self, organization: str, environment: Environment | None) -> Iterator[Table]:
        scope = "environment" if environment else "organization"
        for table in self._bounds.tables:
            listed = table.name in ("environments", "apis", "applications")
            keyless = table.on_prem_key and not self._credentials[organization].on_prem_key
            without_projects = table.per_project and not self._config.projects
            if table.scope == scope and not (listed or keyless or without_projects):
                yield table

    def _blocked(self, partition: Partition) -> InsightsError | None:
        """Why a partition cannot be queried: the list of APIs that it needs has failed."""
        if not partition.table.needs_apis:
            return None
        names = self._names_of(partition)
        return waiting_for("the list of APIs", names) if isinstance(names, InsightsError) else None

    def _names_of(self, partition: Partition) -> Names | InsightsError:
        environment = partition.environment
        if environment is None or not partition.table.needs_apis:
            return Names()
        return self._names[partition.organization, environment.id]

    # ---------------------------------------------------------------- The path of a partition

    def _job(self, partition: Partition, store: Callable[[Partition, Job, Rows], _Stored]) -> Job:
        """Queries a partition by the document that the service is known to answer."""
        return self._job_by(self._capabilities.answered(partition), store)

    def _job_by(
        self, partition: Partition, store: Callable[[Partition, Job, Rows], _Stored]
    ) -> Job:
        with_key = partition.table.on_prem_key == "header"
        return Job(
            BatchKey(partition.organization, with_key),
            begin=partial(self._queries, partition),
            store=partial(store, partition),
            record=partial(self._record, partition, store),
        )

    def _queries(self, partition: Partition) -> QueryGenerator:
        names = self._names_of(partition)
        assert not isinstance(names, InsightsError)  # noqa: S101 - `_blocked` has seen to it
        apis = names.queried(partition.day)

        def begin(scope: Scope) -> QueryGenerator:
            values = self._values(partition, scope.tenant)
            if scope.project_id:
                values["data"] = {**values["data"], "projectId": scope.project_id}
            return collect(partition.table, values, apis)

        chosen = scopes(partition.table, self._config.tenants, self._config.projects)
        queries = for_each(chosen, begin)
        if partition.table_name == "tenants":
            return self._checked_tenants(partition, queries)
        is_first = partition.table_name == "apis" and not self._bounds.force
        return self._checked_list(partition, queries) if is_first else queries

    def _checked_tenants(self, partition: Partition, queries: QueryGenerator) -> QueryGenerator:
        """Notes for the day's checks how much traffic a listed tenant has that is not exported."""
        rows = yield from queries
        exported = self._config.tenants
        listed = dict.fromkeys(rows.columns.get("tenant", ()))
        others = [name for name in listed if name and name not in exported]
        if not others:
            return rows
        traffic = [
            msgspec.structs.replace(query, optional=True)
            for query in self._traffic(partition, (*exported, *others))
        ]
        counts = [_sum_of(answer) for answer in (yield traffic)]
        check = tenants_check(
            sum(counts[: len(exported)]),
            dict(zip(others, counts[len(exported) :], strict=True)),
            _TRAFFIC_DAYS,
        )
        if check.verdict == "warning":
            log.warning("%s: %s", partition.place, check.explanation)
        self._tenant_checks[PlaceDay.of(partition)] = check
        self._touched[PlaceDay.of(partition)] = None
        return rows

    def _values(self, partition: Partition, tenant: str) -> dict[str, Any]:
        """The variables that are the same for the whole partition."""
        environment, extra = partition.environment, self._config.extra_environment_ids
        more_ids: Sequence[str] = ()
        if environment:
            more_ids = (*extra.get(environment.id, ()), *extra.get(environment.name, ()))
        credentials = self._credentials[partition.organization]
        day, last = partition.day, partition.last_day
        return day_values(day, credentials, tenant, environment, more_ids, last)

    def _traffic(self, partition: Partition, tenants: Sequence[str]) -> list[Query]:
        """Queries for the total traffic of each tenant in the days up to the partition's."""
        table = self._catalogue.table("total_traffic")
        first = partition.day - timedelta(days=_TRAFFIC_DAYS - 1)
        queries = []
        for tenant in tenants:
            given = self._values(partition, tenant) | {"time": time_filter(first, partition.day)}
            queries.append(Query(table, {name: given[name] for name in table.variables}, {}))
        return queries

    def _checked_list(self, partition: Partition, queries: QueryGenerator) -> QueryGenerator:
        """A first list of APIs that is empty is believed where there is no traffic.

        Later ones are compared with what the registry knows. Raises PersonMustAct.
        """
        rows = yield from queries
        environment = partition.environment
        if rows.count or environment is None:
            return rows
        known = self._registry.recalled(partition.organization, environment, "api").known
        if not known:
            answers = yield self._traffic(partition, self._config.tenants)
            if any(answer and any(answer.columns["total_traffic"]) for answer in answers):
                raise PersonMustAct(
                    f"the list of APIs of the environment {environment.name} of"
                    f" {partition.organization} is empty, although it has had traffic within"
                    f" {_TRAFFIC_DAYS} days: check Choreo"
                )
        return rows

    def _ask(
        self, key: BatchKey, queries: Sequence[Query], deadline: float
    ) -> list[Answer | InsightsError]:
        outcomes = self._choreo.ask(key, queries, deadline)
        return [
            found if isinstance(found, InsightsError) else self._read(query.table, found)
            for query, found in zip(queries, outcomes, strict=True)
        ]

    def _read(self, table: Table, raw: msgspec.Raw) -> Answer | InsightsError:
        key = f"{table.name} {table.document}"
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = Reader(table)
        try:
            return reader.read(raw)
        except BadAnswer as error:
            return error

    def _store(self, partition: Partition, job: Job, rows: Rows) -> _Stored:
        """Converts, compares and writes; runs in a thread beside the requests."""
        # A fan-out over nothing sends no query: then it counts from here, in the ledger too.
        asked = job.started = job.started or self._now()
        names = self._names_of(partition)
        assert not isinstance(names, InsightsError)  # noqa: S101 - `_blocked` has seen to it
        file = file_of(partition, rows, names.resolve, asked)
        apis = KnownApis(names.listed, frozenset(rows.unanswered), names.resolve)
        over = self._plan.stored(partition)
        written = self._writer.write(partition, file, over=over, asked=asked, apis=apis)
        return _Stored(
            written, dropped=file.dropped, unknown_fields=rows.answers_with_unknown_fields
        )

    def _store_projects(self, partition: Partition, job: Job, rows: Rows) -> _Stored:
        """Stores the list, and has the registry remember each API's project."""
        environment = partition.environment
        assert environment is not None  # noqa: S101 - for the type checker
        self._registry.projects(partition.organization, environment, records(rows))
        return self._store(partition, job, rows)

    def _record(
        self,
        partition: Partition,
        store: Callable[[Partition, Job, Rows], _Stored],
        job: Job,
        result: _Stored | InsightsError,
    ) -> Job | None:
        """Counts what became of a partition, and notes it for the ledger."""
        self._flush_now_and_then()
        if isinstance(result, InsightsError):
            self._capabilities.failed(partition, result)
            other = self._instead(partition, store, job, result)
            if other is None:
                self._fail(partition, job, result)
            return other
        self._capabilities.succeeded(partition)
        if result.failure:
            self._fail(partition, job, result.failure)
        if result.learned:
            result.learned()
        written = result.written
        if written is None:
            return None
        self.report.unknown_fields += result.unknown_fields
        if result.dropped:
            log.info("%s: %s rows of other days were left out", partition.key, result.dropped)
        if written.verdict == "exported":
            self.report.count_export(partition.organization, written.rows or 0, written.size or 0)
            if partition.table.daily and not partition.table.monthly:
                self._touched[PlaceDay.of(partition)] = None
        else:
            log.warning("%s: %s", partition.key, written.reason)
            self.report.kept += written.verdict == "kept"
            self.report.unconfirmed += written.closed and written.verdict == "kept"
            self.report.settled += written.verdict == "overtaken"
        self._note(partition, job, written.verdict, written)
        return None

    def _instead(
        self,
        partition: Partition,
        store: Callable[[Partition, Job, Rows], _Stored],
        job: Job,
        error: InsightsError,
    ) -> Job | None:
        """Another way to an answer: another document, or none where the environment is gone."""
        environment = partition.environment
        if isinstance(error, OutOfTime):
            return None
        if other := other_way(partition, error):
            return self._job_by(other, store)
        is_gone = environment and (partition.organization, environment.id) in self._gone
        if not (is_gone and job.requests) or isinstance(error, Retriable):
            return None
        # The service knows nothing of it any more: an answer without rows, which loses nothing.
        empty = self._job_by(partition, store)
        empty.begin = _no_queries
        return empty

    def _fail(
        self, partition: Partition, job: Job | None, error: InsightsError, *, tried: bool = True
    ) -> None:
        environment = partition.environment
        if environment and partition.table_name == "apis":
            self._names[partition.organization, environment.id] = error
        if isinstance(error, OutOfTime):
            self.report.remaining += 1
            return
        reason = str(error)
        if isinstance(error, BadAnswer) and error.reply:
            reason += f". The response is kept under {self._quarantine(partition, error.reply)}"
        self.report.count_failure(
            partition.table_name,
            partition.organization,
            environment.name if environment else None,
            partition.day,
            error,
            reason,
        )
        # What was not queried, as an earlier failure made that pointless, is not in the ledger.
        if tried:
            self._note(partition, job, "failed", Written("kept", reason))

    def _quarantine(self, partition: Partition, reply: bytes) -> str:
        """Keeps a response that could not be converted, beside the dataset."""
        key = quarantine_key(partition, self._run_id)

        def then(result: Any) -> None:
            if isinstance(result, InsightsError):
                log.error("%s could not be written: %s", key, result)

        self._scheduler.background(partial(self._dataset.quarantine, key, reply), then)
        return key

    # ---------------------------------------------------------------- The ledger

    def _note(
        self, partition: Partition, job: Job | None, status: Status, written: Written
    ) -> None:
        now = self._now()
        started = (job.started if job else None) or now
        final = written.closed or (False if status == "exported" else None)
        entry = _entry(partition, status, started, final=final)
        self._ledger.add(
            msgspec.structs.replace(
                entry,
                seconds=max(0.0, (now - started).total_seconds()),
                rows=written.rows,
                bytes=written.size,
                requests=job.requests if job else 0,
                error=written.reason,
            )
        )

    def _record_unrecorded(self) -> None:
        """Gives objects an entry whose run was killed before it wrote one.

        Before this run queries them: what became of that is the newer entry.
        """
        unrecorded, self._plan.unrecorded = self._plan.unrecorded, []
        for found in unrecorded:
            # When it was requested, only the object knows: a run earlier at most.
            started = found.stored.written - LONGEST_RUN
            self._ledger.add(_entry(found.partition, "exported", started, final=found.closed))

    def _flush_now_and_then(self) -> None:
        if self._clock() >= self._next_flush:
            self._next_flush = self._clock() + _SECONDS_BETWEEN_FLUSHES
            self._scheduler.background(self._ledger.flush, self._flushed)

    def _flushed(self, result: Any) -> None:
        if isinstance(result, InsightsError):
            log.warning("the ledger is written later: %s", result)

    def _flush(self) -> None:
        try:
            self._ledger.flush()
        except InsightsError as error:
            self.report.count_failure(RUNS, None, None, self._today, error)

    # ---------------------------------------------------------------- Whether the numbers agree

    def check(self) -> None:
        """Compares the tables of each day that was written, with the time that is left.

        What it has no time for is checked by the next run, which sees that the day's objects are
        newer than their checks. What fails is in the report.
        """
        places = dict.fromkeys(sorted((*self._touched, *self._unchecked()), key=_newest_first))
        with ThreadPoolExecutor(_CHECKS_AT_A_TIME, "check") as threads:
            for place, result in zip(places, threads.map(self._checked, places), strict=True):
                if isinstance(result, InsightsError):
                    name = place.environment.name if place.environment else None
                    self.report.count_failure(CHECKS, place.organization, name, place.day, result)
                else:
                    self.report.mismatches += result

    def _unchecked(self) -> Iterator[PlaceDay]:
        for organization, environments in self._environments.items():
            for environment in (None, *environments):
                for day in self._plan.unchecked(organization, environment):
                    yield PlaceDay(organization, environment, day)

    def _checked(self, place: PlaceDay) -> int | InsightsError:
        """The mismatches of a day; 0 where no time was left."""
        if self._clock() > self._ends - _SECONDS_FOR_CHECK:
            return 0
        audit = Audit(self._dataset, self._catalogue, self._run_id, self._config.tables)
        now = self._now()
        try:
            found = audit.check(place, final=now >= closes_at(place.day, self._config.settle_hours))
            if tenants := self._tenant_checks.get(place):
                found.append(tenants)
            audit.write(place, found, now)
        except Exception as error:
            return _known(error, f"the checks of {place.organization} on {place.day}")
        return len(mismatches(found))


def _no_queries() -> QueryGenerator:
    yield []
    return Rows()


def _sum_of(answer: Answer | None) -> int:
    """The total traffic in an answer; 0 where there is none."""
    return sum(filter(None, answer.columns["total_traffic"])) if answer else 0


def _newest_first(place: PlaceDay) -> int:
    return -place.day.toordinal()


def _entry(partition: Partition, status: Status, started: datetime, *, final: bool | None) -> Entry:
    environment = partition.environment
    return Entry(
        table=partition.table_name,
        organization=partition.organization,
        environment=environment.name if environment else None,
        environment_id=environment.id if environment else None,
        day=partition.day,
        status=status,
        covers=partition.table.covers,
        final=final,
        started=started,
        seconds=0.0,
    )


def waiting_for(what: str, error: InsightsError) -> InsightsError:
    """The error of those who needed what failed: of the same kind, for the same to be done."""
    reason = f"{what} failed: {error}"
    if isinstance(error, OutOfTime):
        return OutOfTime(reason)
    return PersonMustAct(reason) if isinstance(error, NEEDS_PERSON) else InsightsError(reason)


def _known(error: BaseException, what: str) -> InsightsError:
    if isinstance(error, InsightsError):
        return error
    log.error("%s failed unexpectedly", what, exc_info=error)
    return InsightsError(f"{what} failed: {type(error).__name__}: {error}"[:300])
