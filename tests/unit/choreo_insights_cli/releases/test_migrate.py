"""Older objects under today's names, and what they lack."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from choreo_insights.catalogue import Column, load
from choreo_insights.dataset.checks_table import CHECKS_COLUMNS
from choreo_insights.dataset.ledger import (
    Entry,
    Ledger,
    encode_entries,
    object_key,
    read_entries,
)
from choreo_insights.dataset.parquet import decode, encode, names
from choreo_insights.errors import InsightsError
from choreo_insights_cli.releases.migrate import Migration, TableShape, lines, shapes
from choreo_insights_cli.sql.shipped import OWN
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights.older import runs_object

if TYPE_CHECKING:
    from choreo_insights.dataset.store import Dataset

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD = (Column("time_span", "timestamp"), Column("value", "bigint"), Column("gone", "string"))
NEW = (
    Column("time_span", "timestamp"),
    Column("hits", "bigint", former=("number", "value")),
    Column("misses", "bigint"),
)
TABLE = TableShape("cache", NEW, "daily")


class Place:
    """A dataset with objects that an older release has written."""

    def __init__(self) -> None:
        self.dataset = MemoryDataset()
        # What no run queries any more.
        self.unwanted: set[str] = set()

    def put(
        self,
        day: date,
        hits: int,
        written: datetime,
        columns: Sequence[Column] = OLD,
        name: str = "value",
        **more: Any,
    ) -> str:
        key = f"insights/cache/day={day}/acme.Production.parquet"
        values = {"time_span": [1], name: [hits], "misses": [7]}
        return self.put_as(key, encode(columns, values, 1), written, **more)

    def put_as(self, key: str, body: bytes, written: datetime, **more: Any) -> str:
        self.dataset.now = written
        self.dataset.put(key, body, queried_at=written, run="old", **more)
        self.dataset.now = NOW
        return key

    def migrate(self, *shapes: TableShape, checked: Sequence[str] = (), dry: bool = False):
        dataset = cast("Dataset", self.dataset)
        ledger = Ledger(dataset, "migrate-1", lambda: NOW)

        def is_wanted(table: str, key: str) -> bool:
            return key not in self.unwanted

        found = Migration(dataset, ledger, NOW, 24.0, is_wanted, dry)
        return found.run(shapes or [TABLE], checked)


@pytest.fixture
def place() -> Place:
    return Place()


def day(back: int) -> date:
    return NOW.date() - timedelta(days=back)


def test_a_final_day_gets_todays_names_and_loses_nothing(place: Place):
    key = place.put(day(9), 5, NOW - timedelta(days=3))
    place.put(day(8), 6, NOW - timedelta(days=2), NEW, "hits")

    (outcome,) = place.migrate()

    assert (outcome.objects, outcome.rewritten, outcome.left) == (2, 1, 0)
    assert outcome.lacking == {"misses": {day(9)}}
    found = place.dataset.objects[key]
    assert decode(found.body) == {"time_span": [1], "hits": [5], "gone": [None]}
    # When it was asked for, and by whom, did not change.
    assert (found.queried_at, found.run) == (NOW - timedelta(days=3), "old")
    null = f"cache.misses: null from {day(9)} to {day(9)} (days: 1), exported before there was such"
    assert list(lines([outcome], dry=False)) == [
        "cache: 1 of 2 objects rewritten with today's columns.",
        f"{null} a column.",
        "To export these columns, as far as Choreo still has them:",
        f"  insights backfill --from {day(9)} --to {day(9)} --tables cache --again",
    ]
    (again,) = place.migrate()
    assert (again.rewritten, again.lacking) == (0, outcome.lacking)


def test_an_open_day_is_left_to_the_export(place: Place):
    """Written now it would look final, and nobody would ask for what comes late."""
    key = place.put(day(5), 5, NOW - timedelta(days=5))
    before = place.dataset.objects[key]

    (outcome,) = place.migrate()

    assert (outcome.rewritten, outcome.left) == (0, 1)
    assert place.dataset.objects[key] is before
    printed = list(lines([outcome], dry=False))
    assert printed[0].endswith("not closed keep former columns: the next run rewrites them.")


@pytest.mark.parametrize(
    ("asked", "back", "rewritten"),
    [("list", 1, 1), ("list", 0, 0), ("never", 0, 1), ("daily", 0, 0)],
)
def test_what_nobody_asks_for_again_is_written_again(place: Place, asked, back, rewritten):
    place.put(day(back), 5, NOW - timedelta(days=back))
    (outcome,) = place.migrate(TableShape("cache", NEW, asked))
    assert (outcome.rewritten, outcome.left) == (rewritten, 1 - rewritten)
    fetched = "insights backfill" in "\n".join(lines([outcome], dry=False))
    assert fetched is (asked == "daily")


def test_a_dry_run_writes_nothing(place: Place):
    key = place.put(day(9), 5, NOW - timedelta(days=3))
    before = place.dataset.objects[key]
    (outcome,) = place.migrate(dry=True)
    assert place.dataset.objects[key] is before
    assert (
        next(lines([outcome], dry=True))
        == "cache: 1 of 1 objects to be rewritten with today's columns."
    )


def test_an_export_that_is_faster_stays(place: Place):
    key = place.put(day(9), 5, NOW - timedelta(days=3))
    newer = encode(NEW, {"hits": [9]}, 1)
    place.dataset.before = lambda key: place.dataset.put(key, newer, queried_at=NOW, run="new")
    (outcome,) = place.migrate()
    assert place.dataset.objects[key].body == newer
    assert outcome.rewritten == 0


def test_a_broken_object_is_named(place: Place):
    place.dataset.put("insights/cache/day=2026-11-01/acme.parquet", b"x", queried_at=NOW, run="old")
    with pytest.raises(InsightsError, match=r"day=2026-11-01/acme.parquet cannot be read"):
        place.migrate()


def test_all_is_well(place: Place):
    place.put(day(9), 5, NOW, NEW, "hits")
    assert list(lines(place.migrate(), dry=False)) == []


def closing(back: int) -> datetime:
    """The instant from which on an object of a day is closed."""
    return datetime.combine(day(back), time(), UTC) + timedelta(hours=48, minutes=15)


@pytest.mark.parametrize(("early", "left"), [(timedelta(0), 0), (timedelta(seconds=1), 1)])
def test_a_day_closes_when_a_run_that_began_after_settling_has_written_it(place, early, left):
    """Rewritten a second too early it would be closed by the rewriting alone."""
    place.put(day(5), 5, closing(5) - early)
    (outcome,) = place.migrate()
    assert (outcome.rewritten, outcome.left) == (1 - left, left)


PLACE = (*OLD, *(Column(n, "string") for n in ("organization", "environment", "environment_id")))


def put_deleted(place: Place, *, rows: int = 1) -> str:
    """An object of a day that was open when its environment was deleted."""
    values = {"value": [5], "organization": ["acme"], "environment": ["Old, one"]}
    body = encode(PLACE, {**values, "environment_id": ["id-7"]}, 1)
    key = f"insights/cache/day={day(30)}/acme.Old-one-1.parquet"
    body = body if rows else encode(PLACE, {}, 0)
    place.put_as(key, body, closing(30) - timedelta(hours=30))
    place.unwanted.add(key)
    return key


def test_an_open_day_that_no_run_queries_any_more_is_rewritten_and_unconfirmed(place: Place):
    key = put_deleted(place)
    queried_at = place.dataset.objects[key].queried_at

    (outcome,) = place.migrate()

    assert (outcome.rewritten, outcome.unconfirmed, outcome.left) == (1, 1, 0)
    found = place.dataset.objects[key]
    assert decode(found.body)["hits"] == [5]
    assert (found.confirmed, found.queried_at, found.run) == (False, queried_at, "old")
    assert "are closed as unconfirmed." in "\n".join(lines([outcome], dry=False))
    (entry,) = entries(place, day(30))
    assert (entry.table, entry.organization, entry.environment) == ("cache", "acme", "Old, one")
    assert (entry.environment_id, entry.status, entry.final) == ("id-7", "kept", True)
    assert (entry.run, entry.started) == ("migrate-1", queried_at)


def entries(place: Place, day: date) -> list[Entry]:
    """What the migration noted."""
    found = place.dataset.objects.get(object_key(day, NOW.date()))
    return list(read_entries(found.body, day)) if found else []


def test_an_empty_object_is_noted_by_its_key(place: Place):
    put_deleted(place, rows=0)
    place.migrate()
    (entry,) = entries(place, day(30))
    assert (entry.organization, entry.environment, entry.environment_id) == (
        *("acme", "Old-one-1"),
        None,
    )


def test_a_dry_run_notes_nothing(place: Place):
    key = put_deleted(place)
    (outcome,) = place.migrate(dry=True)
    assert outcome.unconfirmed == 1
    assert place.dataset.objects.keys() == {key}
    assert place.dataset.objects[key].confirmed


def test_an_unconfirmed_day_stays_unconfirmed(place: Place):
    key = place.put(day(30), 5, NOW - timedelta(days=3), confirmed=False)
    (outcome,) = place.migrate()
    assert (outcome.rewritten, outcome.unconfirmed) == (1, 0)
    assert not place.dataset.objects[key].confirmed
    assert not entries(place, day(30))


EVERY = {shape.name: shape for shape in shapes(load(), OWN)}


class TestOwnTables:
    """The exporter's own tables: 0.1.0 wrote a column `day` beside the folder of that name."""

    entry = Entry("latency", "acme", "P", "id-1", day(1), "exported", NOW, 1.0, rows=7, run="r-1")

    def put_checks(self, place: Place, back: int, written: datetime) -> str:
        columns = (*CHECKS_COLUMNS[:4], Column("day", "string"), *CHECKS_COLUMNS[4:])
        body = encode(columns, {"what": ["a = b"], "day": [str(day(back))]}, 1)
        key = f"insights/checks/day={day(back)}/acme.Production.parquet"
        return place.put_as(key, body, written)

    def test_the_ledger_of_an_open_day_is_rewritten_too(self, place: Place):
        key, body = runs_object([self.entry])
        place.put_as(key, body, NOW)
        assert "day" in names(body)

        (outcome,) = place.migrate(EVERY["runs"])

        assert (outcome.rewritten, outcome.unconfirmed, outcome.left) == (1, 0, 0)
        found = place.dataset.objects[key]
        assert "day" not in names(found.body)
        assert list(read_entries(found.body, day(1))) == [self.entry]
        assert (found.queried_at, found.run, found.confirmed) == (NOW, "old", True)
        (again,) = place.migrate(EVERY["runs"])
        assert again.rewritten == 0

    def test_checks_that_the_next_run_makes_anew_are_left_to_it(self, place: Place):
        """Rewritten they would look newer than what they never saw."""
        place.put(day(3), 5, NOW - timedelta(hours=2), NEW, "hits")
        place.put(day(4), 5, NOW - timedelta(hours=4), NEW, "hits")
        stale = self.put_checks(place, 3, NOW - timedelta(hours=3))
        current = self.put_checks(place, 4, NOW - timedelta(hours=3))
        alone = self.put_checks(place, 5, NOW - timedelta(hours=3))

        (outcome,) = place.migrate(EVERY["checks"], checked=["cache"])

        assert (outcome.rewritten, outcome.left) == (2, 1)
        with_day = {k for k, f in place.dataset.objects.items() if "day" in names(f.body)}
        assert with_day == {stale}
        assert {current, alone} < place.dataset.objects.keys()

    def test_checks_that_no_run_makes_anew_are_rewritten(self, place: Place):
        place.put(day(3), 5, NOW - timedelta(hours=2), NEW, "hits")
        stale = self.put_checks(place, 3, NOW - timedelta(hours=3))
        place.unwanted.add(stale)
        (outcome,) = place.migrate(EVERY["checks"], checked=["cache"])
        assert (outcome.rewritten, outcome.left) == (1, 0)

    @pytest.mark.parametrize("both", [True, False])
    def test_checks_stay_newer_than_what_was_rewritten(self, place: Place, both: bool):
        """Else the runs after a migration would check the whole history again."""
        keys = {}
        for back, ahead in ((9, 1), (8, -1)):
            written = NOW - timedelta(days=3)
            place.put(day(back), 5, written)
            keys[back] = self.put_checks(place, back, written + timedelta(hours=ahead))

        place.migrate(*([EVERY["checks"]] if both else []), TABLE, checked=["cache"])

        written = {back: place.dataset.objects[key].written for back, key in keys.items()}
        assert written[9] == NOW
        # These were due already.
        assert written[8] == NOW - timedelta(days=3, hours=1)
        assert ("day" in names(place.dataset.objects[keys[9]].body)) is not both

    def test_the_ledger_stays_newer_than_what_was_rewritten(self, place: Place):
        """Else the runs after a migration would look for what was not recorded."""
        written, entry = NOW - timedelta(days=3), replace(self.entry, day=day(9))
        place.put(day(9), 5, written)
        older = place.put_as(f"insights/runs/day={day(9)}/2026-11-16.parquet", b"", written)
        newest = place.put_as(object_key(day(9), NOW.date()), encode_entries([entry]), written)
        place.put(day(8), 5, written, NEW, "hits")
        other = place.put_as(object_key(day(8), NOW.date()), encode_entries([]), written)
        body = place.dataset.objects[newest].body

        place.migrate()

        at = {key: place.dataset.objects[key].written for key in (older, newest, other)}
        assert at == {older: written, newest: NOW, other: written}
        assert place.dataset.objects[newest].body == body

    def test_checks_of_what_was_not_rewritten_are_left_alone(self, place: Place):
        place.put(day(9), 5, NOW - timedelta(days=3), NEW, "hits")
        key = self.put_checks(place, 9, NOW - timedelta(days=2))
        before = place.dataset.objects[key]
        place.migrate(TABLE, checked=["cache"])
        assert place.dataset.objects[key] is before
