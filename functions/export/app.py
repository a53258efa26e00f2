"""The export function: brings the dataset in S3 up to date with Choreo Insights."""

from __future__ import annotations

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
from insights.http import Http
from insights.metrics import emit
from insights.throttle import Throttle
from insights.tokens import Tokens

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

METRICS = ("exported", "failed", "rows", "bytes", "requests")

logger = Logger()
# Its own attempts: S3 and SSM throttle, and a lost connection is no reason to fail a partition.
_AWS = Config(retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=32)
# A call of the token function may last as long as that may run.
_LAMBDA = _AWS.merge(Config(read_timeout=130))


class Clients:
    """What outlives an invocation: settings, catalogue, pooled connections, cached tokens."""

    def __init__(self) -> None:
        self.config = ExportConfig.from_environment(os.environ)
        self.catalogue = load()
        self.catalogue.chosen(self.config.tables)
        self.throttle = Throttle(self.config.requests_per_minute)
        self.dataset = Dataset(boto3.client("s3", config=_AWS), self.config.dataset_bucket)
        self.secrets = Secrets(
            boto3.client("secretsmanager", config=_AWS), self.config.secret_prefix
        )
        tokens = Tokens(
            boto3.client("ssm", config=_AWS),
            boto3.client("lambda", config=_LAMBDA),
            self.config.token_function_name,
            self.config.token_parameter_prefix,
        )
        http = Http(on_throttle=self.throttle.hold, before_attempt=self.throttle.wait)
        self.choreo = Choreo(http, self.config.insights_url, tokens, self.secrets)


@cache
def _clients() -> Clients:
    return Clients()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Exports what the event asks for, `{}` being all that is missing; see `insights.export`."""
    clients = _clients()
    ends = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    bounds = Bounds.from_event(event, clients.config, clients.catalogue, utc_now().date())
    report = Export(
        clients.config,
        clients.catalogue,
        bounds,
        dataset=clients.dataset,
        choreo=clients.choreo,
        secrets=clients.secrets,
        run_id=context.aws_request_id,
        ends=ends,
    ).run()
    for failure in report.failures:
        logger.error("partition failed", extra=failure)
    counts = report.counts()
    logger.info("exported", extra=counts)
    metrics = {name.capitalize(): counts[name] for name in METRICS}
    emit(clients.config.stack_name, {**metrics, "UnknownFields": report.unknown_fields})
    return report.reply()
