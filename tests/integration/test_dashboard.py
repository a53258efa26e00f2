"""The dashboard drawn from the deployed stack's dataset."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights_cli.dashboard.data import needed_tables
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.dataset_copy import Copy
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.sql.duckdb import connect
from dev.local.aws import LocalAws
from tests.integration.conftest import Deployment


def copy_of(deployment: Deployment, folder: Path) -> Copy:
    return Copy(deployment.stack.s3, deployment.stack.outputs["DatasetBucketName"], folder)


def test_the_copy_follows_the_bucket(deployment: Deployment, tmp_path: Path) -> None:
    deployment.complete()
    copy, tables = copy_of(deployment, tmp_path), needed_tables(SHEETS)
    files = copy.refresh(tables, deployment.since)
    there = {key: body for key, body in deployment.objects().items() if key.split("/")[1] in tables}
    assert {str(path.relative_to(tmp_path)): path.read_bytes() for path in files} == there
    with connect(files, deployment.now) as database:
        found = database.execute("SELECT count(*) FROM traffic_daily").fetchall()[0][0]
    assert found == 6 * ((deployment.now.date() - deployment.since).days + 1)

    # Whoever asks for few tables leaves the files of the others alone.
    few = copy.refresh(["total_traffic"], deployment.since)
    assert few == [path for path in files if "/total_traffic/" in str(path)]
    assert all(path.exists() for path in files)

    # What did not change stays as it is, what is gone goes.
    gone = next(path for path in files if "total_traffic/" in str(path))
    kept = next(path for path in files if path != gone)
    written = kept.stat().st_mtime_ns
    deployment.stack.s3.delete_object(Bucket=copy.bucket, Key=str(gone.relative_to(tmp_path)))
    again = copy.refresh(tables, deployment.since)
    assert set(files) - set(again) == {gone}
    assert not gone.exists()
    assert kept.stat().st_mtime_ns == written
    dayless = copy.refresh(tables, date(2999, 1, 1))
    assert {path.parent.name for path in dayless} == UNPARTITIONED & set(tables)
    deployment.export(tables=["total_traffic"])


def test_the_command_draws_the_file(deployment: Deployment, tmp_path: Path) -> None:
    deployment.complete()
    out = tmp_path / "board.html"
    aws = deployment.state.aws
    assert isinstance(aws, LocalAws)
    done = subprocess.run(
        [sys.executable, "-m", "choreo_insights_cli", "dashboard", "--out", str(out)],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'insights'}",
            "STACK_NAME": deployment.stack.name,
            "XDG_CACHE_HOME": str(deployment.cache),
            **aws.environment,
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stdout
    page = out.read_text("utf-8")
    assert "Synthetic data from the sandbox" in page
    assert "window.dashboard" in page
