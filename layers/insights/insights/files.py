"""A partition's rows as the file that goes into the dataset."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from insights.catalogue import RESOLVED, Table
from insights.decode import microseconds, within
from insights.parquet import Constant, encode
from insights.partitions import Partition, day_end, day_start
from insights.questions import Rows
from insights.runs import Known, mapped


def records(rows: Rows) -> Iterator[Mapping[str, Any]]:
    """Row by row, for lists that are short."""
    for values in zip(*rows.columns.values(), strict=True):
        yield dict(zip(rows.columns, values, strict=True))


class File(msgspec.Struct):
    """A partition's rows with the columns that every table has, before they are encoded.

    `dropped` counts rows that belong to other days.
    """

    columns: dict[str, Sequence[Any] | Constant]
    rows: int
    dropped: int = 0

    def encode(self, table: Table) -> bytes:
        """The rows as Parquet."""
        return encode(table.columns, self.columns, self.rows)

    def plain(self) -> dict[str, Sequence[Any]]:
        """The columns with as many values as there are rows."""
        return {
            name: [values.value] * self.rows if isinstance(values, Constant) else list(values)
            for name, values in self.columns.items()
        }


def file_of(
    partition: Partition, rows: Rows, resolve: Callable[[str | None], str | None], asked: datetime
) -> File:
    """A partition's rows as they are stored. `asked` fills `exported_at`."""
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
        values[RESOLVED] = mapped(columns["api_id"], Known(resolve))
    return File(values, count, dropped)
