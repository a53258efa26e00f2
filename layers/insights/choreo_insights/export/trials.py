"""Tries the documents that only newer releases of the service answer, before partitions use them.

Each is queried over no time at all, beside the lists, once for an organisation: a document that is
refused there would otherwise be refused for every partition of a first run. While it is refused, it
is tried once a week.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from choreo_insights.catalogue import Table
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.errors import InsightsError, Refused
from choreo_insights.export.capabilities import Capabilities, is_tried
from choreo_insights.export.jobs import BatchKey, Job
from choreo_insights.export.lists import Lists
from choreo_insights.export.queries import Query, QueryGenerator, Rows

# The variables of a partition's queries.
Values = Callable[[Partition], Mapping[str, Any]]


class Trials:
    """Queries each document that has another one beside it, and learns from the answer."""

    def __init__(self, capabilities: Capabilities, lists: Lists, values: Values) -> None:
        self._capabilities = capabilities
        self._lists = lists
        self._values = values

    def jobs(self, tables: Sequence[Table]) -> Iterator[Job]:
        """A job for each document of each organisation, of which it is not known yet."""
        places: dict[str, list[Environment]] = {}
        for organization, environment in self._lists.environments():
            places.setdefault(organization, []).append(environment)
        for organization, environments in places.items():
            for table in filter(is_tried, tables):
                today = self._capabilities.today
                first = Partition(table, table.name, organization, environments[0], today)
                if self._capabilities.answered(first).table is table:
                    yield self._job(first, table, environments)

    def _job(
        self, partition: Partition, document: Table, environments: Sequence[Environment]
    ) -> Job:
        return Job(
            BatchKey(partition.organization),
            begin=partial(_once, document, self._values(partition)),
            store=lambda _job, _rows: None,
            record=partial(self._record, partition, document, environments),
        )

    def _record(
        self,
        partition: Partition,
        document: Table,
        environments: Sequence[Environment],
        _job: Job,
        result: Any | InsightsError,
    ) -> Job | None:
        """Learns; a document that was refused is so where the other one is answered."""
        if not isinstance(result, InsightsError):
            is_first = document is partition.table
            self._capabilities.tried(partition, environments, is_answered=is_first)
        elif document.otherwise and _is_refused(result):
            return self._job(partition, document.otherwise, environments)
        return None


def _is_refused(error: InsightsError) -> bool:
    """Whether the service does not know what a document names. A field that fails may be down."""
    return isinstance(error, Refused) and error.reply is None  # else the body was none


def _once(document: Table, values: Mapping[str, Any]) -> QueryGenerator:
    """One query over no time, of whichever APIs."""
    variables = {**values, "apiNames": [], "limit": 1, "offset": 0}
    variables["time"] = dict.fromkeys(variables["time"], variables["time"]["from"])
    yield [Query(document, {name: variables[name] for name in document.variables}, {})]
    return Rows()
