"""`insights report` over a stack with a fake S3: files, prices that are stored, refusals."""

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from choreo_insights.report import prices as price_file
from choreo_insights_cli import options
from choreo_insights_cli.main import program
from tests.fakes import s3, states
from tests.fakes.deployed import DeployedStack
from tests.fakes.s3 import BUCKET, FakeS3, Object
from tests.unit.choreo_insights.report.conftest import (  # noqa: F401 - a fixture
    TABLES,
    Dataset,
    filled,
)

PRICES = """
currency = "EUR"
[[plans]]
name = "Gold"
fee = 30
[[applications]]
organization = "acme"
application = "nobody"
plan = "Gold"
since = 2026-01-01
"""


@pytest.fixture(scope="module")
def fake(filled: Dataset) -> Iterator[FakeS3]:  # noqa: F811 - the fixture
    """A bucket with two months."""
    with s3.running() as found:
        for key, each in filled.store.objects.items():
            found.objects[key] = Object(each.body, each.etag, {}, each.written)
        yield found


@pytest.fixture
def run(fake: FakeS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs the command over a stack."""
    with states.running() as machine:
        given = {"Tables": ",".join(TABLES), "InsightsUrl": "https://choreo.example/api"}
        stack = DeployedStack(fake, machine, **given)
        monkeypatch.setattr("choreo_insights_cli.options.Stack", lambda *_, **__: stack)

        def call(*arguments: str) -> Result:
            return CliRunner().invoke(program, ["report", *arguments])

        yield call
    for key in [key for key in fake.objects if key.startswith("config/")]:
        del fake.objects[key]


def test_it_writes_the_pages_and_says_whether_they_are_final(run: Any, tmp_path: Path) -> None:
    done = run("--month", "2026-02", "--out", str(tmp_path))
    assert (done.exit_code, done.exception) == (0, None)
    page = tmp_path / "reports/2026-02/acme/report.html"
    assert done.output == f"acme, 2026-02: final\n  {page}\n"
    assert {path.name for path in page.parent.iterdir()} == {
        *("report.html", "totals.csv", "apis.csv", "consumers.csv", "errors.csv"),
        *("inventory.csv", "days.csv"),
    }


def test_json_names_the_days_in_the_way(run: Any, tmp_path: Path, fake: FakeS3) -> None:
    key = "insights/latency/day=2026-02-14/acme.Production.parquet"
    kept = fake.objects.pop(key)
    try:
        done = run("--month", "2026-02", "--out", str(tmp_path), "--json", "--org", "acme")
    finally:
        fake.objects[key] = kept
    (said,) = json.loads(done.output)
    assert (said["final"], said["missing"], said["amount"]) == (False, ["2026-02-14"], None)


def test_prices_are_used_from_a_file_or_as_stored(run: Any, tmp_path: Path, fake: FakeS3) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES, "utf-8")
    arguments = ("--month", "2026-02", "--out", str(tmp_path))
    assert "amounts: 30.00 EUR" in run(*arguments, "--prices", str(file)).output
    bill = tmp_path / "reports/2026-02/acme/bill.csv"
    with bill.open(encoding="utf-8", newline="") as text:
        assert next(csv.DictReader(text))["price"] == "30.00"

    # Without prices the earlier amounts do not stay beside the new figures.
    assert "amounts" not in run(*arguments).output
    assert not bill.exists()

    stored = run("--prices", str(file), "--store")
    assert stored.output == f"Stored: s3://{BUCKET}/config/prices.toml\n"
    assert fake.objects[price_file.KEY].body.decode() == PRICES
    assert "amounts: 30.00 EUR" in run(*arguments).output


def test_prices_that_are_wrong_are_not_stored(run: Any, tmp_path: Path, fake: FakeS3) -> None:
    good, bad = tmp_path / "targets.toml", tmp_path / "prices.toml"
    good.write_text("p95_ms = 300", "utf-8")
    bad.write_text(PRICES.replace("EUR", "Euro"), "utf-8")
    done = run("--prices", str(bad), "--targets", str(good), "--store")
    assert "currency is 'Euro'" in str(done.exception)
    assert not [key for key in fake.objects if key.startswith("config/")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--org", "globex"), "--org globex: no such organisation. The stack exports acme."),
        (("--month", "2099-01"), "--month 2099-01 lies in the future."),
        (("--store",), "--store needs --prices FILE or --targets FILE."),
    ],
)
def test_what_cannot_be_is_refused(run: Any, arguments: tuple[str, ...], said: str) -> None:
    assert str(run(*arguments).exception) == said


def test_a_month_is_read_as_it_is_written() -> None:
    month = options.MonthType().convert("2026-11", None, None)
    assert month.first == date(2026, 11, 1)
    assert options.MonthType().convert(month, None, None) is month
    with pytest.raises(click.BadParameter, match="use YYYY-MM"):
        options.MonthType().convert("November", None, None)
