"""One deployment of the real template for all tests: the local AWS enforces IAM.

The sandbox runs within the test's process, so that its clock, its faults and its world are at
hand. Its clock stands still: an answer does not depend on how long a test takes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from cli import secret
from cli.places import STACK_NAME
from cli.stack import Stack
from local import deploy, schedule, up
from local.places import Folder
from local.state import State
from sandbox import SandboxServer, World
from sandbox.world import EnvironmentSpec, OrganizationSpec
from tests.integration import releases

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

    def deploy(self) -> None:
        """Deploys what was built in its folder."""
        assert self.state.aws
        deploy.deploy_locally(self.folder, self.state.aws, _parameters(self.sandbox, self.since))
        self.stack = Stack(STACK_NAME, self.state.aws.environment)

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
    with _prepared(folder, World()) as prepared:
        deploy.build_locally(folder)
        prepared.deploy()
        yield prepared


@pytest.fixture(scope="session")
def older(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment of its own, with the tables of an older release and three organisations."""
    folder = Folder(tmp_path_factory.mktemp("older"))
    small = [
        OrganizationSpec(handle, None, 2, 2, 0, (EnvironmentSpec("Production"),))
        for handle in ("acme", "globex", "lotus")
    ]
    with _prepared(folder, World(organizations=small)) as prepared:
        releases.build(deployed.folder, folder, {releases.TABLE: releases.BEFORE})
        prepared.deploy()
        yield prepared


@contextmanager
def _prepared(folder: Folder, world: World) -> Iterator[Deployment]:
    """A local AWS with the secrets of a sandbox, and nothing deployed yet."""
    state = State()
    now = _away_from_midnight().replace(microsecond=0)
    with SandboxServer(world=world) as sandbox:
        sandbox.settings.now = now
        since = now.date() - timedelta(days=DAYS)
        try:
            up.start_aws(folder, state, iam=True)
            assert state.aws
            stack = Stack(STACK_NAME, state.aws.environment)
            for handle in world.organizations:
                secret.store(stack, secret.PREFIX, handle, world.secret(handle))
            up.write_env(folder, state.aws)
            yield Deployment(folder, state, stack, sandbox, now, since)
        finally:
            if state.aws:
                state.aws.process.stop()


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
