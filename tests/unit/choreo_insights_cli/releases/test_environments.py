"""Objects of release 0.1.0 under the key of their environment: no row is lost, none is double."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from choreo_insights.catalogue import load
from choreo_insights.dataset.coverage import closes_at
from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.partitions import day_end, day_of, day_start, safe_name
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_tables import Unreadable
from choreo_insights.errors import InsightsError, PersonMustAct
from choreo_insights_cli.releases.environments import Merge, MergeCounts, as_dict, lines
from tests.unit.choreo_insights.dataset.test_registry import entry
from tests.unit.choreo_insights.dataset.test_registry_build import hashed
from tests.unit.choreo_insights.memory import MemoryDataset

if TYPE_CHECKING:
    from choreo_insights.dataset.store import Dataset

TABLES = {table.name: table for table in load().tables}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)
ENVIRONMENTS = "insights/registry_environments/acme.parquet"
HOURLY, LIST = "success_summary", "apis"
# What an hour of an environment has: hour of the day and requests.
Hours = dict[int, int]


class Place:
    """A dataset that release 0.1.0 has written, with the organisation `acme`."""

    def __init__(self) -> None:
        self.dataset = MemoryDataset()
        self.claimed = 0
        self.dataset.claim = self._claim  # type: ignore[method-assign]
        self.dataset.now = NOW

    def _claim(self) -> None:
        self.claimed += 1

    def lists(self, day: date, *rows: tuple[str, str]) -> None:
        """The list of environments of a day."""
        listed = [entry(*row) for row in rows]
        values = {name: [row[name] for row in listed] for name in listed[0]}
        body = encode(TABLES["environments"].columns, values, len(listed))
        key = f"insights/environments/day={day}/acme.parquet"
        self.dataset.put(key, body, queried_at=NOW, run="old")

    def write(
        self, part: str, own_id: str, day: date, hours: Hours, queried_at: datetime, name: str = "E"
    ) -> str:
        """An hourly object, requested and written at a time."""
        at = int(day_start(day).timestamp()) * 1_000_000
        values: dict[str, Sequence[Any]] = {
            "time_span": [at + hour * 3_600_000_000 for hour in hours],
            "request_count": [*hours.values()],
            **{n: [v] * len(hours) for n, v in _common(own_id, name).items()},
        }
        return self._put(HOURLY, part, day, (values, len(hours)), queried_at)

    def apis(self, part: str, own_id: str, day: date, *ids: str, queried_at: datetime = NOW) -> str:
        """A list of APIs."""
        common = {name: [value] * len(ids) for name, value in _common(own_id, "E").items()}
        values = {"api_id": [*ids], "api_name": [*ids], "version": ["1"] * len(ids), **common}
        return self._put(LIST, part, day, (values, len(ids)), queried_at)

    def _put(
        self,
        table: str,
        part: str,
        day: date,
        rows: tuple[dict[str, Any], int],
        queried_at: datetime,
    ) -> str:
        key = f"insights/{table}/day={day}/acme.{part}.parquet"
        self.dataset.now = queried_at
        body = encode(TABLES[table].columns, *rows)
        self.dataset.put(key, body, queried_at=queried_at, run="old")
        self.dataset.now = NOW
        return key

    def merge(self, *, dry: bool = False, rebuild: bool = False) -> list[MergeCounts]:
        """What `insights migrate` does."""
        merge = Merge(cast("Dataset", self.dataset), TABLES, NOW, 24.0, dry)
        return [*merge.run(["acme"], rebuild=rebuild).environments]

    def registry(self) -> Registry:
        return Registry(cast("Dataset", self.dataset), "run", lambda: NOW)

    def hours(self, own_id: str | None = None) -> dict[tuple[str, date], Hours]:
        """The rows of each key and day, of one environment or all."""
        found: dict[tuple[str, date], Hours] = {}
        for key in self.dataset.objects:
            if key.startswith(f"insights/{HOURLY}/"):
                part = key.split("acme.")[1].removesuffix(".parquet")
                for row in self.dataset.rows(key):
                    if own_id in (None, row["environment_id"]):
                        of = found.setdefault((part, day_of(key)), {})
                        of[row["time_span"].hour] = row["request_count"]
        return found

    def keys(self, table: str = HOURLY) -> list[str]:
        return sorted(key for key in self.dataset.objects if key.startswith(f"insights/{table}/"))


def _common(own_id: str, name: str) -> dict[str, str]:
    return {"organization": "acme", "environment_id": own_id, "environment": name}


def late(day: date) -> datetime:
    """When a day's last rows are requested."""
    return day_end(day) + timedelta(hours=24, minutes=5)


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def doubled(place: Place) -> Place:
    """The environment `a` was renamed ten days ago: its history is there twice."""
    place.lists(TODAY - 20 * DAY, ("a", "Production"), ("b", "Dev"))
    place.lists(TODAY - 10 * DAY, ("a", "Prod EU"), ("b", "Dev"))
    for back in range(5, 20):
        day = TODAY - back * DAY
        place.write("Dev", "b", day, {1: 7}, late(day), "Dev")
        place.write(NEW, "a", day, {1: 5, 2: 6}, late(max(day, TODAY - 10 * DAY)), "Prod EU")
        if back > 10:
            place.write("Production", "a", day, {1: 5, 2: 6}, late(day), "Production")
    return place


