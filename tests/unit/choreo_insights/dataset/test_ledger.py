"""The ledger: runs append to the same objects, and no entry is lost or doubled."""

import contextlib
import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from choreo_insights.catalogue import Column
from choreo_insights.dataset.ledger import (
    RUNS_COLUMNS,
    Entry,
    Ledger,
    encode_entries,
    object_key,
    read_entries,
)
from choreo_insights.dataset.parquet import encode, names
from choreo_insights.dataset.partitions import day_of
from choreo_insights.dataset.store import Dataset, Overtaken
from choreo_insights.errors import InsightsError, Retriable
from tests.fakes.s3 import BUCKET, FakeS3, refusal, running
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights.older import runs_object

NOW = datetime(2026, 11, 20, 20, 10, 30, 123456, UTC)
DAY = NOW.date()
OTHER = DAY - timedelta(days=1)
KEY = object_key(DAY, DAY)


class Clock:
    """A clock that a test sets; every look takes a microsecond."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


class Killed(BaseException):
    """The process ends."""


def entry(table: str = "latency", day: date = DAY, **changes: Any) -> Entry:
    return replace(
        Entry(
            table, "acme", "Production", "id-1", day, "exported", NOW, 1.5, 7, 900, 2, final=True
        ),
        **changes,
    )


@pytest.fixture
def s3() -> Iterator[FakeS3]:
    with running() as fake:
        yield fake


@pytest.fixture
def dataset(s3: FakeS3) -> Dataset:
    return Dataset(s3.client(), BUCKET)


def entries(s3: FakeS3) -> list[Entry]:
    """All that is stored."""
    return [e for key, found in s3.objects.items() for e in read_entries(found.body, day_of(key))]


def tables(s3: FakeS3) -> list[str]:
    return sorted(e.table for e in entries(s3))


def add(ledger: Ledger, *tables: str, day: date = DAY) -> None:
    for table in tables:
        ledger.add(entry(table, day))


def test_what_is_added_is_stored_at_the_flush_under_data_day_and_run_date(s3, dataset):
    ledger = Ledger(dataset, "run-1", Clock())
    add(ledger, "a", "b")
    add(ledger, "c", day=OTHER)
    assert not s3.objects

    ledger.flush()

    assert set(s3.objects) == {
        "insights/runs/day=2026-11-20/2026-11-20.parquet",
        "insights/runs/day=2026-11-19/2026-11-20.parquet",
    }
    first, *_ = read_entries(s3.objects[KEY].body, DAY)
    at = NOW + timedelta(microseconds=2)
    assert first == replace(entry("a"), run="run-1", exported_at=at)
    assert s3.objects[KEY].headers["x-amz-meta-run"] == "run-1"


def test_a_file_has_the_columns_of_the_table_and_no_day(s3, dataset):
    ledger = Ledger(dataset, "run-1", Clock())
    add(ledger, "a")
    ledger.flush()
    add(ledger, "b")
    ledger.flush()
    assert names(s3.objects[KEY].body) == [column.name for column in RUNS_COLUMNS]
    assert "day" not in names(s3.objects[KEY].body)


def test_each_flush_appends_and_writes_changed_days_alone(s3, dataset):
    ledger = Ledger(dataset, "run-1", Clock())
    add(ledger, "a")
    add(ledger, "b", day=OTHER)
    ledger.flush()
    before = s3.objects[object_key(OTHER, DAY)]
    add(ledger, "c")
    ledger.flush()
    ledger.flush()

    assert s3.objects[object_key(OTHER, DAY)] is before
    assert [e.table for e in read_entries(s3.objects[KEY].body, DAY)] == ["a", "c"]


def test_a_run_over_midnight_stays_with_its_date(s3, dataset):
    clock = Clock()
    ledger = Ledger(dataset, "run-1", clock)
    add(ledger, "a")
    clock.now += timedelta(hours=5)
    ledger.flush()
    assert set(s3.objects) == {KEY}


class Interfered(MemoryDataset):
    """A dataset in memory whose next writes end as `outcomes` say; then all end well."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[str] = []
        self.others: Iterator[int] = itertools.count()

    def replace(
        self,
        key: str,
        body: bytes,
        *,
        over: str | None,
        queried_at: datetime,
        run: str,
        confirmed: bool = True,
    ) -> None:
        outcome = self.outcomes.pop(0) if self.outcomes else "ok"
        if outcome == "killed":
            raise Killed
        if outcome == "refused":
            raise Retriable("SlowDown")
        if outcome == "other":
            self._append_of_another_run()
        super().replace(key, body, over=over, queried_at=queried_at, run=run, confirmed=confirmed)
        if outcome == "lost":
            raise Retriable("the response did not arrive")
        if outcome == "repeated":
            # The response did not arrive, and the SDK sent the request again.
            raise Overtaken(key)

    def _append_of_another_run(self) -> None:
        number = next(self.others)
        later, self.outcomes = self.outcomes, []
        other = Ledger(cast("Dataset", self), f"other-{number}", Clock())
        add(other, f"other {number}")
        other.flush()
        self.outcomes = later

    def tables(self) -> list[str]:
        found = self.objects.items()
        return sorted(e.table for key, each in found for e in read_entries(each.body, day_of(key)))


