"""The status of a dataset in memory: each partition is counted once, as what it is."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from choreo_insights.catalogue import Catalogue, load
from choreo_insights.dataset import checks_table
from choreo_insights.dataset.coverage import wanted
from choreo_insights.dataset.ledger import Entry, Ledger, Status
from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.dataset.registry_merge import environments_of
from choreo_insights_cli.commands.status import reading, show
from choreo_insights_cli.commands.status.coverage import ExportSettings, Selection, TablePlace
from choreo_insights_cli.commands.status.reading import gather, settings
from choreo_insights_cli.console import Console
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import catalogue
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights.older import runs_object

if TYPE_CHECKING:
    from choreo_insights.dataset.checks_table import Verdict
    from choreo_insights.dataset.store import Dataset, Kept

NOW = datetime(2026, 3, 11, 12, 30, tzinfo=UTC)
TODAY = NOW.date()
SINCE = date(2026, 3, 8)
CATALOGUE = load()
# Two of one name: the later has its id in the key.
ROWS: list[dict[str, str | None]] = [
    {
        "environment_id": f"id-{number}",
        "environment_name": name,
        "type": "CHOREO",
        "external_env_id": None,
        "internal_env_id": None,
        "sandbox_env_id": None,
    }
    for number, name in enumerate(("Production", "Hall, Süd", "Production"))
]
ENVIRONMENTS = environments_of(ROWS, TODAY)


def chosen(*tables: str, organizations: Iterable[str] = ("acme",)) -> ExportSettings:
    """Settings for these tables."""
    return ExportSettings(tuple(organizations), CATALOGUE.chosen(tables), SINCE, 24.0, 3.0)


class Store(MemoryDataset):
    """A dataset that is filled by hand."""

    runs = 0

    def __init__(self) -> None:
        super().__init__()
        self.read_keys: list[str] = []

    def read(self, key: str) -> Kept | None:
        self.read_keys.append(key)
        return super().read(key)

    def list_environments(self, organization: str = "acme", day: date = TODAY) -> None:
        partition = self.partition("environments", organization, None, day)
        names = [column.name for column in partition.table.columns]
        values = {name: [row.get(name) for row in ROWS] for name in names if name in ROWS[0]}
        body = encode(partition.table.columns, values, len(ROWS))
        self.write(partition, body=body)

    def partition(
        self, table: str, organization: str, environment: Environment | None, day: date
    ) -> Partition:
        return Partition(CATALOGUE.table(table), table, organization, environment, day)

    def write(self, partition: Partition, *, at: datetime = NOW, body: bytes = b"") -> None:
        self.now = at
        self.put(partition.key, body, queried_at=at, run="a")

    def tell(
        self,
        *partitions: Partition,
        at: datetime = NOW,
        status: Status = "exported",
        rows: int | None = 5,
        error: str | None = None,
        final: bool | None = None,
    ) -> None:
        """Writes a run's rows of the ledger."""
        self.runs += 1
        self.now = at
        run = Ledger(cast("Dataset", self), f"{at:%Y%m%dT%H%M%S}-{self.runs}", lambda: at)
        for partition in partitions:
            entry = tried(partition, at, status=status, rows=rows, error=error, final=final)
            run.add(entry)
        run.flush()

    def status(
        self,
        given: ExportSettings,
        now: datetime = NOW,
        *,
        everything: bool = False,
        **selected: Any,
    ) -> reading.Status:
        return gather(
            "a-stack",
            given,
            cast("Dataset", self),
            now,
            everything=everything,
            selection=Selection(**selected),
        )


def tried(partition: Partition, at: datetime, **changes: Any) -> Entry:
    """What a run tells of a partition."""
    environment = partition.environment
    entry = Entry(
        partition.table_name,
        partition.organization,
        environment.name if environment else None,
        environment.id if environment else None,
        partition.day,
        "exported",
        at,
        1.0,
        exported_at=at,
    )
    return msgspec.structs.replace(entry, **changes)


@pytest.fixture
def store() -> Store:
    """A dataset with the list of environments alone."""
    store = Store()
    store.list_environments()
    return store


