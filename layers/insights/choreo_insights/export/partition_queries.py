"""What is queried for a partition: its variables, its scopes, and two checks of short lists."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from choreo_insights.catalogue import Catalogue
from choreo_insights.config import ExportConfig
from choreo_insights.credentials import Credentials
from choreo_insights.dataset.day_checks import PlaceDay, tenants_check
from choreo_insights.dataset.partitions import Partition
from choreo_insights.dataset.registry import Registry
from choreo_insights.errors import PersonMustAct
from choreo_insights.export.decode import Answer
from choreo_insights.export.insights_api import day_values, time_filter
from choreo_insights.export.lists import Lists
from choreo_insights.export.queries import Query, QueryGenerator, Rows, collect
from choreo_insights.export.scopes import Scope, for_each, scopes

if TYPE_CHECKING:
    from choreo_insights.dataset.checks_table import Check

log = logging.getLogger(__name__)

# An environment with traffic in so many days up to now has APIs.
_TRAFFIC_DAYS = 7


class PartitionQueries:
    """Makes the queries of partitions. `credentials` are those of each organisation.

    `tenant_checks` grows by a check for each list of tenants that names one without exports.
    """

    def __init__(
        self,
        config: ExportConfig,
        catalogue: Catalogue,
        registry: Registry,
        lists: Lists,
        credentials: Mapping[str, Credentials],
        *,
        force: bool,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._registry = registry
        self._lists = lists
        self._credentials = credentials
        self._force = force
        self.tenant_checks: dict[PlaceDay, Check] = {}

    def of(self, partition: Partition) -> QueryGenerator:
        """The queries of a partition, for each tenant and project that it is queried for."""
        apis = self._lists.names_of(partition).queried(partition.day)

        def begin(scope: Scope) -> QueryGenerator:
            values = self._values(partition, scope.tenant)
            if scope.project_id:
                values["data"] = {**values["data"], "projectId": scope.project_id}
            return collect(partition.table, values, apis)

        chosen = scopes(partition.table, self._config.tenants, self._config.projects)
        queries = for_each(chosen, begin)
        if partition.table_name == "tenants":
            return self._checked_tenants(partition, queries)
        if partition.table_name == "apis" and not self._force:
            return self._checked_apis(partition, queries)
        return queries

    def values(self, partition: Partition) -> dict[str, Any]:
        """The variables that are the same for the whole partition, with the first tenant."""
        return self._values(partition, self._config.tenants[0])

    def _values(self, partition: Partition, tenant: str) -> dict[str, Any]:
        """The variables that are the same for the whole partition."""
        environment, extra = partition.environment, self._config.extra_environment_ids
        more_ids: Sequence[str] = ()
        if environment:
            more_ids = (*extra.get(environment.id, ()), *extra.get(environment.name, ()))
        credentials = self._credentials[partition.organization]
        day, last = partition.day, partition.last_day
        return day_values(day, credentials, tenant, environment, more_ids, last)

    def _checked_tenants(self, partition: Partition, queries: QueryGenerator) -> QueryGenerator:
        """Notes for the day's checks how much traffic a listed tenant has that is not exported."""
        rows = yield from queries
        exported = self._config.tenants
        listed = dict.fromkeys(rows.columns.get("tenant", ()))
        others = [name for name in listed if name and name not in exported]
        if not others:
            return rows
        # Optional: a tenant that the credential may not see must not fail the list.
        traffic = [
            msgspec.structs.replace(query, optional=True)
            for query in self._traffic(partition, (*exported, *others))
        ]
        counts = [_total_traffic(answer) for answer in (yield traffic)]
        check = tenants_check(
            sum(counts[: len(exported)]),
            dict(zip(others, counts[len(exported) :], strict=True)),
            _TRAFFIC_DAYS,
        )
        if check.verdict == "warning":
            log.warning("%s: %s", partition.place, check.explanation)
        self.tenant_checks[PlaceDay.of(partition)] = check
        return rows

    def _checked_apis(self, partition: Partition, queries: QueryGenerator) -> QueryGenerator:
        """Accepts an empty first list of APIs only where there is no traffic.

        The registry refuses later ones, as it knows what was listed. Raises PersonMustAct.
        """
        rows = yield from queries
        environment = partition.environment
        if rows.count or environment is None:
            return rows
        known = self._registry.recalled(partition.organization, environment, "api").known
        if not known:
            answers = yield self._traffic(partition, self._config.tenants)
            if any(answer and any(answer.columns["total_traffic"]) for answer in answers):
                raise PersonMustAct(
                    f"the list of APIs of the environment {environment.name} of"
                    f" {partition.organization} is empty, although it has had traffic within"
                    f" {_TRAFFIC_DAYS} days: check Choreo"
                )
        return rows

    def _traffic(self, partition: Partition, tenants: Sequence[str]) -> list[Query]:
        """Queries for the total traffic of each tenant in the days up to the partition's."""
        table = self._catalogue.table("total_traffic")
        first = partition.day - timedelta(days=_TRAFFIC_DAYS - 1)
        queries = []
        for tenant in tenants:
            values = self._values(partition, tenant) | {"time": time_filter(first, partition.day)}
            queries.append(Query(table, {name: values[name] for name in table.variables}, {}))
        return queries


def no_queries() -> QueryGenerator:
    """A partition without rows, for which the service need not be queried."""
    yield []
    return Rows()


def _total_traffic(answer: Answer | None) -> int:
    return sum(filter(None, answer.columns["total_traffic"])) if answer else 0
