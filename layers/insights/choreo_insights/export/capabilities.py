"""Which documents the service answers, where a table has two of them.

A document may select fields that only newer releases of the service have. What was learned is kept
in the registry: the containers of an hourly schedule are usually new, and a refused document costs
requests.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from choreo_insights.errors import (
    BadAnswer,
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Refused,
    Retriable,
    SchemaDiffers,
    Unauthenticated,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from choreo_insights.catalogue import Table
    from choreo_insights.dataset.partitions import Environment, Partition
    from choreo_insights.dataset.registry import Registry
    from choreo_insights.dataset.registry_merge import KnownEnvironment

log = logging.getLogger(__name__)

# After so long a document that was refused is tried again: the service may know it by now.
_TRIED_AGAIN = timedelta(days=7)

# An organisation and the id of one of its environments.
_Place = tuple[str, str]


class Capabilities:
    """What the registry knows of documents, and what this run learns."""

    def __init__(self, registry: Registry, today: date) -> None:
        self._registry = registry
        self.today = today
        self._refused: dict[_Place, dict[str, date]] = {}
        # Refused in this run, as long as no other document has been answered.
        self._doubtful: set[tuple[_Place, str]] = set()
        self._learned: dict[str, dict[str, dict[str, date | None]]] = {}
        # Documents that were answered when they were tried, by organisation.
        self._known: set[tuple[str, str]] = set()

    def remember(self, organization: str, known: KnownEnvironment) -> None:
        """Takes what the registry knows of an environment."""
        self._refused[organization, known.id] = known.refused

    def answered(self, partition: Partition) -> Partition:
        """The partition by the document that is likely to be answered."""
        place, other = _place(partition), partition.table.otherwise
        if place is None or other is None:
            return partition
        day = self._refused.get(place, {}).get(partition.table.document)
        is_refused = day is not None and self.today - day < _TRIED_AGAIN
        return replace(partition, table=other) if is_refused else partition

    def tried(
        self, partition: Partition, environments: Iterable[Environment], *, is_answered: bool
    ) -> None:
        """Learns from a trial of the partition's document, for all environments."""
        organization, document = partition.organization, partition.table.document
        if is_answered:
            self._known.add((organization, document))
        for environment in environments:
            refused = self._refused.setdefault((organization, environment.id), {})
            if not is_answered:
                refused[document] = self.today
                self._learn((organization, environment.id), document, self.today)
            elif refused.pop(document, None):
                self._learn((organization, environment.id), document, None)

    def other_way(self, partition: Partition, error: InsightsError) -> Partition | None:
        """The partition by its other document, where that may be answered and this one is not.

        A document that passed its trial is not to blame: the other one may give less.
        """
        if (partition.organization, partition.table.document) in self._known:
            return None
        return other_way(partition, error)

    def failed(self, partition: Partition, error: InsightsError) -> None:
        """Learns from a document that was not answered."""
        place = _place(partition)
        if place is None or _learns_by_trial(partition.table):
            return
        if partition.table.otherwise and _means_refused(error):
            # Not learned yet: the service may be down. Only the success of the other document shows
            # it.
            self._doubtful.add((place, partition.table.document))
        for document in self._refused.get(place, {}):
            # Not even the other one is answered: the next run begins with the first one again.
            if _is_of(document, partition) and not isinstance(error, Retriable | OutOfTime):
                self._learn(place, document, None)

    def succeeded(self, partition: Partition) -> None:
        """Learns from a document that was answered."""
        place = _place(partition)
        if place is None or _learns_by_trial(partition.table):
            return
        document = partition.table.document
        if partition.table.otherwise and document in self._refused.get(place, {}):
            self._learn(place, document, None)
        for tried in [each for each in self._doubtful if each[0] == place]:
            if tried[1] != document and _is_of(tried[1], partition):
                self._doubtful.discard(tried)
                self._learn(place, tried[1], self.today)

    def save(self) -> None:
        """Keeps what was learned. A failure only means that the next run learns it again."""
        for organization, learned in self._learned.items():
            try:
                self._registry.learn(organization, learned)
            except InsightsError as error:
                log.warning("what %s answers is not in the registry: %s", organization, error)

    def _learn(self, place: _Place, document: str, day: date | None) -> None:
        organization, environment = place
        self._learned.setdefault(organization, {}).setdefault(environment, {})[document] = day


def other_way(partition: Partition, error: InsightsError) -> Partition | None:
    """The partition by its other document, where that may be answered although this one is not."""
    table = partition.table
    if table.otherwise is None or isinstance(error, Retriable):
        return None
    if isinstance(error, PersonMustAct | Unauthenticated) and not table.on_prem_key:
        return None
    return replace(partition, table=table.otherwise)


def is_tried(table: Table) -> bool:
    """Whether a table's document is tried before partitions use it."""
    return table.otherwise is not None and _learns_by_trial(table)


def _learns_by_trial(table: Table) -> bool:
    # A list is queried once a run, and which way takes an on-prem key depends on the environment.
    return table.daily and table.scope == "environment" and not table.on_prem_key


def _means_refused(error: InsightsError) -> bool:
    """Whether the service does not know what a document asks for, as far as can be seen."""
    if isinstance(error, Retriable | OutOfTime | PersonMustAct | Unauthenticated):
        return False
    return not isinstance(error, BadAnswer) or isinstance(error, SchemaDiffers | Refused)


def _place(partition: Partition) -> _Place | None:
    environment = partition.environment
    return (partition.organization, environment.id) if environment else None


def _is_of(document: str, partition: Partition) -> bool:
    """Whether a document is one of the partition's table."""
    return document.partition(".")[0] == partition.table_name
