"""The export function: brings the dataset in S3 up to date with Choreo Insights."""

from __future__ import annotations

import json
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from insights.bounds import Bounds
from insights.catalogue import load
from insights.choreo import Choreo
from insights.config import ExportConfig
from insights.credentials import Secrets
from insights.dataset import Dataset
from insights.export import Export, utc_now
from insights.http import Http, Timeouts
from insights.metrics import emit
from insights.throttle import Throttle
from insights.tokens import Tokens

if TYPE_CHECKING:
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from insights.report import Report

# A history that is too long for one invocation goes on in the next ones, this many at the most.
MOST_ROUNDS = 12

logger = Logger()
# Its own attempts: S3 and SSM throttle, and a lost connection is no reason to fail a partition.
_AWS = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
)
# A call of the token function may last as long as that may run.
_LAMBDA = _AWS.merge(Config(read_timeout=130))


class PartitionsFailed(Exception):  # noqa: N818 - its name is what the failures queue shows
    """Some partitions failed, and a retry may help. The text is the reply."""


class Clients:
    """What outlives an invocation: settings, catalogue, pooled connections, cached tokens."""

    def __init__(self) -> None:
        self.config = ExportConfig.from_environment(os.environ)
        self.catalogue = load()
        self.catalogue.chosen(self.config.tables)
        self.dataset = Dataset(boto3.client("s3", config=_AWS), self.config.dataset_bucket)
        self.secrets = Secrets(
            boto3.client("secretsmanager", config=_AWS), self.config.secret_prefix
        )
        self.functions = boto3.client("lambda", config=_LAMBDA)
        self._tokens = Tokens(
            boto3.client("ssm", config=_AWS),
            self.functions,
            self.config.token_function_name,
            self.config.token_parameter_prefix,
        )
        self._choreo: dict[int, Choreo] = {}

    def choreo(self, requests_per_minute: int) -> Choreo:
        """The API under a budget, which goes on from one invocation to the next."""
        if requests_per_minute not in self._choreo:
            throttle = Throttle(requests_per_minute)
            http = Http(
                Timeouts.of_answer(self.config.request_seconds),
                on_throttle=throttle.hold,
                before_attempt=throttle.wait,
            )
            url = self.config.insights_url
            self._choreo[requests_per_minute] = Choreo(http, url, self._tokens, self.secrets)
        return self._choreo[requests_per_minute]


@cache
def _clients() -> Clients:
    return Clients()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Exports what the event asks for, `{}` being all that is missing; see `insights.export`.

    Raises PartitionsFailed, when everything else is written, where a retry may mend what failed.
    """
    started = utc_now()
    clients = _clients()
    bounds = Bounds.from_event(event, clients.config, clients.catalogue, started.date())
    report = Export(
        clients.config,
        clients.catalogue,
        bounds,
        dataset=clients.dataset,
        choreo=clients.choreo(bounds.requests_per_minute),
        secrets=clients.secrets,
        run_id=f"{started:%Y%m%dT%H%M%S%f}-{context.aws_request_id[:8]}",
        ends=time.monotonic() + context.get_remaining_time_in_millis() / 1000,
    ).run()
    for failure in report.failures:
        logger.error("partition failed", extra=failure)
    logger.info("exported", extra={**report.counts(), "kept": report.kept})
    _publish(clients.config.stack_name, report)
    following = following_event(event, bounds, report, started)
    if following:
        clients.functions.invoke(
            FunctionName=context.invoked_function_arn,
            InvocationType="Event",
            Payload=json.dumps(following).encode(),
        )
    if report.retriable:
        raise PartitionsFailed(json.dumps(report.reply()))
    return report.reply()


def following_event(
    event: dict[str, Any], bounds: Bounds, report: Report, started: datetime
) -> dict[str, Any] | None:
    """What a fresh invocation is sent to go on with, or None where it should not.

    It ends by itself: after a number of rounds, or after one that got nothing done. Who shares
    the budget, a backfill, has its own rounds.
    """
    earlier = bounds.continued
    rounds = earlier.round if earlier else 1
    if not (report.remaining and report.exported) or "requests_per_minute" in event:
        return None
    if rounds >= MOST_ROUNDS:
        logger.warning("no time for all", extra={"remaining": report.remaining, "round": rounds})
        return None
    since = earlier.since if earlier else started
    return {**event, "continued": {"round": rounds + 1, "since": since.isoformat()}}


def _publish(stack: str, report: Report) -> None:
    """Metrics for the alarms, and by organisation; by table only what failed: each one costs."""
    emit(
        stack,
        {
            "Exported": report.exported,
            "Failed": report.failed,
            "NeedsPerson": report.needs_person,
            "Kept": report.kept,
            "Mismatches": report.mismatches,
            "Rows": report.rows,
            "Bytes": report.bytes,
            "Requests": report.requests,
            "UnknownFields": report.unknown_fields,
        },
    )
    for (organization, name), count in report.by_organization.items():
        emit(stack, {name: count}, dimensions={"Organization": organization}, alone=True)
    for (table, organization), count in report.failed_tables.items():
        dimensions = {"Organization": organization, "Table": table}
        emit(stack, {"Failed": count}, dimensions=dimensions, alone=True)
