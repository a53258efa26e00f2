"""SQL over the dataset, by Athena."""

import time
from typing import Any

from local.errors import CommandError
from local.places import ROOT
from local.stack import Stack

FOLDER = ROOT / "local" / "sql"


def saved(name: str) -> str:
    """A query of this package by its file's name."""
    return (FOLDER / f"{name}.sql").read_text()


def run(stack: Stack, sql: str) -> list[dict[str, str | None]]:
    """The rows that a query gives, every value as text, null as None.

    Raises CommandError with Athena's reason when it fails.
    """
    outputs = stack.outputs
    started = stack.athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": outputs["DatabaseName"]},
        WorkGroup=outputs["WorkGroupName"],
    )
    query = started["QueryExecutionId"]
    while True:
        execution = stack.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        status = execution["Status"]
        if status["State"] == "SUCCEEDED":
            return _rows(stack, query)
        if status["State"] in ("FAILED", "CANCELLED"):
            reason = status.get("StateChangeReason", "no reason given")
            raise CommandError(f"Athena could not answer: {reason}\n{sql}")
        time.sleep(0.1)


def _rows(stack: Stack, query: str) -> list[dict[str, str | None]]:
    pages = stack.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query)
    rows: list[Any] = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    if not rows:
        return []
    # The first row holds the names.
    names = [cell["VarCharValue"] for cell in rows[0]]
    return [
        {name: cell.get("VarCharValue") for name, cell in zip(names, row, strict=True)}
        for row in rows[1:]
    ]
