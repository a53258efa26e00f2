"""`pipx install .`: the program in an environment that has what it declares and nothing else."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from choreo_insights_cli.main import COMMANDS
from dev.picture import synthetic
from dev.sandbox import OrganizationSpec, SandboxServer, World
from dev.sandbox.world import EnvironmentSpec
from tests.fakes import cloudformation, s3
from tests.fakes.server import Answer, Behaviour, Received, Server
from tests.layer.conftest import ROOT, VENVS
from tests.unit.choreo_insights_cli.generate.test_everything import OWN as OF_A_USER

HELP = """
import sys
from choreo_insights_cli.main import main
for name in sys.argv[1:]:
    assert main([name, "--help"]) == 0, name
"""
DRAW = """
from datetime import UTC, datetime
from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.sql.duckdb import connect
now = datetime.now(UTC)
with connect([], now) as database:
    assert "window.dashboard" in draw(database, About("nobody", now, ""))
"""
ASK = """
from datetime import UTC, datetime
from choreo_insights_cli.commands.query import _translated, saved_queries
from choreo_insights_cli.errors import CommandError
saved = saved_queries()["traffic_of_the_week"][1]
print(*sorted(_translated(saved, datetime.now(UTC), {})[0], reverse=True))
try:
    _translated("SELECT 1", datetime.now(UTC), {})
except CommandError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs of the environment lie."""
    place = tmp_path_factory.mktemp("installed")
    uv = VENVS / "uv/bin/uv"
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, place / "venv"], check=True)
    # The locked versions, without what is there for tests alone.
    locked = ["--constraint", str(ROOT / "dev/requirements/dev.txt")]
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", place / "venv", *locked, wheel], check=True
    )
    return place / "venv/bin"


def run(
    installed: Path, folder: Path, *arguments: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [installed / arguments[0], *arguments[1:]],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **variables},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_it_has_all_of_its_commands(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "python", "-I", "-c", HELP, *COMMANDS)
    assert (done.returncode, done.stderr) == (0, "")
    shown = [line for line in done.stdout.splitlines() if line.startswith("Usage: insights ")]
    assert [line.split()[2] for line in shown] == [*COMMANDS]
    version = run(installed, tmp_path, "insights", "--version").stdout.strip()
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_it_has_the_project_s_files(installed: Path, tmp_path: Path) -> None:
    tables = run(installed, tmp_path, "insights", "tables", "--json")
    assert len(json.loads(tables.stdout)) > 30
    saved = run(installed, tmp_path, "insights", "query", "--saved")
    assert len(saved.stdout.splitlines()) == len(
        [*(ROOT / "choreo_insights_cli/sql/queries").glob("*.sql")]
    )
    drawn = run(installed, tmp_path, "python", "-I", "-c", DRAW)
    assert drawn.returncode == 0, drawn.stderr


def test_it_answers_saved_queries_of_a_local_stack_alone(installed: Path, tmp_path: Path) -> None:
    """The translator of SQL is for developers; what the project asks itself is translated."""
    done = run(installed, tmp_path, "python", "-I", "-c", ASK)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("total_traffic")
    assert "make query" in said[1]


def test_it_brings_two_packages_with_names_of_their_own(installed: Path) -> None:
    (wheel,) = installed.parent.parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "choreo_insights",
        "choreo_insights_cli",
    }
    tracked = subprocess.run(
        ["git", "ls-files", "choreo_insights_cli", "layers/insights/choreo_insights"],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
    ).stdout.split()  # fmt: skip
    assert {name.removeprefix("layers/insights/") for name in tracked} <= set(names)


def test_it_compiles_a_project_s_folder(installed: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("choreo_insights_cli", "custom", "docs", "generated", "layers"):
        shutil.copytree(ROOT / name, project / name)
    for name in ("pyproject.toml", "template.yaml"):
        shutil.copy(ROOT / name, project / name)
    fresh = run(installed, project, "insights", "tables", "--check")
    assert (fresh.returncode, fresh.stderr) == (0, "")
    (project / "custom/busiest_hours.graphql").write_text(OF_A_USER, "utf-8")
    compiled = run(installed, project, "insights", "tables", "--compile")
    assert compiled.returncode == 0, compiled.stderr
    assert "wrote generated/custom_tables.yaml" in compiled.stdout
    assert "BusiestHoursTable" in (project / "generated/custom_tables.yaml").read_text("utf-8")
    elsewhere = run(installed, tmp_path, "insights", "tables", "--compile")
    assert elsewhere.returncode == 2
    assert "is not the project's folder" in elsewhere.stderr


def other_packages(folder: Path) -> None:
    """Packages of others, which must not be imported in place of the program's."""
    for name in ("cli", "insights", "catalogue", "dashboard", "views"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise ImportError('somebody else')\n", "utf-8")


def test_it_draws_the_dashboard_of_a_stack(installed: Path, tmp_path: Path) -> None:
    """From a bucket with a synthetic dataset, beside a folder named `cli`."""
    now = datetime.now(UTC)
    other_packages(tmp_path)
    small = OrganizationSpec("acme", None, 2, 2, 0, (EnvironmentSpec("Production"),))
    synthetic.write(tmp_path / "dataset", World(organizations=[small]), now.date(), now)
    with s3.running() as bucket:
        for path in (tmp_path / "dataset").rglob("*.parquet"):
            bucket.client().put_object(
                Bucket=s3.BUCKET,
                Key=path.relative_to(tmp_path / "dataset").as_posix(),
                Body=path.read_bytes(),
            )

        def respond(received: Received) -> Answer | Behaviour:
            if cloudformation.asks_for_stack(received):
                parameters = {"Organizations": "acme,lotus", "InsightsUrl": "http://127.0.0.1/"}
                outputs = {"DatasetBucketName": s3.BUCKET}
                return cloudformation.described("synthetic", outputs, parameters)
            return bucket.respond(received)

        with Server(respond) as aws:
            done = run(
                installed,
                tmp_path,
                *("insights", "dashboard", "--out", "board.html", "--cache", "copies"),
                AWS_ENDPOINT_URL=aws.url,
                AWS_REGION="eu-central-1",
                AWS_ACCESS_KEY_ID="synthetic",
                AWS_SECRET_ACCESS_KEY="synthetic",
                PYTHONPATH=str(tmp_path),
                STACK_NAME="synthetic",
            )
    assert done.returncode == 0, done.stderr
    assert "Drawn from" in done.stdout
    page = (tmp_path / "board.html").read_text("utf-8")
    assert "window.dashboard" in page
    assert "acme, lotus" in page


def test_a_folder_on_the_path_is_not_taken_for_it(installed: Path, tmp_path: Path) -> None:
    """Names such as `cli` are everybody's."""
    other_packages(tmp_path)
    done = run(installed, tmp_path, "insights", "tables", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_it_asks_the_endpoints(installed: Path, tmp_path: Path) -> None:
    with SandboxServer() as sandbox:
        urls = ("--token-url", sandbox.token_url, "--insights-url", sandbox.insights_url)
        done = run(
            installed,
            tmp_path,
            *("insights", "doctor", *urls, "--secret-file", "-", "--json"),
            stdin=json.dumps(sandbox.world.secret("acme")),
        )
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)["organizations"]["acme"]
    assert len(found["documents"]) > 30


def test_without_a_stack_it_says_what_to_do(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "insights", "status", "--region", "eu-central-1")
    assert done.returncode == 3
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
