"""The export function: brings the dataset in S3 up to date with Choreo Insights."""

from __future__ import annotations

import os
import time
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import boto3
import msgspec
from aws_lambda_powertools import Logger
from botocore.config import Config

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.credentials import Secrets
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.store import Dataset
from choreo_insights.errors import InsightsError, Retriable
from choreo_insights.export.budget import Budget
from choreo_insights.export.catchup import CatchUps
from choreo_insights.export.event import Bounds
from choreo_insights.export.insights_api import Choreo
from choreo_insights.export.report import Report
from choreo_insights.export.run import Export, utc_now
from choreo_insights.export.slots import BucketSlots
from choreo_insights.http import Http, Timeouts
from choreo_insights.metrics import emit
from choreo_insights.tokens.reader import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from choreo_insights.export.budget import Share

# A run that waits for its share of the budget keeps so much of its time for the export itself.
_SECONDS_FOR_EXPORT = 180.0
# Failures of the hand-over stand under this name, where others have their table.
_HAND_OVER = "backfill"

logger = Logger()
# The SDK's own retries: S3 and SSM throttle, and a lost connection must not fail a partition.
_AWS = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
)
# A call of the token function may last as long as that may run.
_LAMBDA = _AWS.merge(Config(read_timeout=130))
# A slot that is renewed too late is lost: better a new attempt than a long wait.
_SLOTS = _AWS.merge(Config(read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}))


class Clients:
    """What outlives an invocation: settings, catalogue, AWS clients, cached tokens."""

    def __init__(self) -> None:
        self.config = ExportConfig.from_environment(os.environ)
        self.catalogue = load()
        self.catalogue.chosen(self.config.tables)
        self.dataset = Dataset(boto3.client("s3", config=_AWS), self.config.dataset_bucket)
        self.secrets = Secrets(
            boto3.client("secretsmanager", config=_AWS), self.config.secret_prefix
        )
        slots = BucketSlots(boto3.client("s3", config=_SLOTS), self.config.dataset_bucket)
        self.budget = Budget(slots, self.config.requests_per_minute)
        self._tokens = Tokens(
            boto3.client("ssm", config=_AWS),
            boto3.client("lambda", config=_LAMBDA),
            self.config.token_function_name,
            self.config.token_parameter_prefix,
        )

    @cached_property
    def catch_ups(self) -> CatchUps:
        """Made when it is needed: parts hand nothing over."""
        states = boto3.client("stepfunctions", config=_AWS)
        return CatchUps(states, self.config.state_machine_arn)

    def choreo(self, share: Share) -> Choreo:
        """The API within a share of the budget."""
        http = Http(
            Timeouts.of_answer(self.config.request_seconds),
            on_throttle=share.hold,
            before_attempt=share.wait,
        )
        return Choreo(http, self.config.insights_url, self._tokens, self.secrets)


