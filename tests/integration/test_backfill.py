"""`insights backfill` on the deployed stack: days before ExportSince, failures, stop and resume."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from time import sleep

import pytest

from choreo_insights_cli.commands.backfill.machine import Machine
from choreo_insights_cli.paths import ROOT
from tests.integration.conftest import Deployment
from tests.integration.dataset import Place, expected, found, places
from tests.integration.test_commands import environment, insights, settings

TABLES = {"success_summary", "total_traffic"}
FIELD = "getSuccessSummary"
DAYS = 6


@pytest.fixture(scope="module")
def history(deployed: Deployment) -> Iterator[Deployment]:
    """The deployment with lists of environments, and nothing else, in its dataset."""
    deployed.sandbox.faults.clear()
    deployed.empty()
    deployed.export(tables=["environments"])
    yield deployed
    deployed.empty()


def span(deployment: Deployment, back: int) -> tuple[date, date]:
    """Days that end so many days before the first that the stack exports by itself."""
    last = deployment.since - timedelta(days=back)
    return last - timedelta(days=DAYS - 1), last


def wanted(deployment: Deployment, days: tuple[date, date]) -> list[Place]:
    return [place for place in places(deployment.world, *days) if place.table in TABLES]


def arguments(days: tuple[date, date]) -> list[str]:
    # Two spans, so that there are more parts than workers.
    first, last = map(str, days)
    return ["--from", first, "--to", last, "--tables", ",".join(TABLES), "--span", "4"]


def run(deployment: Deployment, *options: str) -> subprocess.CompletedProcess[str]:
    shell = settings(deployment.folder.env)
    return insights(deployment.folder, "backfill", *options, **shell)


def backfill(
    deployment: Deployment, days: tuple[date, date]
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Runs a backfill to its end; its name."""
    done = run(deployment, *arguments(days))
    (name,) = re.findall(r"^Backfill (\S+): ", done.stdout, re.M)
    return done, name


def resume(deployment: Deployment, name: str) -> subprocess.CompletedProcess[str]:
    return run(deployment, "--resume", name)


def there(deployment: Deployment, days: tuple[date, date]) -> dict[str, bytes]:
    """The objects of these days by key, without the ledger and the checks."""
    inside = {str(place.day) for place in wanted(deployment, days)}
    return {
        key: body
        for key, body in deployment.objects().items()
        if key.split("/")[2].removeprefix("day=") in inside
        and key.split("/")[1] not in ("runs", "checks")
    }


def test_a_history_is_exported_once(history: Deployment) -> None:
    days = span(history, 1)

    done, name = backfill(history, days)

    assert done.returncode == 0, done.stderr
    environments = sum(len(each.environments) for each in history.world.organizations.values())
    assert f"{environments * 2} of {environments * 2} parts done" in done.stdout
    assert "All parts are done." in done.stdout
    objects = there(history, days)
    assert objects.keys() == {place.key for place in wanted(history, days)}
    for place in wanted(history, days):
        assert found(objects[place.key]) == expected(history.world, place, history.now)

    asked = history.sandbox.statistics.root_fields[FIELD]
    again, second = backfill(history, days)

    assert again.returncode == 0, again.stderr
    assert second == f"{name}_2"
    assert history.sandbox.statistics.root_fields[FIELD] == asked
    assert there(history, days) == objects


def test_what_fails_stops_no_other_and_is_reported(history: Deployment) -> None:
    days = span(history, 20)
    first, broken = history.world.organizations
    history.sandbox.faults.add("status", status=403, code="900908", organization=broken, times=None)

    failed, name = backfill(history, days)

    history.sandbox.faults.clear()
    assert failed.returncode == 1
    keys = {place.organization: set[str]() for place in wanted(history, days)}
    for place in wanted(history, days):
        keys[place.organization].add(place.key)
    assert there(history, days).keys() == keys[first]
    (printed_text,) = re.findall(
        rf"^{broken} .*, {days[0]} to {days[1]} \(\d+ parts\):$", failed.stdout, re.M
    )
    assert first not in printed_text
    assert "HTTP 403" in failed.stdout
    assert f"--resume {name}" in failed.stderr

    resumed = resume(history, name)

    assert resumed.returncode == 0, resumed.stderr
    # Those of the first organisation are done already.
    environments = sum(len(each.environments) for each in history.world.organizations.values())
    assert f"{environments * 2} of {environments * 2} parts done" in resumed.stdout
    assert there(history, days).keys() == keys[first] | keys[broken]


def test_it_goes_on_alone_is_stopped_and_resumed(history: Deployment) -> None:
    days = span(history, 40)
    history.sandbox.faults.add("slow", seconds=2, times=None)
    with subprocess.Popen(
        [sys.executable, "-m", "choreo_insights_cli", "backfill", *arguments(days)],
        cwd=ROOT,
        env=environment(history.folder, **settings(history.folder.env)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as following:
        assert following.stdout
        shown = ""
        for line in following.stdout:
            shown += line
            if "parts done" in line:
                break
        following.send_signal(signal.SIGINT)
        shown += following.stdout.read()
    (name,) = re.findall(r"^Backfill (\S+): ", shown, re.M)
    machine = Machine.of(history.stack)

    assert following.returncode == 130, shown
    assert f"insights backfill --attach {name}" in shown
    assert machine.execution(name).status == "RUNNING"

    stopped = run(history, "--stop")

    assert stopped.returncode == 0, stopped.stderr
    assert f"insights backfill --resume {name}" in stopped.stdout
    assert machine.execution(name).status == "ABORTED"
    watched = run(history, "--attach", name)
    assert watched.returncode == 1
    assert "was stopped" in watched.stderr

    history.sandbox.faults.clear()
    resumed = resume(history, name)

    assert resumed.returncode == 0, resumed.stderr
    objects = there(history, days)
    assert objects.keys() == {place.key for place in wanted(history, days)}
    for place in wanted(history, days):
        assert found(objects[place.key]) == expected(history.world, place, history.now)
    # The local AWS goes on with the parts of what was stopped: they must not meet other tests.
    while (left := machine.progress(machine.execution(name))).ended < left.parts:
        sleep(0.2)


def test_what_cannot_be_done_is_told(history: Deployment) -> None:
    days = ("--from", "2026-01-01", "--to", "2026-01-02")
    for options, code, printed_text in (
        ((*days, "--org", "hooli"), 2, "--org hooli: no such organisation"),
        (("--attach", "no-such-name"), 3, "There is no backfill no-such-name"),
    ):
        done = run(history, *options)
        assert done.returncode == code
        assert printed_text in done.stderr
        assert "Traceback" not in done.stderr
