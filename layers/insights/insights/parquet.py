"""Columns of Python values as one Parquet file, ZSTD compressed."""

from array import array
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from arro3.core import Array, DataType, Field, RecordBatch, Schema
from arro3.io import write_parquet

from insights.catalogue import Column

_TYPES = {
    "string": DataType.string(),
    "bigint": DataType.int64(),
    "double": DataType.float64(),
    "boolean": DataType.bool(),
    "timestamp": DataType.timestamp("us", tz="UTC"),
}
_ROW_GROUP = 1_000_000


class Constant:
    """A value that all rows of a column share, kept once however many rows there are."""

    def __init__(self, value: Any) -> None:
        self.value = value


def encode(
    columns: Sequence[Column], values: Mapping[str, Sequence[Any] | Constant], rows: int
) -> bytes:
    """A Parquet file of these columns, in their order, `rows` rows each.

    Instants are microseconds since 1970 in UTC. A column that has no values is null throughout.
    The same input gives the same bytes. Raises ValueError where a column's length differs.
    """
    arrays, fields = [], []
    for column in columns:
        given = values.get(column.name, Constant(None))
        built = _array(column, given, rows)
        if len(built) != rows:
            msg = f"column {column.name} has {len(built)} values for {rows} rows"
            raise ValueError(msg)
        arrays.append(built)
        fields.append(Field(column.name, _TYPES[column.type], nullable=True))
    batch = RecordBatch.from_arrays(arrays, schema=Schema(fields))
    file = BytesIO()
    write_parquet(
        batch,
        file,
        compression="zstd(3)",
        max_row_group_size=_ROW_GROUP,
        skip_arrow_metadata=True,
    )
    return file.getvalue()


def _array(column: Column, given: Sequence[Any] | Constant, rows: int) -> Array:
    kind = _TYPES[column.type]
    if isinstance(given, Constant) and rows:
        one = _array(column, [given.value], 1)
        return one.take(Array(array("q", bytes(8 * rows))))
    values = [] if isinstance(given, Constant) else given
    if column.type == "timestamp":
        # arro3 turns a text that is no time into null without a word; whole numbers cannot fail.
        return Array(values, DataType.int64()).cast(kind)
    return Array(values, kind)
