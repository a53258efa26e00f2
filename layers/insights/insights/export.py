"""The export: what is missing or not final in the dataset is asked for and written."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from insights.catalogue import Catalogue, Table
from insights.choreo import Choreo, day_values
from insights.config import ExportConfig
from insights.credentials import Secrets
from insights.dataset import Dataset, Stored
from insights.decode import Answer, Reader, microseconds, within
from insights.driver import Driver, Job
from insights.errors import BadAnswer, ConfigurationError, InsightsError, OutOfTime
from insights.ledger import Entry, objects
from insights.parquet import Constant, encode
from insights.partitions import (
    Environment,
    Partition,
    day_end,
    day_start,
    environments,
    is_final,
    wanted,
)
from insights.questions import Ask, Rows, collect

log = logging.getLogger(__name__)

# Left at the end of an invocation: for writing the ledger, and for requests under way.
_SECONDS_FOR_LEDGER = 20.0
_SECONDS_FOR_REQUESTS = 75.0
# A reply of Lambda holds 6 MB.
_MOST_FAILURES = 2_000


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


class Wish(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The event: what to export. Everything may be left out; days are UTC."""

    tables: list[str] | None = None
    organizations: list[str] | None = None
    from_: date | None = None
    to: date | None = None
    force: bool = False


@dataclass(frozen=True)
class Bounds:
    """A checked wish: what this run may export."""

    tables: tuple[Table, ...]
    organizations: tuple[str, ...]
    first: date
    last: date
    force: bool


def bounds(event: object, config: ExportConfig, catalogue: Catalogue, today: date) -> Bounds:
    """Checks an event against the settings and the catalogue.

    Raises ConfigurationError with the key, its value and what is allowed.
    """
    try:
        wish = msgspec.convert(event, Wish)
    except msgspec.ValidationError as error:
        known = "tables, organizations, from, to (YYYY-MM-DD) and force"
        raise ConfigurationError(f"the event is wrong: {error}. It may hold {known}") from error
    for key in ("tables", "organizations"):
        if getattr(wish, key) == []:
            raise ConfigurationError(f"{key} is an empty list: leave it out to export all")
    for handle in wish.organizations or ():
        if handle not in config.organizations:
            known = ", ".join(config.organizations)
            msg = f"organizations: {handle!r} is not among the parameter Organizations ({known})"
            raise ConfigurationError(msg)
    first, last = wish.from_ or config.export_since, wish.to or today
    if first > last:
        raise ConfigurationError(f"from ({first}) lies after to ({last})")
    return Bounds(
        catalogue.chosen(tuple(wish.tables) if wish.tables else config.tables),
        tuple(dict.fromkeys(wish.organizations or config.organizations)),
        first,
        min(last, today),
        wish.force,
    )


@dataclass
class Report:
    """What a run did, in the words of the contract."""

    exported: int = 0
    settled: int = 0
    failed: int = 0
    remaining: int = 0
    rows: int = 0
    bytes: int = 0
    requests: int = 0
    failures: list[dict[str, str | None]] = field(default_factory=list)

    def reply(self) -> dict[str, Any]:
        """The function's reply; of very many failures the first are named, all are counted."""
        return {**vars(self), "failures": self.failures[:_MOST_FAILURES]}


