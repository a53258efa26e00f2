"""Lists of what there is."""

from collections.abc import Callable, Mapping

from dev.sandbox.expectation.day import Day, Row


def _environments(day: Day) -> list[Row]:
    return [
        {
            "environment": e.name,
            "environment_id": e.id,
            "environment_name": e.name,
            "type": e.type,
            "external_env_id": e.external_id,
            "internal_env_id": e.internal_id,
            "sandbox_env_id": e.sandbox_id,
        }
        for e in day.organization.environments
    ]


def _organizations(day: Day) -> list[Row]:
    own = day.organization
    return [
        {
            "organization_id": own.number,
            "uuid": own.uuid,
            "handle": own.handle,
            "organization_name": own.name,
        }
    ]


def _tenants(day: Day) -> list[Row]:
    return [{"tenant": tenant} for tenant in day.environment.tenants]


def _apis(day: Day) -> list[Row]:
    return [
        {
            "api_id": api.id,
            "api_name": api.name,
            "display_name": api.display_name if day.settings.newer_fields else None,
            "version": api.version,
            "provider": api.provider,
        }
        for api in day.listed
    ]


def _api_projects(day: Day) -> list[Row]:
    return [
        {"api_id": api.id, "api_name": api.name, "version": api.version, "project_id": api.project}
        for api in day.listed
    ]


def _applications(day: Day) -> list[Row]:
    return [
        {"application_id": a.id, "application_name": a.name, "owner": a.owner}
        for a in day.environment.applications
    ]


def _providers(day: Day) -> list[Row]:
    return [{"provider_name": name} for name in {api.provider for api in day.listed}]


def _subscribers(day: Day) -> list[Row]:
    owners = {application.owner for application in day.environment.applications}
    return [{"subscriber_name": name} for name in owners]


TABLES: Mapping[str, Callable[[Day], list[Row]]] = {
    "environments": _environments,
    "organizations": _organizations,
    "tenants": _tenants,
    "apis": _apis,
    "api_projects": _api_projects,
    "applications": _applications,
    "providers": _providers,
    "subscribers": _subscribers,
}
