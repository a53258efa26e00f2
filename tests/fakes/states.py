"""A fake Step Functions for real boto3 clients: executions of one state machine with one map.

It keeps the rules that the code relies on: names are taken for ever, the same input starts a
running execution once, only what was stopped or failed can be redriven, and what was just done
may not be known at once.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tests.fakes.server import Answer, Received, Server

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_HERE = "arn:aws:states:eu-central-1:111122223333"
ARN = f"{_HERE}:stateMachine:synthetic-backfill"
DEFINITION = {"States": {"Parts": {"MaxConcurrency": 4}}}
_SESSION = boto3.Session("synthetic", "synthetic", region_name="eu-central-1")
_BEGAN = 1_795_000_000.0


class Refused(Exception):  # noqa: N818 - what AWS does
    """An error as AWS gives it."""


@dataclass
class Child:
    """The execution of a part."""

    part: dict[str, Any]
    status: str = "RUNNING"
    error: str = ""
    cause: str = ""


@dataclass
class Run:
    """An execution and its parts. `unseen`: it is not found so many times."""

    name: str
    input: str
    status: str = "RUNNING"
    error: str | None = None
    redrives: int = 0
    unseen: int = 0
    children: list[Child] = field(default_factory=list)

    def end(self, *outcomes: str, error: str | None = None) -> None:
        """Ends the parts so, in their order, and itself with this error or without one."""
        for child, status in zip(self.children, outcomes, strict=True):
            child.status = status
        self.status, self.error = ("FAILED", error) if error else ("SUCCEEDED", None)


class FakeStates:
    """State and client. `redrives` is whether this AWS knows how to redrive.

    `started` is called with each new execution, `refuses` has the operations that are denied.
    """

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.redrives = True
        self.unseen = 0
        self.started: Callable[[Run], None] = lambda _: None
        self.refuses: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.url = ""

    def client(self) -> "SFNClient":
        """A real client of this fake."""
        client: SFNClient = _SESSION.client(
            "stepfunctions",
            endpoint_url=self.url,
            config=Config(retries={"total_max_attempts": 1}),
        )
        return client

    def respond(self, received: Received) -> Answer:
        """Answers one request."""
        operation = received.headers["X-Amz-Target"].rpartition(".")[2]
        self.calls[operation] += 1
        if operation in self.refuses:
            return Answer.of({"__type": "AccessDeniedException", "message": "synthetic"}, 400)
        try:
            handler = getattr(self, f"_{operation}")
            return Answer.of(handler(json.loads(received.body)))
        except Refused as error:
            return Answer.of({"__type": str(error), "message": "synthetic"}, 400)

    def _run(self, body: dict[str, Any]) -> Run:
        run = self.runs.get(body["executionArn"].rpartition(":")[2])
        if run is None:
            raise Refused("ExecutionDoesNotExist")
        return run

    def _DescribeStateMachine(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"definition": json.dumps(DEFINITION)}

    def _StartExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        earlier = self.runs.get(body["name"])
        if earlier and (earlier.status != "RUNNING" or earlier.input != body["input"]):
            raise Refused("ExecutionAlreadyExists")
        if not earlier:
            parts = json.loads(body["input"])["parts"]
            children = [Child(part) for part in parts]
            self.runs[body["name"]] = Run(
                body["name"], body["input"], unseen=self.unseen, children=children
            )
            self.started(self.runs[body["name"]])
        return {"executionArn": _arn(body["name"]), "startDate": _BEGAN}

    def _DescribeExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if "/Parts:" in body["executionArn"]:
            return self._child(body["executionArn"])
        run = self._run(body)
        if run.unseen:
            run.unseen -= 1
            raise Refused("ExecutionDoesNotExist")
        error = {"error": run.error} if run.error else {}
        return {
            "executionArn": body["executionArn"],
            "name": run.name,
            "status": run.status,
            "startDate": _BEGAN,
            "input": run.input,
            "redriveCount": run.redrives,
            **error,
        }

    def _child(self, arn: str) -> dict[str, Any]:
        name, number = arn.rpartition(":")[2].rsplit("-", 1)
        child = self.runs[name].children[int(number)]
        organization = child.part["organization"]
        event = {**child.part, "organizations": [organization]}
        return {
            "executionArn": arn,
            "name": name,
            "status": child.status,
            "startDate": _BEGAN,
            "input": json.dumps({"event": event, "rounds": 1}),
            "error": child.error,
            "cause": child.cause,
        }

    def _ListExecutions(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        status = body.get("statusFilter")
        if "mapRunArn" in body:
            run = self.runs[body["mapRunArn"].rpartition(":")[2]]
            found = [
                (f"{_HERE}:execution:synthetic-backfill/Parts:{run.name}-{number}", child.status)
                for number, child in enumerate(run.children)
            ]
        else:
            found = [(_arn(run.name), run.status) for run in self.runs.values()]
        listed = [
            {
                "executionArn": arn,
                "stateMachineArn": ARN,
                "name": arn.rpartition(":")[2],
                "status": of,
                "startDate": _BEGAN,
            }
            for arn, of in found
            if status in (None, of)
        ]
        # In pages of two.
        start = int(body.get("nextToken", 0))
        page = listed[start : start + 2]
        following = {"nextToken": str(start + 2)} if start + 2 < len(listed) else {}
        return {"executions": page, **following}

    def _ListMapRuns(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self._run(body)
        map_run = {
            "executionArn": body["executionArn"],
            "mapRunArn": f"{_HERE}:mapRun:synthetic-backfill/Parts:{run.name}",
            "stateMachineArn": ARN,
            "startDate": _BEGAN,
        }
        return {"mapRuns": [map_run]}

    def _DescribeMapRun(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self.runs[body["mapRunArn"].rpartition(":")[2]]
        states = ("running", "succeeded", "failed", "aborted", "timedOut", "pending")
        names = {"timedOut": "TIMED_OUT"}
        counts = {
            state: sum(child.status == names.get(state, state.upper()) for child in run.children)
            for state in states
        }
        counts |= {"total": len(run.children), "resultsWritten": 0}
        return {
            "mapRunArn": body["mapRunArn"],
            "status": run.status,
            "startDate": _BEGAN,
            "maxConcurrency": 4,
            "itemCounts": counts,
            "executionCounts": counts,
        }

    def _StopExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self._run(body)
        run.status = "ABORTED"
        for child in run.children:
            child.status = "ABORTED" if child.status == "RUNNING" else child.status
        return {"stopDate": _BEGAN}

    def _RedriveExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self._run(body)
        if not self.redrives:
            raise Refused("UnknownOperationException")
        if run.status not in ("ABORTED", "FAILED", "TIMED_OUT"):
            raise Refused("ExecutionNotRedrivable")
        run.status, run.redrives = "RUNNING", run.redrives + 1
        for child in run.children:
            child.status = "SUCCEEDED" if child.status == "SUCCEEDED" else "RUNNING"
        return {"redriveDate": _BEGAN}


def _arn(name: str) -> str:
    return f"{_HERE}:execution:synthetic-backfill:{name}"


@contextmanager
def running() -> Iterator[FakeStates]:
    """A fake, listening until the block ends."""
    states = FakeStates()
    with Server(states.respond) as server:
        states.url = server.url
        yield states
