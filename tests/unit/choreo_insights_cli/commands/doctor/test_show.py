"""The report as people and programs read it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from choreo_insights_cli.commands.doctor.findings import Diagnosis, DoctorReport, Finding
from choreo_insights_cli.commands.doctor.show import show
from choreo_insights_cli.console import Console
from choreo_insights_cli.paths import ROOT
from dev.local.paths import basic_environment
from dev.sandbox import SandboxServer


def diagnosis(*checks: Finding, asked: bool = True) -> Diagnosis:
    return Diagnosis("acme", checks=list(checks), asked=asked)


def shown(report: DoctorReport, *, terminal: bool = False) -> str:
    text = io.StringIO()
    show(report, Console(file=text, force_terminal=terminal, width=60, color_system=None))
    return text.getvalue()


FINE = Finding("token", "ok", "minted [red]anew[/red]")
WRONG = Finding("endpoint", "failed", "HTTP 404", "Set InsightsUrl")


@pytest.mark.parametrize(
    ("report", "code", "verdict"),
    [
        (DoctorReport(diagnoses=[diagnosis(FINE)]), 0, "All is well."),
        (DoctorReport(diagnoses=[diagnosis(FINE, WRONG)]), 1, "Not all is well with acme."),
        (
            DoctorReport(diagnoses=[diagnosis(WRONG, asked=False)]),
            3,
            "could not be asked for acme.",
        ),
        (
            DoctorReport(diagnoses=[diagnosis(FINE), diagnosis(asked=False)]),
            1,
            "could not be asked",
        ),
        (
            DoctorReport(failure="--org is not given"),
            3,
            "Nothing could be asked: --org is not given",
        ),
    ],
)
def test_the_verdict(report: DoctorReport, code: int, verdict: str) -> None:
    assert report.exit_code == code
    assert report.as_dict()["exit_code"] == code
    for terminal in (False, True):
        assert verdict in shown(report, terminal=terminal).splitlines()[-1]


@pytest.mark.parametrize("status", ["note", "skipped", "ok"])
def test_what_is_no_fault(status: str) -> None:
    finding = Finding("expiry", status)  # type: ignore[arg-type] # one of them
    assert DoctorReport(diagnoses=[diagnosis(finding)]).exit_code == 0


def test_a_line_for_each_finding_where_there_is_no_terminal() -> None:
    text = shown(DoctorReport([("Scope", "a", "variable SCOPE")], [diagnosis(FINE, WRONG)]))
    lines = text.splitlines()
    assert lines[0].split() == ["Scope", "a", "(variable", "SCOPE)"]
    assert "ok      token | minted [red]anew[/red]" in lines
    assert "failed  endpoint | HTTP 404 | Set InsightsUrl" in lines
    assert "\x1b" not in text


def test_a_table_at_a_terminal() -> None:
    text = shown(DoctorReport(diagnoses=[diagnosis(FINE, WRONG)]), terminal=True)
    assert "→ Set InsightsUrl" in text
    assert "minted [red]anew[/red]" in text


def test_documents_of_which_the_same_is_said_are_one_line() -> None:
    found = diagnosis()
    found.documents += [
        Finding("a/one.graphql", "ok"),
        Finding("a/two.graphql", "ok"),
        Finding("a/three.graphql", "differs", "no", "fix it"),
        Finding("a/four.graphql", "differs", "no", "fix it"),
        Finding("a/five.graphql", "skipped", "off"),
    ]
    assert shown(DoctorReport(diagnoses=[found])).splitlines()[2:5] == [
        "ok      2 documents | as the service has them",
        "differs 2 documents | no: three.graphql, four.graphql | fix it",
        "skipped five.graphql | off",
    ]


def test_no_name_is_broken_at_a_narrow_terminal() -> None:
    found = diagnosis()
    name = "api_application_usage_over_time.published.graphql"
    found.documents += [
        Finding(f"a/{name}", "differs", "a word " * 20, "change it"),
        Finding("a/one.graphql", "ok"),
    ]
    file = io.StringIO()
    show(
        DoctorReport(diagnoses=[found]),
        Console(file=file, width=80, force_terminal=True, color_system=None),
    )
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(f"differs  {name}: a word" in line for line in lines)
    assert any("→ change it" in line for line in lines)


def test_paths_and_commands_are_whole_at_a_narrow_terminal() -> None:
    path = "choreo_insights_cli/catalogue/tables/environments.graphql"
    change = "To have it, select it in the schema, then `make tables` and `make deploy`"
    found = Diagnosis("acme", new=[Finding("Environment.region: String", "note", path, change)])
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    show(DoctorReport(diagnoses=[found]), console)
    shown = file.getvalue()
    assert path in shown
    assert "`make tables` and\n" in shown
    assert "`make deploy`" in shown


def test_what_is_hidden_stays_hidden() -> None:
    found = Diagnosis("acme", hidden={"hush"})
    found.check("a hush", "failed", "says hush\n\x1b[2J", "change hush")
    assert found.checks == [Finding("a ***", "failed", "says ***  [2J", "change ***")]


@pytest.mark.parametrize("works", [True, False])
def test_the_command(sandbox: SandboxServer, works: bool) -> None:
    environment = basic_environment() | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "insights"))),
    }
    url = sandbox.insights_url if works else sandbox.url
    options = ["--token-url", sandbox.token_url, "--insights-url", url, "--secret-file", "-"]
    ended = subprocess.run(
        [sys.executable, "-m", "choreo_insights_cli", "doctor", *options, "--json"],
        input=json.dumps(sandbox.world.secret("acme")),
        env=environment,
        cwd=Path(ROOT),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    report = json.loads(ended.stdout)
    assert ended.returncode == report["exit_code"] == (0 if works else 1)
    assert ended.stderr.strip() == ""
    assert report["organizations"]["acme"]["well"] is works
    assert report["settings"]["Scope"]["value"] == "apim:api_manage"
