"""Three organisations in one stack: two fail, each in its own way, and the third is complete."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from choreo_insights_cli.commands import secret
from choreo_insights_cli.errors import CommandError
from tests.integration.conftest import Deployment
from tests.integration.dataset import expected, found, places, without_nulls
from tests.integration.test_export import ledger
from tests.integration.test_status import printed, status

TABLES = ["apis", "environments", "success_summary"]


@pytest.fixture(scope="module")
def troubled(older: Deployment) -> Iterator[tuple[Deployment, dict[str, Any]]]:
    """A run with a wrong secret for globex and a 403 for lotus, with its reply."""
    older.world.rotate("globex")
    older.sandbox.faults.add("status", status=403, organization="lotus", times=None)
    yield older, older.export(tables=TABLES)
    older.sandbox.faults.clear()
    secret.store(older.stack, secret.PREFIX, "globex", older.world.secret("globex"))
    with suppress(CommandError):
        # A failed mint is remembered for a while, so that nobody is locked out.
        older.token("renew", "globex")


def test_each_failure_names_its_organisation_and_what_to_do(
    troubled: tuple[Deployment, dict[str, Any]],
) -> None:
    _, reply = troubled
    reasons = {failure["organization"]: failure["reason"] for failure in reply["failures"]}
    assert reply["failed"] == len(reply["failures"]) == 2
    assert reasons.keys() == {"globex", "lotus"}
    assert "make secret ORG=globex" in reasons["globex"]
    assert "subscribe" in reasons["lotus"]


def test_the_third_is_complete(troubled: tuple[Deployment, dict[str, Any]]) -> None:
    deployment, reply = troubled
    every = places(deployment.world, deployment.since, deployment.now.date())
    wanted = [place for place in every if place.table in TABLES and place.organization == "acme"]
    objects = {
        key: body
        for key, body in deployment.objects().items()
        if not any(part in key for part in ("/runs/", "/checks/", "/registry_"))
    }
    assert objects.keys() == {place.key for place in wanted}
    assert reply["exported"] == len(wanted)
    for place in wanted:
        rows = expected(deployment.world, place, deployment.now)
        assert without_nulls(found(objects[place.key])) == without_nulls(rows)


def test_the_ledger_names_them(troubled: tuple[Deployment, dict[str, Any]]) -> None:
    rows = ledger(troubled[0])
    assert Counter(row["organization"] for row in rows if row["status"] == "failed") == {
        "globex": 1,
        "lotus": 1,
    }
    assert {row["organization"] for row in rows if row["status"] == "exported"} == {"acme"}


def test_the_status_names_them_and_what_to_do(
    troubled: tuple[Deployment, dict[str, Any]],
) -> None:
    deployment, _ = troubled
    code, machine, _ = printed(deployment)
    shown_code, shown = status(deployment)
    assert (code, shown_code) == (1, 1)
    assert {error["organization"] for error in machine["errors"]} == {"globex", "lotus"}
    assert machine["organizations_without_data"] == ["globex", "lotus"]
    for said in ("globex", "`insights secret globex`", "lotus", "subscribe"):
        assert said in shown


def test_the_log_names_them(troubled: tuple[Deployment, dict[str, Any]]) -> None:
    deployment, _ = troubled
    # Among them are Lambda's own, of when an invocation starts and ends.
    log = deployment.log("ExportFunctionName").splitlines()
    lines = [json.loads(line) for line in log if line.startswith("{")]
    failed = [line for line in lines if line.get("message") == "partition failed"]
    assert {line["organization"] for line in failed} == {"globex", "lotus"}