NEW = safe_name("Prod EU")


def test_a_doubled_history_is_merged_and_exported_again(doubled: Place):
    doubled.dataset.put(
        f"insights/checks/day={TODAY - 12 * DAY}/acme.{NEW}.parquet", b"", queried_at=NOW, run="old"
    )
    outcomes = doubled.merge()
    assert outcomes == [
        MergeCounts("acme", "Prod EU", "Production", {NEW}, moved=6, merged=9),
    ]
    assert doubled.hours("a") == {
        ("Production", TODAY - back * DAY): {1: 5, 2: 6} for back in range(5, 20)
    }
    assert len(doubled.hours("b")) == 15
    assert not doubled.keys("checks")
    found = doubled.registry().environments("acme", [entry("a", "Prod EU")], TODAY)
    assert [each.key_name for each in found.usable] == ["Production"]
    # All is as it should be now.
    assert doubled.merge() == []


def test_what_is_written_later_would_double_it_again_and_is_refused(doubled: Place):
    doubled.merge(dry=True)
    assert doubled.claimed == 0
    doubled.merge()
    assert doubled.claimed == 1
    doubled.dataset.claim = MemoryDataset.claim.__get__(doubled.dataset)  # type: ignore[method-assign]
    doubled.dataset.newer = True
    with pytest.raises(PersonMustAct):
        doubled.merge()


def test_a_dry_run_counts_and_writes_nothing(doubled: Place):
    before = dict(doubled.dataset.objects)
    result = doubled.merge(dry=True)
    assert doubled.dataset.objects == before
    assert result == doubled.merge()


def test_a_day_with_two_objects_keeps_every_row_and_the_higher_count(place: Place):
    day = TODAY - 9 * DAY
    place.lists(day, ("a", "Dev"))
    place.lists(day + DAY, ("a", "Test"))
    place.write("Dev", "a", day, {1: 5, 2: 6, 3: 9}, late(day))
    place.write("Test", "a", day, {2: 7, 3: 8, 4: 1}, late(day) + DAY)
    assert [outcome.merged for outcome in place.merge()] == [1]
    assert place.hours() == {("Dev", day): {1: 5, 2: 7, 3: 9, 4: 1}}
    kept = place.dataset.objects[place.keys()[0]]
    assert (kept.queried_at, kept.run) == (late(day) + DAY, "old")


