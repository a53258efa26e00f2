"""`insights query` against an Athena that answers as AWS documents it, and what is shown."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from choreo_insights_cli import output
from choreo_insights_cli.commands import query
from choreo_insights_cli.commands.query import QueryResult
from choreo_insights_cli.console import Console
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.stack import Stack
from tests.fakes.server import Answer as Reply
from tests.fakes.server import Received, Server

Respond = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture
def athena() -> Iterator[dict[str, Any]]:
    """A deployed stack, as `stack`, whose Athena gives `columns`, `rows` and `status`."""
    found: dict[str, Any] = {"status": {"State": "SUCCEEDED"}}

    def respond(received: Received) -> Reply:
        action = received.headers["X-Amz-Target"].partition(".")[2]
        if action == "StartQueryExecution":
            if refusal := found.get("refusal"):
                text = {"__type": "InvalidRequestException", "Message": refusal}
                return Reply(400, json.dumps(text).encode())
            return Reply(200, b'{"QueryExecutionId": "one"}')
        if action == "GetQueryExecution":
            execution = {"Status": found["status"], "Statistics": {"DataScannedInBytes": 5}}
            return Reply(200, json.dumps({"QueryExecution": execution}).encode())
        columns = [{"Name": name, "Type": kind} for name, kind in found["columns"]]
        rows = [
            {"Data": [{} if c is None else {"VarCharValue": c} for c in row]}
            for row in found["rows"]
        ]
        results = {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}}
        return Reply(200, json.dumps({"ResultSet": results}).encode())

    with Server(respond) as server:
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"}
        stack = Stack("synthetic", {**keys, "AWS_ENDPOINT_URL": server.url})
        stack.outputs = {"DatabaseName": "d", "WorkGroupName": "w"}
        found["stack"] = stack
        yield found


def test_a_select_drops_the_row_of_names_and_has_types(athena: dict[str, Any]) -> None:
    athena["columns"] = [("day", "date"), ("day", "date"), ("rate", "double")]
    athena["rows"] = [("day", "day", "rate"), ("2026-01-01", None, "NaN")]
    answer = query.by_athena(athena["stack"], "SELECT")
    assert answer.names == ["day", "day", "rate"]
    assert output.json_text(answer.records(), indent=None) == (
        '[{"day": "2026-01-01", "day_2": null, "rate": null}]'
    )
    assert answer.scanned == 5


def test_show_and_describe_keep_their_first_row(athena: dict[str, Any]) -> None:
    athena["columns"] = [("tab_name", "string")]
    athena["rows"] = [("apis",), ("latency",)]
    assert query.by_athena(athena["stack"], "SHOW TABLES").rows == [("apis",), ("latency",)]
    athena["rows"] = []
    assert query.by_athena(athena["stack"], "SHOW VIEWS").rows == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved", WrongUsage),
        ("line 1:1: mismatched input 'SELEC'. Expecting: ...", WrongUsage),
        ("TYPE_MISMATCH: line 1:1: '=' cannot be applied to date, varchar(10)", WrongUsage),
        ("Query exhausted resources at this scale factor", CommandError),
        ("Access Denied (Service: Amazon S3)", CommandError),
    ],
)
def test_a_mistake_in_the_query_is_a_wrong_call(
    athena: dict[str, Any], reason: str, kind: type[CommandError]
) -> None:
    athena["status"] = {"State": "FAILED", "StateChangeReason": reason}
    with pytest.raises(CommandError) as failed:
        query.by_athena(athena["stack"], "SELEC")
    assert type(failed.value) is kind
    assert reason in str(failed.value)


def test_what_athena_refuses_at_once_is_a_wrong_call(athena: dict[str, Any]) -> None:
    athena["refusal"] = "line 1:1: mismatched input 'SELEC'"
    with pytest.raises(WrongUsage, match="Athena does not take the query: line 1:1"):
        query.by_athena(athena["stack"], "SELEC")


def shown(answer: QueryResult, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    for part in query.readable(answer, width):
        console.print(part)
    lines: list[str] = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [line.rstrip() for line in lines]


def test_a_wide_answer_is_shown_row_by_row_in_whole_words() -> None:
    row = ("acme", "an error that says what failed and what to do about it", 1234567, None)
    answer = QueryResult(["organization", "error", "requests", "code"], [row, row])
    assert len(shown(answer, 120)) == 3
    lines = shown(answer, 50)
    assert lines[:6] == [
        "row 1 of 2",
        "organization  acme",
        "error         an error that says what failed and",
        "              what to do about it",
        "requests      1,234,567",
        "code          -",
    ]
    assert max(map(len, lines)) <= 50


def test_numbers_stand_with_their_points_below_each_other() -> None:
    lines = shown(QueryResult(["ms"], [(1.5,), (12.25,), (1000.0,), (None,)]), 80)
    assert [line.strip() for line in lines] == ["ms", "1.5", "12.25", "1,000", "-"]
    assert [line.find(".") for line in lines[1:3]] == [5, 5]
    assert len(lines[3]) == 5
