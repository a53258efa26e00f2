"""Query fields that list what there is."""

from typing import Any

from dev.sandbox.filters import Args, QueryContext, TrafficSource, streams_of
from dev.sandbox.paging import Row
from dev.sandbox.refusals import QueryError
from dev.sandbox.world import Api


def _listed(sources: list[TrafficSource]) -> list[Api]:
    return list(
        dict.fromkeys(
            api
            for source in sources
            if source.ids
            for api in source.environment.listed
            if source.project in (None, api.project)
        )
    )


def list_all_api(context: QueryContext, args: Args) -> list[Row]:
    """`listAllAPI`."""
    provider = args.get("provider")
    return [
        {
            "id": api.id,
            "name": api.name,
            "version": api.version,
            "provider": api.provider,
            "displayName": api.display_name,
        }
        for api in _listed(context.sources(args))
        if provider in (None, api.provider)
    ]


def list_applications(context: QueryContext, args: Args) -> list[Row]:
    """`listApplications`."""
    chosen = args.get("applicationFilter") or {}
    owner, apis = chosen.get("owner"), context.ids(chosen.get("apiIds"))
    applications = {}
    for source in context.sources(args):
        environment = source.environment
        callers = None
        if apis is not None:
            callers = {stream.application for stream in streams_of(environment, apis)}
        for application in environment.applications if source.ids else ():
            if owner in (None, application.owner) and (callers is None or application in callers):
                applications[application.id] = application
    return [{"id": a.id, "name": a.name, "owner": a.owner} for a in applications.values()]


def list_providers(context: QueryContext, args: Args) -> list[Row]:
    """`listProviders`."""
    return [{"name": name} for name in sorted({a.provider for a in _listed(context.sources(args))})]


def list_subscribers(context: QueryContext, args: Args) -> list[Row]:
    """`listSubscribers`."""
    apis = context.ids((args.get("subscriberFilter") or {}).get("apiIds"))
    sources = context.sources(args)
    filtered = {"dataFilter": args["dataFilter"]}
    if apis is not None:
        filtered["applicationFilter"] = {"apiIds": list(apis)}
    owners = {a["owner"] for a in list_applications(context, filtered)} if sources else set()
    return [{"name": name} for name in sorted(owners)]


def list_organizations(context: QueryContext, _args: Args) -> list[Row]:
    """`listOrganizations`."""
    own = context.organization
    return [{"id": own.number, "uuid": own.uuid, "handle": own.handle, "name": own.name}]


def list_environments(context: QueryContext, args: Args) -> list[Row]:
    """`listEnvironments`."""
    context.check_organization(args["org"]["orgId"])
    if context.on_prem and args.get("projectId"):
        raise QueryError("projectId must not be given together with an on-prem key")
    return [
        {
            "id": e.id,
            "externalEnvId": e.external_id,
            "internalEnvId": e.internal_id,
            "sandboxEnvId": e.sandbox_id,
            "name": e.name,
            "type": e.type,
            # Seen in clients of 2026; the engine drops it unless the schema has it [Choreo].
            "region": "US",
        }
        for e in context.organization.environments
        if context.on_prem in (None, e)
    ]


def list_tenants(context: QueryContext, args: Args) -> list[str]:
    """`listTenants`."""
    chosen = args["tenantDataFilter"]
    context.check_organization(chosen["orgId"])
    ids: list[Any] = chosen.get("environmentIds") or []
    sources = context.of_ids([chosen.get("envId"), *ids])
    return list(dict.fromkeys(t for source in sources for t in source.environment.tenants))
