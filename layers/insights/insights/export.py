"""The export: what is missing or not final in the dataset is asked for and written."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
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
from insights.driver import Asker, Driver, Job
from insights.errors import NEEDS_PERSON, BadAnswer, InsightsError, OutOfTime, PersonMustAct
from insights.files import Apis, File, file_of, records
from insights.history import Writer, Written
from insights.ledger import RUNS, Entry, Ledger, Status
from insights.partitions import (
    Environment,
    Partition,
    environments,
    is_final,
    quarantine_key,
    wanted,
)
from insights.questions import Ask, Collecting, Rows, collect
from insights.report import Report

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

    # A simulation has one of its own, whose time is made up.
    driver: type[Driver] = Driver

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
        self._ledger = Ledger(dataset, run_id, now)
        self._writer = Writer(dataset, run_id, protect=not bounds.force)
        self.report = Report()
        deadline = ends - _SECONDS_FOR_LEDGER
        left = deadline - clock()
        self._driver = self.driver(
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
        with self._driver:
            for organization in self._bounds.organizations:
                self._discover(organization)
            self._driver.run()
            self._audit_all()
        self.report.requests = self._driver.requests
        self._write_ledger()
        return self.report

    # Whether the numbers agree

    def _audit_all(self) -> None:
        """Checks each day that was exported, and asks once more for what does not agree."""
        outcomes = self._checked(self._touched)
        doubted = {
            place: tables
            for place, found in outcomes.items()
            if place.day < self._today and (tables := suspicious(found))
        }
        if doubted and self._driver.has_time:
            for place, names in doubted.items():
                log.warning("%s: asked again, as these do not agree: %s", place, ", ".join(names))
                self._ask_again(place, names)
            self._driver.run()
            outcomes |= self._checked(doubted)
        for place, found in outcomes.items():
            self.report.mismatches += len(mismatches(found))
            self._aside(
                place, partial(self._audit.write, place, found, self._now()), lambda _: None
            )
        self._driver.run()

    def _checked(self, places: Iterable[PlaceDay]) -> dict[PlaceDay, list[Check]]:
        outcomes: dict[PlaceDay, list[Check]] = {}
        for place in places:
            final = is_final(self._now(), place.day, self._config.settle_hours)
            self._aside(
                place,
                partial(self._audit.check, place, final=final),
                partial(outcomes.__setitem__, place),
            )
        self._driver.run()
        return outcomes

    def _aside(self, place: PlaceDay, do: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Does a part of the checks in a thread; what fails is a failure of `checks`."""

        def finished(done: Future[Any]) -> None:
            if error := done.exception():
                reason = _known(error, f"the checks of {place.organization} on {place.day}")
                name = place.environment.name if place.environment else None
                self.report.count_failure(CHECKS, place.organization, name, place.day, reason)
            else:
                then(done.result())

        self._driver.store(do, finished)

    def _ask_again(self, place: PlaceDay, names: Iterable[str]) -> None:
        apis = self._apis.get((place.organization, place.environment), Apis())
        chosen = {table.name: table for table in self._bounds.tables}
        for name in names:
            if name in chosen:
                self._add_partition(place.partition(chosen[name]), apis)

    def _write_ledger(self) -> None:
        try:
            self._ledger.flush()
        except InsightsError as error:
            self.report.count_failure(RUNS, None, None, self._today, error)

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

        def finished(job: Job, result: Rows | InsightsError) -> None:
            if isinstance(result, InsightsError):
                self._fail(partition, job, result)
                lost(result)
                return
            if store:
                self._store(partition, job, result, Apis())
            found(result)

        self._driver.add(self._job(partition, Apis(), finished, order))

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

        def finished(job: Job, result: Rows | InsightsError) -> None:
            if not isinstance(result, InsightsError):
                self._store(partition, job, result, apis)
            elif otherwise and not isinstance(result, OutOfTime):
                self._add_partition(replace(partition, table=otherwise), apis)
            else:
                self._fail(partition, job, result)

        newest_first = (2, -partition.day.toordinal())
        self._driver.add(self._job(partition, apis, finished, newest_first))

    def _job(
        self,
        partition: Partition,
        apis: Apis,
        finished: Callable[[Job, Rows | InsightsError], None],
        order: tuple[int, ...],
    ) -> Job:
        def begin() -> Collecting:
            values = day_values(
                partition.day,
                self._credentials[partition.organization],
                self._config.tenant,
                partition.environment,
            )
            return collect(partition.table, values, apis.ids)

        with_key = partition.table.on_prem_key == "header"
        return Job(Asker(partition.organization, with_key), order, begin, finished)

    def _ask(
        self, asker: Asker, asks: Sequence[Ask], deadline: float
    ) -> list[Answer | InsightsError]:
        outcomes = self._choreo.ask(asker, asks, deadline)
        return [
            found if isinstance(found, InsightsError) else self._read(ask.table, found)
            for ask, found in zip(asks, outcomes, strict=True)
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

    def _store(self, partition: Partition, job: Job, rows: Rows, apis: Apis) -> None:
        asked = job.started or self._now()
        over = self._stored.get(partition.table_name, {}).get(partition.key)

        def do() -> tuple[File, Written]:
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

        def then(done: Future[tuple[File, Written]]) -> None:
            if error := done.exception():
                self._fail(partition, job, _known(error, partition.key))
                return
            file, written = done.result()
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

        self._driver.store(do, then)

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

        def then(done: Future[None]) -> None:
            if error := done.exception():
                log.error("%s could not be written", key, exc_info=error)

        self._driver.store(lambda: self._dataset.quarantine(key, reply), then)
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
        self._ledger.add(
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


def _known(error: BaseException, what: str) -> InsightsError:
    if isinstance(error, InsightsError):
        return error
    log.error("%s failed unexpectedly", what, exc_info=error)
    return InsightsError(f"{what} failed: {type(error).__name__}: {error}"[:300])
