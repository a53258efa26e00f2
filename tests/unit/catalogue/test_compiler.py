"""Documents into tables, and what is no table."""

import re
from pathlib import Path

import pytest

from catalogue.compiler import compile_document, compile_folder, schema
from catalogue.derived import ROOT, generated
from catalogue.errors import DocumentError

SCHEMA = schema()
OVER_TIME = """# What it is.
# And its trap.
query q($time: TimeFilter!, $data: DataFilter!) {
  getSuccessSummary(filter: $time, dataFilter: $data, granularity: "1h") {
    granularity
    summary { timeSpan requestCount }
  }
}
"""


def compiled(text: str, name: str = "probe"):
    return compile_document(Path(f"{name}.graphql"), text, SCHEMA)


def query(fields: str, variables: str = "$time: TimeFilter!, $data: DataFilter!") -> str:
    return f"query q({variables}) {{\n  {fields}\n}}"


def columns(text: str) -> dict[str, str]:
    return {column.name: column.type for column in compiled(text).columns}


COMMON = {
    "organization": "string",
    "environment": "string",
    "environment_id": "string",
    "exported_at": "timestamp",
}


def test_the_selection_and_the_schema_give_the_columns():
    assert columns(OVER_TIME) == {
        "granularity": "string",
        "time_span": "timestamp",
        "request_count": "bigint",
        **COMMON,
    }


def test_nested_objects_are_joined_and_lists_are_not():
    text = query(
        """getProxyTargetErrorsOverTime(timeFilter: $time, dataFilter: $data,
             errorsByStatusCodeFilter: { granularity: "1h" }
           ) { timeSpan proxy { _4xx _5xx total } target { _4xx total } }"""
    )
    assert list(columns(text))[:6] == [
        "time_span", "proxy_4xx", "proxy_5xx", "proxy_total", "target_4xx", "target_total",
    ]  # fmt: skip


def test_an_argument_that_is_fanned_out_over_is_a_column():
    text = query(
        "getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: $apiId)",
        "$time: TimeFilter!, $data: DataFilter!, $apiId: ID!",
    )
    assert columns(text) == {"api_id": "string", "probe": "bigint", **COMMON}


def test_in_lists_id_and_name_take_the_entitys_name():
    text = query("listApplications(dataFilter: $data) { id name owner }", "$data: DataFilter!")
    assert list(columns(text))[:3] == ["application_id", "application_name", "owner"]
    text = "query q { listOrganizations { id uuid handle name } }"
    assert list(columns(text))[:4] == ["organization_id", "uuid", "handle", "organization_name"]


def test_latencies_are_doubles_in_milliseconds():
    text = query(
        """getLatency(timeFilter: $time, dataFilter: $data,
             latencyFilter: { apiId: $apiId, granularity: "1h" }
           ) { granularity summary { timeSpan response backendMedian } }""",
        "$time: TimeFilter!, $data: DataFilter!, $apiId: String!",
    )
    assert columns(text)["response"] == columns(text)["backend_median"] == "double"


def test_the_comment_above_is_the_description():
    assert compiled(OVER_TIME).description == "What it is.\nAnd its trap."


def test_the_directives_are_for_the_exporter():
    text = OVER_TIME.replace(
        ") {\n  getS",
        ') @off(reason: "fails") @kept(days: 7) @environments(types: [ON_PREM]) {\n  getS',
        1,
    )
    table = compiled(text)
    assert (table.off, table.kept_days, table.environment_types) == ("fails", 7, ("ON_PREM",))
    assert "@" not in table.root


def test_a_column_keeps_its_earlier_names_and_nobody_is_asked_for_them():
    text = OVER_TIME.replace("requestCount", 'hits: requestCount @was(columns: ["n", "count"])')
    table = compiled(text)
    assert table.renamed == {"n": "hits", "count": "hits"}
    assert [c.former for c in table.columns if c.name != "hits"] == [()] * 6
    assert table.root == compiled(text.replace('@was(columns: ["n", "count"])', "")).root
    total = query('getTotalTraffic(filter: $time, dataFilter: $data) @was(columns: ["hits"])')
    assert compiled(total).renamed == {"hits": "probe"}


def test_every_variable_of_the_root_is_declared():
    for table in compile_folder(ROOT / "catalogue" / "tables", SCHEMA):
        assert set(re.findall(r"\$(\w+)", table.root)) == set(table.variables)


