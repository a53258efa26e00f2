"""The model counts what the exporter does: against the sandbox and the template."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.dataset.partitions import safe_name
from choreo_insights.dataset.registry_tables import (
    REGISTRY_ENVIRONMENTS,
    REGISTRY_NAMES,
    UNPARTITIONED,
)
from choreo_insights.export.insights_api import request_of
from choreo_insights.export.queries import Query
from choreo_insights_cli.costs import quantities
from choreo_insights_cli.costs.inputs import Inputs
from choreo_insights_cli.costs.partition_size import object_bytes, query_count, rows, rules
from choreo_insights_cli.costs.quantities import (
    DATA_SETS,
    ENVIRONMENTS_READ,
    LEDGER_READ,
    NAMES_READ,
    OWN_TABLES,
    TABLES_READ,
    VIEWS,
)
from choreo_insights_cli.costs.usage import INVOCATION_SECONDS, Usage
from choreo_insights_cli.dashboard.data import needed_tables
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.generate.quicksight.datasets import LOOK_BACK_DAYS, data_sets
from choreo_insights_cli.sql.duckdb import all_views, tables_of
from choreo_insights_cli.template import Template
from dev.sandbox import EnvironmentSpec, OrganizationSpec, SandboxServer, SandboxSettings, World
from tests import alarms
from tests.unit.choreo_insights.export.test_run import TODAY, Place

ROOT = Path(__file__).parents[4]
TEMPLATE = Template(ROOT / "template.yaml")
CATALOGUE = load()


def test_rows_questions_and_bytes_are_those_of_synthetic_traffic():
    spec = OrganizationSpec(
        "acme", apis=20, applications=5, environments=(EnvironmentSpec("Production"),)
    )
    day = TODAY - timedelta(days=1)
    with SandboxServer(World(seed=5, organizations=[spec]), SandboxSettings()) as sandbox:
        place = Place(sandbox, organizations=("acme",))
        report = place.run({"from": str(day), "to": str(day)})
        asked = sum(sandbox.statistics.root_fields.values())
    inputs = Inputs(apis=20, applications=5, environments=1, history_days=0)
    usage = Usage(inputs, CATALOGUE)
    tables = [t for t in usage.daily if usage.copies(t) and not t.monthly]
    # And the lists of environments and APIs.
    assert sum(query_count(t, inputs.size) for t in tables) + 2 == pytest.approx(asked, rel=0.1)
    assert usage.rows_a_day == pytest.approx(report.rows, rel=0.1)
    size = sum(object_bytes(table, inputs.size) for table in tables)
    assert size == pytest.approx(report.bytes, rel=0.3)
    for table in tables:
        key = f"insights/{table.name}/day={day}/acme.{safe_name('Production')}.parquet"
        found = len(place.dataset.rows(key))
        assert rows(table, inputs.size) == pytest.approx(found, rel=0.5, abs=6), table.name


def test_the_traffic_of_every_shipped_table_is_known():
    shipped = {table.name for table in CATALOGUE.tables if not table.off}
    assert set(rules()) - {"other"} == shipped


def test_questions_take_as_many_bytes_as_is_counted():
    table = CATALOGUE.table("api_usage_over_time")
    given = {
        "time": {"from": "2026-01-01T00:00:00.000Z", "to": "2026-01-02T00:00:00.000Z"},
        "data": {"orgId": "x" * 36, "environmentIds": ["x" * 36] * 4, "tenant": "carbon.super"},
    }
    queries = [Query(table, {**given, "apiNames": [f"{n:036d}"] * 4}, {}) for n in range(20)]
    each = len(request_of(queries)[1]) / 20
    assert each == pytest.approx(quantities._BYTES_A_QUERY, rel=0.5)


def test_the_template_has_what_is_counted():
    functions = TEMPLATE.of_type("AWS::Serverless::Function")
    assert functions["ExportFunction"]["MemorySize"] / 1024 == quantities.EXPORT_GB
    assert functions["TokenFunction"]["MemorySize"] / 1024 == quantities.TOKEN_GB
    assert functions["ExportFunction"]["Timeout"] == INVOCATION_SECONDS
    assert len(TEMPLATE.of_type("AWS::KMS::Key")) == quantities.KEYS
    watched = TEMPLATE.of_type("AWS::CloudWatch::Alarm").values()
    assert sum(len(alarms.metrics(alarm)) for alarm in watched) == quantities.ALARMS
    assert len(alarms.custom_metrics(TEMPLATE)) == quantities.METRICS
    defaults = {name: TEMPLATE.parameters[name].get("Default") for name in TEMPLATE.parameters}
    usual = Inputs()
    assert defaults["Concurrency"] == usual.concurrency
    assert defaults["RequestsPerMinute"] == usual.requests_per_minute
    assert defaults["BatchSize"] == usual.batch_size
    assert defaults["SettleHours"] == usual.settle_hours
    assert defaults["QuickSightDays"] == usual.quicksight_days
    assert defaults["Architecture"] == usual.architecture
    assert defaults["MaxBatchSize"] == ExportConfig.max_batch_size
    assert defaults["RequestSeconds"] == ExportConfig.request_seconds


def test_every_kind_of_resource_has_been_thought_of():
    """What costs has a price; the others cost nothing by themselves."""
    free = {
        "AWS::Athena::WorkGroup", "AWS::CloudFormation::Stack", "AWS::Glue::Database",
        "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::Scheduler::ScheduleGroup",
        "AWS::Serverless::LayerVersion",
    }  # fmt: skip
    priced = {
        "AWS::CloudWatch::Alarm", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::S3::Bucket",
        "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::Scheduler::Schedule",
        "AWS::Serverless::Function", "AWS::Serverless::StateMachine",
    }  # fmt: skip
    assert {resource["Type"] for resource in TEMPLATE.resources.values()} == free | priced


def test_glue_and_quicksight_have_what_is_counted():
    made = [
        resource["Type"]
        for name in ("generated/tables.yaml", "generated/views.yaml")
        for resource in yaml.safe_load((ROOT / name).read_text("utf-8"))["Resources"].values()
    ]
    assert made.count("AWS::Glue::Table") == len(CATALOGUE.tables) + VIEWS + OWN_TABLES
    sets = data_sets(SHEETS, all_views().values())
    read = [(each.by_day, tables_of(each.name)) for each in sets]
    assert len(sets) == DATA_SETS
    assert sum(REGISTRY_NAMES in tables for _, tables in read) == NAMES_READ
    assert sum(REGISTRY_ENVIRONMENTS in tables for _, tables in read) == ENVIRONMENTS_READ
    assert sum("runs" in tables for by_day, tables in read if by_day) == LEDGER_READ
    daily = [tables - UNPARTITIONED - {"runs"} for by_day, tables in read if by_day]
    assert sum(map(len, daily)) == TABLES_READ
    assert LOOK_BACK_DAYS == quantities._REFRESHED_DAYS
    assert len(needed_tables(SHEETS) - UNPARTITIONED) == 29
