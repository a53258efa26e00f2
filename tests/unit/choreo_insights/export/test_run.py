"""Whole runs against the sandbox Choreo, with a dataset in memory."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests

from choreo_insights.catalogue import RESOLVED, Table, load
from choreo_insights.config import ExportConfig
from choreo_insights.credentials import Credentials
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.ledger import RUNS
from choreo_insights.dataset.partitions import day_of, safe_name, table_prefix
from choreo_insights.dataset.registry_tables import REGISTRY_ENVIRONMENTS, REGISTRY_NAMES
from choreo_insights.errors import ConfigurationError, PersonMustAct, Unauthenticated
from choreo_insights.export.event import Bounds
from choreo_insights.export.insights_api import Choreo
from choreo_insights.export.report import Report
from choreo_insights.export.run import Export
from choreo_insights.http import Http, Timeouts
from choreo_insights_cli.catalogue.compiler import schema
from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.expected import expected_rows
from tests.unit.choreo_insights.memory import MemoryDataset

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
TODAY = NOW.date()
CATALOGUE = load()
# Of each kind one: lists, hours, APIs in fives, pages.
FEW = ["environments", "apis", "success_summary", "api_usage_over_time", "resource_usage"]
# The exporter's own tables.
OWN = tuple(map(table_prefix, (RUNS, CHECKS, REGISTRY_ENVIRONMENTS, REGISTRY_NAMES)))


class PlainTokens:
    """Tokens straight from the sandbox, with a limit on new ones."""

    def __init__(self, sandbox: SandboxServer) -> None:
        self._sandbox = sandbox
        self._held: dict[str, Any] = {}
        self.renews = False

    def get(self, organization: str) -> Any:
        if organization not in self._held:
            secret = self._sandbox.world.secret(organization)
            reply = requests.post(
                self._sandbox.token_url,
                data={"grant_type": "client_credentials", "orgHandle": organization,
                      "scope": "apim:api_manage"},
                auth=(secret["consumer_key"], secret["consumer_secret"]),
                timeout=300,
            )  # fmt: skip
            reply.raise_for_status()
            self._held[organization] = Bearer(reply.json()["access_token"])
        return self._held[organization]

    def rejected(self, organization: str, token: Any) -> Any:
        if self._held.get(organization) == token:
            if not self.renews:
                raise Unauthenticated("refused")
            del self._held[organization]
        return self.get(organization)


class Bearer(str):
    """A token as the export sees it."""

    @property
    def access_token(self) -> str:
        return str(self)


class PlainSecrets:
    """Secrets straight from the sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.missing: set[str] = set()

    def get(self, handle: str) -> Credentials:
        if handle in self.missing:
            raise ConfigurationError(f"there is no secret for {handle!r}")
        return Credentials(**self._world.secret(handle))


class Place:
    """A sandbox and an empty dataset."""

    def __init__(
        self, sandbox: SandboxServer, organizations: tuple[str, ...] = ("acme", "lotus")
    ) -> None:
        self.sandbox = sandbox
        self.dataset = MemoryDataset()
        self.secrets = PlainSecrets(sandbox.world)
        self.tokens = PlainTokens(sandbox)
        self.now = NOW
        self.seconds = 600.0
        self.choreo = Choreo
        self.catalogue = CATALOGUE
        self.config = ExportConfig(
            organizations=organizations,
            secret_prefix="choreo-insights",
            token_parameter_prefix="/probe/token",
            stack_name="probe",
            insights_url=sandbox.insights_url,
            tenants=("carbon.super",),
            token_function_name="token",
            dataset_bucket="dataset",
            export_since=TODAY - timedelta(days=2),
            settle_hours=24,
            tables=None,
            concurrency=2,
            requests_per_minute=10_000,
            batch_size=20,
        )

    def run(self, event: dict[str, Any] | None = None, *, check: bool = True) -> Report:
        self.dataset.now = self.now
        self.sandbox.settings.update({"now": self.now.isoformat()})
        http = Http(Timeouts(), retries=3, sleep=lambda _: None)
        run = Export(
            self.config,
            self.catalogue,
            Bounds.from_event(event or {}, self.config, self.catalogue, self.now.date()),
            dataset=self.dataset,
            choreo=self.choreo(http, self.sandbox.insights_url, self.tokens, self.secrets),
            secrets=self.secrets,
            run_id=f"run-{self.now:%d%H%M}",
            ends=time.monotonic() + self.seconds,
            now=lambda: self.now,
        )
        report = run.export()
        if check:
            run.check()
        return report

    def expected(self, table: str, organization: str, environment: str | None, day: date) -> list:
        world = self.sandbox.world
        return expected_rows(world, table, organization, environment, day, self.now)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(World(seed=11), SandboxSettings()) as sandbox:
        yield sandbox


