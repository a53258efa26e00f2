"""Checks the tables of a day that a run has written, and stores the result."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from choreo_insights.catalogue import Catalogue, Table
from choreo_insights.dataset import cross_checks
from choreo_insights.dataset.cross_checks import Check
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.dataset.store import Dataset


class PlaceDay(msgspec.Struct, frozen=True):
    """One day of one environment, or of an organisation's own tables."""

    organization: str
    environment: Environment | None
    day: date

    @classmethod
    def of(cls, partition: Partition) -> "PlaceDay":
        """The place and day of a partition."""
        return cls(partition.organization, partition.environment, partition.day)

    def partition(self, table: Table) -> Partition:
        return Partition(table, table.name, self.organization, self.environment, self.day)


def doubted_tables(body: bytes) -> frozenset[str]:
    """The tables of a day whose figures did not agree, from the object that `Audit` has written.

    Raises ValueError where it is not Parquet, and KeyError for a file without these columns.
    """
    columns = decode(body, ("verdict", "tables"))
    rows = zip(columns["verdict"], columns["tables"], strict=True)
    return frozenset(
        name for verdict, tables in rows if verdict == "mismatch" for name in tables.split(",")
    )


class Audit(msgspec.Struct, frozen=True):
    """Checks days of the dataset. Raises what `Dataset` does.

    `tables` are those that are exported (None: all): old objects of others prove nothing.
    """

    dataset: Dataset
    catalogue: Catalogue
    run: str
    tables: tuple[str, ...] | None = None

    def check(self, place: PlaceDay, *, final: bool) -> list[Check]:
        """The checks of a day, from its present objects."""

        def read(name: str) -> Mapping[str, Sequence[Any]] | None:
            table = self.catalogue.table(name)
            kept = self.dataset.read(place.partition(table).key)
            return decode(kept.body, renamed=table.renamed) if kept else None

        scope = "environment" if place.environment else "organization"
        tables = [
            table
            for table in self.catalogue.chosen(self.tables)
            if table.daily and not table.monthly and table.scope == scope
        ]
        return cross_checks.check_day(read, tables, place.day, final=final)

    def write(self, place: PlaceDay, found: Sequence[Check], now: datetime) -> None:
        """Keeps the outcome in place of the one before."""
        body = cross_checks.file(
            found,
            organization=place.organization,
            environment=place.environment,
            now=now,
        )
        any_table = place.partition(self.catalogue.tables[0])
        self.dataset.put(
            cross_checks.key(place.day, any_table.place), body, asked=now, run=self.run
        )
