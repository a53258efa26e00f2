"""One deployment for all stations, and the count of faults that were tried and survived.

With several workers (`-n`) the first process deploys, and each worker has a station of its own.
"""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from choreo_insights_cli.paths import STACK_NAME
from choreo_insights_cli.stack import Stack
from dev.local import background, deploy, up
from dev.local.paths import Folder
from dev.local.state import LocalState
from tests.faults import page
from tests.faults.fault_rig import Station
from tests.faults.selection import PART, SEED, SOAK

_STATIONS = 16
_NOWHERE = "http://127.0.0.1:9"


@dataclass
class Deployment:
    """The stack that all stations share, and where its files are."""

    environment: dict[str, str]
    folder: str

    @property
    def stack(self) -> Stack:
        """The deployed stack."""
        return Stack(STACK_NAME, self.environment)


class _Run:
    """What this process keeps: the deployment that it made, and what was tried."""

    deployment: Deployment | None = None
    tried: page.Counts = {}  # noqa: RUF012 - there is one run in a process


def _deployment() -> Deployment:
    """The deployed template, with addresses that nobody listens on: stations have their own."""
    if _Run.deployment is None:
        folder = Folder(Path(tempfile.mkdtemp(prefix="faults-")))
        state = LocalState()
        up.start_aws(folder, state, iam=True)
        assert state.aws
        _Run.deployment = Deployment(state.aws.environment, str(folder.path))
        deploy.build_locally(folder)
        values = {
            "TokenUrl": f"{_NOWHERE}/oauth2/token",
            "RevokeUrl": f"{_NOWHERE}/oauth2/revoke",
            "InsightsUrl": f"{_NOWHERE}/query",
            "Organizations": ",".join(f"station-{number}" for number in range(_STATIONS)),
            "ExportSince": "2026-01-01",
            "RequestsPerMinute": "60000",
        }
        deploy.deploy_locally(folder, state.aws, values)
    return _Run.deployment


def pytest_configure() -> None:
    """Draws the seed and says which part it is, the same for all workers."""
    os.environ.setdefault(SEED, str(secrets.randbelow(2**31)) if SOAK else "9")
    os.environ.setdefault(PART, str(datetime.now(UTC).toordinal()))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a worker of the deployment, before it starts."""
    node.workerinput["deployment"] = json.dumps(vars(_deployment()))


def pytest_unconfigure() -> None:
    """Ends the deployment that this process made."""
    if _Run.deployment:
        background.stop_all()
        shutil.rmtree(_Run.deployment.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """The deployment, made by this process or by the one that started it."""
    given = getattr(request.config, "workerinput", {}).get("deployment")
    return Deployment(**json.loads(given)) if given else _deployment()


@pytest.fixture(scope="session")
def own_station(
    deployment: Deployment, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Station]:
    """This worker's station."""
    number = int(worker_id.removeprefix("gw") or 0) if worker_id != "master" else 0
    with Station(deployment.stack, number, tmp_path_factory.mktemp("logs")) as station:
        yield station


@pytest.fixture
def station(own_station: Station) -> Iterator[Station]:
    """The station as before any fault; afterwards no log may hold a secret."""
    own_station.reset()
    yield own_station
    own_station.calm()
    assert own_station.crashes() == []
    assert own_station.leaks() == []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counts what was tried."""
    if report.when != "call" or "PYTEST_XDIST_WORKER" in os.environ:
        return
    given = {str(name): value for name, value in report.user_properties}
    if "fault" in given:
        name, tried = str(given["fault"]), int(str(given.get("tried", 1)))
        before = _Run.tried.get(name, (0, 0))
        _Run.tried[name] = (before[0] + tried, before[1] + tried - int(report.failed))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many faults were tried and survived, and writes the page where one is wanted."""
    if not _Run.tried:
        return
    tried = sum(counts[0] for counts in _Run.tried.values())
    survived = sum(counts[1] for counts in _Run.tried.values())
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{tried} tried, {survived} survived")
    terminalreporter.write_line(f"drawn by SEED={os.environ[SEED]} PART={os.environ[PART]}")
    if path := os.environ.get("RELIABILITY"):
        Path(path).write_text(page.text(_Run.tried), encoding="utf-8")
        terminalreporter.write_line(f"written: {path}")