@pytest.fixture
def place(server: SandboxServer) -> Iterator[Place]:
    yield Place(server)
    server.faults.clear()


def canonical(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own, without what the sandbox does not know."""
    without = [{k: v for k, v in r.items() if k not in ("exported_at", RESOLVED)} for r in rows]
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in without)


def bodies(place: Place) -> dict[str, bytes]:
    """The data, without the exporter's own tables."""
    return {
        key: found.body for key, found in place.dataset.objects.items() if not key.startswith(OWN)
    }


def environment_names(place: Place, organization: str) -> list[str]:
    return [e.name for e in place.sandbox.world.organization(organization).environments]


@pytest.fixture(scope="module")
def whole(server: SandboxServer) -> Place:
    """Everything exported once."""
    place = Place(server)
    named = [table.name for table in CATALOGUE.tables if table.only_named]
    place.config = replace(
        place.config, tables=("all", *named), projects=server.world.projects("acme")
    )
    report = place.run()
    assert report.failures == []
    place.report = report
    return place


def made(
    place: Place, table: Table, days: Iterable[date], environments: Iterable[str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """What the sandbox made of a table in some days, by the key that it belongs under.

    `environments` are the names of those that are meant (None: all).
    """
    found = {}
    projects = {own_id: name for name, own_id in place.config.projects.items()}
    for handle in place.config.organizations:
        if table.on_prem_key and "on_prem_key" not in place.sandbox.world.secret(handle):
            continue
        own = place.sandbox.world.organization(handle).environments
        types = table.environment_types
        chosen = [e.name for e in own if not types or e.type in types]
        if environments is not None:
            chosen = [name for name in chosen if name in environments]
        for name in chosen if table.scope == "environment" else [None]:
            where = f"{handle}.{safe_name(name)}" if name else handle
            fitting = [d for d in days if not table.past_only or d < TODAY]
            for day in fitting if table.daily else [TODAY]:
                key = f"insights/{table.name}/day={day}/{where}.parquet"
                rows = place.expected(table.name, handle, name, day)
                if table.per_project:
                    # The parameter names projects by their ids; no other is queried.
                    rows = [
                        {**row, "project": projects[row["project_id"]]}
                        for row in rows
                        if row["project_id"] in projects
                    ]
                found[key] = rows
    return found


@pytest.mark.parametrize("table", [t.name for t in CATALOGUE.tables if not (t.off or t.monthly)])
def test_the_rows_are_those_that_the_sandbox_made(whole: Place, table: str):
    days = [TODAY - timedelta(days=n) for n in range(3)]
    expected = made(whole, CATALOGUE.table(table), days)
    keys = {k for k in whole.dataset.objects if k.startswith(f"insights/{table}/")}
    assert keys
    assert keys == expected.keys()
    for key, rows in expected.items():
        assert canonical(whole.dataset.rows(key)) == canonical(rows), key


def test_a_month_is_open_until_it_has_settled(server: SandboxServer):
    place = Place(server, ("acme",))
    place.config = replace(place.config, export_since=date(2026, 10, 31))
    event = {"tables": ["overall_latency_by_month"]}
    month = date(2026, 11, 1)
    key = f"insights/overall_latency_by_month/day={month}/acme.Production.parquet"
    for now, exported in (
        (NOW, 3),
        # The month has not settled a day later.
        (datetime(2026, 12, 1, 10, tzinfo=UTC), 6),
        (datetime(2026, 12, 2, 1, tzinfo=UTC), 6),
        (datetime(2026, 12, 2, 2, tzinfo=UTC), 3),
    ):
        place.now = now
        report = place.run(event)
        assert (report.failures, report.exported) == ([], exported)
        expected = place.expected("overall_latency_by_month", "acme", "Production", month)
        if exported == 6 or now == NOW:
            assert canonical(place.dataset.rows(key)) == canonical(expected)
    entries = [row for row in place.dataset.table("runs") if row["environment"] == "Production"]
    assert {row["covers"] for row in entries} == {"month"}
    # Of the month that has begun, and of the one that was closed at last.
    assert [row["final"] for row in entries].count(True) == 1
    assert not [key for key in place.dataset.objects if "/checks/" in key]


def test_the_report_adds_up(whole: Place):
    report = whole.report
    data = bodies(whole)
    assert report.exported == len(data)
    assert report.bytes == sum(map(len, data.values()))
    assert report.rows == sum(len(whole.dataset.rows(key)) for key in data)
    assert report.settled == report.failed == report.remaining == 0


def test_the_ledger_has_a_row_for_each_partition(whole: Place):
    rows = list(whole.dataset.table("runs"))
    assert len(rows) == whole.report.exported
    assert {row["status"] for row in rows} == {"exported"}
    for row in rows:
        assert row["run"] == "run-201030"
        assert "day" not in row
        assert row["requests"] >= 1
        assert row["bytes"] > 0
        assert row["error"] is None
    assert sum(row["rows"] for row in rows) == whole.report.rows


def test_an_environment_without_traffic_has_empty_files(whole: Place):
    empty = [
        key
        for key in whole.dataset.objects
        if "/api_usage_over_time/" in key and not whole.dataset.rows(key)
    ]
    assert empty


def test_few_requests_are_made(whole: Place):
    assert whole.report.requests < whole.report.exported / 3


def test_what_is_final_is_not_asked_for_again(place: Place):
    event = {"tables": ["success_summary"], "organizations": ["acme"]}
    place.now = NOW + timedelta(days=1)
    first = place.run(event)
    place.now = NOW + timedelta(days=2)
    second = place.run(event)
    count = len(environment_names(place, "acme"))
    assert (first.exported, first.settled) == (4 * count, 0)
    # Of five days, those two were final that had ended 24 hours before the first run.
    assert (second.exported, second.settled) == (3 * count, 2 * count)
    for more in ("again", "force"):
        again = place.run({**event, more: True})
        assert (again.exported, again.settled) == (5 * count, 0)


def test_a_deleted_object_is_asked_for_again(place: Place):
    place.now = NOW + timedelta(days=5)
    event = {"tables": ["error_summary"], "from": "2026-11-18", "to": "2026-11-20"}
    place.run(event)
    key = next(key for key in place.dataset.objects if "/error_summary/" in key)
    written = place.dataset.objects.pop(key)
    report = place.run(event)
    assert report.exported == 1
    assert place.dataset.objects[key].body == written.body


def test_nothing_is_written_into_a_dataset_of_a_newer_release(place: Place):
    place.dataset.newer = True
    with pytest.raises(PersonMustAct, match="the dataset is of version 2"):
        place.run()
    assert place.dataset.objects == {}


def test_one_tables_failure_is_its_own(place: Place):
    place.sandbox.faults.add("field_error", field="getErrorSummary", times=None)
    report = place.run({"from": str(TODAY)})
    assert {failure["table"] for failure in report.failures} == {"error_summary"}
    assert report.failed == len(report.failures) == 2 * 3
    assert report.exported > report.failed
    failed = [row for row in place.dataset.table("runs") if row["status"] == "failed"]
    assert len(failed) == report.failed
    assert all(row["error"] and row["rows"] is None for row in failed)


def test_what_waits_for_a_list_that_failed_is_named_too(place: Place):
    place.sandbox.faults.add("field_error", field="listAllAPI", organization="acme", times=None)
    report = place.run({"tables": ["api_usage_over_time", "success_summary"], "from": str(TODAY)})
    failed = Counter(failure["table"] for failure in report.failures)
    assert failed == {"apis": 3, "api_usage_over_time": 3}
    assert report.exported == 6 + 3
    assert "the list of APIs failed" in report.failures[-1]["reason"]


def test_an_organisation_without_a_secret_does_not_stop_the_other(place: Place):
    place.secrets.missing.add("acme")
    report = place.run({"tables": ["apis"]})
    assert report.exported == len(environment_names(place, "lotus"))
    assert report.failures == [
        {"table": "environments", "organization": "acme", "environment": None,
         "day": str(TODAY), "reason": "there is no secret for 'acme'"}
    ]  # fmt: skip


def test_what_s3_does_not_take_is_a_failure_of_that_partition(place: Place):
    tables = {"tables": ["total_traffic"], "from": str(TODAY)}
    place.run(tables)
    key = next(key for key in place.dataset.objects if "/total_traffic/" in key)
    place.dataset.broken.add(key)
    report = place.run(tables)
    assert report.failed == 1
    assert "no space" in report.failures[0]["reason"]


@pytest.mark.parametrize(("table", "failed"), [("environments", 2), ("apis", 6)])
def test_a_list_that_s3_does_not_take_is_known_all_the_same(place: Place, table: str, failed: int):
    place.dataset.broken.add(f"insights/{table}/")
    report = place.run({"tables": [table, "api_usage_over_time"]})
    assert {failure["table"] for failure in report.failures} == {table}
    assert report.failed == failed
    assert report.exported == 6 * 3


def test_a_ledger_that_cannot_be_written_is_a_failure_and_loses_no_data(place: Place):
    place.dataset.broken.add("insights/runs/")
    report = place.run({"tables": ["applications"]})
    assert report.exported == 6
    assert [(f["table"], f["reason"]) for f in report.failures] == [("runs", "no space")]
    assert report.retriable == 1


def test_without_time_all_is_left_for_the_next_run(place: Place):
    place.seconds = 0
    report = place.run()
    assert report.exported == report.failed == report.requests == 0
    assert report.remaining > 0


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"tables": ["weather"]}, r"unknown table 'weather'. The tables are: .*apis,"),
        ({"tables": []}, "tables is an empty list"),
        ({"environments": []}, "environments is an empty list"),
        ({"organizations": ["umbrella"]}, r"'umbrella' is not in the parameter Organizations"),
        ({"from": "yesterday"}, r"the event is wrong: .*\$\.from"),
        ({"from": "2026-11-20", "to": "2026-11-19"}, "from .2026-11-20. lies after to"),
        ({"form": "2026-11-20"}, "unknown field `form`"),
        ({"force": "yes"}, r"\$\.force"),
        ([], "the event is wrong"),
    ],
)
def test_a_wrong_event_is_refused(place: Place, event, says):
    with pytest.raises(ConfigurationError, match=says):
        Bounds.from_event(event, place.config, CATALOGUE, TODAY)


