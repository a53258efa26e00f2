"""How the export stands, by the ledger: what is there, final, kept, missing, and until when."""

import io
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from choreo_insights.catalogue import load
from choreo_insights_cli.sql.duckdb import connect
from tests.unit.choreo_insights.export.test_run import NOW, TODAY
from tests.unit.choreo_insights_cli.sql.literal import Literal, Row

DAY = TODAY - timedelta(days=2)
EARLY, LATE = NOW - timedelta(hours=3), NOW - timedelta(hours=1)


@pytest.fixture
def dataset(tmp_path: Path) -> Literal:
    return Literal(tmp_path)


def entry(status: str, at: datetime, final: bool | None = None, **more: Any) -> Row:
    return {"status": status, "exported_at": at, "final": final, **more}


def naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("failed", None)], (None, "missing")),
        ([("failed", None), ("exported", False)], (False, "open")),
        ([("exported", False), ("failed", None)], (False, "open")),
        ([("exported", False), ("kept", None)], (False, "kept")),
        ([("exported", False), ("kept", None), ("failed", None)], (False, "kept")),
        ([("exported", False), ("kept", None), ("exported", False)], (False, "open")),
        ([("exported", False), ("kept", None), ("exported", True)], (True, "closed")),
        ([("exported", False), ("kept", None), ("kept", True)], (True, "unconfirmed")),
        # A person let it be queried again, and the source had recovered.
        ([("exported", False), ("kept", True), ("exported", True)], (True, "closed")),
        ([("exported", False), ("unchanged", True)], (True, "closed")),
        # What comes later takes nothing back.
        ([("exported", True), ("kept", None)], (True, "closed")),
        ([("exported", True), ("failed", None)], (True, "closed")),
        ([("exported", True), ("overtaken", None)], (True, "closed")),
        # A run that another one overtook says nothing.
        ([("exported", False), ("kept", None), ("overtaken", None)], (False, "kept")),
        # Release 0.1.0 did not say.
        ([("exported", None)], (None, None)),
        ([("exported", None), ("kept", None)], (None, "kept")),
    ],
)
def test_the_state_of_a_day(
    dataset: Literal,
    entries: list[tuple[str, bool | None]],
    expected: tuple[bool | None, str | None],
):
    for number, (status, final) in enumerate(entries):
        dataset.ledger(DAY, entry(status, EARLY + timedelta(minutes=number), final))
    assert dataset.rows("SELECT final, state FROM export_days") == [expected]


def test_kept_days_are_reported_until_they_are_closed(dataset: Literal):
    for back, closing in enumerate((None, True)):
        day = DAY - timedelta(days=back)
        dataset.ledger(day, entry("exported", EARLY, False, rows=1), entry("kept", LATE, closing))
    ((kept, unconfirmed, exported, missing),) = dataset.rows(
        "SELECT days_kept, days_unconfirmed, days_exported, days_missing FROM export_freshness"
    )
    assert (kept, unconfirmed, exported, missing) == (1, 1, 2, 0)
    (row,) = dataset.saved("what_is_missing", EARLY + timedelta(hours=1))
    assert row["days_kept"] == 1
    dataset.ledger(DAY, entry("exported", LATE + timedelta(minutes=1), True, rows=1))
    assert dataset.saved("what_is_missing", EARLY + timedelta(hours=1)) == []


def test_a_dataset_that_has_ended_says_so_long_after(dataset: Literal):
    dataset.ledger(DAY, entry("exported", LATE, True, rows=1))
    sql = "SELECT days_exported, age_hours, dataset_ends FROM export_freshness"
    later = NOW + timedelta(days=400)
    assert dataset.rows(sql, now=later) == []
    ended = connect(dataset.files, later, frozen=True)
    assert ended.execute(sql).fetchall() == [(1, None, DAY)]
    ((_, age, ends),) = dataset.rows(sql)
    assert age is not None
    assert ends is None


def test_a_day_that_the_source_answers_with_less_is_not_complete(dataset: Literal):
    """Queried at seven on its day; the source gave less on the days after."""
    seven = midnight(DAY) + timedelta(hours=7)
    dataset.ledger(DAY, entry("exported", seven, False, rows=7))
    dataset.ledger(DAY, entry("kept", LATE), entry("overtaken", LATE), entry("failed", LATE))
    until = dataset.rows("SELECT data_until, last_success FROM export_days")
    assert until == [(naive(seven), naive(seven))]
    assert dataset.rows("SELECT data_until FROM export_freshness") == [(naive(seven),)]
    dataset.ledger(DAY, entry("unchanged", NOW, True, rows=7))
    until = dataset.rows("SELECT data_until, last_success FROM export_days")
    assert until == [(naive(midnight(DAY) + timedelta(days=1)), naive(NOW))]


