"""Documents against changed schemas."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_client_schema, build_schema, introspection_from_schema

from choreo_insights_cli.catalogue.compiler import FOLDER, schema
from choreo_insights_cli.commands.doctor.compare import additions, compare
from choreo_insights_cli.commands.doctor.documents import Document, load
from choreo_insights_cli.commands.doctor.findings import Finding


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    return schema()


@pytest.fixture(scope="module")
def documents(ours: GraphQLSchema) -> Sequence[Document]:
    found, broken = load(ours)
    assert not broken
    return found


def changed(*replacements: tuple[str, str]) -> GraphQLSchema:
    """The schema with changes, as introspection would show it."""
    text = (FOLDER / "schema.graphql").read_text("utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return build_client_schema(introspection_from_schema(build_schema(text)))


def not_ok(
    documents: Sequence[Document], ours: GraphQLSchema, live: GraphQLSchema
) -> dict[str, Finding]:
    return {
        finding.what.rpartition("/")[2].removesuffix(".graphql"): finding
        for finding in compare(documents, ours, live)
        if finding.status not in ("ok", "skipped")
    }


def test_the_same_schema(documents: Sequence[Document], ours: GraphQLSchema) -> None:
    assert not not_ok(documents, ours, changed())
    assert not additions(documents, ours, changed())


@pytest.mark.parametrize(
    ("old", "new", "table", "says"),
    [
        ("severity: String!", "gravity: String!", "alert_summary", "Cannot query field 'severity'"),
        ("responseMedian: Int", "responseMedian: Float", "latency", "is Float, was Int"),
        ("statusCode: String!", "statusCode: Int!", "errors_by_status_code", "is Int!"),
        ("severity: String!", "severity: String", "alert_summary", "is String, was String!"),
        ("severity: String!", "severity: [String!]!", "alert_summary", "is [String!]!"),
        ("hitPercentage: Float!", "hitPercentage: Decimal!", "cache_hits_and_misses", "Decimal!"),
        ("topSlowestAPIs(", "slowestAPIs(", "top_slowest_apis", "'topSlowestAPIs'"),
        ("dataFilter: DataFilter!, limit: Int!", "dataFilter: DataFilter!, limit: String!",
         "top_slowest_apis", "String cannot represent"),
        ("dataFilter: DataFilter!, limit: Int!", "dataFilter: DataFilter!, limit: Int!, zone: ID!",
         "top_slowest_apis", "(zone:)' of type 'ID!' is required"),
    ],
)  # fmt: skip
def test_what_no_longer_holds(
    documents: Sequence[Document], ours: GraphQLSchema, old: str, new: str, table: str, says: str
) -> None:
    more = [("type Query {", "scalar Decimal\ntype Query {")] if "Decimal" in new else []
    found = not_ok(documents, ours, changed((old, new), *more))
    # A daily table of the same field has the same columns.
    assert {name.removesuffix("_daily_by_api") for name in found} == {table}
    assert found[table].status == "differs"
    assert says in found[table].says
    assert "make tables" in found[table].change


def test_a_changed_type_is_told_with_the_line_to_write(
    documents: Sequence[Document], ours: GraphQLSchema
) -> None:
    found = not_ok(documents, ours, changed(("responseMedian: Int", "responseMedian: Float")))
    assert "`responseMedian: Float` at type Latency" in found["latency"].change


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  auth: Int\n", "  auth: Int!\n"),
        ("latencyTime: Float!", "latencyTime: Int!"),
        ("uuid: ID!", "uuid: String!"),
        ("  severity: String!\n", "  severity: Severity!\n"),
        ("errors: [ErrorCountByCategory]", "errors: [ErrorCountByCategory!]"),
        ("  auth: Int\n", '  auth: Int @deprecated(reason: "ask for other")\n'),
    ],
)
def test_what_does_no_harm_is_a_note(
    documents: Sequence[Document], ours: GraphQLSchema, old: str, new: str
) -> None:
    more = [("type Query {", "enum Severity { HIGH }\ntype Query {")] if "Sever" in new else []
    found = not_ok(documents, ours, changed((old, new), *more))
    assert {finding.status for finding in found.values()} == {"note"}


def test_values_that_the_exporter_fills_in(
    documents: Sequence[Document], ours: GraphQLSchema
) -> None:
    found = not_ok(documents, ours, changed(("environmentIds: [String]", "envs: [String]")))
    assert {"total_traffic", "tenants", "latency"} <= found.keys()
    assert "organizations" not in found
    assert "$data: " in found["total_traffic"].says
    assert "environmentIds" in found["total_traffic"].says


def test_values_that_are_fanned_out_over(
    documents: Sequence[Document], ours: GraphQLSchema
) -> None:
    found = not_ok(documents, ours, changed(("  TARGET\n", "  BACKEND\n")))
    assert "errors_by_status_code" in found
    assert "'TARGET'" in found["errors_by_status_code"].says
    new = additions(documents, ours, changed(("  TARGET\n", "  TARGET\n  CACHE\n")))
    assert [finding.what for finding in new] == ["ErrorType.CACHE"]


def test_the_question_before_a_custom_report(
    documents: Sequence[Document], ours: GraphQLSchema
) -> None:
    found = not_ok(documents, ours, changed(("getGroupByValues(", "groups(")))
    assert found
    assert all("getGroupByValues" in finding.says for finding in found.values())


def test_what_is_switched_off_is_no_fault(
    documents: Sequence[Document], ours: GraphQLSchema
) -> None:
    live = changed(("getOverallLatencyByAPI(", "overallLatencyByAPI("))
    assert not not_ok(documents, ours, live)


def test_what_is_new(documents: Sequence[Document], ours: GraphQLSchema) -> None:
    live = changed(
        ("type API {", "type API {\n  region: [ID!]"),
        ("type Query {", "type Query {\n  getCarbon(org: String): Float\n"),
        ("type Pagination {", "type Pagination {\n  more: Boolean!"),
    )
    new = {finding.what: finding for finding in additions(documents, ours, live)}
    assert {*new} == {"API.region: [ID!]", "Pagination.more: Boolean!", "Query.getCarbon: Float"}
    assert "choreo_insights_cli/catalogue/tables/apis.graphql" in new["API.region: [ID!]"].says
    assert "write `region: [ID!]` at type API" in new["API.region: [ID!]"].change


def test_broken_documents_are_told_and_the_others_read(ours: GraphQLSchema, tmp_path: Path) -> None:
    own = tmp_path / "custom"
    own.mkdir()
    (own / "mine.graphql").write_text("query mine {\n  getNothing\n}\n", "utf-8")
    (own / "names.graphql").write_text("{ listOrganizations { name } }", "utf-8")
    documents, (broken,) = load(ours, {"custom": own})
    assert [document.path for document in documents] == ["custom/names.graphql"]
    assert (broken.what, broken.status) == ("custom/mine.graphql", "failed")
    assert "custom/mine.graphql:2: Cannot query field 'getNothing'" in broken.says


def test_a_file_that_is_none_stops_no_other(tmp_path: Path, ours: GraphQLSchema) -> None:
    (tmp_path / "mine.graphql").write_bytes(b"query mine { \xff }")
    (tmp_path / "names.graphql").write_text("query names { listProviders }", "utf-8")
    (tmp_path / "other.gql").write_text("query other { listProviders }", "utf-8")

    documents, broken = load(ours, {"custom": tmp_path})

    assert {finding.status for finding in broken} == {"failed"}
    said = " ".join(finding.says for finding in broken)
    assert "save it as UTF-8" in said
    assert "ends in .graphql" in said
    assert len(broken) == 3 - len(documents)
