"""The columns that every table has beside those of its document: what they mean, and their values.

To add a column to every table, add it to `COMMON`, and its value to `common_values`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from choreo_insights.catalogue import ANSWERED, PROJECT, PROJECT_ID, RESOLVED, TENANT, Column, Table
from choreo_insights.dataset.parquet import Constant
from choreo_insights.dataset.partitions import Partition
from choreo_insights.times import microseconds

COMMON = (
    Column("organization", "string", "Handle of the organisation."),
    Column("environment", "string", "Name of the environment."),
    Column("environment_id", "string", "Id of the environment."),
    Column("exported_at", "timestamp", "When the row was queried (UTC)."),
)
RESOLVED_ID = Column(
    RESOLVED,
    "string",
    "Id of the API where `api_id` leaves no doubt: it is an id, or a name of one API alone. "
    "Null else.",
)
ANSWERED_ID = Column(
    ANSWERED,
    "string",
    "What the answer names the API: its id, one of its names, or null where it is a sum over all "
    "that the query matched. Null in rows of earlier releases.",
)
TENANT_COLUMN = Column(
    TENANT, "string", "The tenant that was queried; null where the parameter Tenant names only one."
)
PROJECT_COLUMNS = (
    Column(PROJECT, "string", "Name of the project, as the parameter Projects has it."),
    Column(PROJECT_ID, "string", "Id of the project."),
)
# The columns that say nothing of what a row counts.
NOT_IN_KEY = (*(column.name for column in COMMON), "granularity", RESOLVED, ANSWERED)


def common_values(
    partition: Partition, columns: Mapping[str, Sequence[Any]], exported_at: datetime
) -> dict[str, Sequence[Any] | Constant]:
    """The values of the common columns in a partition whose own columns are these."""
    environment = partition.environment
    values: dict[str, Sequence[Any] | Constant] = {
        "organization": Constant(partition.organization),
        "exported_at": Constant(microseconds(exported_at)),
    }
    if environment:
        values["environment"] = Constant(environment.name)
        values["environment_id"] = Constant(environment.id)
    elif "environment_name" in columns:
        values["environment"] = columns["environment_name"]
    return values


def row_key(table: Table) -> tuple[str, ...]:
    """The columns that identify a row of a table; none where a row has nothing else."""
    named = [c for c in table.columns if c.name not in NOT_IN_KEY]
    keys = tuple(c.name for c in named if c.type in ("string", "timestamp"))
    return keys if len(keys) < len(named) and keys != (TENANT,) else ()
