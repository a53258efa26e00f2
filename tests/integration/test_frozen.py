"""The end of the service: a running stack is frozen by an update, and goes on again by another."""

import json
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Deployment
from tests.integration.test_commands import insights, settings

SCHEDULED = {"ExportHourly", "FailedPartitions", "NeedsPerson", "DoubtedNumbers", "TokenErrors"}


def resources(deployment: Deployment) -> set[str]:
    """The logical ids of the stack's resources."""
    pages = deployment.stack.cloudformation.get_paginator("list_stack_resources").paginate(
        StackName=deployment.stack.name
    )
    return {
        each["LogicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    }


@pytest.fixture(scope="module")
def frozen(deployed: Deployment) -> Iterator[tuple[Deployment, set[str]]]:
    """The frozen stack, and the resources that it had before."""
    deployed.complete()
    before = resources(deployed)
    deployed.update(Frozen="true")
    yield deployed, before
    deployed.update(Frozen="false")
    assert resources(deployed) == before


def test_only_the_schedule_and_its_alarms_go(frozen: tuple[Deployment, set[str]]) -> None:
    deployment, before = frozen
    assert before - resources(deployment) == SCHEDULED
    assert resources(deployment) <= before


def test_everything_says_that_the_dataset_ends(
    frozen: tuple[Deployment, set[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    deployment, _ = frozen
    last = str(deployment.now.date())
    shell = settings(deployment.folder.env) | {"XDG_CACHE_HOME": str(deployment.cache)}
    status = insights(deployment.folder, "status", "--json", **shell)
    assert json.loads(status.stdout)["ends"] == last, status.stderr
    query = insights(
        deployment.folder,
        "query",
        "SELECT max(dataset_ends) AS ends FROM export_freshness",
        "--json",
        **shell,
    )
    assert json.loads(query.stdout) == [{"ends": last}], query.stderr
    page = tmp_path_factory.mktemp("page") / "page.html"
    drawn = insights(deployment.folder, "dashboard", "--out", str(page), **shell)
    assert drawn.returncode == 0, drawn.stderr
    assert f"The dataset is frozen and ends on {last}" in page.read_text("utf-8")


def test_restoring_goes_on_working(frozen: tuple[Deployment, set[str]]) -> None:
    deployment, _ = frozen
    shell = settings(deployment.folder.env)
    before = ("--before", f"{deployment.now:%Y-%m-%dT%H:%M}")
    done = insights(deployment.folder, "restore", "--dry-run", *before, **shell)
    assert done.returncode in (0, 1), done.stderr
