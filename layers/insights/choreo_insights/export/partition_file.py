"""A partition's rows as the file that goes into the dataset."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from choreo_insights.catalogue import RESOLVED
from choreo_insights.dataset.columns import Memo, mapped
from choreo_insights.dataset.common_columns import common_values
from choreo_insights.dataset.parquet import File
from choreo_insights.dataset.partitions import Partition, day_end, day_start
from choreo_insights.export.decode import within
from choreo_insights.export.queries import Rows
from choreo_insights.times import microseconds


def records(rows: Rows) -> Iterator[Mapping[str, Any]]:
    """Row by row, for lists that are short."""
    for values in zip(*rows.columns.values(), strict=True):
        yield dict(zip(rows.columns, values, strict=True))


def file_of(
    partition: Partition,
    rows: Rows,
    resolve: Callable[[str | None], str | None],
    queried_at: datetime,
) -> File:
    """A partition's rows as they are stored. `queried_at` fills `exported_at`."""
    table = partition.table
    columns, count, dropped = rows.columns, rows.count, 0
    # A row of another day belongs to that day's partition: whether `to` is inclusive is unknown
    # [Choreo].
    if table.daily and table.time_column and count:
        start, end = day_start(partition.day), day_end(partition.last_day)
        columns, dropped = within(
            columns, table.time_column, microseconds(start), microseconds(end)
        )
        count -= dropped
    values = {**columns, **common_values(partition, columns, queried_at)}
    if table.resolves_apis and count:
        values[RESOLVED] = mapped(columns["api_id"], Memo(resolve))
    return File(values, count, dropped)