def of(status: reading.Status, table: str, number: int = 0) -> Any:
    """How one environment of a table stands."""
    found = [standing for place, standing in status.standings.items() if place.table == table]
    return found[number]


def counts(standing: Any) -> tuple[int, int, int, int]:
    return standing.final, standing.open, standing.missing, standing.failed


def test_final_open_missing_and_failed(store: Store) -> None:
    four = [store.partition("success_summary", "acme", ENVIRONMENTS[0], day) for day in days()]
    final, open_, _, failed = four
    store.write(final, at=datetime(2026, 3, 10, 0, 15, tzinfo=UTC))
    store.write(open_, at=datetime(2026, 3, 11, 0, 14, tzinfo=UTC))
    store.tell(final, open_, rows=7)
    store.tell(failed, status="failed", rows=None, error="it said no")

    standing = of(store.status(chosen("success_summary")), "success_summary")

    assert counts(standing) == (1, 1, 1, 1)
    assert (standing.oldest, standing.newest, standing.rows) == (SINCE, date(2026, 3, 9), 14)
    (failure,) = standing.failures
    assert (failure.day, failure.error, failure.at) == (TODAY, "it said no", NOW)


def test_a_dataset_that_has_ended_lacks_nothing_after_its_last_day() -> None:
    store = Store()
    store.list_environments(day=days()[2])
    given = replace(chosen("success_summary"), frozen=True)
    for environment in ENVIRONMENTS:
        for day in days()[:3]:
            store.write(store.partition("success_summary", "acme", environment, day))
    later = NOW + timedelta(days=500)
    status = store.status(given, later)
    assert status.ends == days()[2]
    assert show.is_whole(status)
    _, second, *_ = (line.plain for line in show.lines(status, everything=False))
    assert second.startswith("frozen: the dataset ends on 2026-03-10, its last day")
    assert show.as_dict(status)["ends"] == "2026-03-10"
    going_on = store.status(chosen("success_summary"), later)
    assert going_on.ends is None
    assert not show.is_whole(going_on)


def days() -> list[date]:
    return [SINCE + timedelta(days=number) for number in range(4)]


def test_the_newest_entry_counts_and_the_rows_of_the_newest_export(store: Store) -> None:
    partition = store.partition("success_summary", "acme", ENVIRONMENTS[0], TODAY)
    store.write(partition)
    store.tell(partition, at=NOW - timedelta(hours=3), rows=3)
    store.tell(partition, at=NOW - timedelta(hours=2), rows=4)
    store.tell(partition, at=NOW - timedelta(hours=1), status="failed", rows=None, error="no")
    failed = of(store.status(chosen("success_summary")), "success_summary")
    store.tell(partition, rows=6)
    recovered = of(store.status(chosen("success_summary")), "success_summary")

    assert (counts(failed), failed.rows) == ((0, 0, 3, 1), 4)
    assert (counts(recovered), recovered.rows, recovered.failures) == ((0, 1, 3, 0), 6, [])


def test_the_ledgers_of_0_1_0_and_of_today_are_read(store: Store) -> None:
    old, both = (store.partition("success_summary", "acme", e, TODAY) for e in ENVIRONMENTS[:2])
    for partition in (old, both):
        store.write(partition)
    before = NOW - timedelta(hours=2)
    entries = [tried(each, before, rows=3, run="20260311T103000-a") for each in (old, both)]
    store.put(*runs_object(entries), queried_at=before, run="a")
    store.tell(both, at=NOW - timedelta(hours=1), status="unchanged", rows=6)
    store.tell(both, status="failed", rows=None, error="no")

    status = store.status(chosen("success_summary"))

    assert [of(status, "success_summary", number).rows for number in (0, 1)] == [3, 6]
    assert counts(of(status, "success_summary", 1)) == (0, 0, 3, 1)


def test_a_final_day_stays_final_when_it_is_forced_in_vain(store: Store) -> None:
    partition = store.partition("success_summary", "acme", ENVIRONMENTS[0], SINCE)
    store.write(partition)
    store.tell(partition, at=NOW - timedelta(hours=1), rows=3)
    store.tell(partition, status="failed", rows=None, error="no")

    standing = of(store.status(chosen("success_summary")), "success_summary")

    assert counts(standing) == (1, 0, 3, 0)
    assert standing.rows == 3


