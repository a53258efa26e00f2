"""`insights compact` over a fake S3 and a fake Athena that keeps tables of months."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from choreo_insights.dataset.coverage import closes_at
from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.partitions import day_prefix, day_start, days
from choreo_insights.dataset.store import Dataset
from choreo_insights.report.month import Month
from choreo_insights.times import microseconds
from choreo_insights_cli import options
from choreo_insights_cli.commands.compact import CompactedMonth, prepared
from choreo_insights_cli.errors import BAD_NEWS, NOT_DONE, WRONG_USAGE, CommandError, WrongUsage
from choreo_insights_cli.main import main, program
from choreo_insights_cli.paths import catalogue
from tests.fakes import athena, s3, states
from tests.fakes.athena import FakeAthena
from tests.fakes.deployed import DeployedStack
from tests.fakes.s3 import BUCKET, FakeS3

TABLE = "success_summary"
SINCE = date(2026, 1, 20)
NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)
APRIL = Month(2026, 4)


@dataclass
class Years:
    """A stack with some months of one environment."""

    fake: FakeS3
    athena: FakeAthena
    stack: DeployedStack

    def put(self, day: date, requests: int = 1, *, written: datetime | None = None) -> None:
        """A day's object with a row, closed unless `written` is earlier."""
        self.fake.clock = lambda: written or closes_at(day, 24)
        values = {
            "time_span": [microseconds(day_start(day))],
            "request_count": [requests],
            "organization": ["acme"],
        }
        body = encode(catalogue().table(TABLE).columns, values, 1)
        key = f"{day_prefix(TABLE, day)}acme.Production.parquet"
        Dataset(self.stack.s3, BUCKET).put(key, body, queried_at=NOW, run="r")

    def fill(self, first: date, last: date) -> None:
        for day in days(first, last):
            self.put(day)

    def compact(self, *tables: str, before: Month = APRIL, dry: bool = False) -> dict[str, str]:
        """Each month's line without the name of the table."""
        found = self.run(*tables, before=before, dry=dry)
        return {str(each.month): each.line.split(": ", 1)[1] for each in found}

    def run(self, *tables: str, before: Month = APRIL, dry: bool = False) -> list[CompactedMonth]:
        self.athena.sent.clear()
        return list(prepared(self.stack, tables, before, NOW).run(before, dry=dry))

    def written(self) -> list[tuple[str, int, int]]:
        """The months that are there, with rows and requests."""
        return self.athena.database.execute(
            f"SELECT strftime(day, '%Y-%m'), count(*), sum(request_count)::bigint"
            f" FROM {TABLE}_months GROUP BY 1 ORDER BY 1"
        ).fetchall()

    def changes(self) -> list[str]:
        """The first words of the statements of the last run that change something."""
        found = [sql.split(" ", 1)[0] for sql in self.athena.sent]
        return [word for word in found if word != "SELECT"]


@pytest.fixture
def years(tmp_path: Path) -> Iterator[Years]:
    with (
        s3.running() as fake,
        states.running() as machine,
        athena.running(fake, tmp_path) as engine,
    ):
        stack = DeployedStack(fake, machine, ExportSince=str(SINCE), Tables=TABLE)
        stack.outputs |= {"DatabaseName": "d", "WorkGroupName": "w"}
        stack.athena, stack.glue = engine.athena(), engine.glue()
        yield Years(fake, engine, stack)


def test_closed_months_are_written_once_and_after_a_correction_again(years: Years) -> None:
    years.fill(date(2026, 1, 20), date(2026, 3, 31))
    years.put(date(2026, 3, 17), written=datetime(2026, 3, 18, 1, tzinfo=UTC))
    assert years.compact() == {
        "2026-01": "compacted 12 rows from 12 objects",
        "2026-02": "compacted 28 rows from 28 objects",
        "2026-03": "skipped: 2026-03-17 is open",
    }
    assert years.changes() == ["CREATE", "INSERT", "INSERT"]
    assert years.written() == [("2026-01", 12, 12), ("2026-02", 28, 28)]

    years.put(date(2026, 3, 17))
    years.put(date(2026, 2, 3), requests=8, written=NOW - timedelta(days=1))
    assert years.compact(dry=True) == {
        "2026-01": "up to date",
        "2026-02": "to compact: 28 objects, 0.1 MB",
        "2026-03": "to compact: 31 objects, 0.1 MB",
    }
    assert years.changes() == []
    assert years.compact()["2026-01"] == "up to date"
    assert years.changes() == ["DELETE", "INSERT", "INSERT"]
    assert years.written() == [("2026-01", 12, 12), ("2026-02", 28, 35), ("2026-03", 31, 31)]
    assert {*years.compact().values()} == {"up to date"}
    assert years.changes() == []


