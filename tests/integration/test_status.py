"""`insights status` on the deployed stack: what failed, what is missing, and when all is well."""

import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from choreo_insights_cli.errors import CommandError
from tests.integration.conftest import Deployment
from tests.integration.dataset import places
from tests.integration.test_commands import insights, settings

EXPORTED = ["environments", "success_summary", "error_summary"]


def status(deployment: Deployment, *arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    shell = settings(deployment.folder.env)
    done = insights(deployment.folder, "status", *arguments, **shell)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def printed(deployment: Deployment) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
    """Exit code, the JSON for machines, and that by table."""
    code, output = status(deployment, "--json")
    found = json.loads(output)
    return code, found, {table["table"]: table for table in found["tables"]}


@pytest.fixture(scope="module")
def broken(deployed: Deployment) -> Deployment:
    """An export of three tables alone, one of which fails for one organisation."""
    deployed.empty()
    deployed.sandbox.faults.add(
        "field_error", field="getErrorSummary", organization="lotus", times=None
    )
    with suppress(CommandError):  # a retry might help
        deployed.export(tables=EXPORTED)
    deployed.sandbox.faults.clear()
    return deployed


def test_what_failed_is_missing_or_is_there(broken: Deployment) -> None:
    wanted = Counter(place.table for place in places(broken.world, broken.since, broken.now.date()))

    code, found, tables = printed(broken)
    shown_code, shown = status(broken)

    days = (broken.now.date() - broken.since).days + 1
    lost = len(broken.world.organization("lotus").environments) * days
    assert (code, shown_code) == (1, 1)
    assert {table["table"] for table in found["tables"] if table["failed"]} == {"error_summary"}
    assert tables["error_summary"]["failed"] == found["failed"] == lost
    assert {error["organization"] for error in found["errors"]} == {"lotus"}
    for name in ("environments", "success_summary"):
        assert tables[name]["final"] + tables[name]["open"] == wanted[name]
        assert tables[name]["newest"] == broken.now.date().isoformat()
        assert tables[name]["rows"] > 0
        assert tables[name]["objects_without_known_rows"] == 0
    # What needs an on-prem key is not known to be wanted before it was tried.
    assert tables["latency"]["missing"] + tables["latency"]["open"] == wanted["latency"]
    assert tables["latency"]["missing"] > 0
    assert "last errors" in shown
    assert "error_summary lotus" in shown
    assert "\x1b" not in shown


def test_all_is_well_after_the_next_run(broken: Deployment) -> None:
    reply = broken.export()
    every = list(places(broken.world, broken.since, broken.now.date()))

    code, found, tables = printed(broken)
    shown_code, shown = status(broken, "--all")

    assert (code, shown_code) == (0, 0)
    assert found["final"] + found["open"] == len(every)
    assert found["missing"] == found["failed"] == 0
    assert found["errors"] == []
    assert {name: table["final"] + table["open"] for name, table in tables.items()} == Counter(
        place.table for place in every
    )
    assert found["rows"] >= reply["rows"]
    assert 0 <= found["age_seconds"] < 3600
    assert "Headquarters, Zürich" in shown


def test_a_deleted_object_is_missing(deployment: Deployment) -> None:
    _, before, _ = printed(deployment)
    day = deployment.since.isoformat()
    key = f"insights/success_summary/day={day}/acme.Production.parquet"
    deployment.stack.s3.delete_object(Bucket=deployment.stack.outputs["DatasetBucketName"], Key=key)

    code, after, _ = printed(deployment)

    assert code == 1
    assert after["missing"] == before["missing"] + 1
