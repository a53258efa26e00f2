"""Step Functions in simulated time: executions of the stack's own state machine."""

import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fakes.asl import FailedError, Interpreter
from tests.fakes.server import Answer, Received
from tests.stateful.simulation import Simulation

ARN = "arn:aws:states:eu-central-1:111122223333:stateMachine:synthetic-backfill"
DEFINITION: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "statemachines/backfill.asl.json").read_text("utf-8")
)
# Longer than any execution: its last part wakes it.
_AT_MOST = 366 * 86_400.0


@dataclass
class Execution:
    """An execution of the state machine."""

    name: str
    input: str
    started: datetime
    status: str = "RUNNING"


class StepFunctions:
    """Executions by name, in simulated time. `call` runs the function and raises FailedError."""

    def __init__(
        self, call: Callable[[dict[str, Any]], dict[str, Any]], simulation: Simulation
    ) -> None:
        self.executions: dict[str, Execution] = {}
        self._call = call
        self._simulation = simulation

    def respond(self, operation: str, received: Received) -> Answer:
        """Answers one request."""
        body = json.loads(received.body)
        if operation == "ListExecutions":
            status = body.get("statusFilter")
            found = [e for e in self.executions.values() if status in (None, e.status)]
            return Answer.of({"executions": [*map(_listed, found)]})
        name, text = body["name"], body["input"]
        known = self.executions.get(name)
        if known and not (known.status == "RUNNING" and known.input == text):
            return Answer.of({"__type": "ExecutionAlreadyExists", "message": "synthetic"}, 400)
        if not known:
            self.begin(name, text)
        return Answer.of(
            {"executionArn": _arn(name), "startDate": self._simulation.now().timestamp()}
        )

    def begin(self, name: str, text: str) -> Execution:
        """Starts an execution: its parts run beside each other, as many as its map allows."""
        execution = self.executions[name] = Execution(name, text, self._simulation.now())
        begin = f"{execution.started.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        context = {"Execution": {"StartTime": begin, "Id": _arn(name)}}
        ends = Counter[bool]()

        def task(resource: str, parameters: Any) -> Any:
            if resource.endswith("listMapRuns"):
                return {"MapRuns": [{"MapRunArn": name}]}
            if resource.endswith("describeMapRun"):
                return {"ItemCounts": {"Succeeded": ends[True], "Total": ends.total()}}
            return {"Payload": self._call(parameters["Payload"])}

        def child(_: int, __: Any, error: FailedError | None, ended: bool) -> None:
            ends[error is None] += ended

        machine = Interpreter(DEFINITION, task, self._simulation.sleep, self._several, child)

        def run() -> None:
            try:
                machine.run(json.loads(text), context)
                execution.status = "SUCCEEDED"
            except FailedError:
                execution.status = "FAILED"

        self._simulation.start(run)
        return execution

    def _several(self, functions: Sequence[Callable[[], Any]], limit: int) -> list[Any]:
        """Runs functions as tasks of the simulation, and sleeps until the last one ends."""
        waiting = deque(enumerate(functions))
        results: dict[int, Any] = {}
        execution = self._simulation.current
        assert execution is not None

        def work() -> None:
            while waiting:
                number, function = waiting.popleft()
                results[number] = function()
            if len(results) == len(functions):
                self._simulation.wake(execution)

        for _ in range(limit):
            self._simulation.start(work)
        while len(results) < len(functions):
            self._simulation.sleep(_AT_MOST)
        return [results[number] for number in range(len(functions))]


def _listed(execution: Execution) -> dict[str, Any]:
    return {
        "executionArn": _arn(execution.name),
        "stateMachineArn": ARN,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started.timestamp(),
    }


def _arn(name: str) -> str:
    return f"{ARN.replace('stateMachine', 'execution')}:{name}"