def test_what_broke_off_or_was_written_by_two_runs_is_written_again(years: Years) -> None:
    years.fill(SINCE, date(2026, 1, 31))
    february = Month(2026, 2)
    years.compact(before=february)
    years.put(SINCE, requests=2)
    years.athena.refused = "INSERT"
    with pytest.raises(CommandError, match="ICEBERG_COMMIT_ERROR"):
        years.compact(before=february)
    years.athena.refused = None
    years.compact(before=february)
    assert years.written() == [("2026-01", 12, 13)]

    table = f"{TABLE}_months"
    years.athena.database.execute(
        f"INSERT INTO {table} SELECT * REPLACE (compacted_from || 'x' AS compacted_from)"
        f" FROM {table}"
    )
    assert years.compact(before=february) == {"2026-01": "compacted 12 rows from 12 objects"}
    assert years.written() == [("2026-01", 12, 13)]


def test_a_day_that_is_missing_holds_its_month_back(years: Years) -> None:
    years.fill(date(2026, 2, 1), date(2026, 2, 25))
    (found,) = years.run(before=Month(2026, 3))
    assert (found.outcome, found.reason) == ("skipped", "2026-02-26 is missing, and 2 more")
    assert years.changes() == []


def test_a_column_that_an_update_brought_is_added(years: Years) -> None:
    years.fill(SINCE, date(2026, 1, 31))
    years.compact(before=Month(2026, 2))
    years.athena.database.execute(f"ALTER TABLE {TABLE}_months DROP COLUMN tenant")
    years.put(SINCE, requests=2)
    years.compact(before=Month(2026, 2))
    assert years.changes() == ["ALTER", "DELETE", "INSERT"]
    assert years.athena.sent[2] == f"ALTER TABLE `{TABLE}_months` ADD COLUMNS (`tenant` string)"


def test_wrong_calls_are_refused_before_anything_is_read(years: Years) -> None:
    with pytest.raises(WrongUsage, match="2026-04 is not over; use 2026-04"):
        years.run(before=Month(2026, 5))
    with pytest.raises(WrongUsage, match="Did you mean success_summary"):
        years.run("succes_summary")
    assert main(["compact", "--before", "july"]) == WRONG_USAGE
    assert years.athena.sent == []


def _called(years: Years, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(options, "Stack", lambda *_, **__: years.stack)
    return CliRunner().invoke(program, ["compact", *arguments], standalone_mode=False)


def test_the_command_prints_months_and_names_what_was_skipped(
    years: Years, monkeypatch: pytest.MonkeyPatch
) -> None:
    years.fill(SINCE, date(2026, 2, 27))
    done = _called(years, monkeypatch, "--before", "2026-03")
    assert done.output.splitlines() == [
        f"{TABLE} 2026-01: compacted 12 rows from 12 objects",
        f"{TABLE} 2026-02: skipped: 2026-02-28 is missing",
    ]
    assert done.return_value == BAD_NEWS
    done = _called(years, monkeypatch, "--before", "2026-02", "--json")
    assert not done.return_value
    (month,) = json.loads(done.output)
    assert (month["month"], month["outcome"], month["objects"]) == ("2026-01", "up to date", 12)
    done = _called(years, monkeypatch, "--before", "2026-01")
    assert done.output == "There is no month of the dataset before 2026-01.\n"

    years.stack.parameters["Emulated"] = "true"
    done = _called(years, monkeypatch, "--before", "2026-03")
    assert isinstance(done.exception, CommandError)
    assert done.exception.exit_code == NOT_DONE