def test_environments_of_one_name_are_told_apart(store: Store) -> None:
    for rows, environment in ((1, ENVIRONMENTS[0]), (2, ENVIRONMENTS[2])):
        partition = store.partition("success_summary", "acme", environment, TODAY)
        store.write(partition)
        store.tell(partition, rows=rows)

    status = store.status(chosen("success_summary"))

    assert [of(status, "success_summary", number).rows for number in range(3)] == [1, 0, 2]


def test_an_object_of_which_the_ledger_says_nothing(store: Store) -> None:
    store.write(store.partition("success_summary", "acme", ENVIRONMENTS[0], TODAY))

    standing = of(store.status(chosen("success_summary")), "success_summary")

    assert (standing.rows, standing.rows_unknown) == (0, 1)
    assert "≥0" in text(store.status(chosen("success_summary")))


def test_a_list_is_wanted_for_today_and_earlier_ones_are_history(store: Store) -> None:
    store.list_environments(day=TODAY - timedelta(days=1))
    store.write(store.partition("apis", "acme", ENVIRONMENTS[0], TODAY - timedelta(days=9)))

    status = store.status(chosen("environments", "apis"))

    assert counts(of(status, "environments")) == (1, 1, 0, 0)
    assert counts(of(status, "apis")) == (1, 0, 1, 0)
    assert of(status, "apis").oldest == TODAY - timedelta(days=9)


def test_today_is_not_missing_before_its_first_run_is_due(store: Store) -> None:
    midnight = datetime(2026, 3, 12, tzinfo=UTC)

    early = store.status(chosen("success_summary"), midnight + timedelta(hours=2))
    late = store.status(chosen("success_summary"), midnight + timedelta(hours=3))

    assert counts(of(early, "success_summary")) == (0, 1, 4, 0)
    assert counts(of(late, "success_summary")) == (0, 0, 5, 0)


def test_a_table_that_needs_a_key_is_missed_only_where_it_was_tried(store: Store) -> None:
    name = "success_apis_usage_by_applications"
    without = store.status(chosen(name))
    partition = store.partition(name, "acme", None, TODAY)
    store.tell(partition, status="failed", rows=None, error="no")
    tried = store.status(chosen(name, "success_summary"))

    assert not without.standings
    assert counts(of(tried, name)) == (0, 0, 3, 1)


def test_an_organisation_without_anything_is_named(store: Store) -> None:
    status = store.status(chosen("environments", organizations=("acme", "b.c")))

    assert status.unknown == ["b.c"]
    assert not show.is_whole(status)
    assert "b.c: nothing was exported yet" in text(status)


def test_why_the_very_first_run_failed_is_told() -> None:
    store = Store()
    partition = store.partition("environments", "acme", None, TODAY)
    store.tell(partition, status="failed", rows=None, error="refused")

    status = store.status(chosen("environments", "success_summary"))

    assert counts(of(status, "environments")) == (0, 0, 0, 1)
    assert "refused" in text(status)


def test_without_a_list_the_objects_tell_the_environments() -> None:
    store = Store()
    partition = store.partition("success_summary", "acme", ENVIRONMENTS[1], TODAY)
    place = {"organization": "acme", "environment": "Hall, Süd", "environment_id": "id-1"}
    columns = {name: [value] for name, value in place.items()}
    store.write(partition, body=encode(partition.table.columns, columns, 1))
    store.tell(partition, rows=8)

    status = store.status(chosen("success_summary"))

    assert counts(of(status, "success_summary")) == (0, 1, 3, 0)
    assert of(status, "success_summary").rows == 8


def test_what_is_gone_from_the_settings_is_history(store: Store) -> None:
    store.write(store.partition("success_summary", "old.org", ENVIRONMENTS[0], TODAY))

    status = store.status(chosen("success_summary"))

    assert counts(of(status, "success_summary", 3)) == (0, 1, 0, 0)


