"""The layer holds all that the handlers need beside the runtime's boto3, and little more."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from dev.local import aws
from dev.local.paths import Folder
from dev.sandbox import OrganizationSpec, SandboxServer, World
from tests.layer.conftest import ROOT, RUNTIME
from tests.layer.runtime import Runtime

# A cold start pays for each import. `make bench` measures what they cost; these are the packages
# that come on top of what the runtime and the two libraries of both functions load.
LIBRARIES = (
    "import boto3, requests; from aws_lambda_powertools import Logger; Logger(service='probe')"
)
IMPORTS = {
    "token": {"app", "choreo_insights"},
    "export": {"app", "choreo_insights", "arro3", "msgspec"},
    "report": {"app", "choreo_insights", "arro3", "msgspec", "tomllib"},
}


def test_it_is_at_most_60_mb_unzipped(layer: Path):
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
    assert size <= 60 * 1024 * 1024


def test_it_brings_no_second_boto3(layer: Path):
    names = {path.name for path in layer.iterdir()}
    assert not names & {"boto3", "botocore", "graphql", "pyarrow"}


@pytest.mark.parametrize("function", IMPORTS)
def test_a_handler_imports_nothing_beyond_its_libraries(layer: Path, function: str):
    folder = ROOT / "functions" / function
    code = (
        f"import json, sys; sys.path.insert(0, {str(layer)!r}); {LIBRARIES};"
        f"known = {{*sys.modules}}; sys.path.insert(0, {str(folder)!r}); import app;"
        "print(json.dumps([name.partition('.')[0] for name in {*sys.modules} - known]))"
    )
    done = subprocess.run(
        [RUNTIME, "-I", "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert set(json.loads(done.stdout)) == IMPORTS[function]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A local AWS with a bucket, a key and a secret, and a sandbox; as a function's settings."""
    world = World(seed=7, organizations=[OrganizationSpec(handle="acme", apis=3)])
    local = aws.start(Folder(tmp_path_factory.mktemp("aws")), iam=False)
    try:
        with SandboxServer(world=world) as sandbox:
            yield _settings(local, sandbox, world)
    finally:
        local.process.stop()


def _settings(local: aws.LocalAws, sandbox: SandboxServer, world: World) -> dict[str, str]:
    session = boto3.Session("test", "test", region_name=aws.REGION)

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=local.endpoint)

    client("s3").create_bucket(
        Bucket="dataset", CreateBucketConfiguration={"LocationConstraint": aws.REGION}
    )
    client("secretsmanager").create_secret(
        Name="choreo-insights/acme", SecretString=json.dumps(world.secret("acme"))
    )
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    return local.environment | {
        "ORGANIZATIONS": "acme",
        "SECRET_PREFIX": "choreo-insights",
        "TOKEN_PARAMETER_PREFIX": "/probe/token",
        "MINT_STATE_PREFIX": "/probe/mint",
        "STACK_NAME": "probe",
        "TOKEN_URL": sandbox.token_url,
        "REVOKE_URL": sandbox.revoke_url,
        "SCOPE": "apim:api_manage",
        "TOKEN_KEY_ID": key,
        "INSIGHTS_URL": sandbox.insights_url,
        "TENANT": "carbon.super",
        "TOKEN_FUNCTION_NAME": "the-token-is-there-already",
        "DATASET_BUCKET": "dataset",
        "STATE_MACHINE_ARN": f"arn:aws:states:{aws.REGION}:000000000000:stateMachine:probe",
        "REQUESTS_PER_MINUTE": "60000",
        "EXPORT_SINCE": datetime.now(UTC).date().isoformat(),
        "SETTLE_HOURS": "24",
        "TABLES": "all",
        "POWERTOOLS_SERVICE_NAME": "probe",
    }


def test_the_handlers_reply_as_the_contract_says(layer: Path, cloud: dict[str, str]):
    with Runtime(RUNTIME, layer, ROOT / "functions/token", cloud) as runtime:
        reply = runtime.invoke({"action": "ensure"})
        again = runtime.invoke({"action": "status", "organization": "acme"})
        with pytest.raises(RuntimeError, match="PersonMustAct: the event's action"):
            runtime.invoke({"action": "drink"})
    token = reply["organizations"]["acme"]
    assert token["status"] == "minted"
    assert token["expires_at"].endswith("Z")
    assert again["organizations"]["acme"]["fingerprint"] == token["fingerprint"]

    with Runtime(RUNTIME, layer, ROOT / "functions/export", cloud) as runtime:
        reply = runtime.invoke({})
        with pytest.raises(RuntimeError, match=r"ConfigurationError: .*unknown table"):
            runtime.invoke({"tables": ["weather"]})
    assert reply["failures"] == []
    assert reply["exported"] > 7
    assert reply["rows"] > 0
    assert reply["bytes"] > 0
    assert reply["requests"] > 1
    assert (reply["failed"], reply["remaining"], reply["settled"]) == (0, 0, 0)


def test_the_report_function_replies_without_data(layer: Path, cloud: dict[str, str]):
    settings = cloud | {"ALARM_TOPIC_ARN": f"arn:aws:sns:{aws.REGION}:000000000000:alarms"}
    with Runtime(RUNTIME, layer, ROOT / "functions/report", settings) as runtime:
        reply = runtime.invoke({})
        with pytest.raises(RuntimeError, match="PersonMustAct: the event cannot be used"):
            runtime.invoke({"month": "soon"})
    assert [each["status"] for each in reply["reports"]] == ["no data"]


def test_a_wrong_setting_stops_with_its_name_value_and_remedy(layer: Path, cloud: dict[str, str]):
    wrong = cloud | {"INSIGHTS_URL": "http://example.com/query"}
    with (
        Runtime(RUNTIME, layer, ROOT / "functions/export", wrong) as runtime,
        pytest.raises(RuntimeError, match=r"InsightsUrl.*'http://example.com/query'.*https"),
    ):
        runtime.invoke({})
