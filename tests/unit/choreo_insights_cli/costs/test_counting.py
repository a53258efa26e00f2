"""What a stack's parameters, ledger and lists say goes into its estimate."""

import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from choreo_insights_cli.costs.counting import COUNTS_SQL, SIZES_SQL, counts_of, inputs_of, sized
from choreo_insights_cli.costs.inputs import Counts, Inputs, runs_a_day
from choreo_insights_cli.sql.duckdb import connect
from choreo_insights_cli.sql.translation import translated
from choreo_insights_cli.template import Template
from dev.sandbox import SandboxServer, SandboxSettings, World
from tests.unit.choreo_insights.export.test_run import NOW, TODAY, Place
from tests.unit.choreo_insights_cli.sql.conftest import written

ROOT = Path(__file__).parents[4]
TEMPLATE = Template(ROOT / "template.yaml")
DEFAULTS = {
    name: str(parameter.get("Default", "")) for name, parameter in TEMPLATE.parameters.items()
}
GIVEN = {**DEFAULTS, "Organizations": "acme, lotus", "ExportSince": "2026-01-01"}


def answer(database: duckdb.DuckDBPyConnection, sql: str, now: datetime) -> dict[str, Any]:
    """The one row of a query in Trino's SQL."""
    result = database.execute(translated(sql, now))
    names = [column[0] for column in result.description or ()]
    (row,) = result.fetchall()
    return dict(zip(names, row, strict=True))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of some tables, on two days."""
    with SandboxServer(World(seed=11), SandboxSettings()) as sandbox:
        place = Place(sandbox)
        tables = ["environments", "apis", "applications", "success_summary"]
        place.run({"tables": tables})
        place.now = NOW + timedelta(days=1)
        place.run({"tables": tables})
    return written(place.dataset, tmp_path_factory.mktemp("dataset"))


def test_the_ledger_tells_of_whole_days(dataset: list[Path]):
    now = NOW + timedelta(days=1)
    with connect(dataset, now) as database:
        found = answer(database, COUNTS_SQL, now)
        exported = "SELECT count(*) FROM runs WHERE status = 'exported' AND exported_at < ?"
        (before,) = database.execute(exported, [str(now.date())]).fetchall()
    # The second run is of a day that is not over.
    assert (found["days"], found["invocations"]) == (1, 1)
    assert found["written"] == before[0] > 0
    assert found["seconds"] == 0  # The test's clock stands still.
    assert counts_of(found) == Counts(days=1, invocations=1, seconds=0, written=before[0])


def test_a_run_began_when_its_id_says(tmp_path: Path):
    now = datetime(2026, 3, 2, 12).astimezone(NOW.tzinfo)
    with connect([], now) as database:
        database.execute(
            "INSERT INTO runs (run, status, started, exported_at, day) VALUES "
            "('20260301T100000000000-0a1b2c3d', 'exported', '2026-03-01 10:00:20',"
            " '2026-03-01 10:01:30', '2026-03-01'), "
            "('20260301T100000000000-0a1b2c3d', 'failed', '2026-03-01 10:00:25',"
            " '2026-03-01 10:01:30', '2026-02-28')"
        )
        found = answer(database, COUNTS_SQL, now)
    assert found == {"days": 1, "invocations": 1, "seconds": 90, "written": 1}


def test_without_a_whole_day_nothing_is_counted():
    with connect([], NOW) as database:
        assert counts_of(answer(database, COUNTS_SQL, NOW)) is None


def test_the_lists_tell_how_large_organisations_are(dataset: list[Path]):
    now = NOW + timedelta(days=1)
    with connect(dataset, now) as database:
        found = answer(database, SIZES_SQL, now)
    # acme has 6 APIs and 5 applications in 3 environments, lotus 5 and 4 in 3.
    assert found == {"organizations": 2, "environments": 3, "apis": 6, "applications": 5}
    inputs = sized(Inputs(organizations=2), found)
    assert (inputs.organizations, inputs.environments, inputs.apis) == (2, 3, 6)


def test_without_lists_the_sizes_stay():
    with connect([], NOW) as database:
        found = answer(database, SIZES_SQL, NOW)
    assert sized(Inputs(apis=7), found) == Inputs(apis=7)


def test_what_athena_gives_is_text():
    row = {"days": "30", "invocations": "720", "seconds": "21600.5", "written": None}
    assert counts_of(row) == Counts(days=30, invocations=720, seconds=21600.5)
    assert sized(Inputs(), {"apis": "12", "environments": None}).apis == 12


def test_parameters_become_inputs():
    inputs = inputs_of(GIVEN, "us-east-1", date(2026, 1, 30))
    assert inputs == Inputs(region="us-east-1", organizations=2, history_days=30)
    chosen = inputs_of(
        {**GIVEN, "Tables": "apis, latency", "ExportSchedule": "rate(6 hours)",
         "QuickSightPrincipalArn": "arn:aws:quicksight:eu-central-1:111122223333:user/default/x"},
        "eu-central-1",
        TODAY,
    )  # fmt: skip
    assert (chosen.tables, chosen.runs_a_day, chosen.authors) == (("apis", "latency"), 4, 1)


@pytest.mark.parametrize(
    ("schedule", "times"),
    [
        ("rate(1 hour)", 24),
        ("rate(30 minutes)", 48),
        ("rate(2 days)", 0.5),
        ("cron(15 * * * ? *)", 24),
        ("cron(0/20 6-17 ? * MON-FRI *)", 36),
        ("cron(0 6,18 * * ? *)", 2),
        ("cron(0 */3 * * ? *)", 8),
        ("at(2026-01-31T12:00:00)", 0),
    ],
)
def test_schedules_are_counted(schedule: str, times: float):
    assert runs_a_day(schedule) == times


@pytest.mark.parametrize("schedule", ["hourly", "rate(1 week)", "cron(0 6)"])
def test_what_is_no_schedule_is_refused(schedule: str):
    with pytest.raises(ValueError, match="is not a schedule"):
        runs_a_day(schedule)


def test_an_estimate_needs_neither_aws_nor_a_terminal():
    code = (
        "import sys\nfrom choreo_insights_cli import costs\n"
        "import choreo_insights_cli.costs.counting\n"
        "costs.estimate(costs.Inputs(), None, costs.load())\n"
        "print([m for m in ('boto3', 'click', 'duckdb', 'rich') if m in sys.modules])"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
        env={"PYTHONPATH": f".:{ROOT / 'layers/insights'}"},
    )  # fmt: skip
    assert completed.stdout.strip() == "[]"


@pytest.mark.parametrize("sql", [COUNTS_SQL, SIZES_SQL])
def test_the_local_athena_takes_the_queries_as_they_stand(sql: str):
    with connect([], NOW) as database:
        assert len(database.execute(sql).fetchall()) == 1
