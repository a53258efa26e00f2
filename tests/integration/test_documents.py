"""Every command in the documents works as it is printed, or says that it needs more than this."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from choreo_insights_cli.commands import access
from choreo_insights_cli.commands.query import ask
from choreo_insights_cli.paths import ROOT
from tests.documents import Block, blocks
from tests.grafana import expanded
from tests.integration.conftest import Deployment
from tests.integration.test_commands import environment, settings

# Run by other tests, by CI, or by the one who tests.
ELSEWHERE = {
    ". .local/env": "settings(), in each test here",
    "make check": ".ci/run",
    "make demo": "test_local.py",
    "make local": "test_local.py",
    "make local-down": "test_local.py",
    "make test": "this very run",
}
# A file is drawn for this group.
RULES = "GroupName,organization\npartners,acme\n"
SHIM = """#!/bin/sh
exec {program} "$@"
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make` with the Python that tests run on, and `insights` as if it were installed."""
    folder = tmp_path_factory.mktemp("programs")
    python = f"{sys.executable} -m choreo_insights_cli"
    for name, program in (
        ("insights", python),
        ("make", f"/usr/bin/env -S make -s DEV= 'INSIGHTS={python}'"),
    ):
        shim = folder / name
        shim.write_text(SHIM.format(program=program), "utf-8")
        shim.chmod(0o755)
    # The shim of make must not find itself.
    real = subprocess.run(["which", "make"], capture_output=True, encoding="utf-8", check=True)
    text = (folder / "make").read_text("utf-8").replace("/usr/bin/env -S make", real.stdout.strip())
    (folder / "make").write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def rules(deployed: Deployment) -> None:
    """Stores rules, as docs/access.md says to do first."""
    deployed.complete()
    stack = deployed.stack
    access.store(stack, access.read(RULES, access.environments(stack)), lambda _: None)


def here() -> list[Block]:
    # The sandbox's page is tested beside the sandbox.
    own = [b for b in blocks("sh") if not b.page.startswith("dev/sandbox")]
    return [block for block in own if not (block.needs_aws or block.needs_internet)]


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize("block", here(), ids=[f"{block.page}" for block in here()])
def test_it_works_as_it_is_printed(
    deployment: Deployment, programs: Path, tmp_path: Path, block: Block
) -> None:
    deployment.token("ensure")
    deployment.complete()
    variables = settings(deployment.folder.env) | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(deployment.cache),
        "OUT": str(tmp_path / "dashboard.html"),
    }
    for command in block.commands:
        if command in ELSEWHERE:
            continue
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            # What a command writes where it is called is not for the checkout.
            cwd=tmp_path if command.startswith("insights") else ROOT,
            env=environment(deployment.folder, **variables),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        said = done.stdout + done.stderr
        # `insights status` ends with 1 while days are missing, and make with 2 then. Of months
        # before the first exported day there is no report.
        missing = "missing" in said if "status" in command else "before the first exported" in said
        assert done.returncode == 0 or missing, said
        # What the functions have logged is theirs.
        assert "Traceback" not in said or command.endswith("logs")


@pytest.mark.parametrize("block", [*blocks("sql")], ids=lambda block: block.page)
def test_the_sql_is_answered(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, block: Block
) -> None:
    monkeypatch.setattr("choreo_insights_cli.commands.query.CACHE", deployment.folder.dataset)
    deployment.complete()
    sql = expanded(block.text.strip().removesuffix(";"), deployment.since, deployment.now.date())
    assert ask(deployment.stack, sql).names
