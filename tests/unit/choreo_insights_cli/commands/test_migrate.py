"""`insights migrate` over a stack: it leaves to runs what runs write again, and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest

from choreo_insights.catalogue import Column
from choreo_insights.dataset.ledger import Entry, object_key, read_entries
from choreo_insights.dataset.parquet import encode, names
from choreo_insights.dataset.partitions import safe_name
from choreo_insights.dataset.store import Dataset
from choreo_insights_cli.commands.migrate import migrate
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import catalogue
from choreo_insights_cli.releases.migrate import MigrationCounts
from tests.fakes import s3, states
from tests.fakes.deployed import DeployedStack
from tests.fakes.s3 import BUCKET, FakeS3

TODAY = datetime.now(UTC).date()
WITH_DAY = (Column("organization", "string"), Column("day", "string"))


def day(back: int) -> date:
    return TODAY - timedelta(days=back)


@dataclass
class Place:
    """A stack that exports the last 30 days of one environment, and its bucket."""

    fake: FakeS3
    machine: states.FakeStates
    stack: DeployedStack

    def put(
        self,
        back: int,
        place: str = "acme.Production",
        table: str = "success_summary",
        body: bytes | None = None,
        after: timedelta = timedelta(hours=5),
    ) -> str:
        """An object that was written so long after its day began; with a column `day`."""
        key = f"insights/{table}/day={day(back)}/{place}.parquet"
        body = body or encode(WITH_DAY, {"organization": ["acme"], "day": ["x"]}, 1)
        queried_at = datetime.combine(day(back), time(), UTC) + after
        self.fake.clock = lambda: queried_at
        Dataset(self.stack.s3, BUCKET).put(key, body, queried_at=queried_at, run="r")
        self.fake.clock = lambda: datetime.now(UTC)
        return key

    def list_environments(self, back: int, *names: str) -> None:
        values = {"environment_id": [f"id-{name}" for name in names], "environment_name": names}
        columns = catalogue().table("environments").columns
        body = encode(columns, {**values, "type": ["CHOREO"] * len(names)}, len(names))
        self.put(back, "acme", "environments", body)

    def migrate(self, *tables: str, dry: bool = False) -> dict[str, MigrationCounts]:
        found = migrate(self.stack, catalogue(), tables or None, dry=dry)
        return {outcome.table: outcome for outcome in found}

    def has_day(self, key: str) -> bool:
        return "day" in names(self.fake.objects[key].body)

    def unconfirmed(self, key: str) -> bool:
        return self.fake.objects[key].headers.get("x-amz-meta-confirmed") == "no"

    def entries(self, back: int) -> list[Entry]:
        found = self.fake.objects.get(object_key(day(back), datetime.now(UTC).date()))
        return list(read_entries(found.body, day(back))) if found else []


@pytest.fixture
def place() -> Iterator[Place]:
    with s3.running() as fake, states.running() as machine:
        stack = DeployedStack(
            fake, machine, ExportSince=str(day(30)), Tables="success_summary,alert_summary"
        )
        found = Place(fake, machine, stack)
        found.list_environments(0, "Production")
        yield found


def test_an_open_day_that_runs_query_is_left_to_them(place: Place):
    key = place.put(5)
    outcome = place.migrate("success_summary")["success_summary"]
    assert (outcome.rewritten, outcome.left) == (0, 1)
    assert place.has_day(key)


def test_an_open_day_of_an_environment_that_is_gone_is_left_to_runs_too(place: Place):
    """They query what is stored of it until its days are closed."""
    place.list_environments(1, "Production", "Gone lately")
    key = place.put(5, f"acme.{safe_name('Gone lately')}")
    outcome = place.migrate("success_summary")["success_summary"]
    assert (outcome.rewritten, outcome.left) == (0, 1)
    assert place.has_day(key)


@pytest.mark.parametrize(
    ("back", "where", "table"),
    [
        # Before ExportSince, of an unknown environment, of an organisation and a table that are
        # gone, and
        # longer ago than the service keeps it.
        (40, "acme.Production", "success_summary"),
        (5, "acme.Gone", "success_summary"),
        (5, "gone.Production", "success_summary"),
        (5, "acme.Production", "error_summary"),
        (20, "acme.Production", "alert_summary"),
    ],
)
def test_an_open_day_that_no_run_queries_is_rewritten_as_unconfirmed(place, back, where, table):
    """It would have its former columns for ever."""
    key = place.put(back, where, table)
    outcome = place.migrate(table)[table]
    assert (outcome.rewritten, outcome.unconfirmed, outcome.left) == (1, 1, 0)
    assert not place.has_day(key)
    assert place.unconfirmed(key)
    assert [(e.table, e.status, e.final) for e in place.entries(back)] == [(table, "kept", True)]


def test_a_closed_day_is_rewritten_and_stays_confirmed(place: Place):
    key = place.put(5, after=timedelta(hours=48, minutes=15))
    outcome = place.migrate()["success_summary"]
    assert (outcome.rewritten, outcome.unconfirmed) == (1, 0)
    assert not place.unconfirmed(key)
    assert place.entries(5) == []


def test_checks_that_no_run_makes_again_are_rewritten(place: Place):
    for where in ("acme.Production", "acme.Gone"):
        place.put(5, where, after=timedelta(days=3))
    left = place.put(5, "acme.Production", "checks", after=timedelta(days=2))
    gone = place.put(5, "acme.Gone", "checks", after=timedelta(days=2))
    place.migrate("checks")
    assert (place.has_day(left), place.has_day(gone)) == (True, False)


def test_no_such_table(place: Place):
    with pytest.raises(WrongUsage, match="--tables weather: no such table"):
        place.migrate("weather")


def test_not_beside_a_backfill_that_exports_closed_days_again(place: Place):
    """It takes what was written since it began for its own work."""
    key = place.put(5, after=timedelta(days=3))
    for name, given in (("plain", {}), ("second", {}), ("third", {"again": True})):
        place.machine.runs[name] = states.Run(name, json.dumps({"parts": [], **given}))
    with pytest.raises(CommandError, match="insights backfill --stop third"):
        place.migrate()
    assert place.has_day(key)
    assert place.migrate(dry=True)["success_summary"].rewritten == 1
    del place.machine.runs["third"]
    assert place.migrate()["success_summary"].rewritten == 1
