"""A deployed stack, on AWS or on the local AWS: its outputs, and clients to reach its parts.

botocore takes longer to import than all that a command's help needs: the first client imports it.
boto3 around it would add a tenth, and nothing that is used here.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
)

from choreo_insights_cli.called import called
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import STACK_NAME

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

# The settings of clients.
_USUAL: Mapping[str, Any] = {}
# A function may run for fifteen minutes; a second call of it would be a second run.
_PATIENT = {"read_timeout": 910, "retries": {"total_max_attempts": 1}}
# Thousands of objects are read side by side.
# urllib3 keeps 10 connections by default, and opens and closes all others.
_WIDE = {"max_pool_connections": 32, "retries": {"mode": "standard", "total_max_attempts": 5}}


def _keep_alive() -> Iterator[tuple[int, int, int]]:
    """Socket options that keep a connection known to the NAT gateways between here and AWS.

    They forget one that is idle for 350 seconds; a run is silent for up to 15 minutes.
    """
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    # Linux's name, and that of macOS.
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
    for option, seconds in ((idle, 60), (getattr(socket, "TCP_KEEPINTVL", None), 30)):
        if option is not None:
            yield socket.IPPROTO_TCP, option, seconds


class _Named(dict[str, str]):
    """Outputs or parameters. Raises CommandError for one that there is not."""

    def __init__(self, lack: str, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self._lack = lack

    def __missing__(self, name: str) -> str:
        raise CommandError(
            f"{self._lack} {name}: it is another project's, or deployed by another release than"
            " this program. Name another by --stack, or deploy it again."
        )


class Stack:
    """A deployed stack. `environment` holds AWS settings, as a terminal's environment does.

    `region` and `profile` override it.
    """

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        *,
        region: str | None = None,
        profile: str | None = None,
    ) -> None:
        self.name = name
        self._environment = environment
        self._region = region
        self._profile = profile

    @classmethod
    def of_terminal(cls) -> Stack:
        """The stack that the terminal's environment names by STACK_NAME and AWS settings."""
        return cls(os.environ.get("STACK_NAME") or STACK_NAME, os.environ)

    @cached_property
    def _session(self) -> Session:
        from botocore.session import Session  # noqa: PLC0415

        environment = self._environment
        region = (
            self._region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        )
        session = Session(profile=self._profile)
        if region:
            session.set_config_variable("region", region)
        key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
        # botocore takes environment variables before a profile; a person who names a profile means
        # it. A session token without keys is left over from something else.
        if key and secret and not self._profile:
            session.set_credentials(key, secret, environment.get("AWS_SESSION_TOKEN"))
        return session

    @property
    def region(self) -> str | None:
        """The region, None where nothing names one."""
        region: str | None = self._session.get_config_variable("region")
        return region

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs. Raises CommandError where the stack does not exist."""
        described = self._describe()
        outputs = described.get("Outputs", [])
        return _Named(
            f"The stack {self.name} has no output",
            {output["OutputKey"]: output["OutputValue"] for output in outputs},
        )

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The stack's parameters. Raises CommandError where the stack does not exist."""
        described = self._describe()
        parameters = described.get("Parameters", [])
        return _Named(
            f"The stack {self.name} has no parameter",
            {each["ParameterKey"]: each["ParameterValue"] for each in parameters},
        )

    def call(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Calls the function that an output names, and returns its reply.

        Raises CommandError when it failed, or when the connection was lost.
        """
        name = self.outputs[function]
        try:
            reply = self.functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        except (ConnectionClosedError, ReadTimeoutError) as error:
            raise CommandError(
                f"The connection was lost while {name} was running ({error}). The run may continue"
                f" on AWS: `{called('status')}` and `{called('logs')}` show what it does."
            ) from error
        payload: dict[str, Any] = json.load(reply["Payload"])
        if "FunctionError" in reply:
            reason = payload.get("errorMessage", "no reason given")
            raise CommandError(f"{self.outputs[function]} failed: {reason}")
        return payload

    @cached_property
    def functions(self) -> LambdaClient:
        """Lambda."""
        client = self._client("lambda", _PATIENT)
        # botocore has no setting for it, and reads the list when it opens a connection.
        client._endpoint.http_session._socket_options.extend(_keep_alive())  # noqa: SLF001
        return cast("LambdaClient", client)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        return cast("CloudFormationClient", self._client("cloudformation"))

    @cached_property
    def s3(self) -> S3Client:
        return cast("S3Client", self._client("s3", _WIDE))

    @cached_property
    def ssm(self) -> SSMClient:
        return cast("SSMClient", self._client("ssm"))

    @cached_property
    def secrets(self) -> SecretsManagerClient:
        return cast("SecretsManagerClient", self._client("secretsmanager"))

    @cached_property
    def athena(self) -> AthenaClient:
        return cast("AthenaClient", self._client("athena"))

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return cast("CloudWatchClient", self._client("cloudwatch"))

    @cached_property
    def glue(self) -> GlueClient:
        return cast("GlueClient", self._client("glue"))

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return cast("CloudWatchLogsClient", self._client("logs"))

    @cached_property
    def quicksight(self) -> Any:
        """QuickSight."""
        return self._client("quicksight")

    @cached_property
    def scheduler(self) -> EventBridgeSchedulerClient:
        return cast("EventBridgeSchedulerClient", self._client("scheduler"))

    @cached_property
    def sqs(self) -> SQSClient:
        return cast("SQSClient", self._client("sqs"))

    @cached_property
    def states(self) -> SFNClient:
        return cast("SFNClient", self._client("stepfunctions", _WIDE))

    def _client(self, service: Any, config: Mapping[str, Any] = _USUAL) -> Any:
        from botocore.config import Config  # noqa: PLC0415

        endpoint = self._environment.get("AWS_ENDPOINT_URL")
        return self._session.create_client(service, endpoint_url=endpoint, config=Config(**config))

    def _describe(self) -> Any:
        try:
            return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except (ClientError, BotoCoreError) as error:
            said = str(error).removesuffix(".")
            raise CommandError(
                f"The stack {self.name} cannot be read: {said}. {_remedy(error)}"
            ) from error


def _remedy(error: ClientError | BotoCoreError) -> str:
    """What to do where a stack cannot be read."""
    if isinstance(error, ProfileNotFound):
        return "Name one of your AWS configuration by --profile: `aws configure list-profiles`."
    if isinstance(error, NoCredentialsError | CredentialRetrievalError):
        return (
            "Log in to AWS, or name a profile by --profile; for the local AWS, run `. .local/env`."
        )
    if isinstance(error, NoRegionError):
        return "Name the region by --region or AWS_REGION; for the local AWS, run `. .local/env`."
    if isinstance(error, BotoCoreError):
        return (
            "Check --region, AWS_ENDPOINT_URL and the network; a local AWS that has stopped is"
            " started by `make local`."
        )
    if error.response["Error"]["Code"] != "ValidationError":
        return (
            "Whoever runs this needs cloudformation:DescribeStacks and credentials that are valid:"
            " log in again, or name a profile by --profile."
        )
    return (
        "Deploy it first, or name another by --stack, --region and --profile (or STACK_NAME and"
        " AWS_... variables); for the local AWS, run `. .local/env`."
    )
