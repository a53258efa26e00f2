"""Take a right away, and what needs it breaks: no function may do more than it must."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import sleep
from typing import Any

import pytest

from choreo_insights.dataset.store import VERSION_KEY
from choreo_insights_cli.commands.backfill.machine import Machine
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.template import Template
from tests.grants import SEEN, Grant, actions
from tests.integration.conftest import Deployment
from tests.integration.test_stack import client

TEMPLATE = Template(ROOT / "template.yaml")
TOKEN, EXPORT, REPORT = "TokenFunctionName", "ExportFunctionName", "ReportFunctionName"
HANDLE = "acme"


class BrokenError(Exception):
    """A path did not do what it is there for."""


def mint(deployment: Deployment) -> None:
    """Mints a token, stores it, revokes it."""
    for action, status in (("ensure", "minted"), ("revoke", "revoked")):
        entry = deployment.token(action, HANDLE)[HANDLE]
        if entry["status"] != status:
            raise BrokenError(entry.get("error", entry["status"]))


def export(deployment: Deployment, *more: str, **event: Any) -> dict[str, Any]:
    """Exports a list and a past day, with whose earlier object the new one is compared."""
    yesterday = (deployment.now.date() - timedelta(days=1)).isoformat()
    tables = ["environments", "success_summary", *more]
    try:
        reply = deployment.export(tables=tables, organizations=[HANDLE], from_=yesterday, **event)
    except CommandError as error:
        raise BrokenError(str(error)) from error
    if reply["failed"]:
        raise BrokenError(json.dumps(reply["failures"]))
    return reply


def claim(deployment: Deployment) -> None:
    """Exports into a dataset that does not say yet of which version it is."""
    bucket = deployment.stack.outputs["DatasetBucketName"]
    deployment.stack.s3.delete_object(Bucket=bucket, Key=VERSION_KEY)
    export(deployment)
    if not deployment.objects(VERSION_KEY):
        raise BrokenError("the version was not written")


def quarantine(deployment: Deployment) -> None:
    """Keeps a reply that cannot be read."""
    earlier = deployment.objects("quarantine/").keys()
    deployment.sandbox.faults.add("wrong_type", field="getSuccessSummary", times=None)
    try:
        export(deployment, force=True)
    except BrokenError as error:
        if "AccessDenied" in str(error):
            raise
    finally:
        deployment.sandbox.faults.clear()
    if deployment.objects("quarantine/").keys() == earlier:
        raise BrokenError("s3:PutObject: the reply was not kept")


def report(deployment: Deployment) -> None:
    """Looks for an earlier report, writes one and publishes where it is."""
    for event in ({}, {"month": f"{deployment.now:%Y-%m}", "organizations": [HANDLE]}):
        try:
            deployment.stack.call(REPORT, event)
        except CommandError as error:
            raise BrokenError(str(error)) from error


def hand_over(deployment: Deployment) -> None:
    """Hands what there is no time for to the state machine: the first list comes too late."""
    deployment.sandbox.faults.add("slow", seconds=12, times=1)
    try:
        reply = export(deployment, force=True)
    finally:
        deployment.sandbox.faults.clear()
    if not reply["remaining"]:
        raise AssertionError("there was time for everything")
    machine = Machine.of(deployment.stack)
    # It must not meet other tests.
    while (ended := machine.execution(reply["catch_up"])).under_way:
        sleep(0.2)
    if ended.status != "SUCCEEDED":
        raise AssertionError([*machine.failures(ended)])


PATHS: dict[str, tuple[str, Callable[[Deployment], object]]] = {
    "token": (TOKEN, mint),
    "export": (EXPORT, export),
    "report": (REPORT, report),
    "claim": (EXPORT, claim),
    "quarantine": (EXPORT, quarantine),
    "hand over": (EXPORT, hand_over),
}
# What a warm function does once and then remembers.
REMEMBERED = {"secretsmanager:GetSecretValue", "ssm:GetParameter", "lambda:InvokeFunction"}


@pytest.fixture(scope="module")
def chill(deployed: Deployment) -> Iterator[Callable[[str], None]]:
    """Has the function of a path start anew at its next call, with nothing in its memory."""
    functions = deployed.stack.functions
    names = [deployed.stack.outputs[output] for output in (TOKEN, EXPORT, REPORT)]
    before = {name: functions.get_function_configuration(FunctionName=name) for name in names}

    def settle(name: str, timeout: int | None = None, **variables: str) -> None:
        found = before[name]
        functions.update_function_configuration(
            FunctionName=name,
            Timeout=timeout or found["Timeout"],
            Environment={"Variables": found["Environment"]["Variables"] | variables},
        )

    def chill(path: str) -> None:
        name = deployed.stack.outputs[PATHS[path][0]]
        # Twenty seconds of them are for the ledger and the hand-over.
        settle(name, 30 if path == "hand over" else None)

    yield chill
    for name in names:
        settle(name)


@pytest.fixture
def prepared(deployment: Deployment) -> Iterator[Deployment]:
    """No token, no failed mint that is remembered, and a dataset to compare with."""
    for kind in ("token", "mint"):
        deployment.stack.ssm.delete_parameters(Names=[f"/{deployment.stack.name}/{kind}/{HANDLE}"])
    yield deployment
    deployment.stack.ssm.delete_parameters(Names=[f"/{deployment.stack.name}/mint/{HANDLE}"])


@pytest.fixture(scope="module", autouse=True)
def compared(deployed: Deployment) -> None:
    """Yesterday's object is there already."""
    export(deployed)


@contextmanager
def without(deployment: Deployment, grant: Grant) -> Iterator[None]:
    """Takes one action out of a statement of the deployed stack, for a while."""
    written = TEMPLATE.resources[grant.holder]["Properties"]
    ((_, role_id),) = written["Roles"][0].items()
    found = deployment.stack.cloudformation.describe_stack_resource(
        StackName=deployment.stack.name, LogicalResourceId=role_id
    )
    role = found["StackResourceDetail"]["PhysicalResourceId"]
    iam, name = client(deployment, "iam"), written["PolicyName"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    whole = json.dumps(document)
    for statement in document["Statement"]:
        if statement["Sid"] == grant.sid:
            statement["Action"] = [a for a in actions(statement) if a != grant.action]
    document["Statement"] = [each for each in document["Statement"] if each["Action"]]
    try:
        if document["Statement"]:
            less = json.dumps(document)
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=less)
        else:
            iam.delete_role_policy(RoleName=role, PolicyName=name)
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=whole)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_works_with_all_of_its_rights(
    prepared: Deployment, chill: Callable[[str], None], path: str
) -> None:
    chill(path)
    PATHS[path][1](prepared)


@pytest.mark.parametrize(
    ("path", "grant"),
    [(path, grant) for path, grants in SEEN.items() for grant in grants],
    ids=str,
)
def test_a_path_breaks_without_a_right(
    prepared: Deployment, chill: Callable[[str], None], path: str, grant: Grant
) -> None:
    if grant.action in REMEMBERED or path == "hand over":
        chill(path)
    with without(prepared, grant), pytest.raises(BrokenError, match=f"(?i){grant.action}"):
        PATHS[path][1](prepared)