def test_the_age_is_that_of_the_data_not_of_the_file(store: Store) -> None:
    yesterday = TODAY - timedelta(days=1)
    store.write(store.partition("success_summary", "acme", ENVIRONMENTS[0], yesterday))

    standing = of(store.status(chosen("success_summary")), "success_summary")

    assert standing.reaches == datetime(2026, 3, 11, tzinfo=UTC)


@given(
    written=st.dictionaries(st.sampled_from(days()), st.integers(0, 120), max_size=4),
    failed=st.sets(st.sampled_from(days())),
)
def test_every_partition_is_counted_once(written: dict[date, int], failed: set[date]) -> None:
    store = Store()
    store.list_environments()
    partitions = {
        day: store.partition("success_summary", "acme", ENVIRONMENTS[0], day) for day in days()
    }
    for day, hours in written.items():
        at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hours)
        store.write(partitions[day], at=at)
        store.tell(partitions[day], at=at)
    if failed:
        told = [partitions[day] for day in failed]
        store.tell(*told, at=NOW + timedelta(days=9), status="failed", rows=None, error="no")

    standing = of(store.status(chosen("success_summary")), "success_summary")

    assert sum(counts(standing)) == len(days())
    # Closed: written 24 hours and the longest run after the end of the day.
    assert standing.final == sum(hours > 48 for hours in written.values())
    assert standing.failed == sum(written.get(day, 0) <= 48 for day in failed)
    assert standing.rows == 5 * len(written)


def test_a_year_takes_one_reading_for_each_day(store: Store) -> None:
    """The ledger grows by the hour; what is known already is not looked up again."""
    first = TODAY - timedelta(days=30)
    given = ExportSettings(("acme",), CATALOGUE.chosen(("success_summary",)), first, 24.0, 3.0)
    table = CATALOGUE.table("success_summary")
    for environment in ENVIRONMENTS:
        for partition in wanted(table, "acme", environment, first=first, last=TODAY, today=TODAY):
            store.write(partition)
    for hour in range(24):
        for day in {key.split("/")[2] for key in store.objects if "success_summary" in key}:
            told = [
                store.partition(table.name, "acme", e, date.fromisoformat(day[4:]))
                for e in ENVIRONMENTS
            ]
            store.tell(*told, at=NOW - timedelta(hours=hour))
    store.read_keys.clear()
    status = store.status(given)

    assert sum(standing.rows for standing in status.standings.values()) == 31 * 3 * 5
    assert len([key for key in store.read_keys if "/runs/" in key]) == 31


def checked(store: Store, day: date, *verdicts: Verdict) -> None:
    """Writes the checks of a day."""
    found = [
        checks_table.Check("a = b", ("total_traffic",), verdict, 1200, 1234) for verdict in verdicts
    ]
    body = checks_table.file(found, organization="acme", environment=None, now=NOW)
    store.put(checks_table.key(day, "acme"), body, queried_at=NOW, run="a")


def test_mismatches_of_the_checks_have_a_line(store: Store) -> None:
    none = text(store.status(chosen("environments")))
    checked(store, TODAY, "ok", "lower", "open", "skipped")
    good = text(store.status(chosen("environments")))
    checked(store, SINCE, "ok", "mismatch")
    bad = store.status(chosen("environments"))

    assert "checks" not in none
    assert "checks since 2026-03-11: 4 made, no mismatch" in good
    line = "checks since 2026-03-08: 6 made, 1 mismatch. acme 2026-03-08, a = b: found 1234, exp"
    assert line in text(bad)
    assert show.is_whole(bad)
    assert show.as_dict(bad)["checks"]["verdicts"]["mismatch"] == 1
    assert [row["found"] for row in show.as_dict(bad)["checks"]["mismatches"]] == [1234]


def test_old_checks_are_read_where_all_is_wanted(store: Store) -> None:
    checked(store, date(2025, 3, 8), "mismatch", "mismatch")

    assert "checks" not in text(store.status(chosen("environments")))
    every = text(store.status(chosen("environments"), everything=True))
    assert "checks since 2025-03-08: 2 made, 2 mismatches" in every


def text(
    status: reading.Status, *, everything: bool = False, terminal: bool = False, width: int = 40
) -> str:
    """What is printed."""
    output = io.StringIO()
    colours = "standard" if terminal else "auto"
    console = Console(file=output, force_terminal=terminal, width=width, color_system=colours)
    show.show(status, console, everything=everything)
    return output.getvalue()


