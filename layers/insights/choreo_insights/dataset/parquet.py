"""Columns of Python values as one Parquet file, ZSTD compressed, and back."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from io import BytesIO
from typing import Any, TypeVar, cast

import msgspec
from arro3.core import (
    Array,
    ChunkedArray,
    DataType,
    Field,
    RecordBatch,
    RecordBatchReader,
    Schema,
    Table,
)
from arro3.io import read_parquet, write_parquet

from choreo_insights.catalogue import Column
from choreo_insights.dataset.columns import Runs

_TYPES = {
    "string": DataType.string(),
    "bigint": DataType.int64(),
    "double": DataType.float64(),
    "boolean": DataType.bool(),
    "timestamp": DataType.timestamp("us", tz="UTC"),
    "date": DataType.date32(),
}
_EPOCH = date(1970, 1, 1)
_TEXTS = DataType.dictionary(DataType.int32(), DataType.string())
# One row group for nearly every partition: fewer reads for Athena.
_ROW_GROUP = 1_000_000


_Read = TypeVar("_Read")


class Constant:
    """A value that all rows of a column share, kept once however many rows there are."""

    def __init__(self, value: Any) -> None:
        self.value = value


class File(msgspec.Struct):
    """All columns of a partition before they are encoded.

    `dropped` counts rows that belong to other days.
    """

    columns: dict[str, Sequence[Any] | Constant]
    rows: int
    dropped: int = 0

    def encode(self, columns: Sequence[Column]) -> bytes:
        return encode(columns, self.columns, self.rows)

    def plain(self) -> dict[str, Sequence[Any]]:
        """The columns with as many values as there are rows."""
        return {
            name: [values.value] * self.rows if isinstance(values, Constant) else list(values)
            for name, values in self.columns.items()
        }


def encode(
    columns: Sequence[Column], values: Mapping[str, Sequence[Any] | Constant], rows: int
) -> bytes:
    """A Parquet file of these columns, in their order, `rows` rows each.

    Instants are microseconds since 1970 in UTC, dates are `date`. A column that has no values is
    null throughout.
    The same input results in the same bytes. Raises ValueError where a column's length differs.
    """
    arrays, fields = [], []
    for column in columns:
        source = values.get(column.name, Constant(None))
        built = _array(column, source, rows)
        if len(built) != rows:
            msg = f"column {column.name} has {len(built)} values for {rows} rows"
            raise ValueError(msg)
        arrays.append(built)
        fields.append(Field(column.name, built.type, nullable=True))
    return _written(RecordBatch.from_arrays(arrays, schema=Schema(fields)))


def _written(rows: RecordBatch | Table) -> bytes:
    file = BytesIO()
    write_parquet(
        rows,
        file,
        compression="zstd(3)",
        max_row_group_size=_ROW_GROUP,
        # Arrow's schema in the footer serves Arrow alone, and most of these files are short.
        skip_arrow_metadata=True,
    )
    return file.getvalue()


def decode(
    body: bytes, columns: Sequence[str] | None = None, renamed: Mapping[str, str] | None = None
) -> dict[str, list[Any]]:
    """The columns of these names (None: all) of a Parquet file that `encode` wrote.

    Instants are microseconds since 1970 in UTC, dates are `date`. A column that the file has not is
    left out: an older export may have written it. `renamed` are names of today by former ones,
    which the file may have in their place. Raises ValueError for another file.
    """
    table = _read(body, lambda file: file.read_all())
    # Renamed before columns are chosen: a file of an older release knows only its own names.
    table = table.rename_columns(_todays(table.column_names, renamed or {}))
    wanted = table.column_names if columns is None else columns
    return {name: _values(table.column(name)) for name in wanted if name in table.column_names}


def batches(
    body: bytes, columns: Sequence[str], size: int = 8192
) -> Iterator[dict[str, list[Any]]]:
    """The columns of these names as `decode` returns them, at most `size` rows at a time.

    Memory depends on `size`, not on the file. Raises ValueError for another file.
    """
    reader = _guarded(lambda: read_parquet(BytesIO(body), batch_size=size))
    there = [name for name in columns if name in reader.schema.names]
    while (batch := _guarded(lambda: next(reader, None))) is not None:
        yield {name: _values(batch.column(name)) for name in there}


def appended(body: bytes, more: bytes) -> bytes:
    """The rows of a file and after them those of another, under all columns of the two.

    A column that one of them lacks is null in its rows. Raises ValueError where one is not
    a Parquet file, or where a column has another type in each.
    """
    tables = [_read(each, lambda file: file.read_all()) for each in (body, more)]
    fields = {name: t.schema.field(name) for t in reversed(tables) for name in t.column_names}
    schema = Schema(list(fields.values()))
    rows = [_aligned(batch, schema) for table in tables for batch in table.to_batches()]
    return _written(Table.from_batches(rows, schema=schema))


def _aligned(batch: RecordBatch, schema: Schema) -> RecordBatch:
    """A batch under the columns of a schema. Raises ValueError where a type differs."""
    arrays = []
    for name in schema.names:
        kind = schema.field(name).type
        if name not in batch.schema.names:
            arrays.append(Array([None] * batch.num_rows, DataType.int64()).cast(kind))
        elif batch.column(name).type == kind:
            arrays.append(batch.column(name))
        else:
            msg = f"the column {name} has another type in each of two files"
            raise ValueError(msg)
    return RecordBatch.from_arrays(arrays, schema=schema)


def without(body: bytes, columns: Collection[str]) -> bytes | None:
    """The same file without these columns, or None where it has none of them.

    Raises ValueError where it is not a Parquet file.
    """
    there = names(body)
    kept = [name for name in there if name not in columns]
    if kept == there:
        return None
    return _written(_read(body, lambda file: file.read_all()).select(kept))


def names(body: bytes) -> list[str]:
    """The columns of a file, in its order. Raises ValueError where it is not a Parquet file."""
    return _read(body, lambda file: file.schema.names)


def under_todays_names(body: bytes, renamed: Mapping[str, str]) -> bytes | None:
    """The same file with its former names replaced, or None where it has none of them.

    Raises ValueError where it is not a Parquet file.
    """
    there = names(body)
    now = _todays(there, renamed)
    if now == there:
        return None
    return _written(_read(body, lambda file: file.read_all()).rename_columns(now))


def _read(body: bytes, what: Callable[[RecordBatchReader], _Read]) -> _Read:
    return _guarded(lambda: what(read_parquet(BytesIO(body), batch_size=_ROW_GROUP)))


def _guarded(what: Callable[[], _Read]) -> _Read:
    try:
        return what()
    except BaseException as error:
        # arro3 panics on a bad file, and PyO3's PanicException, which has no name that could be
        # imported, is not an Exception: it would end the whole function.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            msg = f"this is not a whole Parquet file: {error}"
            raise ValueError(msg) from error
        raise


def _todays(there: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    now = list(there)
    for place, name in enumerate(there):
        new = renamed.get(name)
        # A file that has both was written after the change: the old name is something else there.
        if new and new not in now:
            now[place] = new
    return now


def _values(column: Array | ChunkedArray) -> list[Any]:
    # Whole numbers cannot overflow as datetimes do beyond the year 9999.
    plain = column.cast(DataType.int64()) if DataType.is_timestamp(column.type) else column
    return cast("list[Any]", plain.to_pylist())


def _runs(column: Column, runs: Runs) -> Array:
    each = _array(column, runs.values, len(runs.values))
    if column.type == "string":
        # The file is the same, and the texts are not copied for each row.
        each = each.cast(_TEXTS)
    return each.take(Array(runs.indices()))


def _array(column: Column, source: Sequence[Any] | Constant, rows: int) -> Array:
    kind = _TYPES[column.type]
    if isinstance(source, Constant):
        source = Runs((source.value,), (rows,))
    if isinstance(source, Runs) and rows:
        return _runs(column, source)
    values = source if isinstance(source, list) else list(source)
    if column.type == "timestamp":
        # arro3 silently turns an invalid time into null; whole numbers cannot fail.
        return Array(values, DataType.int64()).cast(kind)
    if column.type == "date":
        # arro3 makes no array of dates, but casts whole days since 1970.
        days = [None if value is None else (value - _EPOCH).days for value in values]
        return Array(days, DataType.int32()).cast(kind)
    return Array(values, kind)