RUN = st.integers(0, 1)
OUTCOMES = st.lists(st.sampled_from(("ok", "other", "refused", "lost", "repeated")), max_size=4)


@given(st.lists(st.tuples(RUN, st.integers(0, 2), st.none() | OUTCOMES), max_size=12))
def test_two_runs_that_append_at_once_lose_and_double_nothing(steps) -> None:
    dataset = Interfered()
    runs = [Ledger(cast("Dataset", dataset), f"run-{number}", Clock()) for number in (0, 1)]
    added = []
    for number, (run, size, outcomes) in enumerate(steps):
        names = [f"{number}.{place}" for place in range(size)]
        add(runs[run], *names)
        added += names
        if outcomes is not None:
            dataset.outcomes = list(outcomes)
            with contextlib.suppress(Retriable):
                runs[run].flush()
            dataset.outcomes = []
    for each in runs:
        each.flush()

    others = [f"other {number}" for number in range(next(dataset.others))]
    assert dataset.tables() == sorted(added + others)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.integers(0, 4))
def test_a_kill_loses_unflushed_entries_alone(sizes, dies_at) -> None:
    dataset = Interfered()
    run = Ledger(cast("Dataset", dataset), "run-1", Clock())
    flushed: list[str] = []
    for number, size in enumerate(sizes):
        names = [f"{number}.{place}" for place in range(size)]
        add(run, *names)
        if number == dies_at:
            dataset.outcomes = ["killed"]
            with pytest.raises(Killed):
                run.flush()
            break
        run.flush()
        flushed += names

    next_run = Ledger(cast("Dataset", dataset), "run-2", Clock())
    add(next_run, "later")
    next_run.flush()
    assert dataset.tables() == sorted([*flushed, "later"])


def test_runs_that_really_append_at_once_lose_nothing(s3, dataset):
    runs = [Ledger(dataset, f"run-{number}", Clock()) for number in range(4)]
    barrier = Barrier(len(runs))

    def work(run: Ledger) -> None:
        for number in range(3):
            add(run, f"{number}")
            barrier.wait()
            run.flush()

    with ThreadPoolExecutor(len(runs)) as threads:
        for done in [threads.submit(work, run) for run in runs]:
            done.result()

    assert tables(s3) == sorted(["0", "1", "2"] * 4)


def test_threads_of_a_run_add_at_once(s3, dataset):
    ledger = Ledger(dataset, "run-1", Clock())
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add(ledger, str(number)), range(200)))
    ledger.flush()
    assert len(entries(s3)) == 200


def test_a_day_that_cannot_be_written_waits_and_the_others_are_written(s3, dataset):
    ledger = Ledger(dataset, "run-1", Clock())
    add(ledger, "a")
    add(ledger, "b", day=OTHER)

    def refuse_other(received: Any) -> Any:
        s3.faults.append(refuse_other)
        if received.method == "PUT" and str(OTHER) in received.path:
            return refusal(503, "SlowDown")
        return None

    s3.faults.append(refuse_other)
    with pytest.raises(Retriable, match=r"day=2026-11-19/2026-11-20.parquet.*SlowDown"):
        ledger.flush()
    s3.faults.clear()
    assert tables(s3) == ["a"]
    ledger.flush()
    assert tables(s3) == ["a", "b"]


def test_who_is_always_overtaken_gives_up_and_keeps_its_entries() -> None:
    dataset = Interfered()
    ledger = Ledger(cast("Dataset", dataset), "run-1", Clock())
    add(ledger, "a")
    dataset.outcomes = ["other"] * 10
    with pytest.raises(Retriable, match=rf"{KEY} was written by other runs 10 times"):
        ledger.flush()
    assert "a" not in dataset.tables()
    ledger.flush()
    assert "a" in dataset.tables()


def test_an_object_that_cannot_be_read_is_named_and_not_overwritten() -> None:
    dataset = Interfered()
    dataset.put(KEY, b"no Parquet", queried_at=NOW, run="x")
    ledger = Ledger(cast("Dataset", dataset), "run-1", Clock())
    add(ledger, "a")
    with pytest.raises(InsightsError, match=f"{KEY} in the dataset bucket cannot be read"):
        ledger.flush()
    assert dataset.objects[KEY].body == b"no Parquet"


@pytest.mark.parametrize(("size", "stored"), [(500, 500), (501, 500), (5_000_000, 500)])
def test_the_text_of_an_error_is_bounded(s3, dataset, size: int, stored: int):
    ledger = Ledger(dataset, "run-1", Clock())
    ledger.add(entry(error="x" * size))
    ledger.flush()
    (found,) = entries(s3)
    assert found.error is not None
    assert len(found.error) == stored
    assert found.error.endswith("...") is (size > stored)


