"""What the user gives as variables is understood, or refused with what to do."""

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import STACK_NAME
from dev.local import choreo, up
from dev.local.aws import LocalAws, free_port
from dev.local.background import Background
from dev.local.choreo import Sandbox
from dev.local.deploy import (
    check_stack_name,
    deploy_to_aws,
    given_parameters,
    layer_settings,
    parameters,
)
from dev.local.paths import Folder, tool
from dev.local.state import LocalState

URLS = {
    "TOKEN_URL": "https://sts.example/oauth2/token",
    "REVOKE_URL": "https://sts.example/oauth2/revoke",
    "INSIGHTS_URL": "https://api.example/query-api",
}
GONE = Background(pid=2**22 + 1, born="1")


@given(
    st.dictionaries(
        st.text("ABCabc019", min_size=1), st.text(st.characters(exclude_characters="\0"))
    )
)
def test_parameters_are_read_as_a_shell_reads_words(values: dict[str, str]) -> None:
    text = " ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
    assert parameters(text) == values


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("aws-insights", "begins with 'aws'"),
        ("ssmx", "begins with 'ssm'"),
        ("Choreo", "small letters"),
        ("1choreo", "a letter first"),
        ("choreo_insights", "dashes"),
        ("c" * 72, "at most 71"),
    ],
)
def test_a_stack_name_that_a_resource_does_not_take_is_refused(
    name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACK_NAME", name)
    with pytest.raises(CommandError, match=rf"STACK_NAME: .*{says}.*Nothing was deployed"):
        deploy_to_aws()


@pytest.mark.parametrize("name", [STACK_NAME, "c" * 71, "my-aws-insights", "a1"])
def test_other_stack_names_are_taken(name: str) -> None:
    check_stack_name(name)


@pytest.mark.parametrize("text", ["Tables", "Tables apis", "=apis", "--x=1", "Tables='apis"])
def test_parameters_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(CommandError, match="PARAMETERS"):
        parameters(text)


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        (
            "apis,weather",
            r"Tables: unknown table 'weather'\. The tables are: .*\. Nothing was deployed",
        ),
        ("overall_latency_by_api", r"'overall_latency_by_api' is switched off: the service has .*"),
    ],
)
def test_tables_that_there_are_not_are_refused_before_anything_is_deployed(
    tables: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PARAMETERS", f"Tables={tables}")
    with pytest.raises(CommandError, match=says):
        up.up(Folder(tmp_path))
    with pytest.raises(CommandError, match=says):
        deploy_to_aws()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("ExportSinc=2026-01-01", r"unknown parameter ExportSinc. Did you mean ExportSince"),
        ("Nonsense=1", r"unknown parameter Nonsense. Those are: Organizations, ExportSince"),
        ("ExportSince=yesterday", r"ExportSince=yesterday is refused. ExportSince: a day as in"),
        ("ExportSince=2026-02-31", r"ExportSince=2026-02-31 is refused. Day"),
        ("SettleHours=abc", r"SettleHours: a number, 0 at the least, 8784 at the most"),
        ("SettleHours=-1", r"SettleHours: a number, 0 at the least"),
        ("Architecture=vax", r"Architecture: one of arm64, x86_64"),
        ("ExportSchedule=hourly", r"ExportSchedule: as in rate"),
        ("ScanLimitBytes=1", r"a number, 10000000 at the least. Nothing was deployed"),
    ],
)
def test_a_parameter_that_the_template_refuses_is_refused_first(
    given: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAMETERS", given)
    with pytest.raises(WrongUsage, match=says):
        given_parameters()


def test_a_second_deployment_keeps_what_the_first_was_given() -> None:
    fresh = {"InsightsUrl": "http://127.0.0.1:1", "ExportSince": "2026-03-01", "Scope": "a"}
    earlier = {**fresh, "ExportSince": "2026-01-01", "Tables": "apis"}
    assert up.kept(fresh, earlier) == {**fresh, "ExportSince": "2026-01-01"}
    other = {**earlier, "InsightsUrl": "https://api.example"}
    assert up.kept(fresh, other) == fresh
    assert up.kept(fresh, {}) == fresh


def test_tables_that_there_are_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMETERS", "Tables='apis, latency'")
    assert given_parameters() == {"Tables": "apis, latency"}


def test_the_layer_is_built_for_what_the_functions_run_on() -> None:
    assert layer_settings({}) == {}
    assert layer_settings({"Architecture": "arm64"}) == {"LAYER_PLATFORM": "aarch64"}
    assert layer_settings({"Architecture": "x86_64", "Runtime": "python3.14"}) == {
        "LAYER_PLATFORM": "x86_64",
        "LAYER_PYTHON": "3.14",
    }


def test_another_server_needs_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in URLS:
        monkeypatch.delenv(name, raising=False)
    assert choreo.external() == {}
    monkeypatch.setenv("TOKEN_URL", URLS["TOKEN_URL"])
    with pytest.raises(CommandError, match="REVOKE_URL, INSIGHTS_URL is missing"):
        choreo.external()
    for name, url in URLS.items():
        monkeypatch.setenv(name, url)
    assert choreo.external() == {
        "TokenUrl": URLS["TOKEN_URL"],
        "RevokeUrl": URLS["REVOKE_URL"],
        "InsightsUrl": URLS["INSIGHTS_URL"],
    }


def test_a_tool_that_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VENVS", raising=False)
    with pytest.raises(CommandError, match=r"make \.venvs/none/\.done"):
        tool("none", "such")


def test_free_ports_differ_from_those_in_use() -> None:
    assert 1024 <= free_port() <= 65535


def test_what_runs_is_remembered_between_commands(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "local")
    assert LocalState.load(folder) == LocalState()
    state = LocalState(LocalAws(GONE, 4566, iam=True), Sandbox(GONE, "http://127.0.0.1:1"))
    state.save(folder)

    assert LocalState.load(folder) == state

    assert state.stop(folder)
    assert LocalState.load(folder) == LocalState()
    assert not LocalState.load(folder).stop(folder)


def test_the_file_for_the_shell(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    up.write_env(folder, LocalAws(GONE, 4566, iam=True))

    lines = folder.env.read_text("utf-8").splitlines()

    assert all(line.startswith("export ") for line in lines)
    settings = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert settings["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert settings["STACK_NAME"] == "choreo-insights"
    assert {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= settings.keys()


def test_another_server_gets_no_organisation_of_the_sandbox() -> None:
    values = up.parameters(LocalState(), {"TokenUrl": URLS["TOKEN_URL"]})
    assert values["TokenUrl"] == URLS["TOKEN_URL"]
    assert json.dumps(values).count("sandbox") == 0
