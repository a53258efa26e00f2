"""What the probe finds out is how the sandbox was set, and a record makes another one alike."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from choreo_insights.credentials import Credentials
from choreo_insights.dataset.partitions import Environment
from choreo_insights.errors import Retriable
from choreo_insights_cli.catalogue.service_schema import for_own_documents
from choreo_insights_cli.commands.doctor import command, examiner
from choreo_insights_cli.commands.doctor.behaviour import MOST_DAYS, MOST_ROOTS, Behaviour
from choreo_insights_cli.commands.doctor.command import diagnose, save
from choreo_insights_cli.commands.doctor.documents import Document, load
from choreo_insights_cli.commands.doctor.examiner import MOST_REQUESTS, Examiner
from choreo_insights_cli.commands.doctor.findings import Diagnosis, DoctorReport
from choreo_insights_cli.commands.doctor.live import Live
from choreo_insights_cli.commands.doctor.probe import Prober
from choreo_insights_cli.commands.doctor.settings import DoctorOptions, resolve
from choreo_insights_cli.commands.doctor.token import obtain
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import shipped
from choreo_insights_cli.stack import Stack
from dev.sandbox import SandboxSettings, World
from dev.sandbox.__main__ import settings_of
from dev.sandbox.service import INSIGHTS_PATH, TOKEN_PATH, Service
from dev.sandbox.world import EnvironmentSpec, OrganizationSpec
from tests.fakes.direct import DirectHttp
from tests.unit.choreo_insights_cli.commands.doctor.conftest import NOW

# One environment; of its APIs the last one is called so seldom that hours are empty.
WORLD = World(3, [OrganizationSpec("acme", environments=(EnvironmentSpec("Production"),))])
# Query fields of which the retention is examined, one by API among them.
FIELDS = ("getTotalTraffic", "getAPIUsageOverTime", "getLatency")
LISTS = ("listEnvironments", "listTenants")
DRAWN = {
    "api_index": st.sampled_from(["mixed", "id", "name", "both", "switched"]),
    "aggregate_with_ids": st.booleans(),
    "usage_as_object": st.booleans(),
    "foreign_entries": st.sampled_from(["none", "by_name", "always"]),
    "totals_equal_usage": st.booleans(),
    "zero_buckets": st.booleans(),
    "to_inclusive": st.booleans(),
    "page_limit_default": st.sampled_from([5, 7]),
    "page_limit_max": st.sampled_from([20, 50]),
    "newer_fields": st.booleans(),
    "traffic_type": st.sampled_from(["unknown", "same", "external"]),
    "api_id_version_pairs": st.booleans(),
    "aliases": st.sampled_from([True, True, True, False]),
    "root_fields_max": st.sampled_from([9, 17, 40, MOST_ROOTS]),
    "error_shape": st.sampled_from(["error_message", "code", "fault"]),
    "granularity_error": st.sampled_from(["gateway", "graphql"]),
    "retention": st.fixed_dictionaries({name: st.integers(8, MOST_DAYS) for name in FIELDS}),
}
WITHOUT_ALIASES = {"aliases", "error_shape", "granularity_error"}


@cache
def documents() -> Sequence[Document]:
    found, _ = load(for_own_documents(shipped("custom")))
    return [each for each in found if each.table.field in (*FIELDS, *LISTS)]


@pytest.fixture(autouse=True)
def few_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documents are others' business."""
    monkeypatch.setattr(Prober, "probe", lambda *_: iter(()))
    monkeypatch.setattr(command, "load", lambda _: (documents(), ()))


