"""A fake AWS for real boto3 clients: SSM parameters, secrets and synchronous Lambda calls.

It keeps the rules that the code relies on: version numbers, atomic creation, size limits by tier,
100 kept versions, values that come decrypted on request alone.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tests.fakes.server import Answer, Behaviour, Received, Server

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_ssm.client import SSMClient

_CONFIG = Config(max_pool_connections=256, retries={"total_max_attempts": 1})
# One for all: it keeps the descriptions of the services, which take a second to read.
_SESSION = boto3.Session("synthetic", "synthetic", region_name="eu-central-1")
Function = Callable[[dict[str, Any]], Any]


class Refused(Exception):  # noqa: N818 - what AWS does
    """An error as AWS gives it. Raised by a fault, it is what the caller gets."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


class FakeAws:
    """State and clients. `faults` maps an operation to a function that may raise Refused.

    A fault gets the operation's parameters, before the operation is done.
    """

    def __init__(self) -> None:
        self.parameters: dict[str, list[dict[str, Any]]] = {}
        self.secrets: dict[str, tuple[str, str]] = {}
        self.functions: dict[str, Function] = {}
        self.faults: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.calls: Counter[str] = Counter()
        self.url = ""
        self._lock = threading.Lock()

    # What tests prepare and look at

    def put_secret(self, name: str, value: str | dict[str, Any]) -> None:
        """Stores a secret, a dict as JSON, as a new version."""
        text = value if isinstance(value, str) else json.dumps(value)
        with self._lock:
            count = int(self.secrets.get(name, ("", "0"))[1]) + 1
            self.secrets[name] = (text, str(count))

    def value(self, name: str) -> str | None:
        """A parameter's newest value, None where it is not there."""
        with self._lock:
            return self.parameters[name][-1]["Value"] if name in self.parameters else None

    def total_calls(self) -> int:
        """The number of calls so far."""
        return sum(self.calls.values())

    # Clients

    def ssm(self, attempts: int = 1) -> "SSMClient":
        """A real client of this fake, which asks so many times."""
        config = _CONFIG.merge(Config(retries={"total_max_attempts": attempts}))
        client: SSMClient = _SESSION.client("ssm", endpoint_url=self.url, config=config)
        return client

    def secretsmanager(self) -> "SecretsManagerClient":
        """A real client of this fake."""
        client: SecretsManagerClient = _SESSION.client(
            "secretsmanager", endpoint_url=self.url, config=_CONFIG
        )
        return client

    def lambda_(self) -> "LambdaClient":
        """A real client of this fake."""
        client: LambdaClient = _SESSION.client("lambda", endpoint_url=self.url, config=_CONFIG)
        return client

    # The wire

    def respond(self, received: Received) -> Answer | Behaviour:
        """Answers one request."""
        body = json.loads(received.body or b"{}")
        target = received.headers.get("X-Amz-Target", "")
        operation = target.rpartition(".")[2] or "Invoke"
        try:
            with self._lock:
                self.calls[operation] += 1
            if operation in self.faults:
                self.faults[operation](body)
            if operation == "Invoke":
                return self._invoke(received.path.split("/")[3], body)
            with self._lock:
                return Answer.of(getattr(self, f"_{operation}")(body))
        except Refused as error:
            return Answer.of(
                {"__type": error.code, "message": error.message},
                error.status,
                x_amzn_ErrorType=error.code,
            )

    def _invoke(self, name: str, event: dict[str, Any]) -> Answer:
        function = self.functions.get(name)
        if function is None:
            raise Refused("ResourceNotFoundException", status=404)
        try:
            return Answer.of(function(event))
        except Refused:
            raise
        except Exception as error:
            failure = {"errorMessage": str(error), "errorType": type(error).__name__}
            return Answer.of(failure, X_Amz_Function_Error="Unhandled")

    def _PutParameter(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = body["Name"]
        versions = self.parameters.get(name, [])
        if versions and not body.get("Overwrite"):
            raise Refused("ParameterAlreadyExists")
        size = len(body["Value"].encode())
        limit = 4096 if body.get("Tier", "Standard") == "Standard" else 8192
        if not 0 < size <= limit:
            raise Refused("ValidationException", f"Value {body['Value']} is too long")
        number = versions[-1]["Version"] + 1 if versions else 1
        kept = [*versions, {**body, "Version": number}]
        self.parameters[name] = kept[-100:]
        return {"Version": number, "Tier": "Standard" if size <= 4096 else "Advanced"}

    def _GetParameter(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, _, version = body["Name"].partition(":")
        if name not in self.parameters:
            raise Refused("ParameterNotFound")
        found = [p for p in self.parameters[name] if not version or str(p["Version"]) == version]
        if not found:
            raise Refused("ParameterVersionNotFound")
        value = found[-1]["Value"]
        if found[-1]["Type"] == "SecureString" and not body.get("WithDecryption"):
            value = "encrypted"
        shown = {"Name": name, "Type": found[-1]["Type"], "Version": found[-1]["Version"]}
        return {"Parameter": {**shown, "Value": value}}

    def _DeleteParameter(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if self.parameters.pop(body["Name"], None) is None:
            raise Refused("ParameterNotFound")
        return {}

    def _GetSecretValue(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if body["SecretId"] not in self.secrets:
            raise Refused("ResourceNotFoundException")
        text, version = self.secrets[body["SecretId"]]
        return {"Name": body["SecretId"], "SecretString": text, "VersionId": f"{version:>032}"}


@contextmanager
def running() -> Iterator[FakeAws]:
    """A fake AWS that listens until the block ends."""
    aws = FakeAws()
    with Server(aws.respond) as server:
        aws.url = server.url
        yield aws
