"""What the dataset must hold, computed from the traffic and not by the query fields.

The rows are those of whole UTC days by hour, over all ids of an environment, without
`exported_at`. Instants are aware datetimes; the order of rows means nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from dev.sandbox.expectation import daily, hourly, lists, reports
from dev.sandbox.expectation.day import Day, Row
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.world import World

TABLES: Mapping[str, Callable[[Day], list[Row]]] = {
    **lists.TABLES,
    **hourly.TABLES,
    **daily.TABLES,
    **reports.TABLES,
    **reports.TOP_TABLES,
}


# Their queries name no tenant.
WITHOUT_TENANT = (
    *("environments", "organizations", "tenants"),
    "success_apis_usage_by_applications",
)


def expected_rows(
    world: World,
    table: str,
    organization: str,
    environment: str | None,
    day: date,
    now: datetime,
    *,
    settings: SandboxSettings | None = None,
    tenants: Sequence[str] = (),
) -> list[Row]:
    """The rows of one partition, without `exported_at`.

    `environment` is a name, or None for the lists of an organisation. `settings` matter for late
    data and buckets without traffic. With `tenants` the table is queried for each of them, and
    each has a part of the traffic. Raises KeyError for an unknown table or name.
    """
    own = world.organization(organization)
    place = own.environment(environment) if environment is not None else None
    one_day = Day(own, place, day, now, settings or SandboxSettings())
    common: Row = {
        "organization": organization,
        "environment": place.name if place else None,
        "environment_id": place.id if place else None,
    }
    if table in WITHOUT_TENANT:
        return [{**common, **row} for row in TABLES[table](one_day)]
    if len(tenants) < 2:
        return [{**common, "tenant": None, **row} for row in TABLES[table](one_day)]
    known = place.tenants if place else ()
    return [
        {**common, "tenant": tenant, **row}
        for tenant in tenants
        if tenant in known
        for row in TABLES[table](replace(one_day, tenant=tenant))
    ]
