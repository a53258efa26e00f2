"""Columns of Python values as one Parquet file, ZSTD compressed, and back."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from arro3.core import Array, ChunkedArray, DataType, Field, RecordBatch, Schema
from arro3.io import read_parquet, write_parquet

from insights.catalogue import Column
from insights.runs import Runs

_TYPES = {
    "string": DataType.string(),
    "bigint": DataType.int64(),
    "double": DataType.float64(),
    "boolean": DataType.bool(),
    "timestamp": DataType.timestamp("us", tz="UTC"),
}
_TEXTS = DataType.dictionary(DataType.int32(), DataType.string())
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
        fields.append(Field(column.name, built.type, nullable=True))
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


def decode(body: bytes, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """The columns of these names (None: all) of a Parquet file that `encode` wrote.

    Instants are microseconds since 1970 in UTC. A column that the file has not is left out: an
    older export may have written it. Raises ValueError where the bytes are no Parquet file.
    """
    try:
        table = read_parquet(BytesIO(body), batch_size=_ROW_GROUP).read_all()
    except BaseException as error:
        # arro3 panics on a bad file, and PyO3's PanicException, which has no name that could be
        # imported, is no Exception: it would end the whole function.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            msg = f"this is no whole Parquet file: {error}"
            raise ValueError(msg) from error
        raise
    names = table.column_names if columns is None else columns
    return {name: _values(table.column(name)) for name in names if name in table.column_names}


def _values(column: ChunkedArray) -> list[Any]:
    # Whole numbers cannot overflow as datetimes do beyond the year 9999.
    plain = column.cast(DataType.int64()) if DataType.is_timestamp(column.type) else column
    values: list[Any] = plain.to_pylist()
    return values


def _runs(column: Column, runs: Runs) -> Array:
    each = _array(column, runs.values, len(runs.values))
    if column.type == "string":
        # The file is the same, and the texts are not copied for each row.
        each = each.cast(_TEXTS)
    return each.take(Array(runs.indices()))


def _array(column: Column, given: Sequence[Any] | Constant, rows: int) -> Array:
    kind = _TYPES[column.type]
    if isinstance(given, Constant):
        given = Runs((given.value,), (rows,))
    if isinstance(given, Runs) and rows:
        return _runs(column, given)
    values = list(given) if isinstance(given, Runs) else given
    if column.type == "timestamp":
        # arro3 turns a text that is no time into null without a word; whole numbers cannot fail.
        return Array(values, DataType.int64()).cast(kind)
    return Array(values, kind)
