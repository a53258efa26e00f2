"""`insights compact` on Trino: its statements, and what a query over years reads then."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from choreo_insights.dataset.parquet import Constant, encode
from choreo_insights.dataset.partitions import day_prefix, day_start, days
from choreo_insights.dataset.store import Dataset
from choreo_insights.report.month import Month
from choreo_insights.times import microseconds
from choreo_insights_cli.commands.compact import FOLDER, CompactedMonth, Compaction
from choreo_insights_cli.commands.query import QueryResult
from choreo_insights_cli.commands.status.reading import settings, wanted
from choreo_insights_cli.generate import glue
from choreo_insights_cli.paths import catalogue
from choreo_insights_cli.sql.months import ATHENA, months_table
from choreo_insights_cli.stack import Stack
from dev.local import up
from dev.local.paths import Folder
from dev.local.state import LocalState
from tests.faults.proxy import Answer, Proxy
from tests.trino import server
from tests.trino.conftest import HOME
from tests.trino.page import Seen, YearsRead

TABLE = catalogue().table("api_usage_over_time")
BUCKET = SCHEMA = "years"
SINCE, LAST = date(2023, 1, 1), date(2025, 12, 31)
ENVIRONMENTS, APIS, HOURS = ("Production", "Staging", "Development"), 20, 24
BEFORE = Month(2026, 1)
QUERY = (
    'SELECT year(day), environment, api_id, sum("count") FROM "{table}" GROUP BY 1, 2, 3'
    " ORDER BY 1, 2, 3"
)
FEBRUARY = (
    'SELECT day, count(*), sum("count") FROM "{table}"'
    " WHERE day BETWEEN DATE '2023-02-01' AND DATE '2023-02-28' GROUP BY 1 ORDER BY 1"
)


class Counting(Proxy):
    """Counts what is read through it: requests by path, and bytes."""

    def __init__(self, aws: str) -> None:
        super().__init__(aws, aws, lambda *_: (b"", None))
        self.requests: Counter[str] = Counter()
        self.bytes = 0

    def forward(
        self, place: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Carries a request out."""
        answer = super().forward(place, method, path, headers, body)
        with self._lock:
            self.requests[path] += 1
            self.bytes += len(answer.body)
        return answer

    def read(self, table: str) -> YearsRead:
        """What was read since it was called last."""
        with self._lock:
            objects = sum("?" not in path for path in self.requests)
            found = YearsRead(table, objects, self.requests.total(), self.bytes)
            self.requests.clear()
            self.bytes = 0
        return found


