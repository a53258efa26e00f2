"""Documents into tables, and what is no table."""

import re
from pathlib import Path

import pytest

from choreo_insights_cli.catalogue.compiler import compile_document, compile_folder, schema
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.generate.everything import generated
from choreo_insights_cli.paths import ROOT

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
    "tenant": "string",
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


@pytest.mark.parametrize("field", ["getCustomReportOvertime", "getCustomReportTopOvertime"])
def test_a_custom_report_s_latency_is_a_double_too_and_its_counts_are_not(field: str):
    text = report("[API_NAME]").replace("getCustomReportOvertime", field)
    if field.endswith("TopOvertime"):
        text = text.replace("usage { timeSpan value }", "usage { usage { timeSpan value } }")
    assert columns(text)["value"] == "bigint"
    assert columns(text.replace("HIT_COUNT", "BACKEND_LATENCY"))["value"] == "double"


def test_the_comment_above_is_the_description():
    assert compiled(OVER_TIME).description == "What it is.\nAnd its trap."


def test_the_directives_are_for_the_exporter():
    # A single value may stand for a list of one.
    table = compiled(directed('@off(reason: "fails") @kept(days: 7) @environments(types: ON_PREM)'))
    assert (table.off, table.kept_days, table.environment_types) == ("fails", 7, ("ON_PREM",))
    assert "@" not in table.root


def test_a_column_keeps_its_earlier_names_and_nobody_is_asked_for_them():
    text = OVER_TIME.replace("requestCount", 'hits: requestCount @was(columns: ["n", "count"])')
    table = compiled(text)
    assert table.renamed == {"n": "hits", "count": "hits"}
    assert [c.former for c in table.columns if c.name != "hits"] == [()] * 7
    assert table.root == compiled(text.replace('@was(columns: ["n", "count"])', "")).root
    total = query('getTotalTraffic(filter: $time, dataFilter: $data) @was(columns: "hits")')
    assert compiled(total).renamed == {"hits": "probe"}


def test_every_variable_of_the_root_is_declared():
    for table in compile_folder(ROOT / "choreo_insights_cli/catalogue/tables", SCHEMA):
        assert set(re.findall(r"\$(\w+)", table.root)) == set(table.variables)


def report(fields: str, values: str = "$groupByValues") -> str:
    variables = ["$time: TimeFilter!, $data: DataFilter!"]
    variables += ["$groupByValues: [String]!"] if values.startswith("$") else []
    return query(
        f"""getCustomReportOvertime(dataFilter: $data, timeFilter: $time, metric: HIT_COUNT,
             groupByFields: {fields}, groupByValues: {values}, granularity: "1h"
           ) {{ granularity usage {{ timeSpan value }} }}""",
        ", ".join(variables),
    )


def by_error_type(variable: str) -> str:
    name = variable.partition(":")[0]
    return query(
        f"""getErrorsByStatusCode(timeFilter: $time, dataFilter: $data,
             errorCountByStatusCodeFilter: {{
               errorType: {name}, paginationFilter: {{ limit: $limit, offset: $offset }}
             }}) {{ errors {{ apiId }} pagination {{ total limit }} }}""",
        f"$time: TimeFilter!, $data: DataFilter!, $limit: Int, $offset: Int, {variable}",
    )


def directed(directive: str) -> str:
    return OVER_TIME.replace(") {\n  getS", f") {directive} {{\n  getS", 1)