class Export:
    """One run over the dataset. `ends` is when the invocation ends, in seconds of `clock`."""

    def __init__(
        self,
        config: ExportConfig,
        catalogue: Catalogue,
        limits: Bounds,
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
        self._limits = limits
        self._dataset = dataset
        self._choreo = choreo
        self._secrets = secrets
        self._run_id = run_id
        self._now = now
        self._today = now().date()
        self._org_ids: dict[str, str] = {}
        self._readers: dict[str, Reader] = {}
        self._stored: dict[str, dict[str, Stored]] = {}
        self._entries: list[Entry] = []
        self._environment_counts: dict[str, int] = {}
        self.report = Report()
        deadline = ends - _SECONDS_FOR_LEDGER
        left = deadline - clock()
        self._driver = Driver(
            self._ask,
            concurrency=config.concurrency,
            batch_size=config.batch_size,
            stop_taking=deadline - min(_SECONDS_FOR_REQUESTS, left / 4),
            deadline=deadline,
            clock=clock,
        )

    def run(self) -> Report:
        """Brings the dataset up to date within the limits. What fails is in the report."""
        for table in self._limits.tables:
            self._stored[table.name] = self._dataset.listing(
                table.name, self._limits.first, self._limits.last
            )
        for organization in self._limits.organizations:
            self._discover(organization)
        self._driver.run()
        self.report.requests = self._driver.requests
        for key, body in objects(self._run_id, self._entries, self._now()):
            self._dataset.put(key, body)
        return self.report

    # What there is: environments, then their APIs

    def _discover(self, organization: str) -> None:
        table = self._catalogue.table("environments")
        partition = Partition(table, table.name, organization, None, self._today)
        try:
            self._org_ids[organization] = self._secrets.get(organization).org_id
        except InsightsError as error:
            self._fail(partition, None, error)
            return

        def finished(job: Job, result: Rows | InsightsError) -> None:
            if isinstance(result, InsightsError):
                self._fail(partition, job, result)
                return
            if self._is_wanted(partition):
                self._store(partition, job, result)
            self._add_organization(organization, environments(_records(result)))

        self._driver.add(self._job(partition, (), finished, order=(0,)))

    def _add_organization(self, organization: str, found: Sequence[Environment]) -> None:
        for table in self._limits.tables:
            if table.scope == "organization" and table.name != "environments":
                self._add(table, organization, None, ())
        for environment in found:
            for table in self._limits.tables:
                if table.scope == "environment" and not table.needs_apis and table.name != "apis":
                    self._add(table, organization, environment, ())
            self._list_apis(organization, environment)

    def _list_apis(self, organization: str, environment: Environment) -> None:
        table = self._catalogue.table("apis")
        partition = Partition(table, table.name, organization, environment, self._today)
        dependent = [t for t in self._limits.tables if t.needs_apis]
        wanted_itself = self._is_wanted(partition)
        if not (wanted_itself or dependent):
            return

        def finished(job: Job, result: Rows | InsightsError) -> None:
            if isinstance(result, InsightsError):
                self._fail(partition, job, result)
                reason = InsightsError(f"the APIs could not be listed: {result}")
                for needing in dependent:
                    for other in self._missing(needing, organization, environment):
                        self._fail(other, None, reason)
                return
            if wanted_itself:
                self._store(partition, job, result)
            ids = tuple(dict.fromkeys(result.columns.get("api_id", ())))
            for needing in dependent:
                self._add(needing, organization, environment, ids)

        self._driver.add(self._job(partition, (), finished, order=(1,)))

    # Which partitions

    def _is_wanted(self, partition: Partition) -> bool:
        chosen = partition.table_name in self._stored
        return chosen and self._limits.first <= partition.day <= self._limits.last

    def _missing(
        self, table: Table, organization: str, environment: Environment | None
    ) -> Iterator[Partition]:
        """The wanted partitions that are not final."""
        limits = self._limits
        for partition in wanted(
            table,
            organization,
            environment,
            first=limits.first,
            last=limits.last,
            today=self._today,
        ):
            stored = self._stored[table.name].get(partition.key)
            settled = stored and is_final(stored.written, partition.day, self._config.settle_hours)
            if settled and not limits.force:
                self.report.settled += 1
            else:
                yield partition

    def _add(
        self,
        table: Table,
        organization: str,
        environment: Environment | None,
        api_ids: Sequence[str],
    ) -> None:
        for partition in self._missing(table, organization, environment):

            def finished(
                job: Job, result: Rows | InsightsError, partition: Partition = partition
            ) -> None:
                if isinstance(result, InsightsError):
                    self._fail(partition, job, result)
                else:
                    self._store(partition, job, result)

            newest_first = (2, -partition.day.toordinal())
            self._driver.add(self._job(partition, api_ids, finished, newest_first))

    def _job(
        self,
        partition: Partition,
        api_ids: Sequence[str],
        finished: Callable[[Job, Rows | InsightsError], None],
        order: tuple[int, ...],
    ) -> Job:
        def begin() -> Any:
            values = day_values(
                partition.day,
                self._now(),
                self._org_ids[partition.organization],
                self._config.tenant,
                partition.environment,
            )
            return collect(partition.table, values, api_ids)

        return Job(partition.organization, order, begin, finished)

    def _ask(
        self, organization: str, asks: Sequence[Ask], deadline: float
    ) -> list[Answer | InsightsError]:
        return [
            found if isinstance(found, InsightsError) else self._read(ask.table, found)
            for ask, found in zip(asks, self._choreo.ask(organization, asks, deadline), strict=True)
        ]

    def _read(self, table: Table, raw: msgspec.Raw) -> Answer | InsightsError:
        reader = self._readers.get(table.name)
        if reader is None:
            reader = self._readers[table.name] = Reader(table)
        try:
            return reader.read(raw)
        except BadAnswer as error:
            return error

    # What became of them

    def _store(self, partition: Partition, job: Job, rows: Rows) -> None:
        started = job.started or self._now()

        def do() -> tuple[int, int]:
            count, body = _file(partition, rows, started)
            self._dataset.put(partition.key, body)
            return count, len(body)

        def then(done: Future[tuple[int, int]]) -> None:
            if error := done.exception():
                log.error("%s could not be written", partition.key, exc_info=error)
                reason = f"S3 did not take the object: {_short(error)}"
                self._fail(partition, job, InsightsError(reason))
                return
            count, size = done.result()
            self.report.exported += 1
            self.report.rows += count
            self.report.bytes += size
            self._note(partition, job, rows=count, size=size)

        self._driver.store(do, then)

    def _fail(self, partition: Partition, job: Job | None, error: InsightsError) -> None:
        if isinstance(error, OutOfTime):
            self.report.remaining += 1
            return
        environment = partition.environment
        failure = {
            "table": partition.table_name,
            "organization": partition.organization,
            "environment": environment.name if environment else None,
            "day": partition.day.isoformat(),
            "reason": str(error),
        }
        self.report.failed += 1
        self.report.failures.append(failure)
        # What was not asked, because an earlier failure made that pointless, is not in the ledger.
        if job is None or job.requests:
            self._note(partition, job, error=str(error))

    def _note(
        self,
        partition: Partition,
        job: Job | None,
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
                status="failed" if error else "exported",
                started=started,
                seconds=max(0.0, (now - started).total_seconds()),
                rows=rows,
                bytes=size,
                requests=job.requests if job else 0,
                error=error,
            )
        )


def _records(rows: Rows) -> Iterator[Mapping[str, Any]]:
    for values in zip(*rows.columns.values(), strict=True):
        yield dict(zip(rows.columns, values, strict=True))


def _file(partition: Partition, rows: Rows, asked: datetime) -> tuple[int, bytes]:
    """The partition's rows, without those of other days, as a Parquet file."""
    table, environment = partition.table, partition.environment
    columns, count = rows.columns, rows.count
    if table.daily and table.time_column and count:
        start, end = day_start(partition.day), day_end(partition.day)
        columns, dropped = within(
            columns, table.time_column, microseconds(start), microseconds(end)
        )
        count -= dropped
        if dropped:
            log.info("%s: %s rows of other days left out", partition.key, dropped)
    values: dict[str, list[Any] | Constant] = {
        **columns,
        "organization": Constant(partition.organization),
        "exported_at": Constant(microseconds(asked)),
    }
    if environment:
        values["environment"] = Constant(environment.name)
        values["environment_id"] = Constant(environment.id)
    elif "environment_name" in columns:
        values["environment"] = columns["environment_name"]
    return count, encode(table.columns, values, count)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
