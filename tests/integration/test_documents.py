"""Every command in the documents works as it is printed, or says that it needs AWS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from choreo_insights_cli.commands.query import ask
from choreo_insights_cli.paths import ROOT
from tests.documents import Block, blocks
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


def here() -> list[Block]:
    # The sandbox's page is tested beside the sandbox.
    return [b for b in blocks("sh") if not b.needs_aws and not b.page.startswith("dev/sandbox")]


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
        # `insights status` ends with 1 while days are missing, and make with 2 then.
        assert done.returncode == 0 or ("status" in command and "missing" in said), said
        # What the functions have logged is theirs.
        assert "Traceback" not in said or command.endswith("logs")


@pytest.mark.parametrize("block", [*blocks("sql")], ids=lambda block: block.page)
def test_the_sql_is_answered(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, block: Block
) -> None:
    monkeypatch.setattr("choreo_insights_cli.commands.query.CACHE", deployment.folder.dataset)
    deployment.complete()
    assert ask(deployment.stack, block.text.strip().removesuffix(";")).names
