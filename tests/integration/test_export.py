"""The export on the deployed stack: what lies in S3 is what the sandbox's generator says."""

import io
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from choreo_insights.catalogue import load
from choreo_insights.dataset.coverage import is_due
from choreo_insights.dataset.partitions import day_of, last_day
from choreo_insights_cli.commands import query
from choreo_insights_cli.errors import CommandError
from dev.local import demo
from tests.integration.conftest import Deployment
from tests.integration.dataset import Place, expected, found, places

REPLY = {
    *("exported", "settled", "failed", "remaining", "kept", "unconfirmed", "mismatches"),
    *("rows", "bytes", "requests", "retriable", "needs_person", "waiting", "catch_up"),
    *("organizations", "failures"),
}


@pytest.fixture(scope="module")
def full(deployed: Deployment) -> dict[str, Any]:
    """The reply to `{}`, which is what the schedule sends, where there was no dataset."""
    deployed.sandbox.faults.clear()
    deployed.empty()
    return deployed.export()


def wanted(deployment: Deployment) -> list[Place]:
    return list(places(deployment.world, deployment.since, deployment.now.date()))


def test_the_reply_counts_what_was_done(deployment: Deployment, full: dict[str, Any]) -> None:
    assert full.keys() == REPLY
    assert full["failures"] == []
    assert full["failed"] == full["remaining"] == full["kept"] == full["mismatches"] == 0
    assert (full["waiting"], full["catch_up"]) == (False, None)
    assert full["exported"] == len(wanted(deployment))
    each = Counter(place.organization for place in wanted(deployment))
    assert full["organizations"] == {name: {"exported": count} for name, count in each.items()}
    objects = deployment.objects()
    data = [objects[place.key] for place in wanted(deployment)]
    assert full["bytes"] == sum(map(len, data))
    assert full["rows"] == sum(len(found(body)) for body in data)


@pytest.mark.parametrize("table", [table.name for table in load().chosen(None)])
def test_every_partition_equals_what_the_generator_says(
    deployment: Deployment, full: dict[str, Any], table: str
) -> None:
    assert full["failures"] == []
    objects = deployment.objects(f"insights/{table}/")
    mine = [place for place in wanted(deployment) if place.table == table]

    assert objects.keys() == {place.key for place in mine}
    for place in mine:
        assert found(objects[place.key]) == expected(deployment.world, place, deployment.now), place


def test_no_table_is_empty(deployment: Deployment, full: dict[str, Any]) -> None:
    assert full["failures"] == []
    rows: Counter[str] = Counter()
    for place in wanted(deployment):
        rows[place.table] += len(expected(deployment.world, place, deployment.now))
    assert [place.table for place in wanted(deployment) if not rows[place.table]] == []


def test_the_ledger_has_a_row_for_each_partition(
    deployment: Deployment, full: dict[str, Any]
) -> None:
    assert full["failures"] == []
    entries = ledger(deployment)

    tried = Counter(entry["run"] for entry in entries)
    first = next(run for run, count in tried.items() if count == full["exported"])
    named = [entry for entry in entries if entry["run"] == first]
    assert {entry["status"] for entry in named} == {"exported"}
    assert {
        (entry["table"], entry["organization"], entry["environment"], entry["day"])
        for entry in named
    } == {
        (place.table, place.organization, place.environment, place.day.isoformat())
        for place in wanted(deployment)
    }
    assert sum(entry["rows"] for entry in named) == full["rows"]
    assert sum(entry["bytes"] for entry in named) == full["bytes"]


def test_a_second_run_asks_for_what_is_due_alone(
    deployment: Deployment, full: dict[str, Any]
) -> None:
    before = deployment.objects()
    written = deployment.written()
    now = datetime.now(UTC)
    due = [
        place
        for place in wanted(deployment)
        if is_due(written[place.key], now, last_day(load().table(place.table), place.day), 24)
        # Lists are as they were, and stay.
        and load().table(place.table).daily
        and not load().table(place.table).per_project
    ]

    again = deployment.export()

    assert again["failed"] == again["remaining"] == 0
    assert again["exported"] == len(due) > 0
    assert again["settled"] + again["exported"] == full["exported"]
    after = deployment.objects()
    changed = {place.key for place in wanted(deployment) if after[place.key] != before[place.key]}
    assert changed <= {place.key for place in due}
    for key in changed:
        assert found(after[key]) == found(before[key])


def test_one_organisation_table_and_day_by_force(deployment: Deployment) -> None:
    day = deployment.since.isoformat()

    reply = deployment.export(
        tables=["success_summary"], organizations=["acme"], from_=day, to=day, force=True
    )

    environments = deployment.world.organization("acme").environments
    assert (reply["exported"], reply["settled"], reply["failed"]) == (len(environments), 0, 0)


@pytest.mark.parametrize(
    "event",
    [
        {"tables": ["no_such_table"]},
        {"organizations": ["no-such-handle"]},
        {"from": "yesterday"},
        {"form": "2026-01-01"},
    ],
)
def test_a_wrong_event_is_refused_with_what_is_wrong(
    deployment: Deployment, event: dict[str, Any]
) -> None:
    with pytest.raises(CommandError, match=r"no_such_table|no-such-handle|from|form"):
        deployment.stack.call("ExportFunctionName", event)