@dataclass
class YearsStack:
    """Three years of a table in a local AWS, and a Trino that reads them through a counter."""

    stack: Stack
    trino: server.Trino
    counting: Counting

    def put(self, day: date, environment: str, more: int = 0) -> None:
        """An object with a row for each API and hour."""
        rows = APIS * HOURS
        start = microseconds(day_start(day))
        ids = [f"00000000-0000-4000-8000-{api:012}" for api in range(APIS)]
        values: dict[str, Any] = {
            "api_id": [ids[row // HOURS] for row in range(rows)],
            "granularity": Constant("1h"),
            "time_span": [start + row % HOURS * 3_600_000_000 for row in range(rows)],
            "count": [(day.toordinal() * 31 + row * 17) % 997 + more for row in range(rows)],
            "organization": Constant("acme"),
            "environment": Constant(environment),
            "environment_id": Constant(f"id-{environment}"),
            "exported_at": Constant(start),
        }
        key = f"{day_prefix(TABLE.name, day)}acme.{environment}.parquet"
        body = encode(TABLE.columns, values, rows)
        Dataset(self.stack.s3, BUCKET).put(key, body, queried_at=datetime.now(UTC), run="r")

    def compact(self) -> list[CompactedMonth]:
        """What `insights compact` does, with Trino in Athena's place."""
        now = datetime.now(UTC)
        there = wanted(
            settings(
                {
                    "Organizations": "acme",
                    "Tables": TABLE.name,
                    "ExportSince": str(SINCE),
                    "SettleHours": "24",
                    "StaleAfterHours": "3",
                    # What comes after the last day is not missing.
                    "Frozen": "true",
                },
                catalogue(),
            ),
            Dataset(self.stack.s3, BUCKET),
            now,
        )
        run = Compaction(there, BUCKET, self._is_there, self._query, f"{now:%Y%m%dT%H%M%S%f}")
        return list(run.run(BEFORE, dry=False))

    def _is_there(self, table: str) -> bool:
        pages = self.stack.glue.get_paginator("get_tables").paginate(DatabaseName=SCHEMA)
        return any(each["Name"] == table for page in pages for each in page["TableList"])

    def _query(self, sql: str) -> QueryResult:
        if sql.startswith("CREATE TABLE"):
            for name, value in ATHENA.items():
                sql = sql.replace(f", {name} = {value}", "")
            sql = sql.replace("CREATE TABLE ", f"CREATE TABLE {server.ICEBERG}.{SCHEMA}.", 1)
        answer = self.trino.ask(sql)
        updated = answer.rows[0][0] if sql.startswith("INSERT") else 0
        return QueryResult([name for name, _ in answer.columns], answer.rows, 0, updated)


def _table_input() -> Any:
    """The table as the template has it."""
    text = glue.render([(TABLE.name, "", TABLE.columns)])
    for name, value in (("BucketName}", BUCKET), ("ExportSince}", str(SINCE)), ("!", "${")):
        text = text.replace(f"${{{name}", value)
    (resource,) = yaml.safe_load(text)["Resources"].values()
    return _substituted(resource["Properties"]["TableInput"])


def _substituted(value: Any) -> Any:
    if isinstance(value, list):
        return [_substituted(each) for each in value]
    if not isinstance(value, dict):
        return value
    return value.get("Fn::Sub") or {name: _substituted(each) for name, each in value.items()}


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Iterator[YearsStack]:
    assert HOME
    folder, state = Folder(tmp_path_factory.mktemp("local")), LocalState()
    try:
        up.start_aws(folder, state, iam=False)
        assert state.aws
        stack = Stack("years", state.aws.environment)
        region: Any = state.aws.environment["AWS_REGION"]
        stack.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region}
        )
        stack.glue.create_database(DatabaseInput={"Name": SCHEMA})
        stack.glue.create_table(DatabaseName=SCHEMA, TableInput=_table_input())
        with Counting(state.aws.endpoint) as counting:
            trino, process = server.start(
                Path(HOME).resolve(),
                tmp_path_factory.mktemp("trino"),
                state.aws,
                SCHEMA,
                counting.url,
            )
            try:
                found = YearsStack(stack, trino, counting)
                for day in days(SINCE, LAST):
                    for environment in ENVIRONMENTS:
                        found.put(day, environment)
                yield found
            finally:
                process.stop()
    finally:
        if state.aws:
            state.aws.process.stop()


def _read(years: YearsStack, table: str) -> tuple[list[list[object]], YearsRead]:
    years.counting.read(table)
    rows = years.trino.ask(QUERY.format(table=table)).rows
    return rows, years.counting.read(table)


def test_a_query_over_years_reads_months(years: YearsStack, seen: Seen) -> None:
    table = months_table(TABLE.name)
    before, read_before = _read(years, TABLE.name)
    made = years.compact()
    assert {(each.outcome, each.rows == each.objects * APIS * HOURS) for each in made} == {
        ("compacted", True)
    }
    assert len(made) == 36
    after, read_after = _read(years, table)
    assert after == before
    assert len(before) == 3 * len(ENVIRONMENTS) * APIS
    assert read_before.objects == ((LAST - SINCE).days + 1) * len(ENVIRONMENTS)
    assert read_after.objects * 10 < read_before.objects
    assert read_after.bytes < read_before.bytes
    seen.years += [read_before, read_after]

    # Only a corrected month is written again, and nothing is doubled.
    assert {each.outcome for each in years.compact()} == {"up to date"}
    years.put(SINCE + timedelta(days=40), "Staging", more=1)
    again = years.compact()
    assert [str(each.month) for each in again if each.outcome == "compacted"] == ["2023-02"]
    corrected, source = (
        years.trino.ask(FEBRUARY.format(table=each)).rows for each in (table, TABLE.name)
    )
    assert corrected == source
    assert len(corrected) == 28

    # The files of the dataset's own readers are the dataset's alone.
    listed = years.stack.s3.list_objects_v2(Bucket=BUCKET, Delimiter="/")["CommonPrefixes"]
    assert {each["Prefix"] for each in listed} == {"insights/", f"{FOLDER}/"}
