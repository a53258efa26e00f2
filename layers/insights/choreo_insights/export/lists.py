"""What there should be: the environments and APIs that Choreo lists, and those it has dropped.

The other tables fan out over them, so that a run queries these lists first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial

from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_merge import Kind, Names
from choreo_insights.errors import (
    NEEDS_PERSON,
    InsightsError,
    OutOfTime,
    PersonMustAct,
)
from choreo_insights.export.capabilities import Capabilities
from choreo_insights.export.event import Bounds
from choreo_insights.export.partition_file import records
from choreo_insights.export.plan import Plan
from choreo_insights.export.queries import Rows
from choreo_insights.export.report import Report

# The tables that a run queries before the others, and the registry's kinds of names.
NAME_KINDS: Mapping[str, Kind] = {"apis": "api", "applications": "application"}
LISTS = ("environments", *NAME_KINDS)


class Lists:
    """The environments of each organisation and the APIs of each environment, as far as known.

    A `learn` method runs in a worker thread, where it may wait for S3, and returns what is left to
    do in the scheduler's thread: only that one changes the lists, so that they need no lock.
    """

    def __init__(
        self,
        registry: Registry,
        capabilities: Capabilities,
        plan: Plan,
        bounds: Bounds,
        report: Report,
        today: date,
    ) -> None:
        self._registry = registry
        self._capabilities = capabilities
        self._plan = plan
        self._bounds = bounds
        self._report = report
        self._today = today
        self._environments: dict[str, Sequence[Environment]] = {}
        # Environments that are not listed any more, with days that are not closed yet.
        self._gone: dict[tuple[str, str], Environment] = {}
        self._names: dict[tuple[str, str], Names | InsightsError] = {}

    def environments(self) -> Iterator[tuple[str, Environment]]:
        """The listed environments to export, with their organisations."""
        for organization, environments in self._environments.items():
            for environment in environments:
                yield organization, environment

    def places(self) -> Iterator[tuple[str, Environment | None]]:
        """Each organisation by itself, then with each of its environments."""
        for organization, environments in self._environments.items():
            for environment in (None, *environments):
                yield organization, environment

    def gone(self) -> Iterator[tuple[str, Environment]]:
        """The environments that are not listed any more, while days of theirs are open."""
        for (organization, _), environment in self._gone.items():
            yield organization, environment

    def is_gone(self, partition: Partition) -> bool:
        environment = partition.environment
        return environment is not None and (partition.organization, environment.id) in self._gone

    def names_of(self, partition: Partition) -> Names:
        """The APIs that a partition fans out over. Raises why they are unknown."""
        environment = partition.environment
        if environment is None or not partition.table.needs_apis:
            return Names()
        names = self._names[partition.organization, environment.id]
        if isinstance(names, InsightsError):
            raise _waiting_for("the list of APIs", names)
        return names

    def failed(self, partition: Partition, error: InsightsError) -> None:
        """Remembers why there is no list of APIs."""
        if partition.environment and partition.table_name == "apis":
            self._names[partition.organization, partition.environment.id] = error

    def learn_environments(self, organization: str, rows: Rows) -> Callable[[], None]:
        """Merges a list of environments into the registry."""
        merged = self._registry.environments(
            organization, records(rows), self._today, force=self._bounds.force
        )
        gone = []
        for known in self._registry.known(organization):
            self._capabilities.remember(organization, known)
            each = known.environment
            if known.listed or known.unmerged_keys or not self._plan.has_open(organization, each):
                continue
            gone.append((each, self._registry.recalled(organization, each, "api")))

        def learn() -> None:
            self._environments[organization] = list(filter(self._is_chosen, merged.usable))
            for each, names in gone:
                if self._is_chosen(each):
                    self._gone[organization, each.id] = each
                    self._names[organization, each.id] = names
            for refused in merged.refused:
                if self._is_chosen_by(refused.environment_id, refused.name):
                    self._report.count_failure(
                        "environments", organization, refused.name, self._today, refused.reason
                    )

        return learn

    def learn_names(self, partition: Partition, rows: Rows) -> Callable[[], None]:
        """Merges a list of APIs or applications into the registry."""
        environment = partition.environment
        assert environment is not None  # noqa: S101 - for the type checker
        names = self._registry.names(
            partition.organization,
            environment,
            NAME_KINDS[partition.table_name],
            records(rows),
            self._today,
            force=self._bounds.force,
        )
        if partition.table_name != "apis":
            return lambda: None
        place = partition.organization, environment.id
        return partial(self._names.__setitem__, place, names)

    def _is_chosen(self, environment: Environment) -> bool:
        return self._is_chosen_by(environment.id, environment.name)

    def _is_chosen_by(self, *names: str | None) -> bool:
        chosen = self._bounds.environments
        return chosen is None or not chosen.isdisjoint(names)


def _waiting_for(what: str, error: InsightsError) -> InsightsError:
    """The error of a partition that needed what failed: it must be handled in the same way."""
    reason = f"{what} failed: {error}"
    if isinstance(error, OutOfTime):
        return OutOfTime(reason)
    return PersonMustAct(reason) if isinstance(error, NEEDS_PERSON) else InsightsError(reason)
