"""An update over release 0.1.0: old and new days are read together, and what runs goes on."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from operator import itemgetter
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from choreo_insights.catalogue import Catalogue, load
from choreo_insights.dataset.coverage import is_closed
from choreo_insights.dataset.partitions import day_of
from choreo_insights.dataset.store import VERSION, VERSION_KEY
from choreo_insights_cli.commands import query
from choreo_insights_cli.commands.backfill.machine import Machine
from choreo_insights_cli.commands.migrate import merge, migrate
from choreo_insights_cli.commands.query import Value
from choreo_insights_cli.dashboard.data import needed_tables
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.dataset_copy import Copy
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.releases.announce import announce
from choreo_insights_cli.releases.deployed import deployed
from choreo_insights_cli.releases.migrate import MigrationCounts
from choreo_insights_cli.sql.duckdb import connect
from dev.local.paths import Folder
from dev.sandbox.changes import rename_environment
from tests.integration import releases
from tests.integration.conftest import Deployment
from tests.integration.dataset import Place, expected, found, without_nulls
from tests.integration.releases import CUSTOM, TABLE

# Figures of a day: hits, misses and the highest share of hits.
Figures = dict[str, tuple[Value, ...]]
OWN = f"SELECT cast(day AS varchar), sum(hits) FROM {CUSTOM} GROUP BY day"
# What the backfill exports that runs during the update, and of how many days, one part each.
HISTORY, PARTS = "success_summary", 40
# Of globex the older release has exported these tables under two names of one environment.
DOUBLED, NEW_NAME = ("environments", "total_traffic"), "Prod EU"
OTHERS = ["acme", "lotus"]
# As the template has it.
SETTLE_HOURS = 24
# What Lambda put into the queue after three attempts of release 0.1.0, and what was called.
DEAD: dict[str, Any] = {
    "version": "1.0",
    "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
    "requestPayload": {
        "tables": [TABLE],
        "organizations": OTHERS,
        "continued": {"round": 2, "since": "2026-11-01T12:00:00+00:00"},
    },
    "responsePayload": {"errorType": "PartitionsFailed", "errorMessage": '{"failed": 1}'},
}


@dataclass
class Updated:
    """What was seen on the way from the older release to this one."""

    deployment: Deployment
    announced_lines: list[str]
    before: dict[str, Value]
    outcomes: list[MigrationCounts]
    # The name of a backfill that was started before, and whether it still ran afterwards.
    backfill: str
    overlapped: bool
    # The days that were final before: a quarter of an hour after midnight they are one more.
    closed: list[date]

    @property
    def history(self) -> list[date]:
        """The days of the backfill."""
        since = self.deployment.since
        return [since - timedelta(days=n + 1) for n in range(PARTS)]

    @property
    def days(self) -> list[date]:
        """All days."""
        since, today = self.deployment.since, self.deployment.now.date()
        return [since + timedelta(days=n) for n in range((today - since).days + 1)]

    @property
    def newer(self) -> list[date]:
        """The days that this release has exported again, as they were not closed."""
        return [day for day in self.days if day not in self.closed]

    def expected(self, day: date, handle: str = "acme") -> tuple[Value, ...]:
        """What the generator says of a day."""
        place = Place(TABLE, handle, "Production", day)
        rows = expected(self.deployment.world, place, self.deployment.now)
        sums = [sum(row[name] for row in rows) for name in ("hits", "misses")]
        return (*sums, max(row["hit_percentage"] for row in rows))

    def figures(self, handle: str = "acme") -> Figures:
        """The same by SQL, day by day."""
        answer = query.by_athena(
            self.deployment.stack,
            "SELECT cast(day AS varchar), sum(hits), sum(misses), max(hit_percentage)"
            f" FROM {TABLE} WHERE organization = '{handle}' GROUP BY day",
        )
        return {str(row[0]): tuple(row[1:]) for row in answer.rows}

    def own(self) -> dict[str, Value]:
        """Figures of the user's own table, day by day."""
        return own(self.deployment)


def own(deployment: Deployment) -> dict[str, Value]:
    return {str(day): hits for day, hits in query.by_athena(deployment.stack, OWN).rows}


@pytest.fixture(scope="module")
def updated(older: Deployment, built: Folder) -> Updated:
    """Exports with the older release, deploys this one over it and exports again."""
    assert older.export(tables=[TABLE, CUSTOM])["failures"] == []
    double(older)
    before, announced_lines = own(older), list[str]()
    closed = closed_days(older)
    queue = older.stack.outputs["FailuresQueueUrl"]
    older.stack.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(DEAD))
    backfill = start_backfill(older)
    catalogue = releases.build(built, older.folder, {TABLE: releases.AFTER})
    announce(older.stack, {}, catalogue, announced_lines.append)
    older.deploy()
    machine = Machine.of(older.stack)
    overlapped = machine.execution(backfill).under_way
    older.sandbox.faults.clear()
    # The emulator may fail the first call after an update. Its parts are retried, a call is not.
    while machine.execution(backfill).under_way:
        sleep(0.2)
    # Days that an event names are queried although their next checkpoint is to come.
    since = older.since.isoformat()
    event = {"tables": [TABLE, CUSTOM], "organizations": OTHERS, "from": since}
    assert older.export(**event)["failures"] == []
    return Updated(older, announced_lines, before, [], backfill, overlapped, closed)