HOURS = 'granularity: "1h"'
BAD = {
    "empty": ("# only a comment\n", r":1: the document is empty: write one query"),
    "empty braces": ("{}", r":1: the document is empty: write one query"),
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
        r":6: Cannot query field 'requestCounts'.* are: timeSpan, requestCount\. If the service ",
    ),
    "unknown root": (
        query("getWeather(a: $time, b: $data) { x }"),
        r":2: Cannot query field 'getWeather'.* The fields are: listAllAPI, ",
    ),
    "unknown argument": (
        OVER_TIME.replace("filter:", "when:"),
        r":4: Unknown argument 'when'.* The arguments are: filter: TimeFilter!, dataFilter: ",
    ),
    "argument left out": (
        OVER_TIME.replace("filter: $time, ", ""),
        r":4: .*filter.* is required.* The arguments are: filter: TimeFilter!",
    ),
    "unknown input field": (
        query(
            """getLatencySummary(filter: $time, dataFilter: $data,
                 latencySummaryFilter: { colour: 1 }) { granularity }"""
        ),
        r":3: .*unknown field 'colour'.* The fields are: apiId: String, granularity: String$",
    ),
    "nothing selected": (
        OVER_TIME.replace("summary { timeSpan requestCount }", "summary"),
        r":6: .*must have a selection.* The fields are: timeSpan, requestCount$",
    ),
    "unknown directive": (
        OVER_TIME.replace(") {\n  getS", ") @weekly {\n  getS"),
        r":3: Unknown directive '@weekly'. The directives are: @off, @onlyNamed, @environments, ",
    ),
    "unknown metric": (
        query(
            """getCustomReportOvertime(dataFilter: $data, timeFilter: $time, metric: FAME,
              groupByFields: [API_NAME], groupByValues: [], granularity: "1h") { granularity }"""
        ),
        r":2: Value 'FAME' does not exist in 'Metric' enum. The values are: HIT_COUNT, ",
    ),
    "unknown group-by field": (
        report("[PLANET]"),
        r":3: Value 'PLANET' does not exist in 'GroupByField' enum. The values are: API_NAME, ",
    ),
    "no group-by field": (report("[]"), r":2: a report is grouped by one to three fields"),
    "four group-by fields": (
        report("[API_NAME, PLATFORM, USER_AGENT, API_METHOD]", "[]"),
        r":2: a report is grouped by one to three fields, each once, as in groupByFields: ",
    ),
    "a group-by field twice": (report("[API_NAME, API_NAME]"), r":2: .* each once"),
    "a group-by field that is null": (report("[API_NAME, null]"), r":2: .*one to three fields"),
    "group-by fields untold": (
        report("[$field]").replace("$time:", "$field: GroupByField!, $time:"),
        r":2: \$groupByValues needs \$data: DataFilter!, and groupByFields written out",
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
    "fan-out over an enum that is none": (
        query("getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: $planet)",
              "$time: TimeFilter!, $data: DataFilter!, $planet: Planet!"),
        r":1: Unknown type 'Planet'. The enums are: .*ErrorType",
    ),
    "fan-out undeclared": (
        query("getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: $apiId)"),
        r":2: Variable '\$apiId' is not defined.* Declare it above",
    ),
    "fan-out unused": (
        OVER_TIME.replace("$time:", "$apiNames: [String], $time:"),
        r":3: Variable '\$apiNames' is never used.* Use it or take it away$",
    ),
    "fan-out in groups of ids": (
        query(
            'getAPIUsageOverTime(timeFilter: $time, dataFilter: $data, apiUsageOvertimeFilter: '
            '{ apiIds: $apiIds, granularity: "1h" }) { apiId granularity usage { count } }',
            "$time: TimeFilter!, $data: DataFilter!, $apiIds: [String]",
        ),
        r":1: the ids of APIs are not sent in groups any more: call the variable \$apiNames",
    ),
    "fan-out of another type": (
        OVER_TIME.replace("$data: DataFilter!", "$data: TimeFilter!"),
        r":3: .*expecting type 'DataFilter!'. Declare it as that$",
    ),
    "fan-out with a default": (
        by_error_type("$errorType: ErrorType! = PROXY"),
        r":1: \$errorType is filled always: take its default away",
    ),
    "fan-out into a column taken": (
        by_error_type("$day: ErrorType!"), r":2: the column 'day' is there already: rename it"
    ),
    "default": (
        OVER_TIME.replace("TimeFilter!", 'TimeFilter = { from: "a", to: "b" }'),
        r":3: \$time is filled always: take its default away",
    ),
    "two roots": (
        query("a: getTotalTraffic(filter: $time, dataFilter: $data)\n"
              "b: getTotalErrors(filter: $time, dataFilter: $data)"),
        r":1: a table has one root field, written out: split the document",
    ),
    "two queries": (OVER_TIME + OVER_TIME.replace("query q", "query r"), r":11: one document"),
    "fragment": (
        OVER_TIME.replace("requestCount", "...f") + "fragment f on SuccessValue { requestCount }",
        r":9: one document holds one query: no fragments",
    ),
    "mutation": ("mutation m { a }", r":1: a table is a query"),
    "introspection": ("{ __schema { description } }", r":1: introspection cannot be a table"),
    "off without a reason": (directed('@off(reason: " ")'), r":3: @off without reason: say why"),
    "kept for no day": (directed("@kept(days: 0)"), r":3: @kept without days: .*one day or more"),
    "for no environment": (
        directed("@environments(types: [])"), r":3: @environments without types: name one"
    ),
    "left out at times": (
        OVER_TIME.replace("requestCount", "requestCount @skip(if: true)"),
        r":6: a field that an answer may leave out cannot be a column: remove the directive",
    ),
    "alias without a name": (
        OVER_TIME.replace("requestCount", "_: requestCount"), r":6: an alias of underscores"
    ),
    "alias that the exporter needs": (
        OVER_TIME.replace("requestCount", "apiIdResolved: requestCount"),
        r":6: the column 'api_id_resolved' is there already: give the field an alias",
    ),
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
        r":5: write the fields out, one by one",
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
        (tmp_path / folder / "traffic.graphql").write_text(OVER_TIME, "utf-8")
    says = r"traffic\.graphql:1: there is a table or view 'traffic' already: rename it"
    with pytest.raises(DocumentError, match=rf"/b/{says}"):
        compile_folder(tmp_path, SCHEMA)
    with pytest.raises(DocumentError, match=says):
        compile_folder(tmp_path / "a", SCHEMA, taken=("traffic",))


def test_two_names_that_one_resource_would_have_are_refused(tmp_path: Path):
    for name in ("traffic1", "traffic_1"):
        (tmp_path / f"{name}.graphql").write_text(OVER_TIME, "utf-8")
    says = r"traffic_1\.graphql:1: the table 'traffic1' differs by underscores alone: rename"
    with pytest.raises(DocumentError, match=says):
        compile_folder(tmp_path, SCHEMA)


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        (
            "probe.graphql",
            f"{OVER_TIME}# Gr\u00f6\u00dfe".encode("latin-1"),
            "9: it is not UTF-8: save",
        ),
        ("probe.gql", OVER_TIME.encode(), r"1: a document's name ends in \.graphql: rename"),
        ("probe.GRAPHQL", OVER_TIME.encode(), r"1: a document's name ends in \.graphql: rename"),
        ("probe.graphql", None, r"1: it cannot be read \(.+\): a document is a file"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, name: str, body: bytes | None, says: str):
    path = tmp_path / name
    path.mkdir() if body is None else path.write_bytes(body)
    with pytest.raises(DocumentError, match=rf"^{re.escape(str(path))}:{says}"):
        compile_folder(tmp_path, SCHEMA)


def test_other_files_in_the_folder_and_a_byte_order_mark_are_let_be(tmp_path: Path):
    (tmp_path / "notes.md").write_text("Ours.", "utf-8")
    (tmp_path / "probe.graphql").write_text(OVER_TIME, "utf-8-sig")
    (table,) = compile_folder(tmp_path, SCHEMA)
    assert table.description == compiled(OVER_TIME).description


NEWER = """query names($data: DataFilter!) {
  listAllAPI(dataFilter: $data) { id displayName }
}
"""


def test_the_document_for_a_service_of_the_published_schema_is_derived(tmp_path: Path):
    (tmp_path / "names.graphql").write_text(NEWER, "utf-8")
    (table,) = compile_folder(tmp_path, SCHEMA)
    other = table.otherwise
    assert other
    assert (other.name, other.document) == ("names", "names.published.graphql")
    assert other.root == table.root.replace(" displayName", "")
    assert other.columns == table.columns


def test_a_document_that_is_there_takes_the_place_of_a_derived_one(tmp_path: Path):
    (tmp_path / "names.graphql").write_text(NEWER, "utf-8")
    own = NEWER.replace("displayName", "")
    (tmp_path / "names.own.graphql").write_text(own, "utf-8")
    (table,) = compile_folder(tmp_path, SCHEMA)
    assert table.otherwise
    assert table.otherwise.document == "names.own.graphql"


def test_none_is_derived_where_nothing_would_be_left(tmp_path: Path):
    (tmp_path / "names.graphql").write_text(NEWER.replace("id displayName", "displayName"), "utf-8")
    (table,) = compile_folder(tmp_path, SCHEMA)
    assert table.otherwise is None


def test_what_is_generated_is_fresh():
    stale = [path.name for path, text in generated(ROOT) if path.read_text("utf-8") != text]
    assert not stale, "run `make tables`"
