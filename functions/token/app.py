"""The token function: its only job is that a valid token lies in the parameter store."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from choreo_insights.config import TokenConfig
from choreo_insights.credentials import Secrets
from choreo_insights.http import Http, Timeouts
from choreo_insights.tokens.events import Request, TokenEvents
from choreo_insights.tokens.lease import Lease
from choreo_insights.tokens.minting import Minter
from choreo_insights.tokens.token_service import TokenService
from choreo_insights.tokens.vault import TokenVault

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# What is left of an invocation for saying that time is over.
_SPARE_SECONDS = 3.0


@cache
def _config() -> TokenConfig:
    return TokenConfig.from_environment(os.environ)


@cache
def _events() -> TokenEvents:
    config = _config()
    # A mint has to end within its lease, whatever hangs.
    retries: Any = {"mode": "standard", "total_max_attempts": 4}
    limits = Config(connect_timeout=2, read_timeout=4, retries=retries, max_pool_connections=16)
    ssm = boto3.client("ssm", config=limits)
    secrets = Secrets(boto3.client("secretsmanager", config=limits), config.secret_prefix)
    http = Http(Timeouts(connect=3.0, read=10.0, total=12.0), retries=2)
    service = TokenService(http, config.token_url, config.revoke_url, config.scope)
    vault = TokenVault(ssm, config.token_parameter_prefix, config.token_key_id)
    lease = Lease(ssm, config.mint_state_prefix)
    return TokenEvents(Minter(vault, lease, secrets, service), config.organizations)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answers `ensure`, `renew`, `revoke` and `status` for one organisation or all."""
    request = Request.read(event)
    seconds = context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
    answers = _events().answer(request, seconds)
    for organization, answer in answers.items():
        log = logger.error if answer["status"] == "failed" else logger.info
        log(request.action, extra={"organization": organization, **answer})
    return {"organizations": answers}
