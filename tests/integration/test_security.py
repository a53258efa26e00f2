"""The procedures of .github/SECURITY.md, as they stand there, and who is kept out."""

import json
import subprocess
import sys
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from choreo_insights_cli.paths import ROOT
from tests.integration.conftest import Deployment
from tests.integration.test_commands import environment, settings
from tests.integration.test_stack import client
from tests.integration.test_token import parameter

HANDLE = "acme"
STRANGER = "111122223333"
EVENT = json.dumps({"tables": ["environments"], "organizations": [HANDLE], "force": True})


class Terminal:
    """A terminal at which someone follows the steps."""

    def __init__(self, deployment: Deployment) -> None:
        self._folder = deployment.folder
        self._shell = settings(deployment.folder.env)

    def make(self, name: str, *, stdin: str = "", **variables: str) -> tuple[int, str]:
        """The exit code and all that is said of a target of make."""
        given = [f"{variable}={value}" for variable, value in variables.items()]
        done = subprocess.run(
            [
                "make",
                "-s",
                "DEV=",
                f"INSIGHTS=INSIGHTS_CALLED_BY=make {sys.executable} -m choreo_insights_cli",
                name,
                *given,
            ],
            cwd=ROOT,
            env=environment(self._folder, **self._shell),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def terminal(deployment: Deployment) -> Terminal:
    """A terminal for the deployed stack, where the first steps were taken long ago."""
    terminal = Terminal(deployment)
    assert terminal.make("export", EVENT=EVENT)[0] == 0
    return terminal


def changed(deployment: Deployment) -> list[Any]:
    """What a deployment would change."""
    described = deployment.stack.cloudformation.describe_stacks(StackName=deployment.stack.name)
    functions = [
        deployment.stack.functions.get_function_configuration(
            FunctionName=deployment.stack.outputs[output]
        )["RevisionId"]
        for output in ("TokenFunctionName", "ExportFunctionName")
    ]
    return [described["Stacks"][0].get("LastUpdatedTime"), *functions]


def test_the_consumer_secret_is_rotated(deployment: Deployment, terminal: Terminal) -> None:
    before = changed(deployment)

    deployment.world.rotate(HANDLE)  # 1. in the console: the old secret is dead
    code, said = terminal.make("token", ACTION="renew", ORG=HANDLE)
    assert code == 2  # as make ends when a command fails
    assert f"make secret ORG={HANDLE}" in said

    secret = deployment.world.secret(HANDLE)
    code, said = terminal.make("secret", stdin=json.dumps(secret), ORG=HANDLE)  # 2.
    assert code == 0, said
    assert secret["consumer_secret"] not in said

    code, said = terminal.make("token", ACTION="renew", ORG=HANDLE)  # 3.
    assert code == 0, said
    assert "minted" in said

    code, said = terminal.make("export", EVENT=EVENT)  # 4.
    assert code == 0, said
    assert said.startswith("exported 1, ")
    assert changed(deployment) == before


def answers(deployment: Deployment, token: str) -> int:
    """The status with which the Insights API answers who holds a token."""
    return requests.post(
        deployment.sandbox.insights_url,
        json={"query": "{ __typename }"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=300,
    ).status_code


def test_a_stolen_token_is_of_no_use(deployment: Deployment, terminal: Terminal) -> None:
    stolen = parameter(deployment, HANDLE)
    assert answers(deployment, stolen["access_token"]) == 200

    code, said = terminal.make("token", ACTION="revoke", ORG=HANDLE)  # 1.
    assert code == 0, said
    assert f"revoked, expires {stolen['expires_at']}, fingerprint {stolen['fingerprint']}" in said
    assert answers(deployment, stolen["access_token"]) == 401
    code, said = terminal.make("token", ACTION="status", ORG=HANDLE)
    assert (code, "absent" in said) == (0, True)

    code, said = terminal.make("token", ACTION="ensure", ORG=HANDLE)  # 2.
    assert code == 0, said
    assert "minted" in said
    fresh = parameter(deployment, HANDLE)
    assert fresh["fingerprint"] != stolen["fingerprint"]
    assert answers(deployment, fresh["access_token"]) == 200

    code, said = terminal.make("export", EVENT=EVENT)  # 3. it still remembers the stolen one
    assert code == 0, said
    assert said.startswith("exported 1, ")
    assert answers(deployment, stolen["access_token"]) == 401


def test_a_revoked_token_that_goes_on_working_can_be_told(
    deployment: Deployment, terminal: Terminal
) -> None:
    """A gateway that knows a JWT by its signature alone takes it until it expires."""
    stolen = parameter(deployment, HANDLE)["access_token"]
    deployment.sandbox.settings.revoked_tokens_work = True
    try:
        code, said = terminal.make("token", ACTION="revoke", ORG=HANDLE)

        assert code == 0
        assert "expires " in said
        assert answers(deployment, stolen) == 200
    finally:
        deployment.sandbox.settings.revoked_tokens_work = False
    assert terminal.make("token", ACTION="ensure", ORG=HANDLE)[0] == 0
    assert answers(deployment, stolen) == 401


def test_the_logs_tell_a_token_by_its_fingerprint(
    deployment: Deployment, terminal: Terminal
) -> None:
    fingerprint = deployment.token("ensure", HANDLE)[HANDLE]["fingerprint"]
    assert fingerprint in deployment.log("TokenFunctionName")


def test_another_account_is_refused_even_where_someone_lets_it_in(deployment: Deployment) -> None:
    outputs = deployment.stack.outputs
    bucket, queue, topic = (
        outputs[name] for name in ("DatasetBucketName", "FailuresQueueUrl", "AlarmTopicArn")
    )
    s3, sqs, sns = (client(deployment, service) for service in ("s3", "sqs", "sns"))
    their = {
        service: client(deployment, service, aws_access_key_id=STRANGER)
        for service in ("s3", "sqs", "sns")
    }
    written = {
        "s3": s3.get_bucket_policy(Bucket=bucket)["Policy"],
        "sqs": sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"][
            "Policy"
        ],
        "sns": sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"],
    }

    def write(policies: dict[str, str]) -> None:
        s3.put_bucket_policy(Bucket=bucket, Policy=policies["s3"])
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policies["sqs"]})
        sns.set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=policies["sns"]
        )

    def attempts() -> list[bool]:
        return [
            allowed(their["s3"].get_bucket_location, Bucket=bucket),
            allowed(their["sqs"].send_message, QueueUrl=queue, MessageBody="x"),
            allowed(their["sns"].publish, TopicArn=topic, Message="x"),
        ]

    try:
        closed = attempts()
        write({service: let_in(policy) for service, policy in written.items()})
        let = attempts()
        write({service: let_in(policy, refusing=False) for service, policy in written.items()})
        open_to_all = attempts()
    finally:
        write(written)
        sqs.purge_queue(QueueUrl=queue)

    assert closed == let == [False, False, False]
    # So that it was the refusal that kept them out, and not what the emulator does anyway.
    assert open_to_all == [True, True, True]


def let_in(policy: str, *, refusing: bool = True) -> str:
    """A policy with a statement that somebody added by mistake, maybe without its refusals."""
    found = json.loads(policy)
    (refusal,) = (each for each in found["Statement"] if each["Sid"] == "RefuseOtherAccounts")
    mistake = {**refusal, "Sid": "Mistake", "Effect": "Allow"}
    del mistake["Condition"]
    mistake["Principal"] = {"AWS": f"arn:aws:iam::{STRANGER}:root"}
    kept = found["Statement"] if refusing else []
    return json.dumps({**found, "Statement": [*kept, mistake]})


def allowed(call: Any, **given: str) -> bool:
    """Whether a call is let through."""
    try:
        call(**given)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "AuthorizationError"):
            raise
        return False
    return True
