"""The functions as they are deployed, with the proxy between them and the local AWS."""

import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from choreo_insights_cli.stack import Stack
from tests.faults.cases import PARTITIONS, error, rule, status
from tests.faults.conftest import Deployment
from tests.faults.fault_rig import Ended, Station
from tests.faults.proxy import Rule
from tests.faults.selection import some
from tests.faults.table import named
from tests.integration import processes

Record = Callable[[str, object], None]
linux = pytest.mark.skipif(not processes.HERE, reason="reads /proc")


class Deployed:
    """The deployed functions, in the surroundings of a station."""

    def __init__(self, stack: Stack, station: Station, folder: str) -> None:
        self._stack = stack
        self._folder = folder
        self._names = {
            kind: stack.outputs[f"{kind.title()}FunctionName"] for kind in ("export", "token")
        }
        self._before = {
            kind: stack.functions.get_function_configuration(FunctionName=name)["Environment"]
            for kind, name in self._names.items()
        }
        for kind, name in self._names.items():
            variables = station.surroundings(kind, f"deployed-{kind}", through_proxy=True)
            self._set(name, {"Variables": variables})

    def export(self, event: dict[str, Any] | None = None) -> Ended:
        """Calls the export function."""
        answer = self._stack.functions.invoke(
            FunctionName=self._names["export"], Payload=json.dumps(event or {}).encode()
        )
        payload = json.load(answer["Payload"])
        if "FunctionError" not in answer:
            return Ended(payload)
        return Ended(error="Unhandled", message=str(payload.get("errorMessage")))

    def kill(self, kind: str) -> None:
        """Kills the function's processes."""
        # Functions of other local deployments bear the same name.
        named = processes.that_know(f"AWS_LAMBDA_FUNCTION_NAME={self._names[kind]}")
        for pid in named & processes.that_know(f"{self._folder}/aws/"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def restore(self) -> None:
        """Gives the functions back their environment."""
        for kind, name in self._names.items():
            self._set(name, self._before[kind])

    def _set(self, name: str, environment: Any) -> None:
        self._stack.functions.update_function_configuration(
            FunctionName=name, Environment=environment
        )


@pytest.fixture
def functions(deployment: Deployment, station: Station) -> Iterator[Deployed]:
    """The functions for one test at a time: the workers share them."""
    with (Path(deployment.folder) / "deployed.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        deployed = Deployed(deployment.stack, station, deployment.folder)
        yield deployed
        deployed.restore()


def _passing(functions: Deployed, station: Station) -> None:
    station.proxy.replace(
        (
            *error("s3:PutObject", "SlowDown", 503, 3, has="/insights/"),
            *error("ssm:GetParameter", "ThrottlingException", 400),
            *error("secretsmanager:GetSecretValue", "ThrottlingException", 400),
            *error("lambda:Invoke", "TooManyRequestsException", 429),
        )
    )
    station.sandbox.faults.replace([status(429, wait="date", seconds=1), status(503, skip=2)])
    ended = functions.export()
    assert ended.is_whole, ended
    assert station.proxy.taken == 9
    assert station.sandbox.faults.as_list() == []


def _token_killed(functions: Deployed, station: Station) -> None:
    station.sandbox.faults.replace([rule("kill_tokens", skip=2)])
    ended = functions.export()
    assert ended.is_whole, ended
    assert station.sandbox.faults.as_list() == []


def _export_killed(functions: Deployed, station: Station) -> None:
    station.proxy.replace([Rule("kill", skip=30, act=lambda: functions.kill("export"))])
    ended = functions.export()
    assert ended.error, ended
    assert station.proxy.taken == 1


def _token_function_killed(functions: Deployed, station: Station) -> None:
    token = Rule("kill", who="deployed-token", act=lambda: functions.kill("token"))
    station.proxy.replace([token])
    # The export holds a token in memory: another one is needed.
    station.sandbox.faults.replace([rule("kill_tokens")])
    ended = functions.export()
    assert station.proxy.taken == 1
    assert ended.is_whole, ended


def _two_at_once(functions: Deployed, station: Station) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(functions.export, ({}, {})))
    for ended in both:
        assert ended.is_whole, ended
        assert ended.report["exported"] + ended.report["settled"] == PARTITIONS
    assert station.unequal(station.now.date()) == []


@linux
@pytest.mark.parametrize(
    "happens",
    some([_passing, _token_killed, _export_killed, _token_function_killed, _two_at_once], 2),
)
def test_the_deployed_functions(
    station: Station,
    functions: Deployed,
    record_property: Record,
    happens: Callable[[Deployed, Station], None],
) -> None:
    record_property("fault", named("test_the_deployed_functions"))
    happens(functions, station)
    assert station.wrong() == []
    station.calm()
    station.expire_slots()
    ended = functions.export()
    assert ended.is_whole, ended
    assert station.unequal(station.now.date()) == []
