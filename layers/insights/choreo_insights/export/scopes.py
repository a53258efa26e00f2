"""Queries a partition for each tenant and project: a filter takes one of each [Choreo]."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import msgspec

from choreo_insights.catalogue import PROJECT, PROJECT_ID, TENANT, Table
from choreo_insights.export.queries import QueryGenerator, Rows


class Scope(msgspec.Struct, frozen=True):
    """What a filter narrows queries to, and the columns that repeat it in each row."""

    tenant: str
    project_id: str | None = None
    columns: Mapping[str, str] = {}


def scopes(table: Table, tenants: Sequence[str], projects: Mapping[str, str]) -> list[Scope]:
    """The scopes to query a table for; `projects` are ids by name.

    With one tenant the column `tenant` stays null.
    """
    named = [(name, {TENANT: name} if len(tenants) > 1 else {}) for name in tenants]
    if not table.per_tenant:
        named = named[:1]
    if not table.per_project:
        return [Scope(name, None, columns) for name, columns in named]
    return [
        Scope(name, own_id, {**columns, PROJECT: project, PROJECT_ID: own_id})
        for (name, columns), (project, own_id) in product(named, projects.items())
    ]


def for_each(chosen: Sequence[Scope], begin: Callable[[Scope], QueryGenerator]) -> QueryGenerator:
    """The queries of a partition for each scope, side by side, so that they share requests.

    `begin` starts the queries of one. Returns the rows of all. Raises what the queries raise.
    """
    # The usual case: no copy of the rows.
    if len(chosen) == 1 and not chosen[0].columns:
        return (yield from begin(chosen[0]))
    rows = Rows()
    running = [(scope.columns, begin(scope)) for scope in chosen]
    wanted = [(columns, queries, next(queries)) for columns, queries in running]
    while wanted:
        answers = iter((yield [query for _, _, some in wanted for query in some]))
        following = []
        for columns, queries, some in wanted:
            try:
                more = queries.send([next(answers) for _ in some])
                following.append((columns, queries, more))
            except StopIteration as done:
                rows.extend(done.value, columns)
        wanted = following
    return rows