def test_what_is_printed(store: Store) -> None:
    partition = store.partition("success_summary", "acme", ENVIRONMENTS[1], TODAY)
    store.write(partition)
    store.tell(partition, rows=1234)
    more = [store.partition("error_summary", "acme", ENVIRONMENTS[0], day) for day in days()]
    store.tell(*more, at=NOW - timedelta(hours=5), status="failed", rows=None, error="[x] it's no")
    status = store.status(chosen("success_summary", "error_summary"))

    plain, every = text(status), text(status, everything=True)

    assert plain.splitlines()[2:] == [
        "table            oldest      newest      final  open  missing  failed   rows    age",
        "error_summary    -           -               0     0        8       4      0  never",
        "success_summary  2026-03-11  2026-03-11      0     1       11       0  1,234  never",
        "together         2026-03-11  2026-03-11      0     1       19       4  1,234  never",
        "",
        "last errors",
        "5 h ago, error_summary acme Production 2026-03-11 and 3 more: [x] it's no",
        "",
        (
            "Needs attention: 4 failed, 19 missing."
            " Next: insights logs --errors, or insights doctor --org acme"
        ),
    ]
    assert "Hall, Süd" in every
    assert len(every.splitlines()) == len(plain.splitlines()) + 4
    assert "\x1b" not in plain
    assert "\x1b" in text(status, terminal=True)


def test_kept_and_unconfirmed_days_are_named(store: Store) -> None:
    """A kept day is open: its source may recover. An unconfirmed one is closed, and says so."""
    table = "success_summary"
    done, kept, retried = (
        store.partition(table, "acme", ENVIRONMENTS[0], day) for day in (*days()[:1], *days()[2:])
    )
    closed = datetime(2026, 3, 10, 0, 15, tzinfo=UTC)
    store.write(done, at=closed)
    store.write(kept)
    store.write(retried)
    less = "7 rows in place of 9"
    for partition, final in ((done, True), (kept, None), (retried, None)):
        store.tell(partition, at=NOW - timedelta(hours=3), rows=9)
        at = NOW - timedelta(hours=2)
        store.tell(partition, at=at, status="kept", rows=None, error=less, final=final)
    # A later try in vain confirms nothing either; a later success does.
    store.tell(done, status="failed", rows=None, error="refused")
    store.tell(retried, rows=9)

    status = store.status(chosen(table))

    standing = of(status, table)
    assert counts(standing) == (1, 2, 1, 0)
    assert [(f.day, f.error) for f in standing.kept] == [(kept.day, less)]
    assert [f.day for f in standing.unconfirmed] == [done.day]
    assert show.is_whole(status) is False
    found = show.as_dict(status)
    assert (found["kept"], found["unconfirmed"]) == (1, 1)
    assert [each["day"] for each in found["kept_days"]] == [str(kept.day)]
    assert [each["day"] for each in found["unconfirmed_days"]] == [str(done.day)]
    lines = text(status).splitlines()
    heading = lines.index("kept, as Choreo gives less than is stored")
    assert lines[heading + 1] == f"2 h ago, {table} acme Production {kept.day}: {less}"
    assert "closed as unconfirmed, as Choreo never gave as much again" in lines


def filled(store: Store, *organizations: str, at: datetime = NOW) -> ExportSettings:
    """Everything of one table is there, and the settings for it."""
    for organization in organizations:
        store.list_environments(organization)
        for day in days():
            partitions = [
                store.partition("success_summary", organization, each, day) for each in ENVIRONMENTS
            ]
            for partition in partitions:
                store.write(partition, at=at)
            store.tell(*partitions, at=at)
    return chosen("success_summary", organizations=organizations)


def last(status: reading.Status) -> str:
    return text(status).splitlines()[-1]