def double(older: Deployment) -> None:
    """Renames an environment, so that the older release exports all of its days once more."""
    assert older.export(tables=DOUBLED, organizations=["globex"])["failures"] == []
    # The list of the day before has the first name.
    today, before = (f"day={older.now.date() - timedelta(days=n)}/" for n in (0, 1))
    ((key, listed),) = older.objects(f"insights/environments/{today}globex").items()
    bucket = older.stack.outputs["DatasetBucketName"]
    older.stack.s3.put_object(Bucket=bucket, Key=key.replace(today, before), Body=listed)
    (own,) = older.world.organization("globex").environments
    rename_environment(older.world, "globex", own.id, NEW_NAME)
    assert older.export(tables=DOUBLED, organizations=["globex"])["failures"] == []


def closed_days(older: Deployment) -> list[date]:
    """The days of the table that are closed by the time at which its objects were written."""
    written = older.written(f"insights/{TABLE}/")
    oldest = {day_of(key): at for key, at in sorted(written.items(), key=itemgetter(1))[::-1]}
    return sorted(day for day, at in oldest.items() if is_closed(at, day, SETTLE_HOURS))


def start_backfill(older: Deployment) -> str:
    """Starts one as `insights backfill` of release 0.1.0 did; it lasts until the faults end."""
    older.sandbox.faults.add("slow", seconds=4, times=None)
    days = [older.since - timedelta(days=n + 1) for n in range(PARTS)]
    part = {"organization": "acme", "environments": ["Production"]}
    given = {
        "parts": [{**part, "from": str(day), "to": str(day)} for day in days],
        "tables": [HISTORY],
        "requests_per_minute": 15_000,
        "again": False,
    }
    started = older.stack.states.start_execution(
        stateMachineArn=older.stack.outputs["BackfillStateMachineArn"],
        name="of-0-1-0",
        input=json.dumps(given),
    )
    return started["executionArn"].rpartition(":")[2]


def layer(deployment: Deployment) -> Catalogue:
    return load(deployment.folder.build / "InsightsLayer" / "python" / "choreo_insights")


def test_the_deployment_says_what_it_changes(updated: Updated) -> None:
    announced_lines = "\n".join(updated.announced_lines)
    since, today = updated.days[0], updated.days[-1]
    assert f"{TABLE}.found is hits now. `insights migrate`" in announced_lines
    assert f"{TABLE}.lost is removed from SQL" in announced_lines
    assert (
        f"{TABLE}.hit_percentage is new: null on days that are exported already" in announced_lines
    )
    assert re.search(
        rf"insights backfill --from {since} --to {today} --tables \S*\b{TABLE}\b\S* --again",
        announced_lines,
    )
    assert f"{TABLE}.tenant is new" in announced_lines
    assert sum(line.startswith(f"  {TABLE}.") for line in updated.announced_lines) == 4


# What the emulator says where it has deleted the folder of a function that it starts. A worker that
# fails otherwise may have a fault of its own.
STARTING = re.compile(r"/ministack-lambda-|Failed to extract layer")


def test_a_backfill_goes_on_through_the_update(updated: Updated) -> None:
    machine = Machine.of(updated.deployment.stack)
    assert updated.overlapped
    ended = machine.execution(updated.backfill)
    failed = [*machine.failures(ended)]
    # The emulator deletes the code of a function that may be starting, which AWS does not do. Such
    # a part is resumed, as a person would; any other failure is one of the update.
    assert [failure for failure in failed if not STARTING.search(failure.cause)] == []
    assert machine.progress(ended).done + len(failed) == PARTS
    if failed:
        ended = machine.resume(ended)
    while ended.under_way:
        sleep(0.2)
        ended = machine.execution(ended.name)
    assert (ended.status, ended.error) == ("SUCCEEDED", None)
    objects = updated.deployment.objects()
    for day in updated.history:
        place = Place(HISTORY, "acme", "Production", day)
        wanted = expected(updated.deployment.world, place, updated.deployment.now)
        assert without_nulls(found(objects[place.key])) == without_nulls(wanted)


def test_dead_letters_stay_and_can_be_sent_again(updated: Updated) -> None:
    stack = updated.deployment.stack
    queue = stack.outputs["FailuresQueueUrl"]
    (message,) = stack.sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"]
    assert json.loads(message["Body"]) == DEAD
    reply = updated.deployment.export(**json.loads(message["Body"])["requestPayload"])
    assert (reply["failed"], reply["remaining"]) == (0, 0)


