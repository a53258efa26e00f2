"""A partition's rows as a file: rows of other days are left out and counted."""

from datetime import UTC, date, datetime, timedelta

from choreo_insights.catalogue import Table
from choreo_insights.dataset.partitions import Environment, Partition
from choreo_insights.export.partition_file import file_of
from choreo_insights.export.queries import Rows
from choreo_insights.times import microseconds

DAY = date(2026, 11, 20)
PLACE = Environment("e1", "Production", "CHOREO", ("e1",), "Production")
BEGIN = datetime(2026, 11, 20, tzinfo=UTC)


def test_rows_of_other_days_are_left_out_and_counted(hourly: Table) -> None:
    hours = [BEGIN + timedelta(hours=n) for n in (-1, 0, 23, 24)]
    rows = Rows({hourly.time_column: list(map(microseconds, hours)), "request_count": [1, 2, 3, 4]})
    rows.count = 4
    partition = Partition(hourly, hourly.name, "acme", PLACE, DAY)
    file = file_of(partition, rows, lambda given: given, BEGIN)
    assert (file.rows, file.dropped) == (2, 2)
    assert list(file.columns["request_count"]) == [2, 3]
    # Nothing to leave out.
    inner = Rows({name: values[1:3] for name, values in rows.columns.items()}, 2)
    assert file_of(partition, inner, lambda given: given, BEGIN).dropped == 0