def test_one_organisation_does_not_hide_behind_another(store: Store) -> None:
    filled(store, "lotus", at=NOW - timedelta(hours=3, minutes=25))
    given = filled(store, "acme")

    status = store.status(replace(given, organizations=("acme", "lotus")))

    assert text(status).splitlines()[3].endswith("  3 h")
    assert text(status).splitlines()[-1] == (
        "Needs attention: lotus stale for 25 min. Next: insights logs --errors"
    )
    assert not show.is_whole(status)
    assert show.as_dict(status)["stale_seconds"] == {"lotus": 25 * 60}
    frozen = replace(given, organizations=("acme", "lotus"), frozen=True)
    assert show.is_whole(store.status(frozen))
    assert last(store.status(given)) == "All is well: complete up to 0 min ago."


@pytest.mark.parametrize("table", ["latency_daily_by_api", "api_projects"])
def test_what_is_queried_once_a_day_is_not_stale_in_the_afternoon(store: Store, table: str) -> None:
    """Of ended days alone, or a list of projects."""
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, 0, 30, tzinfo=UTC)
    given = filled(store, "acme")
    given = replace(given, tables=(*given.tables, CATALOGUE.table(table)))
    for day in days():
        for each in ENVIRONMENTS:
            partition = store.partition(table, "acme", each, day)
            store.write(partition, at=midnight)
            store.tell(partition, at=midnight)
    assert last(store.status(given)) == "All is well: complete up to 0 min ago."
    store.objects.pop(store.partition(table, "acme", ENVIRONMENTS[0], days()[-1]).key)
    store.objects.pop(store.partition(table, "acme", ENVIRONMENTS[0], days()[-2]).key)
    assert not show.is_whole(store.status(given))


def test_checks_reassure_only_where_all_is_there(store: Store) -> None:
    given = filled(store, "acme")
    checked(store, TODAY, "ok", "mismatch")
    assert last(store.status(given)) == (
        "Complete up to 0 min ago, but the checks found 1 mismatch."
    )
    of_day = last(store.status(given, day=TODAY))
    assert of_day.endswith("2026-03-13 00:00 UTC, but the checks found 1 mismatch.")
    checked(store, TODAY, "ok")
    assert "1 made, no mismatch" in text(store.status(given))
    partition = store.partition("success_summary", "acme", ENVIRONMENTS[0], TODAY)
    store.tell(partition, status="failed", rows=None, error="no")
    assert "no mismatch" not in text(store.status(given))


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("everything", [False, True])
def test_it_fits_the_terminal_and_cuts_no_name(store: Store, width: int, everything: bool) -> None:
    name = "success_apis_usage_by_applications"
    store.tell(store.partition(name, "acme", None, TODAY), status="failed", rows=None, error="no")
    error = "a long story of what went wrong and why, " * 4
    store.tell(
        store.partition("success_summary", "acme", ENVIRONMENTS[1], TODAY),
        status="failed", rows=None, error=error,
    )  # fmt: skip
    status = store.status(chosen(name, "success_summary"))

    printed = re.sub(
        "\x1b\\[[0-9;]*m", "", text(status, everything=everything, terminal=True, width=width)
    )

    assert max(map(len, printed.splitlines())) <= width
    assert name in printed
    assert "failed" in printed
    assert "Hall, Süd" in printed
    assert everything or ("oldest" in printed) == (width > 80)


def test_a_day_is_complete_and_final_table_by_table(store: Store) -> None:
    given = filled(store, "acme", at=datetime(2026, 3, 11, 0, 16, tzinfo=UTC))
    early, late, today = (store.status(given, day=day) for day in (days()[0], days()[2], TODAY))

    assert last(early) == "2026-03-08 is complete and final."
    assert last(late) == (
        "2026-03-10 is complete so far; it becomes final with the first run after"
        " 2026-03-12 00:00 UTC."
    )
    assert show.is_whole(late)
    table = [line.split() for line in text(late).splitlines()[2:5]]
    assert table[0][:3] == ["table", "complete", "final"]
    assert table[1][:3] == ["success_summary", "yes", "no"]
    assert show.as_dict(early)["tables"][0]["final"] == 3
    partition = store.partition("success_summary", "acme", ENVIRONMENTS[0], TODAY)
    store.tell(partition, at=NOW, status="failed", rows=None, error="no")
    today = store.status(given, day=TODAY)
    assert "2026-03-11 needs attention: 1 failed." in text(today)
    assert show.is_whole(store.status(given, day=days()[0]))


