"""One deployment of the real template for all tests: the local AWS enforces IAM.

The sandbox runs within the test's process, so that its clock, its faults and its world are at
hand. Its clock stands still: an answer does not depend on how long a test takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from cli import secret
from cli.places import STACK_NAME
from cli.stack import Stack
from local import background, deploy, schedule, up
from local.places import Folder
from local.state import State
from sandbox import SandboxServer, World

DAYS = 3


@dataclass
class Deployment:
    """The stack under test and the sandbox that it talks to."""

    folder: Folder
    state: State
    stack: Stack
    sandbox: SandboxServer
    now: datetime
    since: date
    replies: list[Any] = field(default_factory=list)

    @property
    def world(self) -> World:
        """Who is in the sandbox."""
        return self.sandbox.world

    def export(self, **event: Any) -> dict[str, Any]:
        """Calls the export function."""
        event = {name.rstrip("_"): value for name, value in event.items()}
        reply = self.stack.call("ExportFunctionName", event)
        self.replies.append(reply)
        return reply

    def token(self, action: str, organization: str = "", **event: str) -> dict[str, dict[str, Any]]:
        """Calls the token function."""
        event |= {"action": action} | ({"organization": organization} if organization else {})
        reply = self.stack.call("TokenFunctionName", event)
        self.replies.append(reply)
        organizations: dict[str, dict[str, Any]] = reply["organizations"]
        return organizations

    def objects(self, prefix: str = "insights/") -> dict[str, bytes]:
        """The dataset's objects by key."""
        bucket = self.stack.outputs["DatasetBucketName"]
        pages = self.stack.s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix
        )
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {
            key: self.stack.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys
        }

    def empty(self) -> None:
        """Deletes the dataset."""
        bucket = self.stack.outputs["DatasetBucketName"]
        for key in self.objects(""):
            self.stack.s3.delete_object(Bucket=bucket, Key=key)

    def log(self, function: str) -> str:
        """All that a function has logged."""
        return "\n".join(schedule.log_lines(self.stack, function))


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The deployment, made once."""
    folder = Folder(tmp_path_factory.mktemp("local"))
    state = State()
    now = _away_from_midnight().replace(microsecond=0)
    with SandboxServer(world=World()) as sandbox:
        sandbox.settings.now = now
        since = now.date() - timedelta(days=DAYS)
        try:
            up.start_aws(folder, state, iam=True)
            assert state.aws
            stack = Stack(STACK_NAME, state.aws.environment)
            for handle in sandbox.world.organizations:
                secret.store(stack, secret.PREFIX, handle, sandbox.world.secret(handle))
            deploy.build_locally(folder)
            deploy.deploy_locally(folder, state.aws, _parameters(sandbox, since))
            up.write_env(folder, state.aws)
            yield Deployment(folder, state, stack, sandbox, now, since)
        finally:
            background.stop_all()


def _away_from_midnight() -> datetime:
    """Now, or after midnight where that is close: the tests want all of a run on one UTC day."""
    while (now := datetime.now(UTC)).time() > time(23, 54):
        sleep(1)
    return now


@pytest.fixture
def deployment(deployed: Deployment) -> Iterator[Deployment]:
    """The deployment, with a sandbox that is in order before and after."""
    deployed.sandbox.faults.clear()
    yield deployed
    deployed.sandbox.faults.clear()


def _parameters(sandbox: SandboxServer, since: date) -> dict[str, str]:
    return {
        "TokenUrl": sandbox.token_url,
        "RevokeUrl": sandbox.revoke_url,
        "InsightsUrl": sandbox.insights_url,
        "Organizations": ",".join(sandbox.world.organizations),
        "ExportSince": since.isoformat(),
        "RequestsPerMinute": "60000",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder for a local deployment of a test's own."""
    return Folder(tmp_path)