def test_the_newest_response_wins_where_it_loses_nothing(place: Place):
    day = TODAY - 9 * DAY
    place.lists(day, ("a", "Dev"))
    place.lists(day + DAY, ("a", "Test"))
    place.write("Dev", "a", day, {1: 5}, late(day))
    newer = place.write("Test", "a", day, {1: 6, 2: 1}, late(day) + DAY)
    body = place.dataset.objects[newer].body
    place.merge()
    assert [each.body for each in map(place.dataset.objects.get, place.keys()) if each] == [body]


def test_an_object_that_adds_nothing_is_deleted(place: Place):
    day = TODAY - 9 * DAY
    place.lists(day, ("a", "Dev"))
    place.lists(day + DAY, ("a", "Test"))
    key = place.write("Dev", "a", day, {1: 5, 2: 6}, late(day) + DAY)
    place.write("Test", "a", day, {1: 5}, late(day))
    before = place.dataset.objects[key]
    assert [outcome.spare for outcome in place.merge()] == [1]
    assert place.dataset.objects[key] is before
    assert place.keys() == [key]


def test_lists_are_taken_as_they_are_and_their_names_are_remembered(place: Place):
    day = TODAY - 9 * DAY
    place.lists(day, ("a", "Dev"))
    place.lists(day + DAY, ("a", "Test"))
    place.apis("Dev", "a", day, "1", "2")
    place.apis("Test", "a", day + DAY, "2", "3")
    place.merge()
    assert [key.split("acme.")[1] for key in place.keys(LIST)] == ["Dev.parquet"] * 2
    [known] = place.registry().known("acme")
    names = place.registry().recalled("acme", known.environment, "api")
    assert {each.id: each.listed for each in names.known} == {"1": False, "2": True, "3": True}


# Days that are not closed


def test_a_day_that_has_not_settled_stays_open(place: Place):
    # A write before it settles does not close it.
    day = TODAY - DAY
    place.lists(day, ("a", "Dev"))
    place.lists(TODAY, ("a", "Test"))
    place.write("Dev", "a", day, {1: 5}, NOW - 3 * timedelta(hours=1))
    place.write("Test", "a", day, {1: 5, 2: 6}, NOW - timedelta(hours=1))
    assert [outcome.merged for outcome in place.merge()] == [1]
    assert place.hours() == {("Dev", day): {1: 5, 2: 6}}
    assert place.dataset.objects[place.keys()[0]].written < closes_at(day, 24)


@pytest.mark.parametrize("own", [True, False])
def test_a_day_that_no_export_has_completed_is_not_closed(place: Place, own: bool):
    day = TODAY - 4 * DAY
    early = datetime.combine(day, time(20), UTC)
    place.lists(day - DAY, ("a", "Dev"))
    place.lists(day, ("a", "Test"))
    place.write("Dev", "a", day - DAY, {1: 1}, NOW)
    if own:
        place.write("Dev", "a", day, {1: 5}, early - timedelta(hours=5))
    place.write("Test", "a", day, {1: 5, 2: 6}, early)
    before = dict(place.dataset.objects)
    (outcome,) = place.merge()
    assert outcome.left == {day}
    assert before.items() <= place.dataset.objects.items()
    # The next run exports it, without the row that Choreo has forgotten meanwhile.
    assert place.registry().environments("acme", [entry("a", "Test")], TODAY).usable
    place.write("Dev", "a", day, {1: 5, 3: 1}, NOW)
    (outcome,) = place.merge()
    assert (outcome.merged, outcome.left) == (1, set())
    assert place.hours() == {("Dev", day - DAY): {1: 1}, ("Dev", day): {1: 5, 2: 6, 3: 1}}


def test_an_open_day_that_has_everything_already_stays_as_it_is(place: Place):
    day = TODAY - 4 * DAY
    early = datetime.combine(day, time(20), UTC)
    place.lists(day - DAY, ("a", "Dev"))
    place.lists(day, ("a", "Test"))
    key = place.write("Dev", "a", day, {1: 5, 2: 6}, early)
    place.write("Test", "a", day, {1: 5}, early - timedelta(hours=1))
    before = place.dataset.objects[key]
    assert [outcome.spare for outcome in place.merge()] == [1]
    assert place.dataset.objects == {**place.dataset.objects, key: before}
    assert place.keys() == [key]


