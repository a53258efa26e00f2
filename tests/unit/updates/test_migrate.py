"""Older objects under today's names, and what they lack."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest

from insights.catalogue import Column
from insights.errors import InsightsError
from insights.parquet import decode, encode
from tests.unit.export.memory import MemoryDataset
from updates.migrate import Migration, Shape, lines

if TYPE_CHECKING:
    from insights.dataset import Dataset

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD = (Column("time_span", "timestamp"), Column("value", "bigint"), Column("gone", "string"))
NEW = (
    Column("time_span", "timestamp"),
    Column("hits", "bigint", former=("number", "value")),
    Column("misses", "bigint"),
)
TABLE = Shape("cache", NEW, "daily")


class Place:
    """A dataset with objects that an older release has written."""

    def __init__(self) -> None:
        self.dataset = MemoryDataset()

    def put(self, day: date, hits: int, written: datetime, columns=OLD, name="value") -> str:
        key = f"insights/cache/day={day}/acme.Production.parquet"
        self.dataset.now = written
        body = encode(columns, {"time_span": [1], name: [hits], "misses": [7]}, 1)
        self.dataset.put(key, body, asked=written, run="old")
        self.dataset.now = NOW
        return key

    def migrate(self, shape: Shape = TABLE, *, dry: bool = False):
        dataset = cast("Dataset", self.dataset)
        return Migration(dataset, NOW, 24.0, dry).run([shape])


@pytest.fixture
def place() -> Place:
    return Place()


def day(back: int) -> date:
    return NOW.date() - timedelta(days=back)


def test_a_final_day_gets_todays_names_and_loses_nothing(place: Place):
    key = place.put(day(9), 5, NOW - timedelta(days=3))
    place.put(day(8), 6, NOW - timedelta(days=2), NEW, "hits")

    (outcome,) = place.migrate()

    assert (outcome.objects, outcome.renamed, outcome.left) == (2, 1, 0)
    assert outcome.lacking == {"misses": {day(9)}}
    found = place.dataset.objects[key]
    assert decode(found.body) == {"time_span": [1], "hits": [5], "gone": [None]}
    # When it was asked for, and by whom, did not change.
    assert (found.asked, found.run) == (NOW - timedelta(days=3), "old")
    null = f"cache.misses: null from {day(9)} to {day(9)} (days: 1), exported before there was such"
    assert list(lines([outcome], dry=False)) == [
        "cache: columns renamed in 1 of 2 objects.",
        f"{null} a column.",
        "What Choreo still has of these is fetched by",
        f"  insights backfill --from {day(9)} --to {day(9)} --tables cache --again",
    ]
    (again,) = place.migrate()
    assert (again.renamed, again.lacking) == (0, outcome.lacking)


def test_an_open_day_is_left_to_the_export(place: Place):
    """Written now it would look final, and nobody would ask for what comes late."""
    key = place.put(day(5), 5, NOW - timedelta(days=5))
    before = place.dataset.objects[key]

    (outcome,) = place.migrate()

    assert (outcome.renamed, outcome.left) == (0, 1)
    assert place.dataset.objects[key] is before
    told = list(lines([outcome], dry=False))
    assert told[0].endswith("not final: the next export writes them anew.")


@pytest.mark.parametrize(
    ("asked", "back", "renamed"),
    [("list", 1, 1), ("list", 0, 0), ("never", 0, 1), ("daily", 0, 0)],
)
def test_what_nobody_asks_for_again_is_written_again(place: Place, asked, back, renamed):
    place.put(day(back), 5, NOW - timedelta(days=back))
    (outcome,) = place.migrate(Shape("cache", NEW, asked))
    assert (outcome.renamed, outcome.left) == (renamed, 1 - renamed)
    fetched = "insights backfill" in "\n".join(lines([outcome], dry=False))
    assert fetched is (asked == "daily")


def test_a_dry_run_writes_nothing(place: Place):
    key = place.put(day(9), 5, NOW - timedelta(days=3))
    before = place.dataset.objects[key]
    (outcome,) = place.migrate(dry=True)
    assert place.dataset.objects[key] is before
    assert next(lines([outcome], dry=True)) == "cache: columns to be renamed in 1 of 1 objects."


def test_an_export_that_is_faster_stays(place: Place):
    key = place.put(day(9), 5, NOW - timedelta(days=3))
    newer = encode(NEW, {"hits": [9]}, 1)
    place.dataset.before = lambda key: place.dataset.put(key, newer, asked=NOW, run="new")
    (outcome,) = place.migrate()
    assert place.dataset.objects[key].body == newer
    assert outcome.renamed == 0


def test_a_broken_object_is_named(place: Place):
    place.dataset.put("insights/cache/day=2026-11-01/acme.parquet", b"x", asked=NOW, run="old")
    with pytest.raises(InsightsError, match=r"day=2026-11-01/acme.parquet cannot be read"):
        place.migrate()


def test_all_is_well(place: Place):
    place.put(day(9), 5, NOW, NEW, "hits")
    assert list(lines(place.migrate(), dry=False)) == []
