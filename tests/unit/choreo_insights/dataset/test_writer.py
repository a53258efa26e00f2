"""What may take the place of a stored object."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import cycle

import pytest

from choreo_insights.catalogue import Table, load
from choreo_insights.dataset.coverage import closes_at, gives_up_at, is_closed
from choreo_insights.dataset.parquet import File, decode, encode
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.dataset.store import Stored
from choreo_insights.dataset.writer import KnownApis, Writer, Written
from choreo_insights.errors import Retriable
from tests.unit.choreo_insights.memory import MemoryDataset

DAY = date(2026, 11, 20)
SETTLE_HOURS = 24
CLOSES = closes_at(DAY, SETTLE_HOURS)
GIVES_UP = gives_up_at(DAY, SETTLE_HOURS)
ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRODUCTION = Environment("e1", "Production", "CHOREO", ("e1",), "Production")
DOCUMENT = """query q($time: TimeFilter!, $data: DataFilter!, $apiNames: [String]) {
  getAPIUsageOverTime(
    timeFilter: $time dataFilter: $data
    apiUsageOvertimeFilter: { apiIds: $apiNames, granularity: "1h" }
  ) { apiId granularity usage { timeSpan count } }
}"""


@pytest.fixture(scope="session")
def usage(compiled: Callable[[str, str], Table]) -> Table:
    return compiled("api_usage_over_time", DOCUMENT)


def file_with(counts: dict[str, list[int]]) -> File:
    rows = [(api, hour, count) for api, each in counts.items() for hour, count in enumerate(each)]
    columns = {
        "api_id": [row[0] for row in rows],
        "api_id_resolved": [row[0] for row in rows],
        "time_span": [row[1] for row in rows],
        "count": [row[2] for row in rows],
        "organization": ["acme"] * len(rows),
    }
    return File(columns, len(rows))


class Place:
    """A partition with an object in it, and one run that listed it."""

    def __init__(self, table: Table, counts: dict[str, list[int]]) -> None:
        self.table = table
        self.partition = Partition(table, table.name, "acme", PRODUCTION, DAY)
        self.dataset = MemoryDataset()
        self.put(counts, ASKED - timedelta(days=1), "old")
        self.listed = Stored(self.object.written, self.object.etag)

    def put(self, counts: dict[str, list[int]], queried_at: datetime, run: str) -> None:
        self.dataset.now = queried_at
        self.dataset.put(
            self.partition.key,
            file_with(counts).encode(self.table.columns),
            queried_at=queried_at,
            run=run,
        )

    def write(
        self,
        counts: dict[str, list[int]],
        *,
        force: bool = False,
        now: datetime = ASKED,
        queried_at: datetime | None = None,
        unanswered: frozenset[str] = frozenset(),
    ) -> Written:
        self.dataset.now = now
        return Writer(self.dataset, "new", force, SETTLE_HOURS, lambda: now).write(
            self.partition,
            file_with(counts),
            over=self.listed,
            queried_at=queried_at or now,
            apis=KnownApis({"a", "b"}, unanswered),
        )

    @property
    def object(self):
        return self.dataset.objects[self.partition.key]

    @property
    def counts(self) -> dict[str, list[int]]:
        found = decode(self.object.body)
        counts: dict[str, list[int]] = {}
        for api, count in zip(found["api_id"], found["count"], strict=True):
            counts.setdefault(api, []).append(count)
        return counts


def test_less_is_refused_and_confirms_nothing(usage: Table):
    place = Place(usage, {"a": [5, 7]})
    before = place.object
    written = place.write({"a": [5]})
    assert (written.verdict, written.closed) == ("kept", False)
    assert "without 1 of the 2 stored ones" in written.reason
    assert place.object == before


@pytest.mark.parametrize("now", [CLOSES, GIVES_UP - timedelta(seconds=1)])
def test_a_refused_response_closes_no_day_for_a_week(usage: Table, now: datetime):
    place = Place(usage, {"a": [5, 7]})
    assert place.write({"a": [5]}, now=now) == Written(
        "kept", "the source gives 1 rows, without 1 of the 2 stored ones: the stored data stays"
    )
    assert not is_closed(place.object.written, DAY, SETTLE_HOURS)


def test_after_a_week_the_day_is_closed_as_unconfirmed(usage: Table):
    place = Place(usage, {"a": [5, 7]})
    before = place.object
    written = place.write({}, now=GIVES_UP)
    assert (written.verdict, written.closed) == ("kept", True)
    after = place.object
    assert (after.body, after.queried_at, after.run) == (before.body, before.queried_at, before.run)
    assert (after.confirmed, after.written) == (False, GIVES_UP)
    assert is_closed(after.written, DAY, SETTLE_HOURS)


def test_a_confirmed_day_never_becomes_unconfirmed(usage: Table):
    place = Place(usage, {"a": [5, 7]})
    place.put({"a": [5, 7]}, CLOSES, "closing")
    place.listed = Stored(place.object.written, place.object.etag)
    before = place.object
    written = place.write({}, now=GIVES_UP + timedelta(days=9))
    assert (written.verdict, written.closed, place.object) == ("kept", False, before)


@pytest.mark.parametrize("counts", [{"a": [5, 7]}, {"a": [5, 8]}, {"a": [5, 7, 0], "b": [1]}])
@pytest.mark.parametrize("now", [ASKED, CLOSES])
def test_as_much_or_more_is_written_and_confirms(usage: Table, counts: dict, now: datetime):
    place = Place(usage, {"a": [5, 7]})
    written = place.write(counts, now=now)
    assert (written.verdict, written.closed) == ("exported", now == CLOSES)
    assert (place.object.run, place.object.written, place.counts) == ("new", now, counts)


def test_today_is_guarded_too(usage: Table):
    place = Place(usage, {"a": [5, 7]})
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert place.write({"a": [5, 6, 90]}, now=noon).verdict == "kept"


def test_force_takes_less(usage: Table):
    place = Place(usage, {"a": [5, 7], "gone": [1]})
    assert place.write({"a": [5]}, force=True).verdict == "exported"
    assert place.counts == {"a": [5]}


def test_force_carries_over_what_the_service_refuses_to_answer(usage: Table):
    place = Place(usage, {"a": [5, 7], "gone": [1]})
    place.write({"a": [5]}, force=True, unanswered=frozenset({"gone"}))
    assert place.counts == {"a": [5], "gone": [1]}


def test_the_hours_of_an_api_that_is_gone_stay(usage: Table):
    place = Place(usage, {"a": [5, 7], "gone": [1, 1]})
    written = place.write({"a": [5, 7, 9]})
    assert (written.verdict, written.rows) == ("exported", 5)
    assert place.counts == {"a": [5, 7, 9], "gone": [1, 1]}


@pytest.mark.parametrize("listed", [{"x"}, {"y"}, {"x", "y"}])
def test_a_name_that_stands_for_no_api_any_more_has_the_same_rows(usage: Table, listed: set[str]):
    place = Place(usage, {"Orders - v1": [1, 2]})
    resolved = file_with({"Orders - v1": [1, 2]})
    resolved.columns["api_id_resolved"] = ["x", "x"]
    body = resolved.encode(usage.columns)
    place.dataset.put(place.partition.key, body, queried_at=ASKED - timedelta(days=1), run="old")
    place.listed = Stored(place.object.written, place.object.etag)
    unresolved = file_with({"Orders - v1": [1, 3]})
    unresolved.columns["api_id_resolved"] = [None, None]
    written = Writer(place.dataset, "new", False, SETTLE_HOURS, lambda: ASKED).write(
        place.partition, unresolved, over=place.listed, queried_at=ASKED, apis=KnownApis(listed)
    )
    assert (written.verdict, place.counts) == ("exported", {"Orders - v1": [1, 3]})


def test_an_older_response_never_overwrites_a_newer_forced_one(usage: Table):
    place = Place(usage, {"a": [5, 5]})
    place.put({"a": [5, 4]}, ASKED + timedelta(minutes=4), "forced")
    written = place.write({"a": [5, 9]}, queried_at=ASKED, now=ASKED + timedelta(minutes=9))
    assert written.verdict == "overtaken"
    assert (place.object.run, place.counts) == ("forced", {"a": [5, 4]})


def test_an_older_response_overwrites_no_newer_one_of_the_same_bytes(usage: Table):
    place = Place(usage, {})
    etag = place.object.etag
    place.put({}, ASKED + timedelta(minutes=1), "other")
    assert place.object.etag == etag
    written = place.write({}, queried_at=ASKED, now=ASKED + timedelta(minutes=2))
    assert (written.verdict, place.object.run) == ("overtaken", "other")


def test_a_newer_response_is_compared_with_what_another_run_wrote(usage: Table):
    place = Place(usage, {"a": [5, 5]})
    place.put({"a": [5, 9]}, ASKED, "other")
    assert place.write({"a": [5, 6]}, queried_at=ASKED + timedelta(minutes=1)).verdict == "kept"
    assert (
        place.write({"a": [5, 10]}, queried_at=ASKED + timedelta(minutes=1)).verdict == "exported"
    )


def test_an_object_that_appears_meanwhile_is_compared(usage: Table):
    place = Place(usage, {"a": [5, 5]})
    place.listed = None
    assert place.write({"a": [5]}).verdict == "kept"
    assert place.write({"a": [5, 6]}).verdict == "exported"
    assert place.write({"a": [5, 7]}, queried_at=ASKED - timedelta(days=2)).verdict == "overtaken"


def test_an_own_write_whose_response_was_lost_is_recognised(usage: Table):
    place = Place(usage, {"a": [5, 7]})
    lost = [True]

    def repeated(_: str) -> None:
        # The SDK repeats the PUT, and gets 412 for it.
        if lost and lost.pop():
            place.put({"a": [9, 9]}, ASKED, "new")

    place.dataset.before = repeated
    written = place.write({"a": [9, 9]})
    assert (written.verdict, written.rows, written.size) == ("exported", 2, len(place.object.body))
    assert place.object.run == "new"


def test_an_object_that_was_deleted_meanwhile_is_made(usage: Table):
    place = Place(usage, {"a": [5, 7]})
    once = [True]
    place.dataset.before = lambda key: once and once.pop() and place.dataset.objects.pop(key)
    assert place.write({"a": [9, 9]}).verdict == "exported"
    assert place.counts == {"a": [9, 9]}


def test_a_race_that_does_not_end_is_given_up(usage: Table):
    place = Place(usage, {"a": [5, 7]})
    queried_at = ASKED - timedelta(hours=1)
    others = cycle([{"a": [6, 7]}, {"a": [5, 7]}])
    place.dataset.before = lambda key: place.put(next(others), queried_at, "other")
    with pytest.raises(Retriable, match="written by others 5 times"):
        place.write({"a": [9, 9]})


def test_a_list_may_shrink():
    table = load().table("providers")
    place = Place(table, {"a": [5, 7]})
    assert place.write({}).verdict == "exported"


# Files of releases in which `api_id` was what the response named the API


def older(place: Place, rows: list[tuple[str | None, str | None, int, int]]) -> None:
    """Puts an object without `answered_api_id`: rows of name, resolved id, hour and count."""
    columns = [column for column in place.table.columns if column.name != "answered_api_id"]
    names = ("api_id", "api_id_resolved", "time_span", "count")
    values = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    body = encode(columns, {**values, "organization": ["acme"] * len(rows)}, len(rows))
    place.dataset.put(place.partition.key, body, queried_at=ASKED - timedelta(days=1), run="old")
    place.listed = Stored(place.object.written, place.object.etag)


def test_sums_over_several_apis_give_way_to_the_rows_of_each(usage: Table):
    place = Place(usage, {})
    older(place, [(None, None, 0, 12), ("Orders - v1", None, 1, 3)])
    written = place.write({"a": [5, 3], "b": [7]})
    assert (written.verdict, written.rows) == ("exported", 3)
    assert place.counts == {"a": [5, 3], "b": [7]}


def test_rows_of_each_api_that_are_fewer_than_a_sum_are_refused(usage: Table):
    place = Place(usage, {})
    older(place, [(None, None, 0, 12)])
    written = place.write({"a": [5], "b": [6]})
    assert written.verdict == "kept"
    assert "lower count" in (written.reason or "")


def test_stored_rows_of_an_api_that_is_gone_get_its_id(usage: Table):
    place = Place(usage, {})
    older(place, [("Gone - v1", "gone", 0, 2), ("a", "a", 0, 5)])
    assert place.write({"a": [6]}).rows == 2
    found = decode(place.object.body)
    rows = sorted(zip(found["api_id"], found["answered_api_id"], found["count"], strict=True))
    assert rows == [("a", None, 6), ("gone", "Gone - v1", 2)]