def test_a_token_killed_in_the_middle_costs_no_partition(deployment: Deployment) -> None:
    deployment.token("ensure")
    deployment.sandbox.faults.add("kill_tokens", skip=2)
    before = deployment.sandbox.statistics.mints
    yesterday = deployment.now.date() - timedelta(days=1)

    reply = deployment.export(from_=yesterday.isoformat(), force=True)

    assert deployment.sandbox.faults.as_list() == []
    assert reply["failures"] == []
    assert reply["exported"] == sum(place.day >= yesterday for place in wanted(deployment))
    # One mint for each organisation whose token was killed, however many requests met a 401.
    assert 1 <= deployment.sandbox.statistics.mints - before <= len(deployment.world.organizations)


def test_a_token_that_another_mint_killed_is_read_again(deployment: Deployment) -> None:
    deployment.export(tables=["environments"], organizations=["acme"], force=True)
    # Someone else renews: the export function still holds the old one in its memory.
    deployment.token("renew", "acme")
    before = deployment.sandbox.statistics.mints

    reply = deployment.export(tables=["environments"], organizations=["acme"], force=True)

    assert (reply["exported"], reply["failed"]) == (1, 0)
    assert deployment.sandbox.statistics.mints == before


def test_what_the_api_refuses_is_named_and_the_rest_goes_on(deployment: Deployment) -> None:
    deployment.sandbox.faults.add(
        "field_error", field="getErrorSummary", organization="lotus", times=None
    )

    reply = deployment.export(tables=["error_summary", "success_summary"], force=True)

    environments = len(deployment.world.organization("lotus").environments)
    days = (deployment.now.date() - deployment.since).days + 1
    assert reply["failed"] == environments * days
    assert {(f["table"], f["organization"]) for f in reply["failures"]} == {
        ("error_summary", "lotus")
    }
    assert all(failure["reason"] for failure in reply["failures"])
    others = sum(len(o.environments) for o in deployment.world.organizations.values()) * 2 * days
    assert reply["exported"] == others - reply["failed"]


def test_sql_over_the_tables_agrees_with_the_generator(
    deployment: Deployment, full: dict[str, Any]
) -> None:
    assert full["failures"] == []
    sql = "SELECT organization, environment, cast(day AS varchar) AS day, sum(request_count) AS n"
    rows = query.by_athena(
        deployment.stack, f"{sql} FROM success_summary GROUP BY organization, environment, day"
    ).records()

    got = {(row["organization"], row["environment"], row["day"]): row["n"] for row in rows}
    assert got == dict(sums(deployment))
    assert got


def sums(deployment: Deployment) -> Iterator[tuple[tuple[str, str | None, str], int]]:
    for place in wanted(deployment):
        if place.table == "success_summary":
            rows = expected(deployment.world, place, deployment.now)
            if rows:
                total = sum(row["request_count"] for row in rows)
                yield (place.organization, place.environment, place.day.isoformat()), total


def test_every_table_can_be_asked_by_sql(deployment: Deployment, full: dict[str, Any]) -> None:
    assert full["failures"] == []
    # A month is wanted where its first day is.
    there = {place.table for place in wanted(deployment)}
    for table in (each for each in load().chosen(None) if each.name in there):
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        sql = f"SELECT {columns}, day FROM {table.name} LIMIT 1"
        assert len(query.by_athena(deployment.stack, sql).rows) == 1, table.name


def test_the_demo_s_queries_have_answers(deployment: Deployment, full: dict[str, Any]) -> None:
    assert full["failures"] == []
    written = demo.asked(deployment.stack, "written").records()
    assert {row["table"] for row in written} == {place.table for place in wanted(deployment)}
    answer = demo.asked(deployment.stack, "answer").records()
    assert {row["organization"] for row in answer} == deployment.world.organizations.keys()
    for row in answer:
        assert row["requests"] >= row["errors"] >= 0


def test_a_query_that_fails_says_why(deployment: Deployment) -> None:
    with pytest.raises(CommandError, match="no_such_table"):
        query.by_athena(deployment.stack, "SELECT * FROM no_such_table")


def test_late_data_replaces_the_day(deployment: Deployment) -> None:
    """A day is asked for again until it is settled, and its object is replaced whole."""
    yesterday = deployment.now.date() - timedelta(days=1)
    place = Place("success_summary", "acme", "Production", yesterday)
    end_of_day = datetime(yesterday.year, yesterday.month, yesterday.day, 23, 59, tzinfo=UTC)
    later = deployment.now
    # What the clock goes back behind would be less than there is, and be kept.
    bucket = deployment.stack.outputs["DatasetBucketName"]
    deployment.stack.s3.delete_object(Bucket=bucket, Key=place.key)
    try:
        early, early_rows = exported_at(deployment, place, end_of_day)
        late, late_rows = exported_at(deployment, place, later)
    finally:
        deployment.sandbox.settings.now = later

    assert early == early_rows
    assert late == late_rows
    assert early != late


def exported_at(deployment: Deployment, place: Place, now: datetime) -> tuple[list[Any], list[Any]]:
    deployment.sandbox.settings.now = now
    day = place.day.isoformat()
    deployment.export(tables=[place.table], from_=day, to=day)
    body = deployment.objects(place.key)[place.key]
    return found(body), expected(deployment.world, place, now)


def ledger(deployment: Deployment) -> list[dict[str, Any]]:
    """The rows of the ledger, with their days."""
    return [
        {**row, "day": day_of(key).isoformat()}
        for key, body in deployment.objects("insights/runs/").items()
        for row in pq.read_table(io.BytesIO(body)).to_pylist()
    ]


def test_days_are_utc_days(deployment: Deployment, full: dict[str, Any]) -> None:
    assert full["failures"] == []
    for key, body in deployment.objects("insights/success_summary/").items():
        day = date.fromisoformat(key.split("day=")[1][:10])
        assert {row["time_span"].date() for row in found(body)} <= {day}
