"""One deployment of the real template for all tests: the local AWS enforces IAM.

The sandbox runs within the test's process, so that its clock, its faults and its world are at
hand. Its clock stands still: an answer does not depend on how long a test takes.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from choreo_insights_cli.commands import secret
from choreo_insights_cli.dataset_copy import CACHE
from choreo_insights_cli.paths import STACK_NAME
from choreo_insights_cli.stack import Stack
from dev.local import deploy, schedule, up
from dev.local.paths import Folder
from dev.local.state import LocalState
from dev.sandbox import SandboxServer, World
from dev.sandbox.world import EnvironmentSpec, OrganizationSpec
from tests.integration import releases
from tests.integration.dataset import places, projects

DAYS, OLDER_DAYS = 2, 3
# The first export is compared with the generator; what comes before ExportSince is exported last.
_ORDER = {"test_export.py": 0, "test_backfill.py": 2}
# Where several workers run: the modules that share one deployment for they need a whole dataset,
# those that share one of an older release, and those of which each test has a deployment of its
# own. All others share another one.
_WHOLE = ("commands", "dashboard", "documents", "events", "export", "report", "status", "views")
_OLDER = ("organizations", "update")
_ALONE = ("local",)


@dataclass
class Deployment:
    """The stack under test and the sandbox that it talks to."""

    folder: Folder
    state: LocalState
    stack: Stack
    sandbox: SandboxServer
    now: datetime
    since: date
    replies: list[Any] = field(default_factory=list)
    # By the hash of it.
    bodies: dict[str, bytes] = field(default_factory=dict)

    @property
    def world(self) -> World:
        """Who is in the sandbox."""
        return self.sandbox.world

    @property
    def cache(self) -> Path:
        """A user's cache, with the one copy of the dataset that all commands keep up to date."""
        cache = self.folder.path / "cache"
        if not cache.exists():
            cache.mkdir()
            self.folder.dataset.mkdir(parents=True, exist_ok=True)
            (cache / CACHE.name).symlink_to(self.folder.dataset)
        return cache

    def deploy(self, **parameters: str) -> None:
        """Deploys what was built in its folder, with more parameters."""
        assert self.state.aws
        values = _parameters(self.sandbox, self.since) | parameters
        deploy.deploy_locally(self.folder, self.state.aws, values)
        self.stack = Stack(STACK_NAME, self.state.aws.environment)

    def update(self, **parameters: str) -> None:
        """Gives what is deployed other parameters. `deploy` would pack the layer again first."""
        aws, kept = self.stack.cloudformation, self.stack.parameters.keys() - parameters.keys()
        aws.update_stack(
            StackName=self.stack.name,
            UsePreviousTemplate=True,
            Parameters=[
                *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
                *({"ParameterKey": n, "ParameterValue": v} for n, v in parameters.items()),
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        waiter = aws.get_waiter("stack_update_complete")
        waiter.wait(StackName=self.stack.name, WaiterConfig={"Delay": 1, "MaxAttempts": 900})
        assert self.state.aws
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
        """The dataset's objects by key. One that has not changed is not read again."""
        s3, bucket = self.stack.s3, self.stack.outputs["DatasetBucketName"]
        tags = {item["Key"]: item["ETag"] for item in self._items(prefix)}
        for key, tag in tags.items():
            if tag not in self.bodies:
                self.bodies[tag] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return {key: self.bodies[tag] for key, tag in tags.items()}

    def written(self, prefix: str = "insights/") -> dict[str, datetime]:
        """When each of the dataset's objects was written."""
        return {item["Key"]: item["LastModified"] for item in self._items(prefix)}

    def complete(self) -> None:
        """Exports what is missing, if anything is."""
        wanted = places(self.world, self.since, self.now.date())
        if {place.key for place in wanted} - {item["Key"] for item in self._items("insights/")}:
            self.export()

    def empty(self) -> None:
        """Deletes the dataset."""
        bucket = self.stack.outputs["DatasetBucketName"]
        keys = [{"Key": item["Key"]} for item in self._items("")]
        for start in range(0, len(keys), 1000):
            some = keys[start : start + 1000]
            self.stack.s3.delete_objects(Bucket=bucket, Delete={"Objects": some})

    def _items(self, prefix: str) -> list[Any]:
        bucket = self.stack.outputs["DatasetBucketName"]
        paginator = self.stack.s3.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=bucket, Prefix=prefix)
        return [item for page in pages for item in page.get("Contents", ())]

    def log(self, function: str) -> str:
        """All that a function has logged."""
        return "\n".join(schedule.log_lines(self.stack, function))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the modules into the order in which they leave each other the dataset."""
    items.sort(key=lambda item: _ORDER.get(item.path.name, 1))


class _Together(LoadScopeScheduling):
    """Gives one worker all tests that share a deployment.

    `--dist loadgroup` cannot: with pytest 9 it does not see to which group a test belongs.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0].rpartition("integration/test_")[2].removesuffix(".py")
        if module in _ALONE or "integration/" not in nodeid:
            return nodeid
        if module in _WHOLE:
            return "whole"
        return "older" if module in _OLDER else "others"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Together:
    """For `-n`: see `_Together`."""
    return _Together(config, log)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a build, which all workers share: nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Beside the workers' own: a build names files relative to where it lies.
        base = base.parent / "shared"
    folder = Folder(base / "built")
    folder.path.mkdir(parents=True, exist_ok=True)
    with (folder.path / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder.build / "template.yaml").exists():
            deploy.build_locally(folder)
    return folder


@pytest.fixture(scope="session")
def deployed(built: Folder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The deployment, made once."""
    folder = Folder(tmp_path_factory.mktemp("local"))
    shutil.copytree(built.build, folder.build)
    with _prepared(folder, World(), DAYS) as prepared:
        prepared.deploy()
        yield prepared


@pytest.fixture(scope="session")
def older(built: Folder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment of release 0.1.0 with three organisations."""
    folder = Folder(tmp_path_factory.mktemp("older"))
    small = [
        OrganizationSpec(handle, None, 2, 2, 0, (EnvironmentSpec("Production"),))
        for handle in ("acme", "globex", "lotus")
    ]
    with _prepared(folder, World(organizations=small), OLDER_DAYS) as prepared:
        releases.build_first(built, folder)
        prepared.deploy()
        yield prepared


@contextmanager
def _prepared(folder: Folder, world: World, days: int) -> Iterator[Deployment]:
    """A local AWS with the secrets of a sandbox, and nothing deployed yet."""
    state = LocalState()
    now = _away_from_midnight().replace(microsecond=0)
    # Of each day there are data.
    now = max(now, datetime.combine(now.date(), time(1, 30), UTC))
    with SandboxServer(world=world) as sandbox:
        sandbox.settings.now = now
        since = now.date() - timedelta(days=days)
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
        "Projects": ",".join(f"{name}={own}" for name, own in projects(sandbox.world).items()),
        "RequestsPerMinute": "60000",
        "ReportSchedule": "cron(0 6 * * ? *)",
    }
