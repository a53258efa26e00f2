"""A month's figures against the sandbox's own traffic."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.registry_merge import KnownEnvironment
from choreo_insights.errors import InsightsError
from choreo_insights.report import inventory
from choreo_insights.report.figures import Figures, figures, shown_names
from choreo_insights.report.month import Month
from choreo_insights.report.targets import read as read_targets
from choreo_insights.times import microseconds
from tests.unit.choreo_insights.report.conftest import (
    MONTH,
    NOW,
    SETTINGS,
    Dataset,
    partition,
    summed,
)

ENVIRONMENTS = ("Production", "Development")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
class TestAgainstTheGenerator:
    def test_totals_and_those_of_the_month_before(
        self, filled: Dataset, february: Figures, environment: str
    ) -> None:
        (total,) = (each for each in february.totals if each.environment == environment)
        for counts, month in ((total.now, MONTH), (total.before, MONTH.previous)):
            traffic = filled.rows("total_traffic", environment, month)
            errors = filled.rows("total_errors", environment, month)
            assert counts
            assert counts.requests == sum(row["total_traffic"] for row in traffic) > 1000
            assert counts.errors == sum(row["total_errors"] for row in errors) > 10
        latencies = filled.rows("overall_latency", environment, MONTH)
        assert total.highest_daily_p95_ms == max(row["overall_latency"] for row in latencies)

    def test_requests_errors_and_latency_of_each_api(
        self, filled: Dataset, february: Figures, environment: str
    ) -> None:
        rows = filled.rows("total_traffic_by_api", environment, MONTH)
        requests = summed(rows, "total_traffic_by_api", "api_id")
        errors = summed(filled.rows("total_errors_by_api", environment, MONTH), "proxy", "api_id")
        slowest: dict[str, float] = {}
        hours: dict[str, int] = {}
        for row in filled.rows("latency", environment, MONTH):
            slowest[row["api_id"]] = max(slowest.get(row["api_id"], 0), row["response"])
            hours[row["api_id"]] = hours.get(row["api_id"], 0) + 1
        found = {each.api_id: each for each in february.apis if each.environment == environment}
        for (api_id,), count in requests.items():
            assert found[api_id].now.requests == count
            assert found[api_id].now.errors == errors[(api_id,)]
            assert found[api_id].highest_hourly_p95_ms == slowest.get(api_id)
            assert found[api_id].hours == hours.get(api_id, 0)

    def test_failures_of_the_servers_side(
        self, filled: Dataset, february: Figures, environment: str
    ) -> None:
        rows = filled.rows("errors_by_status_code", environment, MONTH)
        own = filled.world.organization("acme").environment(environment)
        for each in february.apis:
            if each.environment == environment and each.api_id in {a.id for a in own.listed}:
                shown = next(api.shown for api in own.apis if api.id == each.api_id)
                five = [row for row in rows if row["api_id"] == shown and row["status_code"] > "5"]
                assert each.errors_5xx == sum(row["count"] for row in five)

    def test_usage_of_each_consumer_at_each_api(
        self, filled: Dataset, february: Figures, environment: str
    ) -> None:
        rows = filled.rows("apis_usage_by_applications", environment, MONTH)
        expected = summed(rows, "count", "application_id", "application_name")
        found: dict[tuple[str | None, str], int] = {}
        for each in february.consumers:
            if each.environment == environment:
                key = each.application_id, each.application
                found[key] = found.get(key, 0) + each.requests
        assert found == expected

    def test_errors_by_reason(self, filled: Dataset, february: Figures, environment: str) -> None:
        expected = summed(filled.rows("errors_details", environment, MONTH), "count", "reason")
        found: dict[tuple[str], int] = {}
        for each in february.reasons:
            if each.environment == environment:
                found[(each.reason,)] = found.get((each.reason,), 0) + each.errors
        assert found == expected


def test_every_failed_request_is_a_consumers_or_named_as_nobodys(
    filled: Dataset, february: Figures
) -> None:
    rows = [row for name in ENVIRONMENTS for row in filled.rows("errors_details", name, MONTH)]
    attributed = sum(each.failed for each in february.usage)
    assert attributed > 0
    assert february.unattributed > 0
    assert attributed + february.unattributed == sum(row["count"] for row in rows)


class TestFinality:
    def test_a_month_whose_days_are_closed_is_final(self, february: Figures) -> None:
        assert february.finality.is_final
        assert february.finality.words == "final"
        assert len(february.finality.days) == 2 * 28

    def test_an_open_day_is_named(self, dataset: Dataset) -> None:
        key = dataset.key("latency", date(2026, 2, 28))
        dataset.store.objects[key] = replace(
            dataset.store.objects[key], written=NOW - timedelta(days=9)
        )
        finality = dataset.figures().finality
        assert not finality.is_final
        assert finality.words == "not final yet (open: 2026-02-28)"
        (day,) = (each for each in finality.days if each.state == "open")
        assert (day.environment, day.tables) == ("Production", ("latency",))

    def test_an_unconfirmed_day_is_named(self, dataset: Dataset) -> None:
        for day in (3, 4, 5, 9):
            key = dataset.key("total_traffic", date(2026, 2, day))
            dataset.store.objects[key] = replace(dataset.store.objects[key], confirmed=False)
        words = dataset.figures().finality.words
        assert words == "not final yet (unconfirmed: 2026-02-03 to 2026-02-05, 2026-02-09)"

    def test_a_missing_day_is_named_and_nothing_is_compared(self, dataset: Dataset) -> None:
        del dataset.store.objects[dataset.key("total_traffic", date(2026, 2, 14))]
        found = dataset.figures()
        assert found.finality.words == "not final yet (missing: 2026-02-14)"
        assert not found.before_is_whole
        assert {each.before for each in (*found.totals, *found.apis)} == {None}

    def test_days_to_come_are_no_gap(self, dataset: Dataset) -> None:
        now = NOW.replace(month=2, day=27)
        for day in (27, 28):
            for key in [key for key in dataset.store.objects if f"day=2026-02-{day}" in key]:
                del dataset.store.objects[key]
        finality = dataset.figures(now=now).finality
        assert finality.words == "not final yet (missing: 2026-02-27; to come: 2026-02-28)"

    def test_days_before_the_export_begins_are_not_of_the_month(self, dataset: Dataset) -> None:
        for day in range(1, 11):
            for key in [key for key in dataset.store.objects if f"day=2026-02-{day:02}" in key]:
                del dataset.store.objects[key]
        found = dataset.figures(since=date(2026, 2, 11))
        assert found.finality.is_final
        assert found.finality.since == date(2026, 2, 11)
        assert not found.before_is_whole

    def test_a_table_that_is_not_exported_is_named(self, dataset: Dataset) -> None:
        tables = tuple(t for t in SETTINGS.tables if t.name != "latency")
        found = dataset.figures(tables=tables)
        assert found.not_exported == ("latency",)
        assert found.finality.is_final
        assert {each.highest_hourly_p95_ms for each in found.apis} == {None}


def test_targets_are_met_or_not(filled: Dataset) -> None:
    targets = read_targets(
        'availability_percent = 100\np95_ms = 1\n[[apis]]\napi = "nobody"\np95_ms = 5'
    )
    found = [each for each in filled.figures(targets=targets).apis if each.now.requests]
    assert {each.meets_latency for each in found} == {False}
    assert all(each.meets_availability == (each.errors_5xx == 0) for each in found)
    busiest = found[0]
    text = f'[[apis]]\napi = "{busiest.api_id}"\nversion = "{busiest.version}"\np95_ms = 1e9'
    again = filled.figures(targets=read_targets(text)).apis
    assert {each.meets_latency for each in again} == {True, None}


def test_an_hour_of_two_tenants_is_one_hour(dataset: Dataset) -> None:
    made = partition(dataset.world, "latency", "Production", date(2026, 2, 1))
    api = dataset.world.organization("acme").environment("Production").apis[0].id
    hour = microseconds(datetime(2026, 2, 1, 7, tzinfo=UTC))
    values = {"api_id": [api, api], "time_span": [hour, hour], "response": [5e9, 7e9]}
    dataset.store.put(made.key, encode(made.table.columns, values, 2), queried_at=NOW, run="r")
    before = {each.api_id: each for each in dataset.figures().apis}[api]
    values = {name: column[:1] for name, column in values.items()}
    dataset.store.put(made.key, encode(made.table.columns, values, 1), queried_at=NOW, run="r")
    after = {each.api_id: each for each in dataset.figures().apis}[api]
    assert (before.hours, before.highest_hourly_p95_ms) == (after.hours, 7e9)


def test_a_months_own_percentile_is_open_until_the_month_has_settled(dataset: Dataset) -> None:
    made = partition(dataset.world, "overall_latency_by_month", "Production", MONTH.first)
    body = encode(made.table.columns, {"overall_latency_by_month": [321.0, 400.0]}, 2)
    tables = (*SETTINGS.tables, made.table)
    for written, words in (
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "not final yet (open: 2026-02-28)"),
        (datetime(2026, 3, 2, 0, 16, tzinfo=UTC), "final"),
    ):
        dataset.store.now = written
        dataset.store.put(made.key, body, queried_at=written, run="r")
        found = dataset.figures(tables=tables)
        assert found.finality.words == words
        by_name = {each.environment: each.p95_ms for each in found.totals}
        assert by_name == {"Production": 400.0, "Development": None}


def test_changes_of_the_lists(dataset: Dataset) -> None:
    first, last = date(2026, 1, 31), date(2026, 2, 20)
    for day, table, rows in (
        (first, "apis", [("a", "Orders", "1"), ("b", "Gone", "1")]),
        (last, "apis", [("a", "Orders", "2"), ("c", "New", "1")]),
        (first, "applications", [("x", "Mobile", "kim")]),
    ):
        made = partition(dataset.world, table, "Production", day)
        names = inventory.COLUMNS[table][:3]
        values = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        dataset.store.put(
            made.key, encode(made.table.columns, values, len(rows)), queried_at=NOW, run="r"
        )
    found = [(c.day, c.kind, c.change, c.name, c.detail) for c in dataset.figures().changes]
    assert found == [
        (last, "API", "removed", "Gone", "version 1"),
        (last, "API", "added", "New", "version 1"),
        (last, "API", "changed", "Orders", "version: 1 to 2"),
    ]


def test_an_organisation_without_data_is_refused(filled: Dataset) -> None:
    with pytest.raises(InsightsError, match="nothing of the organisation 'nobody'"):
        figures(filled.store, "nobody", MONTH, SETTINGS, NOW)


def test_a_month_before_the_export_is_refused(filled: Dataset) -> None:
    with pytest.raises(InsightsError, match="2025-12 ends before the first exported day"):
        filled.figures(Month(2025, 12))


def test_a_broken_object_is_named(dataset: Dataset) -> None:
    key = dataset.key("latency", date(2026, 2, 3))
    dataset.store.objects[key] = replace(dataset.store.objects[key], body=b"broken")
    with pytest.raises(InsightsError, match=r"latency/day=2026-02-03/acme\.Production\.parquet"):
        dataset.figures()


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-01", "2026-01-01", "\u0662026-01"])
def test_a_text_that_is_no_month(text: str) -> None:
    with pytest.raises(ValueError, match="use YYYY-MM"):
        Month.parse(text)


def test_months_and_their_days() -> None:
    assert (Month(2024, 2).last, Month(2026, 1).previous) == (date(2024, 2, 29), Month(2025, 12))
    assert str(Month.parse("2026-11")) == "2026-11"


def test_environments_of_one_name_are_told_apart() -> None:
    day = date(2026, 1, 1)
    known = [
        KnownEnvironment(own, own, name, name, "CHOREO", (own,), day, day, listed=True)
        for own, name in (("12345678-a", "One"), ("12345678-b", "Two"), ("abcdefgh-a", "Two"))
    ]
    assert list(shown_names(known).values()) == ["One", "Two (12345678)", "Two (abcdefgh)"]
