"""The GraphQL engine: the project's schema with the sandbox's resolvers."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    extend_schema,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import NoSchemaIntrospectionCustomRule

from dev.sandbox import lists, reports, series, totals
from dev.sandbox.filters import Args, QueryContext
from dev.sandbox.settings import SandboxSettings

SCHEMA = Path(__file__).parents[2] / "choreo_insights_cli/catalogue/schema.graphql"
NEWER = SCHEMA.with_name("newer.graphql")
_LIST = "[APIUsageOverTime]"
_NEWER = "extend type Environment { region: String }" + NEWER.read_text("utf-8")
_TRAFFIC_TYPE = SCHEMA.with_name("newer_filters.graphql").read_text("utf-8")
_PAIRS = "input APIIdVersionPair { id: String version: String }" + "".join(
    f"extend input {name} {{ apiIdVersionPairs: [APIIdVersionPair] }}"
    for name in ("APIUsageOverTimeFilter", "APIUsageByBackendOverTimeFilter", "ResourceUsageFilter")
)

RESOLVERS: Mapping[str, Callable[[QueryContext, Args], Any]] = {
    "listAllAPI": lists.list_all_api,
    "listApplications": lists.list_applications,
    "listProviders": lists.list_providers,
    "listSubscribers": lists.list_subscribers,
    "listOrganizations": lists.list_organizations,
    "listEnvironments": lists.list_environments,
    "listTenants": lists.list_tenants,
    "getTotalTraffic": totals.total_traffic,
    "getTotalErrors": totals.total_errors,
    "getOverallLatency": totals.overall_latency_of_all,
    "getLatencySummary": series.latency_summary,
    "getSuccessSummary": series.success_summary,
    "getErrorSummary": series.error_summary,
    "getErrorsByCategory": series.errors_by_category,
    "getErrorsDetails": totals.errors_details,
    "getProxyTargetErrorsOverTime": series.proxy_target_errors,
    "getErrorsByStatusCode": totals.errors_by_status_code,
    "getTotalErrorsByAPI": totals.total_errors_by_api,
    "getAPIUsageOverTime": series.usage_over_time,
    "getAPIUsageByAppOverTime": series.usage_by_app,
    "getAPIUsageByBackendOverTime": series.usage_by_backend,
    "getResourceUsage": totals.resource_usage,
    "getTotalTrafficByAPI": totals.total_traffic_by_api,
    "topSlowestAPIs": totals.top_slowest_apis,
    "getLatency": series.latency,
    "getOverallLatencyByAPI": totals.overall_latency_by_api,
    "getCacheHitsAndMisses": series.cache,
    "getTopPlatforms": totals.top_platforms,
    "getTopUserAgents": totals.top_user_agents,
    "getAPIUsageByGeoLocation": totals.usage_by_geo_location,
    "getAPIsUsageByApplications": totals.usage_by_applications,
    "getTopAPIsByAlertCount": totals.top_apis_by_alert_count,
    "getAlertSummary": totals.alert_summary,
    "getSuccessAPIsUsageByApplications": totals.success_usage,
    "getSuccessAPIsUsageByApplicationsWithOnPremKey": totals.success_usage_with_key,
    "getCustomReportOvertime": reports.report,
    "getCustomReportTopOvertime": reports.top_report,
    "getGroupByValues": reports.group_by_values,
}


class InvalidDocumentError(Exception):
    """A document that the engine cannot run, with the reply's `errors`."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = [error.formatted for error in errors]


class Shown(NamedTuple):
    """What the schema shows beyond the published one, or otherwise."""

    newer_fields: bool = False
    usage_as_object: bool = False
    traffic_type: bool = False
    api_id_version_pairs: bool = False

    @classmethod
    def by(cls, settings: SandboxSettings) -> "Shown":
        """By the settings of a sandbox."""
        return cls(
            settings.newer_fields,
            settings.usage_as_object,
            settings.traffic_type != "unknown",
            settings.api_id_version_pairs,
        )


@lru_cache(maxsize=16)
def schema(shown: Shown = Shown()) -> GraphQLSchema:  # noqa: B008 - it cannot change
    """The schema with a resolver for each of its query fields."""
    text = SCHEMA.read_text("utf-8")
    if shown.usage_as_object:
        text = text.replace(_LIST, _LIST.strip("[]"))
    built = build_schema(text)
    for is_known, more in (
        (shown.newer_fields, _NEWER),
        (shown.traffic_type, _TRAFFIC_TYPE),
        (shown.api_id_version_pairs, _PAIRS),
    ):
        built = extend_schema(built, parse(more)) if is_known else built
    query = built.query_type
    if query is None or query.fields.keys() != RESOLVERS.keys():
        raise LookupError("the schema's query fields and the resolvers are not the same")
    for name, field in query.fields.items():
        # The schema is the project's own, so that a document cannot be valid here alone.
        field.resolve = _resolver(RESOLVERS[name])
    return built


def _resolver(function: Callable[[QueryContext, Args], Any]) -> Callable[..., Any]:
    def resolve(_root: None, info: GraphQLResolveInfo[QueryContext], **args: Any) -> Any:
        return function(info.context.by(info.field_name, args), args)

    return resolve


@lru_cache(maxsize=512)
def prepared(text: str, shown: Shown, *, introspection: bool) -> DocumentNode:
    """A parsed and valid document; the most recent ones are cached.

    Raises InvalidDocumentError.
    """
    try:
        # Cached by text: the export sends the same documents again and again.
        document = parse(text)
    except GraphQLError as error:
        raise InvalidDocumentError([error]) from None
    rules = [*specified_rules, *([] if introspection else [NoSchemaIntrospectionCustomRule])]
    errors = validate(schema(shown), document, rules)
    if errors:
        raise InvalidDocumentError(errors)
    return document


def root_fields(document: DocumentNode) -> dict[str, str]:
    """The query fields that a document asks for, by their alias (fragments are not followed)."""
    fields: dict[str, str] = {}
    # Every operation of the document, as the gateway counts before it knows which one runs.
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            for node in operation.selection_set.selections:
                if isinstance(node, FieldNode):
                    alias = node.alias.value if node.alias else node.name.value
                    fields[alias] = node.name.value
    return fields


def has_aliases(document: DocumentNode) -> bool:
    """Whether a query field of a document has another name in the answer."""
    return any(alias != name for alias, name in root_fields(document).items())


def run(
    document: DocumentNode,
    context: QueryContext,
    variables: dict[str, Any] | None,
    operation: str | None,
) -> tuple[dict[str, Any], list[BaseException]]:
    """The reply, and what the resolvers raised."""
    result = execute_sync(
        schema(Shown.by(context.settings)),
        document,
        context_value=context,
        variable_values=variables,
        operation_name=operation,
        field_resolver=_value,
    )
    raised = [e.original_error for e in result.errors or () if e.original_error]
    return dict(result.formatted), list(raised)


def _value(source: Any, info: GraphQLResolveInfo[QueryContext], **_args: Any) -> Any:
    return source[info.field_name]