class Probed:
    """A sandbox in this process, and what the probe needs of it."""

    def __init__(self, world: World = WORLD, **values: Any) -> None:
        settings = SandboxSettings(now=NOW)
        settings.update(values)
        self.service = Service(world, settings)
        own = world.organization("acme")
        self.secret = world.secret("acme")
        self.credentials = Credentials(**self.secret)
        self.http = DirectHttp(self.service)
        place = own.environments[0]
        self.places = [Environment(place.id, place.name, place.type, place.ids, "production")]

    @property
    def options(self) -> DoctorOptions:
        """Of a doctor with a file."""
        address = "http://127.0.0.1:1"
        urls = {"token_url": address + TOKEN_PATH, "insights_url": address + INSIGHTS_PATH}
        return DoctorOptions(organization="acme", secret_file="-", **urls)

    @property
    def live(self) -> Live:
        given_ = resolve(self.options, Stack("none", {}), lambda: json.dumps(self.secret))
        tokens = obtain(given_, self.credentials, self.http, Diagnosis("acme"))
        assert tokens
        return Live(self.http, given_, self.credentials, tokens)

    def examine(self, documents: Sequence[Document] = (), **options: Any) -> Behaviour:
        found = Examiner(
            self.live, "carbon.super", documents, now=self.service.settings.clock, **options
        )
        behaviour = found.examine(self.places, introspection=True)
        assert found.requests <= MOST_REQUESTS
        return behaviour

    def diagnose(self, **options: Any) -> DoctorReport:
        """The whole doctor."""
        wish = replace(self.options, **options)
        secret = json.dumps(self.secret)
        clock = self.service.settings.clock
        return diagnose(wish, Stack("none", {}), lambda: secret, self.http, now=clock)


def visible(values: dict[str, Any]) -> dict[str, Any]:
    """Values of which each shows in an answer."""
    values = dict(values)
    if values["usage_as_object"]:
        # One object is the sum of all entries: nothing tells that there was another API's.
        values["foreign_entries"] = "none"
        if values["api_index"] in ("both", "switched"):
            values["aggregate_with_ids"] = True
    return values


# Without shrinking: an example costs many requests, and all of its values matter.
@settings(max_examples=6, phases=(Phase.explicit, Phase.generate))
@given(drawn=st.fixed_dictionaries(DRAWN))
def test_the_probe_identifies_the_settings(drawn: dict[str, Any]):
    values = visible(drawn)
    found = Probed(**values).examine(documents()).as_settings()
    assert found.pop("introspection")
    assert found.pop("subscribed")
    assert found.pop("shared_names", False) is False
    if not values["aliases"]:
        assert found == {name: values[name] for name in found}
        assert set(found) == WITHOUT_ALIASES
    else:
        assert found == values


@pytest.mark.parametrize("late", [0, 6, 20])
def test_two_looks_show_how_late_data_arrive(late: int):
    probed = Probed(late_hours=late)
    later = {"now": (NOW + timedelta(hours=1)).isoformat()}
    behaviour = probed.examine(pause=lambda: probed.service.settings.update(later))
    assert behaviour.late_hours is not None
    # The last trickle of the slowest caller may be less than a request.
    assert late - 2 <= behaviour.late_hours <= late
    assert Probed().examine().late_hours is None


