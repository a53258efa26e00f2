"""Queries a partition once for each tenant: a filter takes only one [Choreo]."""

from collections.abc import Callable, Sequence

from choreo_insights.catalogue import TENANT, Table
from choreo_insights.export.queries import QueryGenerator, Rows


def for_tenants(
    table: Table, tenants: Sequence[str], begin: Callable[[str], QueryGenerator]
) -> QueryGenerator:
    """The queries of a partition for each tenant, and the rows of all of them.

    `begin` starts the queries for one tenant. With several tenants each row has its tenant's name
    in the column `tenant`; with one the column stays null. Raises what the queries raise.
    """
    if len(tenants) == 1 or not table.per_tenant:
        return begin(tenants[0])
    return _side_by_side({tenant: begin(tenant) for tenant in tenants})


def _side_by_side(running: dict[str, QueryGenerator]) -> QueryGenerator:
    """Runs the generators in step, so that their queries share requests."""
    rows = Rows()
    wanted = {tenant: next(queries) for tenant, queries in running.items()}
    while wanted:
        answers = iter((yield [query for queries in wanted.values() for query in queries]))
        following = {}
        for tenant, queries in wanted.items():
            try:
                following[tenant] = running[tenant].send([next(answers) for _ in queries])
            except StopIteration as done:
                rows.extend(done.value, {TENANT: tenant})
        wanted = following
    return rows
