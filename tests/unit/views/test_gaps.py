"""What the views say where figures are missing: null, never 0, and the ledger says why."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from msgspec.structs import replace

from insights.catalogue import load
from insights.decode import microseconds
from insights.ledger import RUNS, Entry, encode_entries
from insights.parquet import encode
from insights.partitions import day_prefix
from tests.unit.export.test_export import NOW, TODAY, Place
from tests.unit.views.conftest import written
from views.duckdb import connect

HOUR = datetime(2026, 11, 18, 5, tzinfo=UTC)
PLACE = {"organization": "acme", "environment": "Production", "environment_id": "e1"}


def table(folder: Path, name: str, day: date, *rows: dict[str, Any]) -> Path:
    """A file of a table with these rows."""
    columns = load().table(name).columns
    given = [{**PLACE, "exported_at": NOW, **row} for row in rows]
    values = {column.name: [_plain(row.get(column.name)) for row in given] for column in columns}
    path = folder / "insights" / name / f"day={day}" / "acme.Production.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(columns, values, len(rows)))
    return path


def ledger(folder: Path, run: str, at: datetime, entries: Sequence[Entry]) -> list[Path]:
    """The files of a run's ledger."""
    paths = []
    for tried in entries:
        path = folder / f"{day_prefix(RUNS, tried.day)}{run}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_entries([replace(tried, run=run, exported_at=at)]))
        paths.append(path)
    return paths


def _plain(value: Any) -> Any:
    return microseconds(value) if isinstance(value, datetime) else value