@cache
def _clients() -> Clients:
    return Clients()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Exports what the event asks for, `{}` being all that is missing.

    Partitions that fail are in the reply. Raises InsightsError where the run could not work at all,
    and for executions that version 0.1.0 started where a retry may help.
    """
    started, ends = utc_now(), time.monotonic() + context.get_remaining_time_in_millis() / 1000
    clients = _clients()
    bounds = Bounds.from_event(event, clients.config, clients.catalogue, started.date())
    run = _Run(clients, bounds, started, context.aws_request_id)
    report = run.do(ends)
    for failure in report.reply()["failures"]:
        logger.error("partition failed", extra=failure)
    logger.info("exported", extra={**report.counts(), "kept": report.kept})
    whole = run.bounds.is_whole(clients.config, started.date()) and not report.waiting
    _publish(clients.config.stack_name, run.bounds, report, whole=whole)
    if bounds.most_per_minute and (report.waiting or report.retriable):
        # Executions that version 0.1.0 started read neither count, but retry this error.
        raise Retriable(f"{report.failed} partitions failed, {report.remaining} are left")
    return report.reply()


class _Run:
    """One invocation: the export, then what remains is handed over, then the checks."""

    def __init__(
        self, clients: Clients, bounds: Bounds, started: datetime, request_id: str
    ) -> None:
        self._clients = clients
        # Which days it looks at is known once it runs.
        self.bounds = bounds
        self._started = started
        self._id = f"{started:%Y%m%dT%H%M%S%f}-{request_id[:8]}"

    def do(self, ends: float) -> Report:
        """Does all of it. `ends`: when the invocation ends, by `time.monotonic`."""
        clients, bounds = self._clients, self.bounds
        unknown = None if bounds.part else self._look_for_catch_up()
        export = None
        with clients.budget.share(
            self._id,
            part=bounds.part,
            most=bounds.most_per_minute,
            until=ends - _SECONDS_FOR_EXPORT,
        ) as share:
            if share is None:
                report = self._waiting()
            else:
                export = self._export(share, ends)
                report = export.export()
                report.waiting = share.is_lost
        if unknown:
            self._note(report, unknown)
        if report.remaining and not (bounds.part or report.waiting):
            self._hand_over(report)
        if export:
            export.check()
        return report

    def _look_for_catch_up(self) -> InsightsError | None:
        """While a catch-up of the same bounds is running, this run exports open days only."""
        try:
            running = self._clients.catch_ups.running(self.bounds)
        except InsightsError as error:
            return error
        if running:
            logger.info("open days only, as a catch-up is running", extra={"catch_up": running})
            self.bounds = msgspec.structs.replace(self.bounds, open_only=True)
        return None

    def _export(self, share: Share, ends: float) -> Export:
        clients = self._clients
        return Export(
            clients.config,
            clients.catalogue,
            self.bounds,
            dataset=clients.dataset,
            choreo=clients.choreo(share),
            secrets=clients.secrets,
            run_id=self._id,
            ends=ends,
        )

    def _waiting(self) -> Report:
        """The report of a run that got no share: nothing was tried, not even a list."""
        return Report(remaining=len(self.bounds.organizations), waiting=True)

    def _hand_over(self, report: Report) -> None:
        clients, bounds = self._clients, self.bounds
        try:
            registry = Registry(clients.dataset, self._id, utc_now)
            report.catch_up = clients.catch_ups.start(
                bounds, registry, since=self._started, today=self._started.date()
            )
        except InsightsError as error:
            self._note(report, error)

    def _note(self, report: Report, error: InsightsError) -> None:
        report.count_failure(_HAND_OVER, None, None, self._started.date(), error)


def _publish(stack: str, bounds: Bounds, report: Report, *, whole: bool) -> None:
    """Writes what a run counted into the log, and as metrics what the alarms watch.

    `whole`: the run was for all that the stack exports, and had its share of the budget.
    """
    values = {
        "Exported": report.exported,
        "Failed": report.failed,
        "Retriable": report.retriable,
        "NeedsPerson": report.needs_person,
        "Kept": report.kept,
        "Mismatches": report.mismatches,
        "Rows": report.rows,
        "Bytes": report.bytes,
        "Requests": report.requests,
        "UnknownFields": report.unknown_fields,
        "Complete": int(whole and not bounds.open_only and not report.remaining),
    }
    emit(stack, values, _metrics(values, whole=whole, part=bounds.part))


def _metrics(values: Mapping[str, int], *, whole: bool, part: bool) -> list[str]:
    """The metrics of a run. A zero ends an alarm, so only who looked at everything writes zeros.

    `Complete` is of every whole run: 1 where it left nothing to others. A part's failures are not
    counted: the state machine retries it, and the alarm FailedBackfill watches that.
    """
    failures = () if part else ("Retriable", "NeedsPerson")
    watched = ("Exported", "Mismatches", *failures)
    counted = [name for name in watched if values[name] or values["Complete"]]
    return [*counted, "Complete"] if whole else counted
