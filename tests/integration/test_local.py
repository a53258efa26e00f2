"""`make local` and `make demo`: deployments of their own, and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.stack import Stack
from dev.local.paths import Folder
from dev.local.state import LocalState
from dev.sandbox import SandboxServer, World
from tests.integration import processes
from tests.integration.test_commands import command, environment, insights, settings

linux = pytest.mark.skipif(not processes.HERE, reason="reads /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder for a local deployment of a test's own."""
    return Folder(tmp_path)


@pytest.fixture
def stopped(folder: Folder) -> Iterator[Folder]:
    """A folder whose local deployment is stopped at the end, whatever happened."""
    yield folder
    command("down", folder)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """A sandbox that no command has started."""
    with SandboxServer(world=World()) as server:
        yield server


@linux
def test_local_with_a_server_of_ones_own(sandbox: SandboxServer, stopped: Folder) -> None:
    urls = {
        "TOKEN_URL": sandbox.token_url,
        "REVOKE_URL": sandbox.revoke_url,
        "INSIGHTS_URL": sandbox.insights_url,
    }
    since = datetime.now(UTC).date().isoformat()
    chosen = f"Organizations=acme ExportSince={since} ExportSchedule='rate(2 hours)'"

    up = command("up", stopped, PARAMETERS=chosen, **urls)

    assert up.returncode == 0, up.stderr
    state = LocalState.load(stopped)
    assert state.sandbox is None
    assert state.aws
    assert state.aws.iam
    shell = settings(stopped.env)
    stack = Stack(shell["STACK_NAME"], shell)
    assert stack.parameters["TokenUrl"] == sandbox.token_url
    assert stack.parameters["ExportSchedule"] == "rate(2 hours)"
    without = insights(stopped, "token", "ensure", **shell)
    assert without.returncode == 1
    assert "`insights secret acme`" in without.stdout
    secret = json.dumps(sandbox.world.secret("acme"))
    assert insights(stopped, "secret", "acme", stdin=secret, **shell).returncode == 0
    export = insights(stopped, "export", "--tables", "environments", **shell)
    assert export.returncode == 0, export.stderr
    assert export.stdout.startswith("exported 1, ")

    group = processes.of_group(state.aws.process.pid)
    down = command("down", stopped)

    assert down.stdout == "Stopped.\n"
    assert group
    assert processes.of_group(state.aws.process.pid) == set()
    assert processes.that_know(str(stopped.path)) == set()
    assert not stopped.env.exists()


@linux
def test_the_demo_shows_everything_and_leaves_nothing(folder: Folder) -> None:
    done = command("demo", folder)

    assert done.returncode == 0, done.stderr
    steps = ("sam deploy", "fingerprint", "success_summary", "Production", "make deploy")
    for shown in (*steps, "What the doctor says", "as the service has them"):
        assert shown in done.stdout
    assert re.search(r"\d+\.\d s", done.stdout)
    assert processes.that_know(str(folder.path)) == set()


# Before and while a program runs in the foreground; two are in the background then.
INTERRUPTIONS = [("Sandbox Choreo", signal.SIGINT), ("sam build", signal.SIGTERM)]
SOAKED = [
    ("sam build", signal.SIGINT),
    ("sam deploy", signal.SIGINT),
    ("Schedule", signal.SIGINT),
]


@linux
@pytest.mark.parametrize(
    ("when", "number"),
    INTERRUPTIONS + (SOAKED if os.environ.get("SOAK") else []),
)
def test_an_interrupted_demo_leaves_nothing(
    folder: Folder, when: str, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dev.local", "demo"],
        cwd=ROOT,
        env=environment(folder, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as demo:
        assert demo.stdout
        output = []
        for line in demo.stdout:
            output.append(line)
            if when in line:
                demo.send_signal(number)
                break
        output += demo.stdout.readlines()

    assert demo.returncode == 130, "".join(output)
    assert "Interrupted." in output[-1]
    assert processes.that_know(str(folder.path)) == set()
