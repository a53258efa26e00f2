"""What may take the place of what is there."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.catalogue import Table
from insights.dataset import Stored
from insights.errors import Retriable
from insights.history import Size, Writer
from insights.parquet import encode
from insights.partitions import Environment, Partition
from tests.unit.export.memory import MemoryDataset

DAY = date(2026, 11, 20)
ASKED = datetime(2026, 11, 22, tzinfo=UTC)
PRODUCTION = Environment("e1", "Production", "CHOREO", ("e1",), "Production")
DOCUMENT = """query q($time: TimeFilter!, $data: DataFilter!) {
  getCacheHitsAndMisses(
    timeFilter: $time, dataFilter: $data, cacheFilter: { granularity: "1h" }
  ) { granularity summary { timeSpan hits misses hitPercentage } }
}"""
COUNTS = st.lists(st.none() | st.integers(0, 2**40), max_size=4)


@pytest.fixture(scope="session")
def cache_hits(compiled: Callable[[str, str], Table]) -> Table:
    return compiled("cache_hits_and_misses", DOCUMENT)


def body(table: Table, hits: list, misses: list | None = None, share: list | None = None) -> bytes:
    empty = [None] * len(hits)
    values = {
        "hits": hits,
        "misses": empty if misses is None else misses,
        "hit_percentage": empty if share is None else share,
        "organization": ["acme"] * len(hits),
    }
    return encode(table.columns, values, len(hits))


@given(old=COUNTS, new=COUNTS)
def test_a_final_day_never_shrinks(cache_hits: Table, old: list, new: list):
    sizes = [Size.of(cache_hits, body(cache_hits, counts)) for counts in (old, new)]
    total = [sum(filter(None, counts)) for counts in (old, new)]
    lost = len(new) < len(old) or total[1] < total[0]
    assert bool(sizes[1].lost_against(sizes[0], final=True)) is lost


@given(old=COUNTS, new=COUNTS)
def test_an_open_day_may_change_but_not_vanish(cache_hits: Table, old: list, new: list):
    sizes = [Size.of(cache_hits, body(cache_hits, counts)) for counts in (old, new)]
    total = [sum(filter(None, counts)) for counts in (old, new)]
    lost = total[1] <= total[0] and (len(new) < len(old) or total[1] < total[0])
    assert bool(sizes[1].lost_against(sizes[0], final=False)) is lost


def test_one_figure_of_an_open_day_may_fall_while_another_rises(cache_hits: Table):
    old = Size.of(cache_hits, body(cache_hits, [5], [5]))
    new = Size.of(cache_hits, body(cache_hits, [9], [4]))
    assert new.lost_against(old, final=False) is None
    assert new.lost_against(old, final=True) == "misses: 4 in place of 5"


def test_a_column_with_another_name_by_now_is_history_too(compiled, cache_hits: Table):
    text = DOCUMENT.replace("hits misses", 'found: hits @was(columns: ["hits"]) misses')
    now = compiled("cache_hits_and_misses", text)
    old = Size.of(now, body(cache_hits, [5], [5]))
    new = Size.of(now, encode(now.columns, {"found": [4], "misses": [9], "organization": ["a"]}, 1))
    assert new.lost_against(old, final=True) == "found: 4 in place of 5"


def test_a_new_column_takes_nothing_from_history(compiled, cache_hits: Table):
    now = compiled("cache_hits_and_misses", DOCUMENT.replace("misses", "misses more: misses"))
    old = Size.of(now, body(cache_hits, [5], [5]))
    values = {"hits": [5], "misses": [5], "more": [0], "organization": ["a"]}
    new = Size.of(now, encode(now.columns, values, 1))
    assert new.lost_against(old, final=True) is None


def test_a_figure_that_became_null_is_lost(cache_hits: Table):
    old = Size.of(cache_hits, body(cache_hits, [5], share=[50.0]))
    new = Size.of(cache_hits, body(cache_hits, [5]))
    assert new.lost_against(old, final=False) == "hit_percentage: 0 in place of 1"


class Place:
    """A partition with something in it."""

    def __init__(self, table: Table, hits: list[int]) -> None:
        self.table = table
        self.partition = Partition(table, table.name, "acme", PRODUCTION, DAY)
        self.dataset = MemoryDataset()
        self.dataset.now = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.old = body(table, hits)
        asked = ASKED - timedelta(days=1)
        self.dataset.put(self.partition.key, self.old, asked=asked, run="old")

    def write(self, hits: list[int], *, final: bool, force: bool = False, day_is_over: bool = True):
        found = self.dataset.objects[self.partition.key]
        self.new = body(self.table, hits)
        self.dataset.now = ASKED
        return Writer(self.dataset, "new", protect=not force).write(
            self.partition,
            self.new,
            over=Stored(found.written, found.etag),
            over_is_final=final,
            day_is_over=day_is_over,
            asked=ASKED,
        )

    @property
    def object(self):
        return self.dataset.objects[self.partition.key]


@pytest.mark.parametrize("final", [True, False])
def test_less_is_refused_and_told(cache_hits: Table, final: bool):
    place = Place(cache_hits, [5, 7])
    written = place.write([5], final=final)
    assert written.verdict == "kept"
    assert "1 rows in place of 2" in written.reason
    assert place.object.body == place.old
    # What was not final is written again as it is, so that it becomes final in time.
    assert place.object.run == ("old" if final else "new")


def test_force_takes_less(cache_hits: Table):
    place = Place(cache_hits, [5, 7])
    assert place.write([5], final=True, force=True).verdict == "exported"
    assert place.object.body == place.new


def test_today_may_shrink(cache_hits: Table):
    place = Place(cache_hits, [5, 7])
    assert place.write([5], final=False, day_is_over=False).verdict == "exported"


@pytest.mark.parametrize("hits", [[5, 7], [5, 8], [5, 7, 0]])
def test_as_much_or_more_is_taken(cache_hits: Table, hits: list[int]):
    place = Place(cache_hits, [5, 7])
    assert place.write(hits, final=True).verdict == "exported"
    assert place.object.run == "new"


def test_an_object_that_was_deleted_meanwhile_is_made(cache_hits: Table):
    place = Place(cache_hits, [5, 7])
    once = [True]
    place.dataset.before = lambda key: once and once.pop() and place.dataset.objects.pop(key)
    assert place.write([9, 9], final=False).verdict == "exported"
    assert place.object.body == place.new


def test_a_race_that_does_not_end_is_given_up(cache_hits: Table):
    place = Place(cache_hits, [5, 7])
    asked = ASKED - timedelta(hours=1)
    place.dataset.before = lambda key: place.dataset.put(key, place.old, asked=asked, run="other")
    with pytest.raises(Retriable, match="written by others 5 times"):
        place.write([9, 9], final=False)
