"""The files in `events/` are sent to the deployed functions, once as the documents say."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from choreo_insights_cli.paths import ROOT
from dev.local.paths import tool
from tests.integration.conftest import Deployment
from tests.integration.test_commands import environment, settings

FOLDER = ROOT / "events"
FUNCTIONS = {
    "token": "TokenFunctionName",
    "export": "ExportFunctionName",
    "report": "ReportFunctionName",
}
# Exports of all tables are what most other tests do.
SENT = sorted(
    path.name for path in FOLDER.glob("*.json") if path.stem not in ("export", "backfill")
)


@pytest.mark.parametrize("name", SENT)
def test_the_function_takes_it(deployment: Deployment, name: str) -> None:
    event = json.loads((FOLDER / name).read_text("utf-8"))

    reply: dict[str, Any] = deployment.stack.call(FUNCTIONS[re.split(r"\W", name)[0]], event)

    if name.startswith("token"):
        asked = [event.get("organization", "")] if "organization" in event else [*reply]
        assert asked
        assert all(entry["status"] != "failed" for entry in reply["organizations"].values())
    elif name.startswith("report"):
        handles = event.get("organizations", [*deployment.world.organizations])
        assert [entry["organization"] for entry in reply["reports"]] == handles
    else:
        assert reply["failures"] == []
        assert reply["exported"] + reply["settled"] > 0


def test_sam_sends_one(deployment: Deployment) -> None:
    deployment.token("ensure")
    done = subprocess.run(
        [
            *(tool("sam", "sam"), "remote", "invoke", "TokenFunction"),
            *("--stack-name", deployment.stack.name),
            *("--event-file", FOLDER / "token-status-all.json"),
        ],
        env=environment(deployment.folder, SAM_CLI_TELEMETRY="0", **settings(deployment.folder.env))
        | {"HOME": str(deployment.folder.path), "PATH": os.environ["PATH"]},
        cwd=deployment.folder.path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (reply,) = [part for part in done.stdout.splitlines() if '"organizations"' in part]
    found = json.loads(reply[reply.index('{"organizations"') :])["organizations"]
    assert found.keys() == deployment.world.organizations.keys()