def rows(database: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return database.execute(sql).fetchall()


def traffic(database: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "SELECT requests, successes, errors, error_percent FROM traffic_hourly ORDER BY hour",
    )


def test_errors_that_were_not_exported_are_not_none(tmp_path: Path):
    day = HOUR.date()
    successes = table(tmp_path, "success_summary", day, {"time_span": HOUR, "request_count": 9})
    assert traffic(connect([successes], NOW)) == [(None, 9, None, None)]
    # The day's total says that there were some: only that of the hour is not known.
    total = table(tmp_path, "total_errors", day, {"total_errors": 4})
    assert traffic(connect([successes, total], NOW)) == [(None, 9, None, None)]


def test_no_errors_are_none_where_the_total_says_so(tmp_path: Path):
    day = HOUR.date()
    files = [
        table(tmp_path, "success_summary", day, {"time_span": HOUR, "request_count": 9}),
        table(tmp_path, "total_errors", day, {"total_errors": 0}),
    ]
    assert traffic(connect(files, NOW)) == [(9, 9, 0, 0.0)]


def test_an_hour_without_errors_among_others_has_none(tmp_path: Path):
    day, later = HOUR.date(), HOUR + timedelta(hours=1)
    files = [
        table(
            tmp_path,
            "success_summary",
            day,
            {"time_span": HOUR, "request_count": 9},
            {"time_span": later, "request_count": 6},
        ),
        table(tmp_path, "error_summary", day, {"time_span": later, "error_count": 2}),
    ]
    assert traffic(connect(files, NOW)) == [(9, 9, 0, 0.0), (8, 6, 2, 25.0)]


def test_a_day_of_which_half_is_there_has_no_rate(tmp_path: Path):
    files = [table(tmp_path, "total_traffic", HOUR.date(), {"total_traffic": 9})]
    found = rows(
        connect(files, NOW), "SELECT requests, successes, errors, error_percent FROM traffic_daily"
    )
    assert found == [(9, None, None, None)]


def test_a_null_stays_null(tmp_path: Path):
    day = HOUR.date()
    files = [
        table(tmp_path, "latency", day, {"time_span": HOUR, "api_id": "a1", "response": 12.0}),
        table(tmp_path, "errors_details", day, {"time_span": HOUR, "reason": "none", "count": 3}),
    ]
    database = connect(files, NOW)
    found = rows(database, "SELECT response_p95_ms, backend_p95_ms FROM api_latency_hourly")
    assert found == [(12.0, None)]
    found = rows(database, "SELECT api_id, api_name, application_name, errors FROM error_details")
    assert found == [(None, None, None, 3)]


def test_the_newest_name_counts_and_a_deleted_api_keeps_its_last(tmp_path: Path):
    first, second = HOUR.date(), HOUR.date() + timedelta(days=1)

    def api(key: str, name: str, version: str | None = "v1") -> dict[str, Any]:
        return {"api_id": key, "api_name": name, "version": version}

    usage = {"time_span": HOUR, "granularity": "1h"}
    files = [
        table(tmp_path, "apis", first, api("a1", "Orders"), api("a2", "Old")),
        table(tmp_path, "apis", second, api("a1", "Ordering", None)),
        table(
            tmp_path,
            "api_usage_over_time",
            first,
            {**usage, "api_id": "a1", "api_id_resolved": "a1", "count": 1},
            # The same API, named otherwise: its requests are added.
            {**usage, "api_id": "Orders - v1", "api_id_resolved": "a1", "count": 2},
            {**usage, "api_id": "a2", "api_id_resolved": "a2", "count": 4},
            {**usage, "api_id": "Gone - v9", "api_id_resolved": None, "count": 8},
        ),
    ]
    database = connect(files, NOW)
    assert rows(
        database,
        "SELECT api_id, api_name, api_version, requests FROM api_usage_hourly ORDER BY requests",
    ) == [
        ("a1", "Ordering", None, 3),
        ("a2", "Old", "v1", 4),
        ("Gone - v9", "Gone - v9", None, 8),
    ]
    found = rows(database, "SELECT api_id, last_listed, listed_now FROM api_names ORDER BY 1")
    assert found == [("a1", second, True), ("a2", first, False)]


def test_a_table_that_fails_is_told_with_its_reason(troubled: tuple[Place, Path]):
    place, folder = troubled
    place.dataset.broken = {f"insights/error_summary/day={TODAY - timedelta(days=1)}"}
    report = place.run()
    assert report.failures
    place.now = NOW + timedelta(hours=5)
    database = connect(written(place.dataset, folder), place.now)
    failed = rows(
        database,
        "SELECT DISTINCT table_name, day, last_success, error FROM export_failures",
    )
    assert failed == [("error_summary", TODAY - timedelta(days=1), None, "no space")]
    found = rows(
        database,
        "SELECT DISTINCT days_exported, days_missing, days_failed, age_hours, last_error"
        " FROM export_freshness WHERE table_name = 'error_summary'",
    )
    assert found == [(2, 1, 1, 5.0, "no space")]
    found = rows(
        database,
        "SELECT DISTINCT days_missing, days_failed, last_error FROM export_freshness"
        " WHERE table_name <> 'error_summary'",
    )
    assert found == [(0, 0, None)]
    known = rows(
        database,
        "SELECT count(*), count(errors), count(requests) FROM traffic_hourly"
        f" WHERE day = DATE '{TODAY - timedelta(days=1)}' AND environment = 'Production'",
    )
    assert known[0][0] > 0
    assert known[0][1:] == (0, 0)


def entry(day: date, status: Any, at: datetime, **more: Any) -> Entry:
    where = {"table": "latency", "organization": "acme", "environment": "P", "environment_id": "e"}
    return Entry(**where, day=day, status=status, started=at, seconds=1.0, **more)


def test_a_day_that_is_there_can_have_failed_since(tmp_path: Path):
    early, late = NOW - timedelta(hours=3), NOW - timedelta(hours=1)
    files = ledger(
        tmp_path,
        "a",
        early,
        [
            entry(TODAY - timedelta(days=4), "exported", early, rows=7),
            entry(TODAY - timedelta(days=2), "exported", early, rows=5),
            entry(TODAY, "exported", early, rows=3),
        ],
    )
    files += ledger(tmp_path, "b", late, [entry(TODAY, "failed", late, error="gone")])
    database = connect(files, NOW)
    found = rows(
        database,
        "SELECT newest_day, data_until, last_success, age_hours, last_try, last_status, first_day,"
        " days_exported, days_missing, days_failed, rows_written, last_error FROM export_freshness",
    )
    naive = early.replace(tzinfo=None)
    assert found == [
        (
            *(TODAY, naive, naive, 3.0, late.replace(tzinfo=None), "failed"),
            # Two days between were never tried.
            *(TODAY - timedelta(days=4), 3, 2, 1, 15, "gone"),
        )
    ]
    days = rows(
        database,
        "SELECT day, tries, last_status, rows_written, last_error FROM export_days"
        " ORDER BY day DESC LIMIT 1",
    )
    assert days == [(TODAY, 2, "failed", 3, "gone")]
    runs = rows(
        database,
        "SELECT run, tables_exported, tables_failed FROM export_runs"
        f" WHERE day = DATE '{TODAY}' ORDER BY run",
    )
    assert runs == [("a", 1, 0), ("b", 0, 1)]


def test_a_day_ends_where_it_ends(tmp_path: Path):
    files = ledger(tmp_path, "a", NOW, [entry(TODAY - timedelta(days=2), "exported", NOW, rows=1)])
    ((until,),) = rows(connect(files, NOW), "SELECT data_until FROM export_freshness")
    assert until == datetime.combine(TODAY - timedelta(days=1), datetime.min.time())
