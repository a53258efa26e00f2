"""The report function: writes the last month's report once its days are final."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from choreo_insights.catalogue import load
from choreo_insights.config import ReportConfig
from choreo_insights.report.figures import ReportSettings
from choreo_insights.report.monthly import Event, Monthly

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
_AWS = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
)


@cache
def _monthly() -> Monthly:
    config = ReportConfig.from_environment(os.environ)
    return Monthly(
        s3=boto3.client("s3", config=_AWS),
        sns=boto3.client("sns", config=_AWS),
        bucket=config.dataset_bucket,
        topic=config.alarm_topic_arn,
        settings=ReportSettings(
            load().chosen(config.tables), config.export_since, config.settle_hours
        ),
        organizations=config.organizations,
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Writes what is due. Raises InsightsError where an organisation's report failed."""
    del context
    outcomes = _monthly().run(Event.read(event), datetime.now(UTC))
    for outcome in outcomes:
        logger.info("report", extra=outcome)
    return {"reports": outcomes}