HOURS = 'granularity: "1h"'
BAD = {
    "empty": ("# only a comment\n", r"the document is empty: write one query"),
    "syntax": ("query q {\n  getTotalTraffic(\n}", r":3: Syntax Error"),
    "an earlier name that is taken": (
        OVER_TIME.replace("requestCount", 'requestCount @was(columns: ["time_span"])'),
        r":6: 'time_span' cannot be an earlier name of 'request_count': it is taken",
    ),
    "two with one earlier name": (
        OVER_TIME.replace(
            "timeSpan requestCount",
            'timeSpan @was(columns: ["x"]) requestCount @was(columns: ["x"])',
        ),
        r":6: 'x' cannot be an earlier name of 'request_count': it is taken",
    ),
    "unknown field": (
        OVER_TIME.replace("requestCount", "requestCounts"),
        r":6: Cannot query field 'requestCounts'.* Did you mean 'requestCount'",
    ),
    "unknown root": (
        query("getWeather(a: $time, b: $data) { x }"),
        r":2: Cannot query field 'getWeather'",
    ),
    "unknown metric": (
        query(
            """getCustomReportOvertime(dataFilter: $data, timeFilter: $time, metric: FAME,
              groupByFields: [API_NAME], groupByValues: [], granularity: "1h") { granularity }"""
        ),
        r":2: Value 'FAME' does not exist in 'Metric' enum",
    ),
    "granularity": (OVER_TIME.replace('"1h"', '"1w"'), r":4: granularity '1w' is none of 1m, 15m"),
    "no granularity": (OVER_TIME.replace(f", {HOURS}", ""), r":4: without a granularity"),
    "no echo": (OVER_TIME.replace("    granularity\n", ""), r":4: select granularity too"),
    "fan-out over nothing": (
        query(
            "getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: $planet)",
            "$time: TimeFilter!, $data: DataFilter!, $planet: ID!",
        ),
        r":1: nothing fills \$planet: ID!.* What is filled: \$time: TimeFilter!",
    ),
    "default": (
        OVER_TIME.replace("TimeFilter!", 'TimeFilter = { from: "a", to: "b" }'),
        r":3: ",
    ),
    "two roots": (
        query("a: getTotalTraffic(filter: $time, dataFilter: $data)\n"
              "b: getTotalErrors(filter: $time, dataFilter: $data)"),
        r":1: a table has one root field: split the document",
    ),
    "two queries": (OVER_TIME + OVER_TIME.replace("query q", "query r"), r":11: one document"),
    "mutation": ("mutation m { a }", r""),
    "introspection": ("{ __schema { description } }", r"introspection is no table"),
    "lists side by side": (
        query(
            """getLatencySummary(filter: $time, dataFilter: $data,
                 latencySummaryFilter: { granularity: "1h" }) { granularity
               summary { timeSpan latencyTime } again: summary { at: timeSpan } }"""
        ),
        r":2: .*lists side by side",
    ),
    "two columns": (
        OVER_TIME.replace("requestCount", "requestCount requestCount"),
        r":6: the column 'request_count' is there already",
    ),
    "list of lists": (
        query(
            "getGroupByValues(dataFilter: $data, groupByFields: [API_NAME], groupByValues: [])",
            "$data: DataFilter!",
        ),
        r":2: a list of lists gives no rows",
    ),
    "half a page": (
        query(
            """getResourceUsage(timeFilter: $time, dataFilter: $data,
                 resourceUsageFilter: { paginationFilter: { limit: 20 } }
               ) { usage { apiId count } pagination { total limit } }"""
        ),
        r":2: pages need \$limit: Int, \$offset: Int",
    ),
    "pages untold": (
        query(
            """getResourceUsage(timeFilter: $time, dataFilter: $data) { usage { apiId count } }"""
        ),
        r":2: .*5 rows",
    ),
    "a column taken": (
        OVER_TIME.replace("timeSpan", "day: timeSpan"),
        r":6: the column 'day' is there already",
    ),
    "nothing to store": (
        OVER_TIME.replace("    summary { timeSpan requestCount }\n", "").replace(
            "granularity\n", "__typename\n"
        ),
        r"",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_broken_document_is_refused_with_file_line_and_reason(name: str):
    text, says = BAD[name]
    with pytest.raises(DocumentError, match=rf"^probe\.graphql.*{says}"):
        compiled(text)


@pytest.mark.parametrize("name", ["runs", "Über", "2days", "a-b", "day.of.it", "day."])
def test_a_file_name_that_is_no_tables_is_refused(name: str):
    with pytest.raises(DocumentError, match="the file's name becomes the table's"):
        compiled(OVER_TIME, name)


def test_two_documents_for_one_table_are_refused(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "traffic.graphql").write_text(OVER_TIME)
    with pytest.raises(DocumentError, match="there is a table 'traffic' already: rename the file"):
        compile_folder(tmp_path, SCHEMA)
    with pytest.raises(DocumentError, match="there is a table 'traffic' already"):
        compile_folder(tmp_path / "a", SCHEMA, taken=("traffic",))


def test_what_is_generated_is_fresh():
    stale = [path.name for path, text in generated() if path.read_text("utf-8") != text]
    assert not stale, "run `make tables`"