# Keys of several environments


def test_environments_of_one_name_get_their_own_objects_back(place: Place):
    a, b = f"Dev-{hashed('a')}", f"Dev-{hashed('b')}"
    first, second = TODAY - 9 * DAY, TODAY - 8 * DAY
    place.lists(first, ("a", "Dev"), ("b", "Dev"))
    place.lists(second, ("b", "Dev"), ("a", "Dev"))
    place.write("Dev", "a", first, {1: 1}, late(first))
    place.write(b, "b", first, {1: 2}, late(first))
    place.write("Dev", "b", second, {1: 4}, late(second))
    place.write(a, "a", second, {1: 3}, late(second))
    place.merge()
    assert place.hours("a") == {("Dev", first): {1: 1}, ("Dev", second): {1: 3}}
    assert place.hours("b") == {(b, first): {1: 2}, (b, second): {1: 4}}
    assert len(place.keys()) == 4


def test_environments_that_have_swapped_names_get_their_own_objects_back(place: Place):
    first, second = TODAY - 9 * DAY, TODAY - 8 * DAY
    place.lists(first, ("a", "Dev"), ("b", "Test"))
    place.lists(second, ("a", "Test"), ("b", "Dev"))
    for day, parts in ((first, ("Dev", "Test")), (second, ("Test", "Dev"))):
        place.write(parts[0], "a", day, {1: 1}, late(day))
        place.write(parts[1], "b", day, {1: 2}, late(day))
    place.merge()
    assert place.hours("a") == {("Dev", first): {1: 1}, ("Dev", second): {1: 1}}
    assert place.hours("b") == {("Test", first): {1: 2}, ("Test", second): {1: 2}}
    assert len(place.keys()) == 4


def test_an_environment_that_was_made_anew_gets_a_key_of_its_own(place: Place):
    first, second = TODAY - 9 * DAY, TODAY - 8 * DAY
    place.lists(first, ("a", "Dev"))
    place.lists(second, ("b", "Dev"))
    place.write("Dev", "a", first, {1: 1}, late(first))
    place.write("Dev", "b", second, {1: 2}, late(second))
    place.merge()
    own = f"Dev-{hashed('b')}"
    assert place.hours() == {("Dev", first): {1: 1}, (own, second): {1: 2}}
    found = place.registry().environments("acme", [entry("b", "Dev")], TODAY)
    assert [each.key_name for each in found.usable] == [own]


def test_objects_of_an_environment_that_no_list_has_are_known_afterwards(place: Place):
    day = TODAY - 9 * DAY
    place.lists(day, ("a", "Dev"), ("b", "Dev"))
    place.lists(day + DAY, ("b", "Dev"), ("a", "Dev"))
    place.write("Dev", "x", day, {1: 1}, late(day), "Dev")
    place.write("Dev", "a", day + DAY, {1: 1}, late(day + DAY), "Dev")
    place.merge()
    keys = {each.id: each.key for each in place.registry().known("acme")}
    assert place.hours("x") == {(keys["x"], day): {1: 1}}
    assert len(set(keys.values())) == 3


def test_rows_of_nobody_stay_where_they_are(doubled: Place):
    key = doubled.write(NEW, "", TODAY - 12 * DAY, {1: 3}, NOW)
    doubled.merge()
    assert key in doubled.dataset.objects


# What a person sees


