"""The tables and views of a stack as it is deployed, from Glue."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from choreo_insights_cli.releases.changes import Types

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

_VIEW = "VIRTUAL_VIEW"


def deployed(glue: "GlueClient", database: str) -> tuple[Mapping[str, Types], Mapping[str, Types]]:
    """The columns of the tables, and those of the views, by name. Raises what botocore raises."""
    tables: dict[str, Types] = {}
    views: dict[str, Types] = {}
    for page in glue.get_paginator("get_tables").paginate(DatabaseName=database):
        for found in page["TableList"]:
            columns = found.get("StorageDescriptor", {}).get("Columns", [])
            into = views if found.get("TableType") == _VIEW else tables
            into[found["Name"]] = {column["Name"]: column.get("Type", "") for column in columns}
    return tables, views