def put_old(dataset: Dataset, run: str, at: datetime, *tables: str, **changes: Any) -> None:
    """Writes an object of 0.1.0."""
    made = [entry(table, run=run, exported_at=at, **changes) for table in tables]
    dataset.put(*runs_object(made), queried_at=at, run=run)


def test_the_newest_entry_of_each_partition_of_old_and_new_objects(dataset):
    early, late = NOW - timedelta(days=1), NOW + timedelta(hours=1)
    put_old(dataset, "20261119T201030-a", early, "old", "both", rows=1)
    put_old(dataset, "20261120T211030-b", late, "late")
    for clock, rows in ((Clock(), 2), (Clock(NOW - timedelta(hours=1)), 3)):
        run = Ledger(dataset, f"run-{rows}", clock)
        for table in ("both", "new", "late"):
            run.add(entry(table, rows=rows))
        run.flush()

    found = Ledger(dataset, "reader", Clock()).newest([DAY])

    assert {key[0]: (e.run, e.rows, e.final) for key, e in found.items()} == {
        "old": ("20261119T201030-a", 1, None),
        "both": ("run-2", 2, True),
        "new": ("run-2", 2, True),
        "late": ("20261120T211030-b", 7, None),
    }
    assert {key[1:] for key in found} == {("acme", "id-1", DAY)}


def test_of_the_newest_of_one_instant_the_later_row_counts(dataset):
    ledger = Ledger(dataset, "run-1", lambda: NOW)
    ledger.add(entry(status="kept"))
    ledger.add(entry(status="failed"))
    ledger.flush()
    assert [e.status for e in ledger.newest([DAY]).values()] == ["failed"]


def test_partitions_of_other_environments_days_and_organisations_are_told_apart(dataset):
    ledger = Ledger(dataset, "run-1", Clock())
    each = [
        entry(),
        entry(environment_id="id-2"),
        entry(environment=None, environment_id=None),
        entry(organization="lotus"),
        entry(day=OTHER),
        entry("cache"),
    ]
    for one in each:
        ledger.add(one)
    ledger.flush()
    assert set(ledger.newest([DAY, OTHER])) == {one.key for one in each}
    assert set(ledger.newest([OTHER])) == {entry(day=OTHER).key}
    assert ledger.newest([]) == {}


def test_days_far_apart_are_listed_each_by_itself(s3, dataset):
    far = DAY - timedelta(days=400)
    ledger = Ledger(dataset, "run-1", Clock())
    for day in (far, far + timedelta(days=20), OTHER, DAY):
        add(ledger, "a", day=day)
    ledger.flush()
    # Would be read if it were listed.
    between = object_key(far + timedelta(days=100), DAY)
    dataset.put(between, b"no Parquet", queried_at=NOW, run="x")
    listings: list[str] = []

    def note(received: Any) -> None:
        s3.faults.append(note)
        if "list-type" in received.path:
            listings.append(received.path)

    s3.faults.append(note)
    found = ledger.newest([far, far + timedelta(days=20), OTHER, DAY])
    assert len(found) == 4
    assert len(listings) == 2


def test_an_unreadable_object_is_logged_and_the_rest_is_read(dataset, caplog):
    ledger = Ledger(dataset, "run-1", Clock())
    add(ledger, "a")
    ledger.flush()
    for name in ("broken", "foreign"):
        body = b"no" if name == "broken" else encode([Column("run", "string")], {"run": ["x"]}, 1)
        dataset.put(f"insights/runs/day={DAY}/{name}.parquet", body, queried_at=NOW, run="x")
    with caplog.at_level(logging.ERROR):
        assert [key[0] for key in ledger.newest([DAY])] == ["a"]
    assert "broken.parquet" in caplog.text
    assert (
        "foreign.parquet in the dataset bucket cannot be read (columns are missing" in caplog.text
    )


INSTANT = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TEXT = st.text(st.characters(codec="utf-8"), max_size=9)
COUNT = st.none() | st.integers(0, 2**63 - 1)


@given(
    st.lists(
        st.builds(
            Entry,
            *(TEXT, TEXT, st.none() | TEXT, st.none() | TEXT, st.just(DAY)),
            status=st.sampled_from(("exported", "unchanged", "failed", "kept", "overtaken")),
            started=INSTANT,
            seconds=st.floats(0, 1e9),
            rows=COUNT,
            bytes=COUNT,
            requests=st.integers(0, 9),
            error=st.none() | TEXT,
            final=st.none() | st.booleans(),
            run=TEXT,
            exported_at=INSTANT,
        ),
        max_size=5,
    )
)
def test_entries_are_read_as_they_were_written(made: list[Entry]):
    assert list(read_entries(encode_entries(made), DAY)) == made