def test_what_was_done_is_said_in_a_line_for_each_environment(doubled: Place):
    day = TODAY - 3 * DAY
    doubled.write(NEW, "a", day, {1: 5}, datetime.combine(day, time(20), UTC))
    merge = Merge(cast("Dataset", doubled.dataset), TABLES, NOW, 24.0, dry=True)
    (first, *more) = lines(merge.run(["acme"]), dry=True)
    assert first == (
        f"acme, Prod EU: 15 objects to be brought from {NEW} to Production (9 shared a day with"
        " others, 0 added nothing)."
    )
    assert f"insights export --from {day} --to {day}" in more[1]
    outcomes = replace(merge, dry=False).run(["acme"])
    assert as_dict(outcomes) == {
        "environments": [
            {
                "organization": "acme",
                "environment": "Prod EU",
                "key": "Production",
                "keys": [NEW],
                "moved": 6,
                "merged": 9,
                "spare": 0,
                "left": [str(day)],
            }
        ],
        "registry": [],
    }
    assert "restored" in [*lines(outcomes, dry=False)][-1]


# The registry


def test_damaged_objects_of_the_registry_are_made_anew(doubled: Place):
    day = TODAY - 9 * DAY
    doubled.apis("Dev", "b", day, "1", "2")
    doubled.merge()
    good = doubled.registry().known("acme")
    registry = doubled.registry()
    [dev] = [each.environment for each in good if each.id == "b"]
    registry.names("acme", dev, "api", [{"api_id": "1", "api_name": "1"}], TODAY)
    doubled.dataset.put(ENVIRONMENTS, b"PAR1", queried_at=NOW, run="x")
    names = "insights/registry_names/acme.Dev.parquet"
    doubled.dataset.put(names, b"PAR1", queried_at=NOW, run="x")
    with pytest.raises(Unreadable, match="--rebuild-registry"):
        doubled.merge()
    merge = Merge(cast("Dataset", doubled.dataset), TABLES, NOW, 24.0, dry=True)
    before = dict(doubled.dataset.objects)
    assert {ENVIRONMENTS, names} <= {*merge.run(["acme"], rebuild=True).rebuilt}
    assert doubled.dataset.objects == before
    result = replace(merge, dry=False).run(["acme"], rebuild=True)
    assert {ENVIRONMENTS, names} <= {*result.rebuilt}
    assert doubled.registry().known("acme") == good
    known = doubled.registry().recalled("acme", dev, "api").known
    assert [each.id for each in known] == ["1", "2"]
    assert not replace(merge, dry=False).run(["acme"], rebuild=True).rebuilt


def test_a_lost_registry_comes_back_with_the_keys_that_objects_have(place: Place):
    # Bound by id, whatever the order of the list: a run alone would need a person.
    own = f"Dev-{hashed('b')}"
    day = TODAY - 9 * DAY
    place.lists(day, ("b", "Dev"), ("a", "Dev"))
    place.write("Dev", "a", day, {1: 1}, late(day))
    place.write(own, "b", day, {1: 2}, late(day))
    assert place.merge() == []
    found = place.registry().environments("acme", [entry("a", "Dev"), entry("b", "Dev")], TODAY)
    assert {each.id: each.key_name for each in found.usable} == {"a": "Dev", "b": own}
    assert place.hours("a") == {("Dev", day): {1: 1}}


# Any history


class CrashError(InsightsError):
    """The command was ended."""


