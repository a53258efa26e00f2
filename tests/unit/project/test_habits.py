"""What GitHub, git and editors are told stands on what there is."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from choreo_insights_cli.paths import ROOT

MAKEFILES = "".join(
    p.read_text("utf-8") for p in (ROOT / "Makefile", *(ROOT / "dev/make").glob("*.mk"))
)
FORM = ".github/ISSUE_TEMPLATE/service-answer.yml"


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def test_the_workflow_runs_the_gate_on_every_version_that_is_supported() -> None:
    (job,) = read(".github/workflows/checks.yml")["jobs"].values()
    versions = job["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={versions[0]}"
    template = (ROOT / "template.yaml").read_text("utf-8")
    assert set(re.findall(r"- python(3\.\d+)$", template, re.M)) <= set(versions)
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make check", "make test"]


def test_the_workflow_may_read_and_no_more() -> None:
    workflow = read(".github/workflows/checks.yml")
    assert workflow["permissions"] == {"contents": "read"}
    for step in workflow["jobs"]["checks"]["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])


@pytest.mark.parametrize("hook", read(".pre-commit-config.yaml")["repos"][0]["hooks"])
def test_a_hook_is_a_target_of_the_gate(hook: dict[str, Any]) -> None:
    program, target = hook["entry"].split()
    assert program == "make"
    assert target in re.findall(r"^all-checks: (.*)$", MAKEFILES, re.M)[0].split()


def test_the_issue_form_asks_for_what_is_needed_and_warns() -> None:
    body = read(FORM)["body"]
    names = [field["id"] for field in body if "id" in field]
    assert {"version", "query", "answer", "expected"} <= set(names)
    assert len(set(names)) == len(names)
    assert "Never paste a token" in body[0]["attributes"]["value"]
    assert body[-1]["attributes"]["options"][0]["required"] is True


def test_files_are_as_the_editors_are_told() -> None:
    listed = subprocess.run(
        ["git", "grep", "-I", "--name-only", "-z", ""],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    names = listed.stdout.split("\0")[:-1]
    assert "README.md" in names
    for name in names:
        text = (ROOT / name).read_bytes()
        assert b"\r" not in text, name
        assert text.endswith(b"\n"), name
        assert not re.search(rb"[ \t]$", text, re.M), name
