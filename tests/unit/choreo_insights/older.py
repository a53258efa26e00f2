"""Objects of the ledger as 0.1.0 wrote them."""

from collections.abc import Sequence
from typing import Any

from choreo_insights.catalogue import Column
from choreo_insights.dataset.ledger import RUNS, RUNS_COLUMNS, Entry
from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.partitions import day_prefix
from choreo_insights.times import microseconds

# A column `day` beside the folder of that name, and none `final`.
COLUMNS = tuple(
    Column("day", "string") if column.name == "final" else column for column in RUNS_COLUMNS
)


def runs_object(entries: Sequence[Entry]) -> tuple[str, bytes]:
    """Key and body of the object of a run, which tried these of one day."""
    values: dict[str, list[Any]] = {
        column.name: [getattr(entry, column.name) for entry in entries] for column in COLUMNS
    }
    values["day"] = [day.isoformat() for day in values["day"]]
    for name in ("started", "exported_at"):
        values[name] = [microseconds(instant) for instant in values[name]]
    body = encode(COLUMNS, values, len(entries))
    return f"{day_prefix(RUNS, entries[0].day)}{entries[0].run}.parquet", body