def test_what_is_looked_for_alone_is_shown(store: Store) -> None:
    given = filled(store, "acme", "lotus")
    partition = store.partition("success_summary", "lotus", ENVIRONMENTS[1], TODAY)
    store.tell(partition, status="failed", rows=None, error="no")

    def seen(**selected: Any) -> set[tuple[str, str | None]]:
        found = store.status(given, **selected).standings
        return {(place.organization, place.environment) for place in found}

    assert len(seen()) == 4
    assert {organization for organization, _ in seen(organizations=("lotus",))} == {"lotus"}
    assert {name for _, name in seen(environments=("Hall, Süd",))} == {"Hall, Süd"}
    assert seen(states=("failed",)) == {("lotus", "Hall, Süd")}
    assert seen(tables=("success_summary",)) == seen()
    assert show.is_whole(store.status(given, organizations=("acme",)))
    with pytest.raises(WrongUsage, match=r"no such environment. Did you mean Production"):
        store.status(given, environments=("Producton",))


def test_many_kinds_of_errors_are_cut_short(store: Store) -> None:
    for number, day in enumerate(days() * 3):
        partition = store.partition("success_summary", "acme", ENVIRONMENTS[number // 4], day)
        store.tell(partition, status="failed", rows=None, error=f"error {number}")
    status = store.status(chosen("success_summary"))

    assert "and 2 other kinds: --all shows them" in text(status)
    assert text(status).count(": error") == 10
    assert text(status, everything=True).count(": error") == 12


def test_the_machine_gets_it_all(store: Store) -> None:
    status = store.status(chosen("success_summary", "environments"))

    found = json.loads(json.dumps(show.as_dict(status)))

    assert found["missing"] == 12
    assert found["whole"] is False
    assert found["checks"] is None
    (lists, daily) = found["tables"]
    assert (lists["table"], lists["open"], lists["age_seconds"]) == ("environments", 1, 0)
    assert [place["environment"] for place in daily["places"]] == [e.name for e in ENVIRONMENTS]
    assert sum(place["missing"] for place in daily["places"]) == daily["missing"] == 12


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(0, "0 min"), (-3, "0 min"), (119, "119 min"), (120, "2 h"), (2879, "47 h"), (2880, "2 d")],
)
def test_ages(minutes: int, shown: str) -> None:
    assert show.age(NOW, NOW - timedelta(minutes=minutes)) == shown
    assert show.age(NOW, None) == "-"


def test_the_stack_s_parameters_are_its_settings() -> None:
    parameters = {
        "Organizations": "acme, b.c,acme",
        "Tables": "apis, total_errors",
        "ExportSince": "2026-01-31",
        "SettleHours": "24",
        "StaleAfterHours": "3",
    }

    found = settings(parameters, CATALOGUE)
    every = settings(parameters | {"Tables": "all"}, CATALOGUE)

    assert found.organizations == ("acme", "b.c")
    assert {table.name for table in found.tables} == {"apis", "total_errors"}
    assert (found.since, found.settle_hours) == (date(2026, 1, 31), 24.0)
    # Tables of projects are exported where Projects names some.
    assert every.tables == tuple(t for t in CATALOGUE.chosen(None) if not t.per_project)


def test_one_s_own_tables_are_told_of_too() -> None:
    assert isinstance(catalogue(), Catalogue)
    assert catalogue().tables[: len(CATALOGUE.tables)] == CATALOGUE.tables


def test_a_broken_object_is_named(store: Store) -> None:
    partition = store.partition("success_summary", "acme", ENVIRONMENTS[0], TODAY)
    store.tell(partition)
    key = next(key for key in store.objects if "/runs/" in key)
    store.put(key, b"no Parquet", queried_at=NOW, run="a")

    with pytest.raises(CommandError, match=key):
        store.status(chosen("success_summary"))


def test_a_place_s_key_is_a_partition_s() -> None:
    for environment in (*ENVIRONMENTS, None):
        partition = Partition(CATALOGUE.tables[0], "apis", "b.c", environment, TODAY)
        assert TablePlace("apis", "b.c", None, partition.place).key(TODAY) == partition.key
