"""What the probe finds out is how the sandbox was set, and a record makes another one alike."""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from choreo_insights_cli.commands.doctor.behaviour import MOST_REQUESTS
from choreo_insights_cli.commands.doctor.command import save
from choreo_insights_cli.commands.doctor.findings import DoctorReport
from choreo_insights_cli.commands.doctor.probe import Prober
from choreo_insights_cli.errors import CommandError
from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.world import EnvironmentSpec, OrganizationSpec
from tests.unit.choreo_insights_cli.commands.doctor.conftest import Doctor

_CHOICES: dict[str, list[Any]] = {
    "api_index": ["mixed", "id", "name", "both", "switched"],
    "aggregate_with_ids": [False, True],
    "usage_as_object": [False, True],
    "foreign_entries": ["none", "by_name", "always"],
    "zero_buckets": [False, True],
    "to_inclusive": [False, True],
    "page_limit_default": [5, 7],
    "page_limit_max": [20, 50],
    "newer_fields": [False, True],
    "introspection": [False, True],
}


@pytest.fixture(scope="module")
def world() -> World:
    """One environment; of its APIs the last one is called so seldom that hours are empty."""
    return World(3, [OrganizationSpec("acme", environments=(EnvironmentSpec("Production"),))])


@pytest.fixture(autouse=True)
def no_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documents are others' business."""
    monkeypatch.setattr(Prober, "probe", lambda *_: iter(()))


@pytest.fixture
def sandbox(world: World) -> Iterator[SandboxServer]:
    """By the clock on the wall, as the doctor's own."""
    with SandboxServer(world, SandboxSettings()) as running:
        yield running


def drawn(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    values = {name: chance.choice(choices) for name, choices in _CHOICES.items()}
    if values["usage_as_object"]:
        # One object is the sum of all entries: nothing tells that there was another API's.
        values["foreign_entries"] = "none"
        if values["api_index"] in ("both", "switched"):
            values["aggregate_with_ids"] = True
    return values


def behaviour(report: DoctorReport) -> dict[str, Any]:
    (diagnosis,) = report.diagnoses
    return dict(diagnosis.behaviour)


@pytest.mark.parametrize("seed", range(6))
def test_the_probe_identifies_the_settings(doctor: Doctor, sandbox: SandboxServer, seed: int):
    values = drawn(seed)
    sandbox.settings.update(values)
    assert behaviour(doctor(probe=True)) == values


def test_a_record_makes_another_sandbox_that_behaves_alike(
    doctor: Doctor, sandbox: SandboxServer, tmp_path: Path
):
    sandbox.settings.update(drawn(1))
    file = tmp_path / "record.json"
    save(doctor(probe=True), file)
    sandbox.settings.update({**asdict(SandboxSettings()), **json.loads(file.read_text("utf-8"))})
    assert behaviour(doctor(probe=True)) == drawn(1)


def test_a_record_has_nothing_of_the_organisation(doctor: Doctor, sandbox: SandboxServer):
    text = json.dumps(behaviour(doctor(probe=True)))
    own = sandbox.world.organization("acme")
    place, api = own.environments[0], own.environments[0].apis[0]
    for each in (own.uuid, own.consumer_key, own.handle, place.id, place.name, api.id, api.name):
        assert each not in text
    assert set(json.loads(text)) <= set(_CHOICES)


def test_few_requests_are_enough(doctor: Doctor, sandbox: SandboxServer):
    doctor()
    usual = sandbox.statistics.queries
    doctor(probe=True)
    assert sandbox.statistics.queries - 2 * usual <= MOST_REQUESTS


def test_without_traffic_nothing_is_claimed(doctor: Doctor, sandbox: SandboxServer):
    sandbox.settings.update({"now": "2020-01-01T00:00:00Z"})
    (diagnosis,) = doctor(probe=True).diagnoses
    assert diagnosis.behaviour == {"introspection": True}
    assert [each.what for each in diagnosis.seen if each.status == "ok"] == ["introspection"]


def test_a_failure_is_said_and_nothing_is_written(
    doctor: Doctor, sandbox: SandboxServer, tmp_path: Path
):
    sandbox.faults.add("reset", field="getTotalTraffic", times=None)
    report = doctor(probe=True)
    assert "behaviour" in {each.what for each in report.diagnoses[0].checks}
    with pytest.raises(CommandError, match=r"record\.json is not written"):
        save(report, tmp_path / "record.json")