def test_a_part_takes_the_environments_that_it_names(place: Place):
    bounds = {"tables": ["success_summary", "apis_usage_by_applications"]}

    everything = place.run(bounds)
    whole = {key for key in place.dataset.objects if not key.startswith(table_prefix(RUNS))}
    place.dataset.objects.clear()
    parts = [
        place.run({**bounds, "organizations": [handle], "environments": [environment.name]})
        for handle, organization in place.sandbox.world.organizations.items()
        for environment in organization.environments
    ]

    assert sum(part.exported for part in parts) == everything.exported > 0
    assert whole <= place.dataset.objects.keys()
    assert all(part.remaining == part.failed == 0 for part in parts)
    again = place.run({**bounds, "environments": ["Production"], "force": True})
    assert again.settled == 0
    assert 0 < again.exported < everything.exported


def test_an_environment_that_is_not_there_is_nothing_to_do(place: Place):
    report = place.run({"tables": ["success_summary"], "environments": ["Staging of long ago"]})
    assert (report.exported, report.settled, report.failed, report.remaining) == (0, 0, 0, 0)


def test_the_tables_of_the_settings_are_the_default(place: Place):
    config = replace(place.config, tables=("apis",))
    bounds = Bounds.from_event({}, config, CATALOGUE, TODAY)
    assert [table.name for table in bounds.tables] == ["apis"]
    assert (bounds.first, bounds.last) == (config.export_since, TODAY)


