"""After a run with faults on, no token, key or secret is anywhere but in its own place.

Its own place is the secret, and the encrypted parameter.
"""

import base64
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.integration.conftest import Deployment
from tests.integration.test_commands import insights, settings

JWT = re.compile(r"eyJ[\w-]{10,}\.[\w-]{4,}")
FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "status", "where": "token", "status": 503},
    {"fault": "invalid_json", "where": "token", "skip": 1},
    {"fault": "reset", "where": "token", "skip": 2},
    {"fault": "kill_tokens", "skip": 1},
    {
        "fault": "status",
        "status": 429,
        "code": "900804",
        "wait": "seconds",
        "seconds": 1,
        "skip": 2,
    },
    {"fault": "status", "status": 503, "code": "700700", "skip": 3},
    {"fault": "status", "status": 403, "code": "900908", "skip": 4},
    {"fault": "reset", "skip": 5},
    {"fault": "html", "skip": 6},
    {"fault": "truncated", "skip": 7},
    {"fault": "invalid_json", "skip": 8},
    {"fault": "field_error", "skip": 9, "times": 3},
    {"fault": "wrong_type", "skip": 12},
    {"fault": "data_null", "skip": 13},
)


@pytest.fixture(scope="module")
def troubled(deployed: Deployment) -> Iterator[Deployment]:
    """The deployment after a run in which much went wrong."""
    yesterday = (deployed.now.date() - timedelta(days=1)).isoformat()
    deployed.token("revoke")
    for fault in FAULTS:
        deployed.sandbox.faults.add(**fault)
    for _ in range(2):
        deployed.token("ensure")
        deployed.export(force=True, from_=yesterday)
    deployed.sandbox.faults.clear()
    deployed.token("renew", rejected="0123456789abcdef")
    deployed.token("ensure")
    yield deployed
    # What went wrong must not be left to the tests that follow.
    for handle in deployed.world.organizations:
        name = f"/{deployed.stack.name}/mint/{handle}"
        deployed.stack.ssm.delete_parameters(Names=[name])


def words(deployment: Deployment) -> set[str]:
    """What must not be seen: credentials, in each form in which they travel, and tokens."""
    found: set[str] = set()
    for handle, organization in deployment.world.organizations.items():
        secret = deployment.world.secret(handle)
        found |= {secret["consumer_key"], secret["consumer_secret"]}
        found |= {secret["on_prem_key"]} if "on_prem_key" in secret else set()
        pair = f"{organization.consumer_key}:{organization.consumer_secret}"
        found.add(base64.b64encode(pair.encode()).decode().rstrip("="))
        found.update(tokens(deployment, handle))
    return found


def tokens(deployment: Deployment, handle: str) -> Iterator[str]:
    """Parts of all tokens that were stored, each long enough to be found by."""
    name = f"{deployment.stack.outputs['TokenParameterPrefix']}/{handle}"
    pages = deployment.stack.ssm.get_paginator("get_parameter_history").paginate(
        Name=name, WithDecryption=True
    )
    with suppress(deployment.stack.ssm.exceptions.ParameterNotFound):  # revoked
        for page in pages:
            for version in page["Parameters"]:
                token = json.loads(version["Value"])["access_token"]
                yield from re.findall(r"[\w-]{24}", token)


class Search:
    """Looks for everything that must not be seen."""

    def __init__(self, deployment: Deployment) -> None:
        self._words = words(deployment)

    def __call__(self, place: str, text: str) -> None:
        for word in self._words:
            assert word not in text, f"{place} holds a secret"
        assert not JWT.search(text), f"{place} holds what looks like a token"


def test_faults_were_met_and_the_run_went_on(troubled: Deployment) -> None:
    assert troubled.sandbox.faults.taken >= len(FAULTS) // 2
    assert words(troubled)


@pytest.mark.parametrize("function", ["TokenFunctionName", "ExportFunctionName"])
def test_no_log_line(troubled: Deployment, function: str) -> None:
    log = troubled.log(function)
    assert "REPORT" in log
    Search(troubled)(f"the log of {function}", log)


def test_no_reply(troubled: Deployment) -> None:
    assert troubled.replies
    Search(troubled)("a reply", json.dumps(troubled.replies))


def test_no_object_of_the_dataset_and_no_row_of_the_ledger(troubled: Deployment) -> None:
    search = Search(troubled)
    for key, body in troubled.objects("").items():
        search(key, key + body.decode("latin-1"))
        rows = pq.read_table(io.BytesIO(body)).to_pylist() if key.endswith(".parquet") else []
        search(key, repr(rows))


def test_no_setting_of_a_function_or_the_stack(troubled: Deployment) -> None:
    search = Search(troubled)
    for function in ("TokenFunctionName", "ExportFunctionName"):
        found = troubled.stack.functions.get_function(FunctionName=troubled.stack.outputs[function])
        search(function, json.dumps(found, default=str))
    stack = troubled.stack.cloudformation.describe_stacks(StackName=troubled.stack.name)
    search("the stack", json.dumps(stack, default=str))
    events = troubled.stack.cloudformation.describe_stack_events(StackName=troubled.stack.name)
    search("the stack's events", json.dumps(events, default=str))


def test_no_message_in_the_queue_of_failures(troubled: Deployment) -> None:
    queue = troubled.stack.outputs["FailuresQueueUrl"]
    search = Search(troubled)
    messages = troubled.stack.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    search("the queue", json.dumps(messages, default=str))


def test_no_file_of_the_deployment(troubled: Deployment) -> None:
    """Builds, logs of the tools, settings for the shell. The emulator's own store is AWS."""
    search = Search(troubled)
    for path in troubled.folder.path.rglob("*"):
        if path.is_file() and troubled.folder.path / "aws" not in path.parents:
            search(path.name, path.read_bytes().decode("latin-1"))


def test_no_output_of_a_command(troubled: Deployment) -> None:
    shell = settings(troubled.folder.env)
    for action in ("ensure", "renew", "status", "revoke", "ensure"):
        unasked = ["--yes"] if action == "revoke" else []
        done = insights(troubled.folder, "token", action, *unasked, **shell)
        assert done.returncode == 0, done.stderr
        assert all(handle in done.stdout for handle in troubled.world.organizations)
        Search(troubled)(f"insights token {action}", done.stdout + done.stderr)


def test_no_secret_parameter_is_stored_in_the_clear(troubled: Deployment) -> None:
    search = Search(troubled)
    pages = troubled.stack.ssm.get_paginator("describe_parameters").paginate()
    for parameter in (entry for page in pages for entry in page["Parameters"]):
        if parameter["Type"] != "SecureString":
            found = troubled.stack.ssm.get_parameter(Name=parameter["Name"])["Parameter"]
            search(parameter["Name"], found["Value"])
