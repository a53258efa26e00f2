"""What became of each partition: the counts of the report, and the entries of the ledger."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from choreo_insights.dataset.coverage import LONGEST_RUN
from choreo_insights.dataset.day_checks import PlaceDay
from choreo_insights.dataset.ledger import RUNS, Entry, Ledger, Status
from choreo_insights.dataset.partitions import Partition, quarantine_key
from choreo_insights.dataset.store import Dataset
from choreo_insights.dataset.writer import Written
from choreo_insights.errors import BadAnswer, InsightsError, OutOfTime
from choreo_insights.export.jobs import Job
from choreo_insights.export.plan import Plan
from choreo_insights.export.report import Report
from choreo_insights.export.scheduler import Scheduler

log = logging.getLogger(__name__)

# A run that is killed loses so much of the ledger.
_SECONDS_BETWEEN_FLUSHES = 60.0


class StoredResponse(msgspec.Struct, frozen=True):
    """What became of a response that could be converted.

    `learn` runs in the scheduler's thread with what a list says, also where its object could not
    be written: `failure`.
    """

    written: Written | None
    failure: InsightsError | None = None
    dropped: int = 0
    unknown_fields: int = 0
    learn: Callable[[], None] | None = None


class Outcomes:
    """Records outcomes in the scheduler's thread, and writes the ledger as the run goes on.

    `written_days` are the days of which an object was written: their tables are to be compared.
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: Plan,
        ledger: Ledger,
        report: Report,
        scheduler: Scheduler,
        *,
        run_id: str,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._dataset = dataset
        self._plan = plan
        self._ledger = ledger
        self._report = report
        self._scheduler = scheduler
        self._run_id = run_id
        self._clock = clock
        self._now = now
        self._today = now().date()
        self._next_flush = clock() + _SECONDS_BETWEEN_FLUSHES
        # A set that keeps its order.
        self.written_days: dict[PlaceDay, None] = {}

    def stored(self, partition: Partition, job: Job, result: StoredResponse) -> None:
        """Records a partition that was written, or whose object was kept."""
        written = result.written
        if written is None:
            return
        self._report.unknown_fields += result.unknown_fields
        if result.dropped:
            log.info("%s: %s rows of other days were left out", partition.key, result.dropped)
        if written.verdict == "exported":
            self._report.count_export(partition.organization, written.rows or 0, written.size or 0)
            if partition.table.daily and not partition.table.monthly:
                self.written_days[PlaceDay.of(partition)] = None
        elif written.verdict == "unchanged":
            self._report.settled += 1
        else:
            log.warning("%s: %s", partition.key, written.reason)
            self._report.kept += written.verdict == "kept"
            self._report.unconfirmed += written.closed and written.verdict == "kept"
            self._report.settled += written.verdict == "overtaken"
        self._note(partition, job, written.verdict, written)

    def failed(
        self, partition: Partition, job: Job | None, error: InsightsError, *, tried: bool = True
    ) -> None:
        """Records a partition that failed; the next run tries it again."""
        if isinstance(error, OutOfTime):
            self._report.remaining += 1
            return
        environment = partition.environment
        reason = str(error)
        if isinstance(error, BadAnswer) and error.reply:
            reason += f". The response is kept under {self._quarantine(partition, error.reply)}"
        self._report.count_failure(
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

    def record_unrecorded(self) -> None:
        """Gives objects an entry whose run was killed before it wrote one.

        Before this run queries them: what became of that is the newer entry.
        """
        unrecorded, self._plan.unrecorded = self._plan.unrecorded, []
        for each in unrecorded:
            # When it was requested, only the object knows: a run earlier at most.
            started = each.stored.written - LONGEST_RUN
            self._ledger.add(_entry(each.partition, "exported", started, final=each.closed))

    def flush_now_and_then(self) -> None:
        """Writes the ledger in the background, once a minute."""
        if self._clock() >= self._next_flush:
            self._next_flush = self._clock() + _SECONDS_BETWEEN_FLUSHES
            self._scheduler.background(self._ledger.flush, _flushed)

    def flush(self) -> None:
        """Writes the ledger at the end of the run; a failure is in the report."""
        try:
            self._ledger.flush()
        except InsightsError as error:
            self._report.count_failure(RUNS, None, None, self._today, error)

    def _quarantine(self, partition: Partition, reply: bytes) -> str:
        """Keeps a response that could not be converted, beside the dataset."""
        key = quarantine_key(partition, self._run_id)

        def then(result: Any) -> None:
            if isinstance(result, InsightsError):
                log.error("%s could not be written: %s", key, result)

        self._scheduler.background(partial(self._dataset.quarantine, key, reply), then)
        return key

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


def _flushed(result: Any) -> None:
    # The entries are still in memory: the next flush writes them.
    if isinstance(result, InsightsError):
        log.warning("the ledger is written later: %s", result)


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