TABLE, FIELD = "success_summary", "getSuccessSummary"
UNREADABLE = {
    "wrong_type": r"Expected `int`, got `\w+` - at `\$\.summary\[\.*\d*\.*\]\.requestCount`",
    "missing_field": "missing required field",
    "huge_int": "requestCount",
    "null_item": "got `null`",
    "wrong_time": "time",
    "wrong_granularity": "where 1h was requested",
    "field_null": "getSuccessSummary is null",
    "field_error": "GraphQL says: ",
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_an_answer_that_cannot_be_used_fails_its_partition_alone(place: Place, fault: str):
    place.sandbox.faults.add(fault, field=FIELD, organization="acme", times=None)
    report = place.run({"tables": [TABLE, "error_summary"], "from": str(TODAY)})
    assert report.failed == 3
    assert report.exported == 9
    for failure in report.failures:
        assert (failure["table"], failure["organization"]) == (TABLE, "acme")
        assert re.search(UNREADABLE[fault], failure["reason"]), failure["reason"]
    kept = fault not in ("field_error", "wrong_granularity")
    assert len(place.dataset.quarantined) == (3 if kept else 0)
    for key, reply in place.dataset.quarantined.items():
        assert key.startswith(f"quarantine/{TABLE}/day={TODAY}/acme.")
        assert any(key in failure["reason"] for failure in report.failures)
        json.loads(reply)


def test_an_extra_field_is_ignored_and_counted(place: Place):
    place.sandbox.faults.add("extra_field", field=FIELD, times=None)
    report = place.run({"tables": [TABLE], "from": str(TODAY)})
    assert (report.exported, report.failed) == (6, 0)
    assert report.unknown_fields >= 1
    for organization in place.config.organizations:
        for name in environment_names(place, organization):
            key = f"insights/{TABLE}/day={TODAY}/{organization}.{safe_name(name)}.parquet"
            expected = place.expected(TABLE, organization, name, TODAY)
            assert canonical(place.dataset.rows(key)) == canonical(expected)


@pytest.mark.parametrize("fault", ["wrong_total", "duplicate_rows", "missing_rows"])
def test_pages_that_do_not_add_up_are_a_failure_and_not_data(place: Place, fault: str):
    place.sandbox.faults.add(fault, field="getResourceUsage", size=3, times=None)
    report = place.run({"tables": ["resource_usage"], "from": str(TODAY)})
    assert report.failed > 0
    for failure in report.failures:
        assert "the pages of getResourceUsage do not add up" in failure["reason"]
    place.sandbox.faults.clear()
    place.sandbox.faults.add(fault, field="getResourceUsage", size=3, times=1)
    assert place.run({"tables": ["resource_usage"], "from": str(TODAY)}).failed == 0


def test_a_limit_on_complexity_makes_requests_smaller_and_loses_nothing(place: Place):
    event = {"tables": ["success_summary", "error_summary", "latency"], "from": str(TODAY)}
    whole = place.run(event)
    written = bodies(place)
    place.dataset.objects.clear()
    place.sandbox.faults.add("complexity", size=3, times=None)
    limited = place.run(event)
    assert limited.failures == []
    assert limited.requests > whole.requests
    assert bodies(place) == written


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_a_person_must_solve_is_asked_once_and_named(place: Place, status: int):
    place.sandbox.faults.add("status", status=status, organization="acme", times=None)
    report = place.run({"from": str(TODAY)})
    assert [f["organization"] for f in report.failures] == ["acme"]
    assert str(status) in report.failures[0]["reason"]
    assert report.exported > 20


@pytest.mark.parametrize("fault", ["reset", "truncated", "invalid_json", "html", "empty", "cut"])
def test_a_reply_that_breaks_off_is_asked_for_again(place: Place, fault: str):
    place.sandbox.faults.add(fault, organization="acme", times=1)
    place.sandbox.faults.add(fault, organization="acme", times=1, skip=3)
    assert place.run({"from": str(TODAY), "tables": FEW}).failures == []
    assert place.sandbox.faults.as_list() == []


def test_a_token_that_is_killed_costs_no_partition(place: Place):
    place.tokens.renews = True
    place.sandbox.faults.add("kill_tokens", skip=1)
    place.sandbox.faults.add("kill_tokens", skip=3)
    assert place.run({"from": str(TODAY), "tables": FEW}).failures == []
    assert place.sandbox.faults.as_list() == []


@pytest.mark.parametrize("wait", ["seconds", "date", "next"])
def test_429_is_waited_for(place: Place, wait: str):
    place.sandbox.faults.add("status", status=429, wait=wait, seconds=1, times=2)
    assert place.run({"tables": ["apis"]}).failures == []


def test_a_table_is_asked_for_in_its_other_way_where_the_first_fails(place: Place):
    table = "success_apis_usage_by_applications"
    event = {"tables": [table], "from": str(TODAY)}
    place.run(event)
    written = bodies(place)
    assert written
    place.dataset.objects.clear()
    field = "getSuccessAPIsUsageByApplicationsWithOnPremKey"
    place.sandbox.faults.add("field_error", field=field, times=None)
    assert place.run(event).failures == []
    assert bodies(place) == written


def test_ids_are_resolved_beside_what_came(whole: Place):
    names = {
        f"{row['api_name']} - {row['version']}": row["api_id"]
        for row in whole.dataset.table("apis")
        if row["organization"] == "acme"
    }
    rows = [row for row in whole.dataset.table("resource_usage") if row["organization"] == "acme"]
    by_name = [row for row in rows if " - " in row["api_id"]]
    assert by_name
    for row in by_name:
        assert row[RESOLVED] == names.get(row["api_id"])
    assert all(row[RESOLVED] == row["api_id"] for row in rows if " - " not in row["api_id"])


def test_every_query_field_is_accounted_for():
    used = set()
    for table in CATALOGUE.tables:
        used.add(table.field)
        used |= {table.otherwise.field} if table.otherwise else set()
        used |= {fan.source.field for fan in table.fan_out if fan.source}
    fields = schema().query_type.fields.keys()
    assert len(fields) == 38
    assert fields == used


def only_key(place: Place, table: str, organization: str = "acme") -> str:
    return next(
        key for key in place.dataset.objects if f"/{table}/" in key and f"/{organization}." in key
    )


def test_a_past_day_is_not_replaced_by_less(place: Place):
    tables = [TABLE, "total_traffic", "resource_usage", "api_usage_over_time"]
    day = {"tables": tables, "organizations": ["acme"], "from": str(TODAY), "to": str(TODAY)}
    place.run(day)
    written = bodies(place)
    # An outage of days, in which the source forgets.
    place.now = NOW + timedelta(days=3)
    place.sandbox.faults.replace(
        [{"fault": "forgotten", "field": CATALOGUE.table(t).field, "times": None} for t in tables]
    )
    report = place.run(day)
    assert (report.exported, report.kept, report.failed) == (0, len(written), 0)
    assert bodies(place) == written
    kept = [row for row in place.dataset.table("runs") if row["status"] == "kept"]
    assert len(kept) == len(written)
    assert all("the stored data stays" in row["error"] for row in kept)
    assert not any(row["final"] for row in kept)
    # The day has settled: it is queried once a day.
    assert place.run(day).settled == len(written)
    place.now += timedelta(days=1)
    assert place.run(day).kept == len(written)
    # A week after settling it is closed, unconfirmed.
    place.now = NOW + timedelta(days=9)
    assert (place.run(day).unconfirmed, bodies(place)) == (len(written), written)
    place.now += timedelta(days=1)
    assert place.run(day).settled == len(written)
    again = place.run({**day, "again": True})
    assert (again.exported, again.kept, again.unconfirmed) == (0, len(written), 0)
    assert bodies(place) == written
    assert place.run({**day, "force": True}).exported == len(written)
    assert bodies(place) != written


def test_a_source_that_recovers_within_a_week_completes_the_day(place: Place):
    day = {"tables": [TABLE], "organizations": ["acme"], "from": str(TODAY), "to": str(TODAY)}
    place.run(day)
    place.sandbox.faults.add("forgotten", field=FIELD, times=None)
    for days in (1, 2, 3):
        place.now = NOW + timedelta(days=days)
        assert place.run(day).exported == 0
    place.sandbox.faults.clear()
    place.now += timedelta(days=1)
    assert (place.run(day).exported, place.run(day).settled) == (3, 3)
    key = only_key(place, TABLE)
    name = key.split("acme.")[1].removesuffix(".parquet")
    (environment,) = (n for n in environment_names(place, "acme") if safe_name(n) == name)
    expected = place.expected(TABLE, "acme", environment, TODAY)
    assert canonical(place.dataset.rows(key)) == canonical(expected)


@pytest.mark.parametrize("event", [{}, {"force": True}])
def test_two_runs_at_once_leave_the_newer_answer(place: Place, event: dict[str, Any]):
    event = {"tables": [TABLE], "organizations": ["acme"], "from": str(TODAY), **event}
    place.run(event)
    key = only_key(place, TABLE)
    newer = replace(
        place.dataset.objects[key], queried_at=NOW + timedelta(minutes=1), etag="newer", run="other"
    )

    def faster(replaced: str) -> None:
        if replaced == key:
            place.dataset.objects[key] = newer

    place.dataset.before = faster
    report = place.run(event)
    assert place.dataset.objects[key] is newer
    assert (report.exported, report.settled, report.failed) == (2, 1, 0)
    rows = [row for row in place.dataset.table("runs") if row["status"] == "overtaken"]
    assert [row["error"] for row in rows] == ["another run has written a newer response"]


def test_an_older_answer_of_another_run_is_replaced(place: Place):
    event = {"tables": [TABLE], "organizations": ["acme"], "from": str(TODAY)}
    place.run(event)
    key = only_key(place, TABLE)
    older = replace(
        place.dataset.objects[key], queried_at=NOW - timedelta(minutes=1), etag="older", run="other"
    )
    once = [older]

    def faster(replaced: str) -> None:
        if replaced == key and once:
            place.dataset.objects[key] = once.pop()

    place.dataset.before = faster
    report = place.run(event)
    assert report.exported == 3
    assert place.dataset.objects[key].queried_at == NOW


def test_a_run_that_goes_on_leaves_what_its_predecessor_wrote(place: Place):
    event = {"tables": [TABLE], "force": True}
    place.run(event)
    place.dataset.objects.pop(only_key(place, TABLE))
    since = (NOW - timedelta(minutes=1)).isoformat()
    report = place.run({**event, "continued": {"round": 2, "since": since}})
    assert (report.exported, report.settled) == (1, 17)


def test_the_numbers_are_checked(whole: Place):
    checks = list(whole.dataset.table("checks"))
    assert {row["verdict"] for row in checks} <= {"ok", "lower", "open"}
    days = {day_of(key) for key in whole.dataset.objects if key.startswith(table_prefix(CHECKS))}
    assert days == {TODAY - timedelta(days=n) for n in range(3)}
    assert {row["organization"] for row in checks} == {"acme", "lotus"}
    assert whole.report.mismatches == 0


YESTERDAY = str(TODAY - timedelta(days=2))
CHECKED = {
    "tables": ["success_summary", "error_summary", "total_traffic", "total_errors"],
    "organizations": ["acme"],
    "from": YESTERDAY,
    "to": YESTERDAY,
}


def test_a_day_that_does_not_agree_is_queried_by_the_next_run_alone(place: Place):
    yesterday = str(TODAY - timedelta(days=1))
    event = {**CHECKED, "from": yesterday, "to": yesterday}
    place.sandbox.faults.add("forgotten", field=FIELD, times=1)
    report = place.run(event)
    assert report.mismatches > 0
    assert (report.failed, report.exported) == (0, 12)
    # The day has no checkpoint in this hour: what did not agree is queried, and what misses.
    place.now += timedelta(minutes=10)
    place.config = replace(place.config, export_since=TODAY - timedelta(days=1))
    usual = {"tables": CHECKED["tables"], "organizations": ["acme"]}
    report = place.run(usual)
    assert (report.mismatches, report.failed) == (0, 0)
    doubted = report.exported - 12
    assert 0 < doubted < 12
    report = place.run(usual)
    assert (report.exported, report.settled) == (12, 12)
    for name in environment_names(place, "acme"):
        key = f"insights/{TABLE}/day={yesterday}/acme.{safe_name(name)}.parquet"
        # Late data may have come between the two runs, and only one of the environments is doubted.
        moments = (place.now, place.now - timedelta(minutes=10))
        day, world = date.fromisoformat(yesterday), place.sandbox.world
        expected = [expected_rows(world, TABLE, "acme", name, day, moment) for moment in moments]
        assert canonical(place.dataset.rows(key)) in map(canonical, expected)


def test_a_day_that_never_agrees_is_reported(place: Place):
    place.sandbox.faults.add("missing_rows", field=FIELD, times=None)
    before = place.run({**CHECKED, "tables": ["total_errors"]}).requests
    report = place.run(CHECKED)
    assert report.mismatches > 0
    assert report.requests <= before + 4
    wrong = [row for row in place.dataset.table("checks") if row["verdict"] == "mismatch"]
    assert len(wrong) == report.mismatches
    assert all("success_summary" in row["tables"] for row in wrong)


def test_checks_that_cannot_be_written_are_a_failure_of_their_own(place: Place):
    place.dataset.broken.add("insights/checks/")
    report = place.run(CHECKED)
    assert report.exported == 12
    assert Counter(f["table"] for f in report.failures) == {"checks": 3}


def test_what_is_left_of_tables_that_are_not_kept_up_to_date_is_not_checked(place: Place):
    place.run(CHECKED)
    place.config = replace(place.config, tables=("success_summary", "total_traffic"))
    place.run({**CHECKED, "tables": ["success_summary"], "force": True})
    compared = {
        row["tables"] for row in place.dataset.table("checks") if row["verdict"] != "skipped"
    }
    assert compared == {"success_summary"}