def test_a_table_without_a_success_is_reported(dataset: Literal):
    """Whatever stored its object did not get to write that down."""
    dataset.ledger(TODAY, entry("overtaken", NOW))
    (row,) = dataset.saved("what_is_missing", NOW)
    assert (row["table_name"], row["data_until"], row["age_hours"]) == ("latency", None, None)
    assert (row["days_missing"], row["days_failed"], row["days_kept"]) == (0, 0, 0)


def test_an_object_without_an_entry_of_its_own_leaves_no_gap(dataset: Literal):
    """A run was killed before it wrote the ledger; a later one made up for it."""
    dataset.ledger(DAY, entry("exported", EARLY, True, rows=5))
    middle = DAY + timedelta(days=1)
    dataset.ledger(middle, entry("exported", LATE, False, rows=None))
    dataset.ledger(TODAY, entry("exported", LATE, False, rows=3))
    assert dataset.rows(
        "SELECT days_exported, days_missing, rows_written FROM export_freshness"
    ) == [(3, 0, None)]
    # How many rows there are is known again after the next write.
    dataset.ledger(middle, entry("exported", NOW, True, rows=4))
    assert dataset.rows("SELECT rows_written FROM export_freshness") == [(12,)]


def test_a_day_that_is_there_can_have_failed_since(dataset: Literal):
    for day, rows in ((TODAY - timedelta(days=4), 7), (DAY, 5), (TODAY, 3)):
        dataset.ledger(day, entry("exported", EARLY, rows=rows))
    dataset.ledger(TODAY, entry("failed", LATE, error="gone", run="r2"))
    found = dataset.rows(
        "SELECT newest_day, data_until, last_success, age_hours, last_try, last_status, first_day,"
        " days_exported, days_missing, days_failed, rows_written, last_error FROM export_freshness"
    )
    assert found == [
        (
            *(TODAY, naive(EARLY), naive(EARLY), 3.0, naive(LATE), "failed"),
            # Two days between were never tried.
            *(TODAY - timedelta(days=4), 3, 2, 1, 15, "gone"),
        )
    ]
    days = dataset.rows(
        "SELECT day, tries, last_status, rows_written, last_error FROM export_days"
        " ORDER BY day DESC LIMIT 1"
    )
    assert days == [(TODAY, 2, "failed", 3, "gone")]
    runs = dataset.rows(
        "SELECT run, tables_exported, tables_unchanged, tables_failed FROM export_runs"
        f" WHERE day = DATE '{TODAY}' ORDER BY run"
    )
    assert runs == [("r1", 1, 0, 0), ("r2", 0, 0, 1)]


def test_a_renamed_environment_has_one_row(dataset: Literal):
    dataset.ledger(DAY, entry("exported", EARLY), entry("exported", LATE, environment="Prod EU"))
    dataset.environments({"name": "Prod EU"})
    for view in ("export_days", "export_freshness", "export_runs"):
        assert dataset.rows(f"SELECT environment, environment_id FROM {view}") == [
            ("Prod EU", "e1")
        ]


def test_a_deleted_environment_is_not_stale(dataset: Literal):
    deleted, other = {}, {"environment_id": "e2", "environment": "Dev"}
    for day in (DAY, TODAY - timedelta(days=1), TODAY):
        dataset.ledger(day, entry("exported", NOW, rows=1, **other))
    dataset.ledger(DAY, entry("exported", EARLY - timedelta(days=1), rows=1, **deleted))
    last = TODAY - timedelta(days=1)
    dataset.environments({"last_listed": last, "listed": False}, {**other, "name": "Dev"})
    assert dataset.saved("what_is_missing", NOW) == []
    assert dataset.rows("SELECT age_hours FROM export_freshness WHERE environment_id = 'e1'") == [
        (None,)
    ]
    # A table that lacks a day on which the environment was listed lacks it for good.
    dataset.ledger(last, entry("exported", EARLY, table="resource_usage", rows=1))
    (row,) = dataset.saved("what_is_missing", NOW)
    assert (row["table_name"], row["days_missing"]) == ("latency", 1)


def test_days_after_the_last_list_do_not_count(dataset: Literal):
    dataset.ledger(DAY, entry("exported", EARLY, rows=1))
    dataset.ledger(TODAY, entry("failed", LATE, error="unknown environment"))
    dataset.environments({"last_listed": DAY, "listed": False})
    assert dataset.rows(
        "SELECT newest_day, last_status, days_missing, days_failed, last_error"
        " FROM export_freshness"
    ) == [(DAY, "exported", 0, 0, None)]
    assert dataset.saved("what_is_missing", NOW) == []