@pytest.mark.parametrize("in_200", [True, False])
def test_throttling_is_waited_out_and_its_form_recorded(
    in_200: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    minutes = [0]
    monkeypatch.setattr("dev.sandbox.service.time", lambda: 60 * minutes[0])

    def record(**values: Any) -> dict[str, Any]:
        probed = Probed(**values)
        probed.http = DirectHttp(probed.service, lambda: minutes.append(minutes.pop() + 1))
        return probed.examine().as_settings()

    file = tmp_path / "record.json"
    limited = record(rate_limit=7, throttled_in_200=in_200)
    assert limited == {**record(), "throttled_in_200": in_200}
    file.write_text(json.dumps(limited), "utf-8")
    like = settings_of(["--like", str(file), "--set", f"now={NOW.isoformat()}"])
    assert record(**{**like.as_dict(), "rate_limit": 7}) == limited


@pytest.mark.parametrize("in_200", [True, False])
def test_throttling_without_an_end_claims_nothing(in_200: bool):
    (diagnosis,) = Probed(rate_limit=0, throttled_in_200=in_200).diagnose(probe=True).diagnoses
    (endpoint,) = [each for each in diagnosis.checks if each.what == "endpoint"]
    assert "asked too often" in endpoint.change
    probed = Probed()
    live, probed.service.settings.rate_limit = probed.live, 0
    probed.service.settings.throttled_in_200 = in_200
    with pytest.raises(Retriable, match="throttles"):
        Examiner(live, "carbon.super", (), now=lambda: NOW).examine(
            probed.places, introspection=True
        )


@pytest.mark.parametrize("have_traffic", [True, False])
def test_what_is_of_the_world_is_recorded_too(have_traffic: bool, tmp_path: Path):
    def probed(**values: Any) -> dict[str, Any]:
        places = EnvironmentSpec("Production"), EnvironmentSpec("Headquarters", "ON_PREM")
        world = World(3, [OrganizationSpec("acme", environments=places)])
        report = Probed(world, **values).diagnose(probe=True)
        save(report, file)
        return report.diagnoses[0].behaviour

    file = tmp_path / "record.json"
    names = ("tenants_have_traffic", "shared_names")
    record = probed(**dict.fromkeys(names, have_traffic))
    assert [record[name] for name in names] == [have_traffic] * 2
    like = settings_of(["--like", str(file), "--set", f"now={NOW.isoformat()}"])
    assert probed(**like.as_dict()) == record


def test_a_second_token_is_minted_where_that_is_wanted():
    probed = Probed(one_token=False, token_size=5000, token_lifetime=120)
    (diagnosis,) = probed.diagnose(probe=True, mint=True).diagnoses
    names = ("one_token", "token_size", "token_lifetime")
    assert [diagnosis.behaviour[name] for name in names] == [False, 5000, 120]
    assert "note" in {each.status for each in diagnosis.checks if each.what == "second token"}
    assert probed.service.statistics.mints == 2


def test_a_lack_of_the_subscription_is_recorded():
    (diagnosis,) = Probed(subscribed=False, error_shape="fault").diagnose(probe=True).diagnoses
    assert diagnosis.behaviour == {"subscribed": False, "error_shape": "fault"}


def test_a_record_makes_another_sandbox_that_behaves_alike(tmp_path: Path):
    probed = Probed(
        api_index="name", traffic_type="external", retention={"*": 31}, zero_buckets=True
    )
    file = tmp_path / "record.json"
    save(probed.diagnose(probe=True, mint=True), file)
    record = json.loads(file.read_text("utf-8"))
    assert record["one_token"]
    assert record["api_index"] == "name"
    assert record["retention"]["getLatency"] == 31
    like = settings_of(["--like", str(file), "--set", f"now={NOW.isoformat()}"])
    other = Probed(**like.as_dict())
    (diagnosis,) = other.diagnose(probe=True, mint=True).diagnoses
    assert diagnosis.behaviour == record


def test_a_record_has_nothing_of_the_organisation():
    (diagnosis,) = Probed().diagnose(probe=True).diagnoses
    assert diagnosis.behaviour["api_index"] == "mixed"
    assert "one_token" not in diagnosis.behaviour
    text = json.dumps(diagnosis.behaviour)
    own = WORLD.organization("acme")
    place, api = own.environments[0], own.environments[0].apis[0]
    for each in (own.uuid, own.consumer_key, own.handle, place.id, place.name, api.id, api.name):
        assert each not in text
    assert set(diagnosis.behaviour) <= set(Behaviour.__struct_fields__)


def test_each_finding_says_what_it_means():
    behaviour = Probed(root_fields_max=17, retention={"getLatency": 31}).examine(documents())
    said = {each.what: each.says for each in behaviour.findings()}
    assert "set MaxBatchSize=17" in said["root_fields_max"]
    assert said["late_hours"] == "give --wait MINUTES to look twice"
    assert "31 days: getLatency: " in said["retention"]
    assert not [name for name, says in said.items() if "as the export expects" in says]


def test_the_budget_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(examiner, "MOST_REQUESTS", 9)
    probed = Probed(root_fields_max=1)
    probed.examine(documents())
    assert probed.service.statistics.queries <= 9


def test_without_traffic_nothing_is_claimed():
    found = Probed(now="2020-01-01T00:00:00Z")
    found.service.settings.retention = (("*", 0),)
    behaviour = found.examine(documents())
    assert behaviour.api_index is behaviour.zero_buckets is behaviour.retention is None


@pytest.mark.parametrize("fault", ["reset", "status"])
def test_a_failure_is_said_and_nothing_is_written(tmp_path: Path, fault: str):
    probed = Probed()
    probed.service.faults.add(fault, status=503, field="getTotalTraffic", times=None)
    report = probed.diagnose(probe=True)
    assert "behaviour" in {each.what for each in report.diagnoses[0].checks}
    with pytest.raises(CommandError, match=r"record\.json is not written"):
        save(report, tmp_path / "record.json")
