"""The rows of a partition before they are encoded."""

from collections.abc import Sequence
from typing import Any

import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.parquet import Constant, encode


class File(msgspec.Struct):
    """A partition's rows with the columns that every table has, before they are encoded.

    `dropped` counts rows that belong to other days.
    """

    columns: dict[str, Sequence[Any] | Constant]
    rows: int
    dropped: int = 0

    def encode(self, table: Table) -> bytes:
        return encode(table.columns, self.columns, self.rows)

    def plain(self) -> dict[str, Sequence[Any]]:
        """The columns with as many values as there are rows."""
        return {
            name: [values.value] * self.rows if isinstance(values, Constant) else list(values)
            for name, values in self.columns.items()
        }
