"""Documents over fields that the published schema lacks."""

from pathlib import Path

import pytest
from graphql import build_schema

from choreo_insights_cli.catalogue.compiler import compile_folder, schema, schema_text
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.catalogue.service_schema import for_own_documents, reduced

# Synthetic: of the automation queries no types are published.
AUTOMATION = """
extend type Query {
  getAutomationExecutionTrend(
    timeFilter: TimeFilter!
    dataFilter: DataFilter!
    automationFilter: AutomationFilter
    granularity: String
  ): AutomationTrend
}
input AutomationFilter { componentIDs: [String] }
type AutomationTrend { granularity: String! trend: [AutomationExecutions] }
type AutomationExecutions { timeSpan: String! succeeded: Int! failed: Int! }
extend type API { region: String }
extend input DataFilter { trafficType: String }
type Mutation { forget(id: ID!): Boolean }
"""
DOCUMENT = """# Executions of automations by hour.
query automation_execution_trend($time: TimeFilter!, $data: DataFilter!) {
  getAutomationExecutionTrend(timeFilter: $time, dataFilter: $data, granularity: "1h") {
    granularity
    trend { timeSpan succeeded failed }
  }
}
"""


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    their = build_schema(schema_text() + AUTOMATION)
    (tmp_path / "schema.graphql").write_text(reduced(their), "utf-8")
    (tmp_path / "automation_execution_trend.graphql").write_text(DOCUMENT, "utf-8")
    return tmp_path


def test_an_automation_query_is_a_table(custom: Path):
    (table,) = compile_folder(custom, for_own_documents(custom))
    columns = {column.name: column.type for column in table.columns}
    assert columns["time_span"] == "timestamp"
    assert (columns["succeeded"], columns["failed"]) == ("bigint", "bigint")
    with pytest.raises(DocumentError, match="Cannot query field 'getAutomationExecutionTrend'"):
        compile_folder(custom, schema())


def test_the_schema_has_what_documents_can_use_and_no_more(custom: Path):
    text = (custom / "schema.graphql").read_text("utf-8")
    assert "forget" not in text
    assert "componentIDs" in text
    assert "timeSpan: String! @instant" in text


def test_what_is_published_stays_as_it_is(custom: Path):
    merged = for_own_documents(custom)
    assert "region" in merged.type_map["API"].fields
    assert "trafficType" in merged.type_map["DataFilter"].fields
    folder = Path(__file__).parents[4] / "choreo_insights_cli/catalogue/tables"
    assert compile_folder(folder, merged) == compile_folder(folder, schema())


def test_without_the_file_the_published_schema_is_meant(tmp_path: Path):
    assert for_own_documents(tmp_path) is schema()


@pytest.mark.parametrize("text", ["type Query {", "type Query { a: Nothing }"])
def test_what_is_no_schema_is_refused(tmp_path: Path, text: str):
    (tmp_path / "schema.graphql").write_text(text, "utf-8")
    with pytest.raises(DocumentError, match=r"schema.graphql.*: it is not a schema"):
        for_own_documents(tmp_path)
