"""The export: what is missing or not final in the dataset is asked for and written."""

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from insights.audit import Audit, PlaceDay
from insights.bounds import Bounds
from insights.catalogue import Catalogue, Table
from insights.checks import CHECKS, Check, mismatches, suspicious
from insights.choreo import Choreo, day_values
from insights.config import ExportConfig
from insights.credentials import Credentials, Secrets
from insights.dataset import Dataset, Stored
from insights.decode import Answer, Reader
from insights.errors import NEEDS_PERSON, BadAnswer, InsightsError, OutOfTime, PersonMustAct
from insights.files import Apis, File, file_of, records
from insights.history import Writer, Written
from insights.ledger import RUNS, Entry, Status, objects
from insights.partitions import (
    Environment,
    Partition,
    environments,
    is_final,
    quarantine_key,
    wanted,
)
from insights.questions import Query, QueryGenerator, Rows, collect
from insights.report import Report
from insights.scheduler import BatchKey, Job, Scheduler

log = logging.getLogger(__name__)

# Left at the end of an invocation for writing the ledger, and before that, beside the time of a
# request, for those under way.
_SECONDS_FOR_LEDGER = 20.0
_SECONDS_FOR_ANSWERS = 10.0


def utc_now() -> datetime:
    """The time, with its zone."""
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
        self._now = now
        self._today = now().date()
        self._credentials: dict[str, Credentials] = {}
        self._readers: dict[str, Reader] = {}
        self._stored: dict[str, dict[str, Stored]] = {}
        self._apis: dict[tuple[str, Environment | None], Apis] = {}
        # What was exported, by place and day: a set that keeps its order.
        self._touched: dict[PlaceDay, None] = {}
        self._audit = Audit(dataset, catalogue, run_id, config.tables)
        self._entries: list[Entry] = []
        self._writer = Writer(dataset, run_id, protect=not bounds.force)
        self.report = Report()
        deadline = ends - _SECONDS_FOR_LEDGER
        left = deadline - clock()
        self._jobs: list[tuple[tuple[int, ...], int, Job]] = []
        self._count = itertools.count()
        self._scheduler = Scheduler(
            self._ask,
            concurrency=config.concurrency,
            batch_size=config.batch_size,
            stop_taking=deadline - min(config.request_seconds + _SECONDS_FOR_ANSWERS, left / 4),
            deadline=deadline,
            clock=clock,
            now=now,
        )

    def run(self) -> Report:
        """Brings the dataset up to date within the bounds. What fails is in the report.

        Raises PersonMustAct, with nothing written, where the dataset is of a newer release.
        """
        self._dataset.claim()
        for table in self._bounds.tables:
            self._stored[table.name] = self._dataset.listing(
                table.name, self._bounds.first, self._bounds.last
            )
        with self._scheduler:
            for organization in self._bounds.organizations:
                self._discover(organization)
            self._run_jobs()
            self._audit_all()
        self.report.requests = self._scheduler.requests
        self._write_ledger()
        return self.report

    def _run_jobs(self) -> None:
        while True:
            self._scheduler.run(self._in_order())
            if not self._jobs:
                return

    def _in_order(self) -> Iterator[Job]:
        while self._jobs:
            yield heapq.heappop(self._jobs)[2]

    # Whether the numbers agree

    def _audit_all(self) -> None:
        """Checks each day that was exported, and asks once more for what does not agree."""
        outcomes = self._checked(self._touched)
        doubted = {
            place: tables
            for place, found in outcomes.items()
            if place.day < self._today and (tables := suspicious(found))
        }
        if doubted and self._scheduler.has_time:
            for place, names in doubted.items():
                log.warning("%s: asked again, as these do not agree: %s", place, ", ".join(names))
                self._ask_again(place, names)
            self._run_jobs()
            outcomes |= self._checked(doubted)
        for place, found in outcomes.items():
            self.report.mismatches += len(mismatches(found))
            self._aside(
                place, partial(self._audit.write, place, found, self._now()), lambda _: None
            )
        self._run_jobs()

    def _checked(self, places: Iterable[PlaceDay]) -> dict[PlaceDay, list[Check]]:
        outcomes: dict[PlaceDay, list[Check]] = {}
        for place in places:
            final = is_final(self._now(), place.day, self._config.settle_hours)
            self._aside(
                place,
                partial(self._audit.check, place, final=final),
                partial(outcomes.__setitem__, place),
            )
        self._run_jobs()
        return outcomes

    def _aside(self, place: PlaceDay, do: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Does a part of the checks in a thread; what fails is a failure of `checks`."""

        def finished(outcome: Any) -> None:
            if isinstance(outcome, InsightsError):
                name = place.environment.name if place.environment else None
                self.report.count_failure(CHECKS, place.organization, name, place.day, outcome)
            else:
                then(outcome)

        self._scheduler.background(do, finished)

    def _ask_again(self, place: PlaceDay, names: Iterable[str]) -> None:
        apis = self._apis.get((place.organization, place.environment), Apis())
        chosen = {table.name: table for table in self._bounds.tables}
        for name in names:
            if name in chosen:
                self._add_partition(place.partition(chosen[name]), apis)

    def _write_ledger(self) -> None:
        now = self._now()
        for day, key, body in objects(self._run_id, self._entries, now):
            try:
                self._dataset.put(key, body, asked=now, run=self._run_id)
            except InsightsError as error:
                self.report.count_failure(RUNS, None, None, day, error)

    # What there is: environments, then their APIs

    def _discover(self, organization: str) -> None:
        table = self._catalogue.table("environments")
        partition = Partition(table, table.name, organization, None, self._today)
        try:
            self._credentials[organization] = self._secrets.get(organization)
        except InsightsError as error:
            self._fail(partition, None, error)
            return

        def found(rows: Rows) -> None:
            self._add_organization(organization, environments(records(rows)))

        self._add_list(partition, found, order=(0,))

    def _add_list(
        self,
        partition: Partition,
        found: Callable[[Rows], None],
        order: tuple[int, ...],
        lost: Callable[[InsightsError], None] = lambda _: None,
    ) -> None:
        """Asks for a list that others wait for, and stores it where it is wanted itself."""
        chosen = partition.table_name in self._stored
        store = chosen and self._bounds.first <= partition.day <= self._bounds.last

        def do(job: Job, rows: Rows) -> tuple[Rows, tuple[File, Written] | InsightsError | None]:
            try:
                return rows, self._written(partition, job, rows, Apis()) if store else None
            except InsightsError as error:
                return rows, error

        def record(job: Job, outcome: Any) -> None:
            if isinstance(outcome, InsightsError):
                self._fail(partition, job, outcome)
                lost(outcome)
                return
            rows, written = outcome
            if written is not None:
                self._note_stored(partition, job, rows, written)
            found(rows)

        self._add_job(self._job(partition, Apis(), do, record), order)

    def _add_organization(self, organization: str, found: Sequence[Environment]) -> None:
        for table in self._bounds.tables:
            if table.scope == "organization" and table.name != "environments":
                self._add(table, organization, None, Apis())
        chosen = self._bounds.environments
        for environment in found:
            if chosen is not None and environment.name not in chosen:
                continue
            needing = []
            for table in self._bounds.tables:
                if table.needs_apis:
                    needing.append(table)
                elif table.scope == "environment" and table.name != "apis":
                    self._add(table, organization, environment, Apis())
            self._list_apis(organization, environment, needing)

    def _list_apis(
        self, organization: str, environment: Environment, needing: Sequence[Table]
    ) -> None:
        table = self._catalogue.table("apis")
        if not needing and table.name not in self._stored:
            return

        def found(rows: Rows) -> None:
            apis = self._apis[organization, environment] = Apis.listed(rows)
            for table in needing:
                self._add(table, organization, environment, apis)

        def lost(error: InsightsError) -> None:
            reason = waiting_for("the list of APIs", error)
            for table in needing:
                for partition in self._missing(table, organization, environment):
                    self._fail(partition, None, reason, tried=False)

        partition = Partition(table, table.name, organization, environment, self._today)
        self._add_list(partition, found, (1,), lost)

    # Which partitions

    def _missing(
        self, table: Table, organization: str, environment: Environment | None
    ) -> Iterator[Partition]:
        """The wanted partitions that are not final."""
        bounds = self._bounds
        if table.on_prem_key and not self._credentials[organization].on_prem_key:
            return
        for partition in wanted(
            table,
            organization,
            environment,
            first=bounds.first,
            last=bounds.last,
            today=self._today,
        ):
            stored = self._stored[table.name].get(partition.key)
            if stored and self._is_done(partition, stored):
                self.report.settled += 1
            else:
                yield partition

    def _is_done(self, partition: Partition, stored: Stored) -> bool:
        continued = self._bounds.continued
        if continued and stored.written >= continued.since:
            return True
        asked_anyway = self._bounds.force or self._bounds.again
        return not asked_anyway and self._is_final(partition, stored)

    def _is_final(self, partition: Partition, stored: Stored) -> bool:
        return is_final(stored.written, partition.day, self._config.settle_hours)

    def _add(
        self, table: Table, organization: str, environment: Environment | None, apis: Apis
    ) -> None:
        for partition in self._missing(table, organization, environment):
            self._add_partition(partition, apis)

    def _add_partition(self, partition: Partition, apis: Apis) -> None:
        otherwise = partition.table.otherwise

        def do(job: Job, rows: Rows) -> tuple[Rows, tuple[File, Written]]:
            return rows, self._written(partition, job, rows, apis)

        def record(job: Job, outcome: Any) -> None:
            if not isinstance(outcome, InsightsError):
                self._note_stored(partition, job, *outcome)
            elif otherwise and job.requests and not isinstance(outcome, OutOfTime):
                self._add_partition(replace(partition, table=otherwise), apis)
            else:
                self._fail(partition, job, outcome)

        newest_first = (2, -partition.day.toordinal())
        self._add_job(self._job(partition, apis, do, record), newest_first)

    def _add_job(self, job: Job, order: tuple[int, ...]) -> None:
        heapq.heappush(self._jobs, (order, next(self._count), job))

    def _job(
        self,
        partition: Partition,
        apis: Apis,
        store: Callable[[Job, Rows], Any],
        record: Callable[[Job, Any], None],
    ) -> Job:
        def begin() -> QueryGenerator:
            values = day_values(
                partition.day,
                self._credentials[partition.organization],
                self._config.tenant,
                partition.environment,
            )
            return collect(partition.table, values, apis.ids)

        with_key = partition.table.on_prem_key == "header"
        return Job(BatchKey(partition.organization, with_key), begin, store, record)

    def _ask(
        self, key: BatchKey, queries: Sequence[Query], deadline: float
    ) -> list[Answer | InsightsError]:
        outcomes = self._choreo.ask(key, queries, deadline)
        return [
            found if isinstance(found, InsightsError) else self._read(query.table, found)
            for query, found in zip(queries, outcomes, strict=True)
        ]

    def _read(self, table: Table, raw: msgspec.Raw) -> Answer | InsightsError:
        key = f"{table.name} {table.field}"
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = Reader(table)
        try:
            return reader.read(raw)
        except BadAnswer as error:
            return error

    # What became of them

    def _written(
        self, partition: Partition, job: Job, rows: Rows, apis: Apis
    ) -> tuple[File, Written]:
        asked = job.started or self._now()
        over = self._stored.get(partition.table_name, {}).get(partition.key)
        file = file_of(partition, rows, apis, asked)
        written = self._writer.write(
            partition,
            file.body,
            over=over,
            over_is_final=over is not None and self._is_final(partition, over),
            day_is_over=partition.day < self._today,
            asked=asked,
        )
        return file, written

    def _note_stored(
        self,
        partition: Partition,
        job: Job,
        rows: Rows,
        outcome: tuple[File, Written] | InsightsError,
    ) -> None:
        if isinstance(outcome, InsightsError):
            self._fail(partition, job, outcome)
            return
        file, written = outcome
        self.report.unknown_fields += rows.answers_with_unknown_fields
        if file.dropped:
            log.info("%s: %s rows of other days were left out", partition.key, file.dropped)
        if written.verdict == "exported":
            self.report.count_export(partition, file.rows, file.size)
            if partition.table.daily:
                self._touched[PlaceDay.of(partition)] = None
            self._note(partition, job, "exported", rows=file.rows, size=file.size)
            return
        log.warning("%s: %s", partition.key, written.reason)
        self.report.kept += written.verdict == "kept"
        self.report.settled += written.verdict == "overtaken"
        self._note(partition, job, written.verdict, error=written.reason)

    def _fail(
        self,
        partition: Partition,
        job: Job | None,
        error: InsightsError,
        *,
        tried: bool = True,
    ) -> None:
        if isinstance(error, OutOfTime):
            self.report.remaining += 1
            return
        reason = str(error)
        if isinstance(error, BadAnswer) and error.reply:
            reason += f". The reply is kept under {self._quarantine(partition, error.reply)}"
        environment = partition.environment.name if partition.environment else None
        self.report.count_failure(
            partition.table_name,
            partition.organization,
            environment,
            partition.day,
            error,
            reason,
        )
        # What was not asked, because an earlier failure made that pointless, is not in the ledger.
        if tried and (job is None or job.requests):
            self._note(partition, job, "failed", error=reason)

    def _quarantine(self, partition: Partition, reply: bytes) -> str:
        """Keeps what could not be converted, beside the dataset."""
        key = quarantine_key(partition, self._run_id)

        def then(outcome: Any) -> None:
            if isinstance(outcome, InsightsError):
                log.error("%s could not be written: %s", key, outcome)

        self._scheduler.background(lambda: self._dataset.quarantine(key, reply), then)
        return key

    def _note(
        self,
        partition: Partition,
        job: Job | None,
        status: Status,
        *,
        rows: int | None = None,
        size: int | None = None,
        error: str | None = None,
    ) -> None:
        now = self._now()
        started = (job.started if job else None) or now
        environment = partition.environment
        self._entries.append(
            Entry(
                table=partition.table_name,
                organization=partition.organization,
                environment=environment.name if environment else None,
                environment_id=environment.id if environment else None,
                day=partition.day,
                status=status,
                started=started,
                seconds=max(0.0, (now - started).total_seconds()),
                rows=rows,
                bytes=size,
                requests=job.requests if job else 0,
                error=error,
            )
        )


def waiting_for(what: str, error: InsightsError) -> InsightsError:
    """The error of those who needed what failed: of the same kind, for the same to be done."""
    reason = f"{what} failed: {error}"
    if isinstance(error, OutOfTime):
        return OutOfTime(reason)
    return PersonMustAct(reason) if isinstance(error, NEEDS_PERSON) else InsightsError(reason)
