"""Usage by month and application, and whether a month's is final."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.choreo_insights_cli.sql.conftest import DAYS, Views
from tests.unit.choreo_insights_cli.sql.literal import Literal

TABLE = "apis_usage_by_applications"
NOW = datetime(2026, 4, 2, tzinfo=UTC)
MARCH = [date(2026, 3, 1) + timedelta(days=number) for number in range(31)]


@pytest.fixture
def dataset(tmp_path: Path) -> Literal:
    return Literal(tmp_path)


def write(dataset: Literal, day: date, status: str = "exported", *, final: bool = True) -> None:
    """A day with one row, and its entry in the ledger."""
    row = {"api_id": "a", "application_id": "x", "application_name": "Mobile", "count": 10}
    dataset.table(TABLE, day, row)
    dataset.ledger(day, {"table": TABLE, "status": status, "final": final, "exported_at": NOW})


def found(dataset: Literal) -> list[tuple[object, ...]]:
    sql = "SELECT month, requests, is_final FROM monthly_usage_by_application ORDER BY month"
    return dataset.rows(sql, NOW)


def test_a_month_is_final_when_each_of_its_days_is(dataset: Literal) -> None:
    for day in MARCH:
        write(dataset, day)
    assert found(dataset) == [(MARCH[0], 310, True)]
    write(dataset, date(2026, 4, 1), final=False)
    assert found(dataset) == [(MARCH[0], 310, True), (date(2026, 4, 1), 10, False)]
    (row,) = dataset.saved("usage_of_last_month", NOW)
    assert (row["month"], row["requests"], row["share_percent"], row["is_final"]) == (
        *(MARCH[0], 310, 100.0),
        True,
    )


@pytest.mark.parametrize(
    ("status", "final"), [("exported", False), ("kept", True), ("kept", False)]
)
def test_an_open_or_unconfirmed_day_is_in_the_way(
    dataset: Literal, status: str, *, final: bool
) -> None:
    for day in MARCH[:-1]:
        write(dataset, day)
    write(dataset, MARCH[-1], status, final=final)
    assert found(dataset) == [(MARCH[0], 310, False)]


def test_a_gap_is_in_the_way_and_what_was_never_tried_is_not(dataset: Literal) -> None:
    for day in MARCH[9:]:
        write(dataset, day)
    assert found(dataset) == [(MARCH[0], 220, True)]
    write(dataset, date(2026, 2, 27))
    # Now March has nine days between that were left out, and February has one.
    assert found(dataset) == [(date(2026, 2, 1), 10, False), (MARCH[0], 220, False)]


def test_without_a_ledger_nothing_is_final(dataset: Literal) -> None:
    for day in MARCH:
        dataset.table(TABLE, day, {"api_id": "a", "application_id": "x", "count": 1})
    assert found(dataset) == [(MARCH[0], 31, False)]


def test_it_holds_the_sums_of_the_days(views: Views) -> None:
    """Of whole runs against the sandbox: to the last request."""
    expected: dict[tuple[str, str, str | None], int] = {}
    for spot in views.spots:
        for row in views.expected(TABLE, spot):
            key = spot.organization, spot.environment.name, row["application_id"]
            expected[key] = expected.get(key, 0) + row["count"]
    sums: dict[tuple[str, str, str | None], int] = {}
    for row in views.records("monthly_usage_by_application"):
        assert row["month"] == DAYS[0].replace(day=1)
        key = row["organization"], row["environment"], row["application_id"]
        sums[key] = sums.get(key, 0) + row["requests"]
        assert not row["is_final"]
    assert sums == {key: count for key, count in expected.items() if count}


def test_the_latency_of_a_month_is_as_it_was_given(dataset: Literal) -> None:
    table = "overall_latency_by_month"
    dataset.table(
        table, MARCH[0], *({table: value, "tenant": str(value)} for value in (70.0, 95.0))
    )
    dataset.table(table, date(2026, 4, 1), {table: None})
    sql = "SELECT day, environment, p95_ms FROM latency_monthly ORDER BY day"
    assert dataset.rows(sql, NOW) == [
        (MARCH[0], "Production", 95.0),
        (date(2026, 4, 1), "Production", None),
    ]
