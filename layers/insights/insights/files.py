"""A partition's rows as the file that goes into the dataset."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from insights.catalogue import RESOLVED
from insights.decode import microseconds, within
from insights.parquet import Constant, encode
from insights.partitions import Partition, day_end, day_start
from insights.questions import Rows
from insights.runs import Known, mapped

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class Apis(msgspec.Struct, frozen=True):
    """The listed APIs of an environment: their ids, and ids by `name - version`."""

    ids: tuple[str, ...] = ()
    named: Mapping[str, str | None] | None = None

    @classmethod
    def listed(cls, rows: Rows) -> "Apis":
        """From the rows of the table `apis`."""
        named: dict[str, str | None] = {}
        ids: list[str] = []
        for row in records(rows):
            ids.append(row["api_id"])
            name = f"{row['api_name']} - {row['version']}"
            # A name that two APIs bear says nothing.
            named[name] = None if named.get(name, row["api_id"]) != row["api_id"] else row["api_id"]
        return cls(tuple(dict.fromkeys(ids)), named)

    def resolve(self, answered: str | None) -> str | None:
        """The id that an answered `apiId` stands for, or None where that is not certain.

        It may be an id, the text `name - version`, or null for a sum over APIs [Choreo].
        """
        if answered is None:
            return None
        if _UUID.fullmatch(answered) or answered in self.ids:
            return answered
        return (self.named or {}).get(answered)


def records(rows: Rows) -> Iterator[Mapping[str, Any]]:
    """Row by row, for lists that are short."""
    for values in zip(*rows.columns.values(), strict=True):
        yield dict(zip(rows.columns, values, strict=True))


class File(msgspec.Struct, frozen=True):
    """A partition as Parquet. `dropped` counts rows that belong to other days."""

    body: bytes
    rows: int
    dropped: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.body)


def file_of(partition: Partition, rows: Rows, apis: Apis, asked: datetime) -> File:
    """The partition's rows with the columns that every table has. `asked` fills `exported_at`."""
    table, environment = partition.table, partition.environment
    columns, count, dropped = rows.columns, rows.count, 0
    if table.daily and table.time_column and count:
        start, end = day_start(partition.day), day_end(partition.day)
        columns, dropped = within(
            columns, table.time_column, microseconds(start), microseconds(end)
        )
        count -= dropped
    values: dict[str, Sequence[Any] | Constant] = {
        **columns,
        "organization": Constant(partition.organization),
        "exported_at": Constant(microseconds(asked)),
    }
    if environment:
        values["environment"] = Constant(environment.name)
        values["environment_id"] = Constant(environment.id)
    elif "environment_name" in columns:
        values["environment"] = columns["environment_name"]
    if table.resolves_apis and count:
        values[RESOLVED] = mapped(columns["api_id"], Known(apis.resolve))
    return File(encode(table.columns, values, count), count, dropped)
