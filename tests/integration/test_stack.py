"""The deployed stack: its outputs, its schedule, and that rights are really enforced."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from choreo_insights_cli.generate.everything import version
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.stack import Stack
from dev.local import schedule
from tests.integration.conftest import Deployment

OUTPUTS = {
    *("TokenFunctionName", "ExportFunctionName", "DatasetBucketName", "DatabaseName"),
    *("WorkGroupName", "TokenParameterPrefix", "FailuresQueueUrl", "AlarmTopicArn"),
}


def client(deployment: Deployment, service: str, **credentials: str) -> Any:
    aws = deployment.state.aws
    assert aws
    settings = {
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "region_name": aws.environment["AWS_REGION"],
        "endpoint_url": aws.endpoint,
    }
    return boto3.client(service, **(settings | credentials))  # type: ignore[call-overload]


def test_the_outputs_that_others_rely_on(deployment: Deployment) -> None:
    outputs = deployment.stack.outputs
    assert outputs.keys() >= OUTPUTS
    assert all(outputs.values())
    assert outputs["Version"] == version(ROOT)


def test_someone_without_rights_is_refused(deployment: Deployment) -> None:
    iam = client(deployment, "iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    nobody = client(
        deployment,
        "s3",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        nobody.list_objects_v2(Bucket=deployment.stack.outputs["DatasetBucketName"])


@pytest.fixture
def no_writing(deployment: Deployment) -> Iterator[None]:
    """Takes the export function's right to write away for a while."""
    function = deployment.stack.outputs["ExportFunctionName"]
    settings = deployment.stack.functions.get_function_configuration(FunctionName=function)
    role = settings["Role"].rpartition("/")[2]
    denial = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
    iam = client(deployment, "iam")
    iam.put_role_policy(RoleName=role, PolicyName="no-writing", PolicyDocument=policy)
    yield
    iam.delete_role_policy(RoleName=role, PolicyName="no-writing")


@pytest.mark.usefixtures("no_writing")
def test_the_functions_are_held_to_their_policies(deployment: Deployment) -> None:
    """Otherwise nothing that passes here says that the template's policies suffice on AWS."""
    with pytest.raises(Exception, match=r"AccessDenied|not authorized|did not take"):
        refused(deployment.export(tables=["environments"], force=True))


def refused(reply: dict[str, Any]) -> None:
    raise PermissionError(json.dumps(reply["failures"]))


def test_the_schedule_calls_the_export_and_loses_no_failure(deployment: Deployment) -> None:
    found = schedule.of_export(deployment.stack)

    assert found["ScheduleExpression"] == deployment.stack.parameters["ExportSchedule"]
    assert found["State"] == "ENABLED"
    target = found["Target"]
    assert json.loads(target["Input"]) == {}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    queue = deployment.stack.outputs["FailuresQueueUrl"].rpartition("/")[2]
    assert target["DeadLetterConfig"]["Arn"].endswith(f":{queue}")


def test_the_schedule_really_fires(deployment: Deployment) -> None:
    before = set(schedule.ended_runs(deployment.stack))
    started = datetime.now(UTC)

    schedule.fire_once(deployment.stack)
    run = schedule.wait_for_run(deployment.stack, before, lambda: None)

    assert not any("ERROR" in line for line in run.lines)
    bucket = deployment.stack.outputs["DatasetBucketName"]
    today = deployment.now.date().isoformat()
    listing = deployment.stack.s3.list_objects_v2(
        Bucket=bucket, Prefix=f"insights/total_traffic/day={today}/"
    )
    organizations = deployment.world.organizations.values()
    assert listing["KeyCount"] == sum(len(each.environments) for each in organizations)
    written = min(entry["LastModified"] for entry in listing["Contents"])
    assert written.replace(microsecond=0) >= started.replace(microsecond=0)


def test_a_stack_that_is_none_says_what_to_do(deployment: Deployment) -> None:
    aws = deployment.state.aws
    assert aws
    with pytest.raises(Exception, match="Deploy it first"):
        _ = Stack("no-such-stack", aws.environment).outputs
