"""What `insights restore` brings back, and what it claims of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.catalogue import Column
from choreo_insights.dataset.ledger import Entry, object_key, read_entries
from choreo_insights.dataset.parquet import decode, encode
from choreo_insights.dataset.partitions import day_end
from choreo_insights.dataset.registry_tables import REGISTRY_ENVIRONMENTS_COLUMNS
from choreo_insights.dataset.store import Dataset
from choreo_insights_cli import main
from choreo_insights_cli.commands.restore import command
from choreo_insights_cli.commands.restore.command import KEPT_DAYS, RestoreOptions, restore
from choreo_insights_cli.commands.restore.restoring import (
    RestoreCounts,
    Restored,
    commands,
    counted,
)
from choreo_insights_cli.commands.restore.sources import RestoreTask, versions
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import ROOT, catalogue
from tests.fakes import s3, states
from tests.fakes.deployed import DeployedStack
from tests.fakes.s3 import BUCKET, FakeS3

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIME = NOW - timedelta(days=1)
EARLY = TIME - timedelta(hours=6)
LATE = TIME + timedelta(hours=6)
COLUMNS = (
    Column("value", "bigint"),
    *(Column(name, "string") for name in ("organization", "environment", "environment_id")),
)
PLACE = {"organization": ["acme"], "environment": ["Prod, one"], "environment_id": ["id-1"]}
COPY = "synthetic-copy"


def day(back: int) -> date:
    return NOW.date() - timedelta(days=back)


def settled(of: date) -> datetime:
    """When an object of a day closes it, if it was requested no earlier."""
    return day_end(of) + timedelta(hours=24)


def key_of(back: int = 9, table: str = "success_summary", place: str = "acme.Prod-one-1") -> str:
    return f"insights/{table}/day={day(back)}/{place}.parquet"


def body(value: int) -> bytes:
    return encode(COLUMNS, {"value": [value], **PLACE}, 1)


@dataclass
class Place:
    """A versioned bucket, its copy, and a state machine."""

    fake: FakeS3
    machine: states.FakeStates
    stack: DeployedStack

    def put(
        self,
        key: str,
        value: int | bytes,
        at: datetime,
        *,
        queried_at: datetime | None = None,
        bucket: str = BUCKET,
        confirmed: bool = True,
    ) -> None:
        """Writes an object at an instant; it was requested a minute before unless `queried_at`."""
        self.fake.clock = lambda: at
        dataset = Dataset(self.stack.s3, bucket)
        etag = self.fake.buckets[bucket][key].etag if key in self.fake.buckets[bucket] else None
        dataset.replace(
            key,
            value if isinstance(value, bytes) else body(value),
            over=etag,
            queried_at=queried_at or at - timedelta(minutes=1),
            run=f"run-{at:%d%H}",
            confirmed=confirmed,
        )
        self.fake.clock = lambda: NOW

    def delete(self, key: str, at: datetime) -> None:
        self.fake.clock = lambda: at
        self.stack.s3.delete_object(Bucket=BUCKET, Key=key)
        self.fake.clock = lambda: NOW

    def restore(self, *, dry: bool = False, **options: Any) -> dict[str, RestoreCounts]:
        """Brings back what there was before TIME, or as the options say."""
        chosen = RestoreOptions(**({"before": TIME} | options), dry=dry)
        found = counted(restore(self.stack, catalogue(), chosen, lambda: NOW))
        return {outcome.table: outcome for outcome in found}

    def value(self, key: str) -> int | None:
        found = self.fake.objects.get(key)
        return decode(found.body)["value"][0] if found else None

    def values(self) -> dict[str, int | None]:
        """The values of all objects of data."""
        return {key: self.value(key) for key in self.fake.objects if key in KEYS}

    def metadata(self, key: str) -> dict[str, str]:
        names = ("asked", "run", "confirmed")
        headers = self.fake.objects[key].headers
        return {n: headers[f"x-amz-meta-{n}"] for n in names if f"x-amz-meta-{n}" in headers}

    def entries(self, back: int = 9) -> list[Entry]:
        found = self.fake.objects.get(object_key(day(back), NOW.date()))
        return list(read_entries(found.body, day(back))) if found else []

    def writes(self) -> int:
        return sum(len(versions) for versions in self.fake.history.values())


@pytest.fixture
def place() -> Iterator[Place]:
    with s3.running() as fake, states.running() as machine:
        fake.buckets[COPY] = {}
        yield Place(fake, machine, DeployedStack(fake, machine))


Ran = Callable[..., tuple[int, str]]


@pytest.fixture
def ran(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ran:
    """Runs `insights restore` as of NOW: its exit code and output."""

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return NOW.astimezone(tz)

    monkeypatch.setattr("choreo_insights_cli.options.Stack", lambda *_, **__: place.stack)
    monkeypatch.setattr(command, "datetime", Now)

    def run(*arguments: str) -> tuple[int, str]:
        code = main.main(["restore", *arguments])
        return code, capsys.readouterr().out

    return run


def test_objects_are_what_they_were_before_a_time(place: Place):
    changed, same, later, deleted, undone = (key_of(back) for back in range(9, 14))
    for key in (changed, same, deleted):
        place.put(key, 1, EARLY - timedelta(hours=1))
        place.put(key, 2, EARLY)
    place.put(changed, 3, LATE)
    place.put(changed, 4, LATE + timedelta(hours=1))
    place.delete(deleted, LATE)
    place.put(later, 5, LATE)
    place.put(undone, 6, EARLY)
    place.delete(undone, EARLY + timedelta(hours=1))
    place.put(undone, 7, LATE)

    outcome = place.restore()["success_summary"]

    assert outcome.counts == {"restore": 2, "same": 1, "newer": 2}
    assert [place.value(key) for key in (changed, same, later, deleted, undone)] == [2, 2, 5, 2, 7]
    expected = {"asked": (EARLY - timedelta(minutes=1)).isoformat(), "run": f"run-{EARLY:%d%H}"}
    assert place.metadata(changed) == place.metadata(deleted) == expected


def test_what_was_written_at_the_very_time_is_not_before_it(place: Place):
    place.put(key_of(), 1, TIME - timedelta(seconds=1))
    place.put(key_of(), 2, TIME)
    place.restore()
    assert place.value(key_of()) == 1


def test_a_second_restore_finds_nothing_to_do(place: Place):
    place.put(key_of(), 1, EARLY)
    place.put(key_of(), 2, LATE)
    place.restore()
    before = place.writes()
    assert place.restore()["success_summary"].counts == {"same": 1}
    assert place.writes() == before


def test_every_restored_object_has_an_entry_that_says_what_it_is(place: Place):
    """The newest entry would else be of the object that was replaced."""
    place.put(key_of(), 1, EARLY)
    place.put(key_of(), 2, LATE)
    place.restore()
    (entry,) = place.entries()
    assert (entry.table, entry.day, entry.status, entry.final) == (
        *("success_summary", day(9), "exported"),
        True,
    )
    assert (entry.organization, entry.environment, entry.environment_id) == (
        *("acme", "Prod, one"),
        "id-1",
    )
    assert (entry.rows, entry.bytes, entry.error) == (1, len(body(1)), None)
    assert entry.started == EARLY - timedelta(minutes=1)
    assert entry.run.endswith("-restore")


class TestOpenDays:
    """Writing an object advances its LastModified, which closes its day."""

    def put(self, place: Place, queried_at: datetime, back: int = 9, **more: Any) -> str:
        place.put(key_of(back), 1, EARLY, queried_at=queried_at, **more)
        place.put(key_of(back), 2, LATE)
        return key_of(back)

    def test_requested_before_settling_it_is_unconfirmed_until_exported_again(self, place: Place):
        key = self.put(place, settled(day(9)) - timedelta(seconds=1))
        outcome = place.restore()["success_summary"]
        assert place.metadata(key)["confirmed"] == "no"
        assert outcome.unconfirmed == {day(9)}
        rows, entry = place.entries()
        assert (rows.status, rows.final, rows.rows) == ("exported", False, 1)
        assert (entry.status, entry.final, entry.rows) == ("kept", True, None)
        assert "export the day again" in (entry.error or "")
        assert list(commands([outcome], ["success_summary"])) == [
            f"insights backfill --from {day(9)} --to {day(9)} --tables success_summary --again"
        ]

    def test_requested_after_settling_it_is_confirmed(self, place: Place):
        key = self.put(place, settled(day(9)))
        assert place.restore()["success_summary"].unconfirmed == set()
        assert "confirmed" not in place.metadata(key)

    def test_what_is_open_after_the_restore_too_is_left_to_the_next_run(self, place: Place):
        """Settled is 24 hours after the day: yesterday is, and will be written again."""
        key = self.put(place, EARLY, back=1)
        assert place.restore()["success_summary"].unconfirmed == set()
        assert "confirmed" not in place.metadata(key)
        (entry,) = place.entries(1)
        assert (entry.status, entry.final) == ("exported", False)

    def test_what_was_unconfirmed_stays_so(self, place: Place):
        key = self.put(place, EARLY - timedelta(days=99), confirmed=False)
        assert place.restore()["success_summary"].unconfirmed == set()
        assert place.metadata(key)["confirmed"] == "no"
        assert [(e.status, e.final) for e in place.entries()] == [
            ("exported", False),
            ("kept", True),
        ]

    def test_lists_of_past_days_are_never_queried(self, place: Place):
        key = key_of(9, "environments", "acme")
        place.put(key, 1, EARLY, queried_at=settled(day(9)) - timedelta(days=2))
        place.put(key, 2, LATE)
        assert place.restore()["environments"].unconfirmed == set()
        assert "confirmed" not in place.metadata(key)
        (entry,) = place.entries()
        # Its rows name environments; it is of none.
        assert (entry.organization, entry.environment, entry.environment_id) == ("acme", None, None)


class TestWhatGrows:
    """The ledger, the checks and the registry are better as they are than as they were."""

    keys = (
        key_of(9, "runs", "2026-11-11"),
        key_of(9, "checks"),
        "insights/registry_names/acme.P.parquet",
    )

    @pytest.fixture(autouse=True)
    def _written(self, place: Place) -> None:
        for key in self.keys:
            place.put(key, 1, EARLY)

    def test_what_is_there_stays(self, place: Place):
        for key in self.keys:
            place.put(key, 2, LATE)
        found = place.restore()
        assert [found[key.split("/")[1]].counts for key in self.keys] == [{"merged": 1}] * 3
        assert [place.value(key) for key in self.keys] == [2, 2, 2]

    def test_what_is_gone_is_brought_back(self, place: Place):
        for key in self.keys:
            place.put(key, 2, LATE)
            place.delete(key, LATE + timedelta(hours=1))
        place.restore()
        assert [place.value(key) for key in self.keys] == [1, 1, 1]
        # These are no partitions that a run tried.
        assert place.entries() == []

    def test_what_is_named_is_as_it_was_but_for_the_registry(self, place: Place):
        for key in self.keys:
            place.put(key, 2, LATE)
        place.restore(tables=("runs", "checks"))
        assert [place.value(key) for key in self.keys] == [1, 1, 2]


def test_named_tables_alone(place: Place):
    other = key_of(9, "error_summary")
    for key in (key_of(), other):
        place.put(key, 1, EARLY)
        place.put(key, 2, LATE)
    assert place.restore(tables=("error_summary",)).keys() == {"error_summary"}
    assert (place.value(key_of()), place.value(other)) == (2, 1)


def test_a_run_that_writes_meanwhile_is_not_overwritten(place: Place):
    place.put(key_of(), 1, EARLY)
    place.put(key_of(), 2, LATE)
    found = place.fake.objects

    def overtake(received: Any) -> None:
        place.fake.faults.append(overtake)
        if received.method == "PUT" and "success_summary" in received.path:
            place.fake.faults.clear()
            found[key_of()] = s3.Object(body(3), '"another"', {})

    place.fake.faults.append(overtake)
    outcome = place.restore()["success_summary"]
    assert outcome.counts == {"overtaken": 1}
    assert place.value(key_of()) == 3
    assert place.entries() == []


def test_what_cannot_be_read_is_not_restored(place: Place):
    place.put(key_of(), b"no Parquet", EARLY)
    place.put(key_of(), 2, LATE)
    assert place.restore()["success_summary"].counts == {"unreadable": 1}
    assert place.value(key_of()) == 2


def bind(place: Place, key: str) -> None:
    """Has the registry bind the environment of all objects here to a part of keys."""
    row = {
        "organization": ["acme"],
        "environment_id": ["id-1"],
        **{name: ["P"] for name in ("first_name", "name", "type")},
        **{name: [day(9)] for name in ("first_listed", "last_listed")},
        "listed": [True],
        "key": [key],
    }
    body = encode(REGISTRY_ENVIRONMENTS_COLUMNS, row, 1)
    place.put("insights/registry_environments/acme.parquet", body, EARLY)


KEYS = [key_of(back, table) for back in (5, 6) for table in ("success_summary", "latency")]
STEPS = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, 3), st.integers(0, 3)), max_size=14
)


@settings(max_examples=30)
@given(STEPS, st.integers(0, 14), st.integers(1, 4))
def test_any_history_gives_what_was_there(place: Place, steps, split: int, page_size: int):
    """Whatever was written and deleted before and after the time, also within a second."""
    place.fake.objects.clear()
    place.fake.history.clear()
    bind(place, "Prod-one-1")
    at = TIME - timedelta(hours=1)
    then: dict[str, int | None] = {}
    for number, (key, value, seconds) in enumerate(steps):
        if number == split:
            at, then = TIME, place.values()
        if value is None:
            # S3 lists delete markers apart: within a second their place is not known.
            place.delete(key, at + timedelta(seconds=1))
            at += timedelta(seconds=2)
        else:
            place.put(key, value, at, queried_at=NOW)
        at += timedelta(seconds=seconds)
    now = place.values()
    place.fake.page_size = page_size

    place.restore()

    assert place.values() == {**now, **(then if split < len(steps) else now)}
    before = place.writes()
    place.restore()
    assert place.writes() == before


@pytest.mark.parametrize(("key", "moved"), [("Prod-one-1", 0), ("Another", 1), (None, 0)])
def test_objects_under_a_former_key_are_told(place: Place, ran: Ran, key: str | None, moved: int):
    """What migrate has merged and deleted counts twice, until it merges that again."""
    if key:
        bind(place, key)
    place.put(key_of(), 1, EARLY)
    place.delete(key_of(), LATE)
    code, out = ran("--before", TIME.isoformat())
    assert place.value(key_of()) == 1
    assert code == moved
    assert ("1 of these lie under a former key" in out) is bool(moved)
    assert ("\n  insights migrate\n" in out) is bool(moved)


class TestFromACopy:
    """A copy has the metadata, but its LastModified is when it was copied."""

    def put(self, place: Place, key: str, value: int, queried_at: datetime, **more: Any) -> None:
        place.put(key, value, EARLY, queried_at=queried_at, bucket=COPY, **more)

    def restore(self, place: Place, **options: Any) -> dict[str, RestoreCounts]:
        return place.restore(before=None, copy=COPY, **options)

    def test_what_is_missing_is_brought_back(self, place: Place):
        self.put(place, key_of(), 1, settled(day(9)))
        self.put(place, key_of(8), 1, settled(day(8)), confirmed=False)
        self.put(place, "insights/registry_names/acme.P.parquet", 1, EARLY)
        place.put(key_of(7), 2, LATE)
        found = self.restore(place)
        assert found["success_summary"].counts == {"restore": 2}
        assert found["registry_names"].counts == {"restore": 1}
        assert place.value(key_of(7)) == 2
        assert place.metadata(key_of()) == {
            "asked": settled(day(9)).isoformat(),
            "run": f"run-{EARLY:%d%H}",
        }
        assert place.metadata(key_of(8))["confirmed"] == "no"
        assert [(e.status, e.final) for e in place.entries()] == [("exported", True)]

    def test_when_it_was_requested_decides_and_not_when_it_was_copied(self, place: Place):
        self.put(place, key_of(), 1, settled(day(9)) - timedelta(seconds=1))
        outcome = self.restore(place)["success_summary"]
        assert outcome.unconfirmed == {day(9)}
        assert place.metadata(key_of())["confirmed"] == "no"

    def test_without_that_nothing_is_claimed(self, place: Place):
        self.put(place, key_of(), 1, EARLY)
        headers = place.fake.buckets[COPY][key_of()].headers
        del headers["x-amz-meta-asked"]
        assert self.restore(place)["success_summary"].unconfirmed == {day(9)}

    @pytest.mark.parametrize(("replace", "value"), [(False, 2), (True, 1)])
    def test_what_is_there_stays_unless_it_is_to_be_replaced(self, place, replace, value):
        self.put(place, key_of(), 1, settled(day(9)))
        self.put(place, key_of(8), 7, settled(day(8)))
        registry = "insights/registry_names/acme.P.parquet"
        self.put(place, registry, 1, EARLY)
        for key in (key_of(), registry):
            place.put(key, 2, LATE)
        place.put(key_of(8), 7, LATE)
        counts = self.restore(place, replace=replace)["success_summary"].counts
        assert counts == {"restore" if replace else "there": 1, "same": 1}
        assert (place.value(key_of()), place.value(registry)) == (value, 2)
        before = place.writes()
        self.restore(place, replace=replace)
        assert place.writes() == before

    @pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
    def test_listings_of_any_pages_are_compared_key_by_key(self, place: Place, page_size: int):
        place.fake.page_size = page_size
        for back in range(5, 12):
            if back % 2:
                self.put(place, key_of(back), back, settled(day(back)))
            if back % 3:
                place.put(key_of(back), 99, LATE)
        self.restore(place)
        found = {back: place.value(key_of(back)) for back in range(5, 12)}
        assert found == {5: 99, 6: None, 7: 99, 8: 99, 9: 9, 10: 99, 11: 99}


def test_what_is_no_parquet_file_is_left_alone(place: Place):
    for bucket in (BUCKET, COPY):
        for at in (EARLY, LATE):
            place.put("insights/notes.txt", f"{at}".encode(), at, bucket=bucket)
    assert place.restore() == place.restore(before=None, copy=COPY) == {}


def test_a_restore_takes_a_chunk_of_the_listing_at_a_time(place: Place):
    """A dataset of any size fits into memory."""
    place.put(key_of(), 1, EARLY)
    taken = count()

    def endless() -> Iterator[RestoreTask]:
        while True:
            next(taken)
            yield RestoreTask(key_of(), "same")

    work = restore(place.stack, catalogue(), RestoreOptions(before=TIME), lambda: NOW)
    work.close()  # type: ignore[attr-defined]
    found = command._work(place.stack, catalogue(), RestoreOptions(before=TIME), lambda: NOW)
    results = found.run(endless())
    assert next(results) == Restored(RestoreTask(key_of(), "same"), "same")
    assert next(taken) <= 500


def test_a_listing_of_versions_is_read_page_by_page(place: Place):
    for back in range(5, 15):
        place.put(key_of(back), 1, EARLY)
    place.fake.page_size = 2
    pages: list[str] = []

    def note(received: Any) -> None:
        place.fake.faults.append(note)
        pages.append(received.path)

    place.fake.faults.append(note)
    next(versions(place.fake.client(), BUCKET, "insights/", TIME, named=False))
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "Give either --before TIME or --from-bucket NAME."),
        ({"before": TIME, "copy": "a"}, "Give either"),
        ({"before": TIME, "replace": True}, "--replace is for --from-bucket"),
        (
            {"before": NOW + timedelta(seconds=1)},
            "--before 2026-11-20T12:00:01Z lies in the future",
        ),
        (
            {"before": NOW - timedelta(days=30, seconds=1)},
            "--before 2026-10-21T11:59:59Z is too long",
        ),
    ],
)
def test_wrong_usage(options: dict[str, Any], says: str):
    with pytest.raises(WrongUsage, match=says):
        RestoreOptions(**options).check(NOW)
    RestoreOptions(before=NOW - timedelta(days=30)).check(NOW)
    RestoreOptions(copy="a", replace=True).check(NOW)


def test_no_such_table(place: Place):
    with pytest.raises(WrongUsage, match="--tables weather: no such table"):
        place.restore(tables=("weather",))


def test_old_versions_are_kept_as_long_as_the_template_says():
    text = (ROOT / "template.yaml").read_text("utf-8")
    assert f"NoncurrentVersionExpiration: {{NoncurrentDays: {KEPT_DAYS}}}" in text


@pytest.mark.parametrize("flag", ["again", "force"])
def test_not_beside_a_backfill_that_exports_closed_days_again(place: Place, flag: str):
    """It takes what was written since it began for its own work."""
    place.machine.runs["plain"] = states.Run("plain", json.dumps({"parts": []}))
    place.machine.runs["done"] = states.Run("done", json.dumps({flag: True}), "SUCCEEDED")
    place.restore()
    place.machine.runs["third"] = states.Run("third", json.dumps({"parts": [], flag: True}))
    with pytest.raises(CommandError, match="The backfill third exports closed days again"):
        place.restore()
    place.restore(dry=True)


def test_a_dry_run_lists_and_writes_nothing(place: Place, ran: Ran):
    place.put(key_of(), 1, EARLY, queried_at=settled(day(9)) - timedelta(days=1))
    place.put(key_of(), 2, LATE)
    before = place.writes()
    code, out = ran("--before", f"{TIME:%Y-%m-%dT%H:%M}", "--dry-run")
    assert code == 0
    assert out.splitlines() == [
        f"{key_of()} as of 2026-11-19T06:00:00Z",
        "success_summary: 1 to be restored.",
        (
            "Some of these days are restored as they were before they had settled. They are closed"
            " as unconfirmed until these are run:"
        ),
        f"  insights backfill --from {day(9)} --to {day(9)} --tables success_summary --again",
    ]
    found = json.loads(ran("--before", f"{TIME:%Y-%m-%dT%H:%M}", "--dry-run", "--json")[1])
    assert found["objects"] == [f"{key_of()} as of 2026-11-19T06:00:00Z"]
    assert found["tables"] == [
        {"table": "success_summary", "restore": 1, "moved": 0, "unconfirmed": [str(day(9))]}
    ]
    assert place.writes() == before


def test_what_was_done_and_what_was_left_is_said(place: Place, ran: Ran):
    for back, values in ((9, (1, 2)), (8, (3, 3)), (7, (None, 4))):
        for value, at in zip(values, (EARLY, LATE), strict=True):
            if value is not None:
                place.put(key_of(back), value, at)
    code, out = ran("--before", TIME.isoformat(), "--tables", "success_summary")
    assert (code, out.splitlines()[0]) == (
        0,
        "success_summary: 1 restored; 1 as they were; 1 left, as they did not exist then.",
    )
    assert "nothing to restore" in ran("--before", TIME.isoformat())[1]
    assert ran("--from-bucket", COPY)[0] == 0


def test_what_needs_attention_is_told_by_the_exit_code(place: Place, ran: Ran):
    place.put(key_of(), b"no Parquet", EARLY)
    place.put(key_of(), 2, LATE)
    code, out = ran("--before", TIME.isoformat())
    assert code == 1
    assert "1 left, as what would be restored cannot be read" in out


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-19", datetime.combine(day(1), time(), UTC)),
        ("2026-11-19T06:00", datetime(2026, 11, 19, 6, tzinfo=UTC)),
        ("2026-11-19T06:00:01Z", datetime(2026, 11, 19, 6, 0, 1, tzinfo=UTC)),
        ("2026-11-19T06:00+05:30", datetime(2026, 11, 19, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(place: Place, ran: Ran, text, instant):
    place.put(key_of(), 1, instant - timedelta(seconds=1))
    place.put(key_of(), 2, instant)
    assert ran("--before", text)[0] == 0
    assert place.value(key_of()) == 1


def test_a_time_that_is_none_is_refused(ran: Ran, capsys: pytest.CaptureFixture[str]):
    assert main.main(["restore", "--before", "yesterday"]) == 2
    assert "'yesterday' is not a time; use 2026-01-31T18:30 (UTC)" in capsys.readouterr().err


def test_commands_name_spans_without_gaps_and_tables_that_are_queried():
    days = [date(2026, 1, n) for n in (1, 2, 3, 7, 8)]
    outcomes = [
        RestoreCounts("latency", {}, set(days)),
        RestoreCounts("cache", {}, set(days[:3])),
        RestoreCounts("gone", {}, set(days)),
        RestoreCounts("tenant", {}, set()),
    ]
    assert list(commands(outcomes, ["latency", "cache", "tenant"])) == [
        "insights backfill --from 2026-01-01 --to 2026-01-03 --tables cache,latency --again",
        "insights backfill --from 2026-01-07 --to 2026-01-08 --tables latency --again",
    ]