def test_what_a_rename_has_doubled_counts_once_after_migrating(
    updated: Updated, tmp_path: Path
) -> None:
    deployment, since = updated.deployment, updated.deployment.since.isoformat()
    event: dict[str, Any] = {"organizations": ["globex"], "from": since}
    tables = [*DOUBLED, TABLE, CUSTOM]
    true = {day: (NEW_NAME, requests(deployment, day)) for day in updated.days}

    def seen() -> dict[date, tuple[str, int]]:
        bucket = deployment.stack.outputs["DatasetBucketName"]
        copy = Copy(deployment.stack.s3, bucket, tmp_path)
        files = copy.refresh(needed_tables(SHEETS), deployment.since)
        with connect(files, deployment.now) as database:
            rows = database.execute(
                "SELECT day, environment, requests FROM traffic_daily"
                " WHERE organization = 'globex' ORDER BY day"
            ).fetchall()
        return {day: (name, requests) for day, name, requests in rows}

    (failure,) = deployment.export(tables=tables, **event)["failures"]
    assert (failure["organization"], failure["environment"]) == ("globex", NEW_NAME)
    assert "`insights migrate`" in failure["reason"]
    doubled = seen()
    assert all(doubled[day][1] > true[day][1] for day in updated.days)
    merge(deployment.stack, layer(deployment), dry=False)
    for _ in range(2):
        assert seen() == true
        assert deployment.export(tables=tables, **event)["failures"] == []
    assert seen() == true


def requests(deployment: Deployment, day: date) -> int:
    """What the generator says of a day of globex."""
    place = Place("total_traffic", "globex", NEW_NAME, day)
    rows = expected(deployment.world, place, deployment.now)
    return sum(row["total_traffic"] for row in rows)


def test_a_new_column_is_null_on_older_days(updated: Updated) -> None:
    figures = updated.figures()
    for day in updated.newer:
        assert figures[day.isoformat()] == updated.expected(day)
    for day in updated.closed:
        # The renamed one too, until the objects were migrated.
        _, misses, _ = updated.expected(day)
        assert figures[day.isoformat()] == (None, misses, None)


def test_a_removed_column_is_no_column_of_the_table(updated: Updated) -> None:
    stack = updated.deployment.stack
    tables, _ = deployed(stack.glue, stack.outputs["DatabaseName"])
    assert list(tables[TABLE])[:5] == [
        *("granularity", "time_span", "hits", "misses", "hit_percentage")
    ]


def test_a_renamed_column_is_read_over_all_days_after_migrating(updated: Updated) -> None:
    stack, catalogue = updated.deployment.stack, layer(updated.deployment)

    dry = migrate(stack, catalogue, [TABLE], dry=True)
    outcomes = migrate(stack, catalogue, [TABLE], dry=False)

    assert dry == outcomes
    (outcome,) = outcomes
    rewritten = 3 * len(updated.closed)
    assert (outcome.objects, outcome.rewritten, outcome.left) == (12, rewritten, 0)
    assert outcome.lacking == {"hit_percentage": {*updated.closed}}
    figures = updated.figures()
    for day in updated.closed:
        hits, misses, _ = updated.expected(day)
        assert figures[day.isoformat()] == (hits, misses, None)
    (again,) = migrate(stack, catalogue, [TABLE], dry=False)
    assert again.rewritten == 0


def test_what_the_source_has_still_is_fetched_and_what_it_forgot_is_kept(
    updated: Updated,
) -> None:
    first, last = updated.closed[0], updated.closed[-1]
    migrated = updated.figures("lotus")
    updated.deployment.sandbox.faults.add(
        "forgotten", field="getCacheHitsAndMisses", organization="lotus", times=None
    )
    try:
        reply = updated.deployment.export(
            tables=[TABLE], from_=first.isoformat(), to=last.isoformat(), again=True
        )
    finally:
        updated.deployment.sandbox.faults.clear()
    assert reply["failures"] == []
    assert reply["exported"] == 2 * len(updated.closed)
    figures = updated.figures()
    for day in updated.days:
        assert figures[day.isoformat()] == updated.expected(day)
    assert updated.figures("lotus") == migrated
    hits, misses, share = migrated[first.isoformat()]
    assert (hits, misses) == updated.expected(first, "lotus")[:2]
    assert share is None


def test_a_users_own_table_is_what_it_was(updated: Updated) -> None:
    assert len(updated.before) == len(updated.days)
    assert updated.own() == updated.before


@pytest.fixture
def newer(updated: Updated) -> Iterator[Deployment]:
    """A dataset that a newer release has written."""
    stack = updated.deployment.stack
    bucket = stack.outputs["DatasetBucketName"]
    before = updated.deployment.objects(VERSION_KEY)[VERSION_KEY]
    stack.s3.put_object(Bucket=bucket, Key=VERSION_KEY, Body=b'{"version": %d}' % (VERSION + 1))
    yield updated.deployment
    stack.s3.put_object(Bucket=bucket, Key=VERSION_KEY, Body=before)


def test_nothing_is_written_into_a_newer_dataset(newer: Deployment) -> None:
    before = newer.objects()
    with pytest.raises(
        CommandError, match=rf"version {VERSION + 1}, .*deploy the newer release again"
    ):
        newer.export()
    assert newer.objects() == before


def test_the_stack_says_of_which_version_its_dataset_is(updated: Updated) -> None:
    assert updated.deployment.stack.outputs["DatasetVersion"] == f"{VERSION}"