class History(Place):
    """Runs of release 0.1.0: each exports every day that is missing or not final."""

    def __init__(self, ends: date) -> None:
        super().__init__()
        self._first = ends - 3 * DAY
        self._day = self._first

    def run(self, rows: Sequence[tuple[str, str]]) -> None:
        """A run at noon, and the next one a day later."""
        now = datetime.combine(self._day, time(12), UTC)
        self.lists(self._day, *rows)
        taken: set[str] = set()
        for own_id, name in rows:
            part = safe_name(name)
            part = f"{part}-{hashed(own_id)}" if part in taken else part
            taken.add(part)
            for back in range((self._day - self._first).days + 1):
                self._export(part, own_id, self._day - back * DAY, now)
        self._day += DAY

    def _export(self, part: str, own_id: str, day: date, now: datetime) -> None:
        key = f"insights/{HOURLY}/day={day}/acme.{part}.parquet"
        kept = self.dataset.read(key)
        if kept is None or kept.queried_at < day_end(day) + DAY:
            hours = {
                hour: ord(own_id) + hour for hour in (1, 11, 13) if hour < 12 or now >= day_end(day)
            }
            self.write(part, own_id, day, hours, now)

    def crash(self, after: int) -> None:
        """Ends the command at a write, half of the time when it is done already."""
        left = [after]
        put, delete = self.dataset.put, self.dataset.delete

        def counted(do: Any) -> Any:
            def call(*given: Any, **named: Any) -> None:
                left[0] -= 1
                if left[0] == 0:
                    raise CrashError("before")
                do(*given, **named)
                if left[0] == 1:
                    left[0] = 0
                    raise CrashError("after")

            return call

        self.dataset.put = counted(put)  # type: ignore[method-assign]
        self.dataset.delete = counted(delete)  # type: ignore[method-assign]
        with suppress(CrashError):
            self.merge()
        self.dataset.put, self.dataset.delete = put, delete  # type: ignore[method-assign]

    def rows(self) -> dict[tuple[str, date], Hours]:
        """What each environment has of a day, under whatever keys."""
        found: dict[tuple[str, date], Hours] = {}
        for own_id in "abc":
            for (_, day), hours in self.hours(own_id).items():
                for hour, count in hours.items():
                    of = found.setdefault((own_id, day), {})
                    of[hour] = max(count, of.get(hour, 0))
        return found

    def closed_early(self, keys: Mapping[str, str] | None = None) -> set[tuple[str, date]]:
        """Environments and days that are closed, though requested before the day settled.

        `keys` are the bound ones, by which runs look (None: all).
        """
        return {
            (row["environment_id"], day_of(key))
            for key in self.keys()
            for row in self.dataset.rows(key)[:1]
            if keys is None or key.split("acme.")[1].removesuffix(".parquet") in keys
            if self.dataset.objects[key].written >= closes_at(day_of(key), 24)
            and self.dataset.objects[key].queried_at < day_end(day_of(key)) + DAY
        }


NAMED = st.sampled_from(["Dev", "Prod", f"Dev-{hashed('a')}"])
LISTED = st.lists(
    st.tuples(st.sampled_from("abc"), NAMED), min_size=1, max_size=3, unique_by=lambda row: row[0]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LISTED, min_size=2, max_size=4), st.sampled_from([0, 1, 2, 9]), st.integers(1, 25))
# The day is left by the merge that was cut off and by the next one.
@example([[("a", "Prod")], [("a", "Dev")], [("b", "Dev")], [("a", "Dev")]], 1, 4)
# It was cut off once an object had stepped aside.
@example([[("b", "Dev")], [("a", "Prod")], [("b", "Prod"), ("c", "Dev")], [("a", "Prod")]], 1, 1)
def test_no_row_is_lost_and_none_is_double_whatever_was_and_wherever_it_ends(lists, ago, crash):
    history = History(TODAY - ago * DAY)
    for rows in lists:
        history.run(rows)
    before, early = history.rows(), history.closed_early()
    history.crash(crash)
    assert history.rows() == before
    outcomes = history.merge()
    assert history.rows() == before
    keys = {each.key: each.id for each in history.registry().known("acme")}
    left = {day for outcome in outcomes for day in outcome.left}
    assert all(closes_at(day, 24) <= NOW for day in left)
    assert history.closed_early(keys) <= early
    for own_id in "abc":
        for part, day in history.hours(own_id):
            assert keys.get(part) == own_id or (day in left and part not in keys)
    listed = [entry(own_id, name) for own_id, name in lists[-1]]
    found = history.registry().environments("acme", listed, TODAY)
    assert len(found.usable) == len(listed)
    # What is left waits for an export, and for nothing else.
    assert [again.left for again in history.merge()] == [
        each.left for each in outcomes if each.left
    ]