def test_past_days_of_a_list_are_neither_missing_nor_open(dataset: Literal):
    """The stack was off for two days: a list is known for its own day alone."""
    for table in ("apis", "latency"):
        for day in (TODAY - timedelta(days=3), TODAY):
            dataset.ledger(day, entry("exported", NOW, False, table=table, rows=1))
    found = dataset.rows(
        "SELECT table_name, day, final, state FROM export_days ORDER BY table_name, day"
    )
    assert [row[2:] for row in found] == [
        *((True, "closed"), (False, "open")),
        *((False, "open"), (False, "open")),
    ]
    found = dataset.rows("SELECT table_name, days_missing FROM export_freshness ORDER BY 1")
    assert found == [("apis", 0), ("latency", 2)]
    assert [row["table_name"] for row in dataset.saved("what_is_missing", NOW)] == ["latency"]


def test_the_view_knows_the_lists_of_the_catalogue(dataset: Literal):
    tables = load().tables
    dataset.ledger(DAY, *(entry("exported", EARLY, table=table.name) for table in tables))
    found = dataset.rows("SELECT table_name FROM export_days WHERE is_list")
    assert {name for (name,) in found} == {table.name for table in tables if not table.daily}


def test_a_month_and_a_day_that_must_have_ended_are_missing_only_where_they_are(
    dataset: Literal,
):
    names = {"day": "latency", "past_day": "latency_daily_by_api", "month": "total_traffic"}

    def tried(day: date, *covers: str, at: datetime = NOW) -> None:
        rows = (entry("exported", at, table=names[each], covers=each) for each in covers)
        dataset.ledger(day, *rows)

    def missing() -> dict[str, int]:
        return dict(dataset.rows("SELECT table_name, days_missing FROM export_freshness"))

    october, november = date(2026, 10, 1), date(2026, 11, 1)
    tried(october, "day", "month")
    for number in range(1, (TODAY - october).days):
        tried(october + timedelta(days=number), "day", "past_day")
    tried(november, "month")
    tried(TODAY, "day")
    assert missing() == {"latency": 0, "latency_daily_by_api": 0, "total_traffic": 0}
    ((until,),) = dataset.rows(
        "SELECT data_until FROM export_days WHERE covers = 'month' AND day = '2026-10-01'"
    )
    assert until == naive(midnight(november))
    assert dataset.saved("what_is_missing") == []
    # On the next day yesterday is wanted of both kinds of days, and no other month.
    tried(TODAY + timedelta(days=1), "day", at=NOW + timedelta(days=1))
    assert missing() == {"latency": 0, "latency_daily_by_api": 1, "total_traffic": 0}


def test_a_table_that_is_not_exported_any_more_is_not_stale(dataset: Literal):
    """It was taken out of the parameter Tables: runs try others and not this one."""
    for back in range(5):
        at = NOW - timedelta(days=back)
        rows = [entry("exported", at)] + [entry("exported", at, table="apis")] * (back > 2)
        dataset.ledger(TODAY - timedelta(days=back), *rows)
    columns = "table_name, age_hours IS NULL, days_missing, exported_now"
    assert dataset.rows(f"SELECT {columns} FROM export_freshness ORDER BY 1") == [
        ("apis", True, 0, False),
        ("latency", False, 0, True),
    ]
    assert dataset.saved("what_is_missing") == []


def test_a_day_ends_where_it_ends(dataset: Literal):
    dataset.ledger(DAY, entry("exported", NOW, rows=1))
    ((until,),) = dataset.rows("SELECT data_until FROM export_freshness")
    assert until == naive(midnight(DAY) + timedelta(days=1))


def test_a_ledger_of_release_0_1_0_is_read(dataset: Literal):
    """Its files have a text `day`, and no `final`."""
    dataset.ledger(DAY, entry("exported", EARLY, rows=5))
    (path,) = dataset.files
    old = pq.read_table(io.BytesIO(path.read_bytes())).drop_columns("final")
    pq.write_table(old.append_column("day", pa.array([str(DAY)])), path)
    dataset.ledger(TODAY, entry("exported", LATE, False, rows=2))
    assert dataset.rows("SELECT day, rows_written, final, state FROM export_days ORDER BY 1") == [
        (DAY, 5, None, None),
        (TODAY, 2, False, "open"),
    ]
