"""Step Functions: the stack's own state machine, interpreted as far as its definition needs."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fakes.server import Answer, Received

ARN = "arn:aws:states:eu-central-1:111122223333:stateMachine:synthetic-backfill"
DEFINITION: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "statemachines/backfill.asl.json").read_text("utf-8")
)
_CALL = re.compile(r"States\.(\w+)\((.*)\)")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "NumericGreaterThan": lambda value, than: value > than,
    "NumericLessThan": lambda value, than: value < than,
    "BooleanEquals": lambda value, to: value is to,
}


class Failed(Exception):  # noqa: N818 - a task of a state machine
    """A task failed, with the name of its error."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass
class Execution:
    """An execution of the state machine."""

    name: str
    input: str
    started: datetime
    status: str = "RUNNING"


class StepFunctions:
    """Executions by name. `call` runs the function, `start` a task beside the others."""

    def __init__(
        self,
        call: Callable[[dict[str, Any]], dict[str, Any]],
        start: Callable[[Callable[[], None]], Any],
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
    ) -> None:
        self.executions: dict[str, Execution] = {}
        self._call = call
        self._start = start
        self._sleep = sleep
        self._now = now

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
        return Answer.of({"executionArn": _arn(name), "startDate": self._now().timestamp()})

    def begin(self, name: str, text: str) -> Execution:
        """Starts an execution: its parts run beside each other, as many as its map allows."""
        execution = self.executions[name] = Execution(name, text, self._now())
        begin = f"{execution.started.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        context = {"Execution": {"StartTime": begin, "Id": _arn(name)}}
        values: Any = json.loads(text)
        states, state = DEFINITION["States"], DEFINITION["StartAt"]
        while states[state]["Type"] == "Pass":
            values = _passed(states[state], values, context)
            state = states[state]["Next"]
        map_state = states[state]
        waiting = [
            _filled(
                map_state["ItemSelector"], values, {**context, "Map": {"Item": {"Value": part}}}
            )
            for part in values["parts"]
        ]
        left = [len(waiting)]

        def work() -> None:
            while waiting:
                self._part(map_state["ItemProcessor"], waiting.pop(0))
                left[0] -= 1
            if not left[0]:
                execution.status = "SUCCEEDED"

        for _ in range(map_state["MaxConcurrency"]):
            self._start(work)
        return execution

    def _part(self, machine: Mapping[str, Any], values: Any) -> str:
        """Runs a part; gives the state that it ends in."""
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            kind = state["Type"]
            if kind in ("Succeed", "Fail"):
                return name
            if kind == "Task":
                try:
                    values = self._task(state, values)
                except Failed:
                    return name
            elif kind == "Pass":
                values = _passed(state, values, {})
            elif kind == "Wait":
                path = state.get("SecondsPath")
                self._sleep(float(_at(path, values) if path else state["Seconds"]))
            else:
                name = _chosen(state, values)
                continue
            name = state["Next"]

    def _task(self, state: Mapping[str, Any], values: Any) -> Any:
        tried: dict[int, int] = {}
        while True:
            try:
                reply = self._call(values["event"])
            except Failed as error:
                number, rule = _retry(state["Retry"], error.name)
                if tried.get(number, 0) >= rule["MaxAttempts"]:
                    raise
                tried[number] = tried.get(number, 0) + 1
                wait = rule["IntervalSeconds"] * rule["BackoffRate"] ** (tried[number] - 1)
                self._sleep(float(min(wait, rule["MaxDelaySeconds"])))
            else:
                selected = _filled(state["ResultSelector"], {"Payload": reply}, {})
                return {**values, "done": selected}


def _retry(rules: list[dict[str, Any]], error: str) -> tuple[int, dict[str, Any]]:
    return next(
        (number, rule)
        for number, rule in enumerate(rules)
        if error in rule["ErrorEquals"] or "States.ALL" in rule["ErrorEquals"]
    )


def _passed(state: Mapping[str, Any], values: Any, context: Any) -> Any:
    values = _filled(state["Parameters"], values, context)
    return _at(state["OutputPath"], values) if "OutputPath" in state else values


def _filled(template: Any, values: Any, context: Any) -> Any:
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): _value(text, values, context)
        if name.endswith(".$")
        else _filled(text, values, context)
        for name, text in template.items()
    }


def _value(text: str, values: Any, context: Any) -> Any:
    call = _CALL.fullmatch(text)
    if not call:
        if text.startswith("$$."):
            return _at(text[1:], context)
        return _at(text, values) if text.startswith("$") else json.loads(text)
    given = [_value(each.strip(), values, context) for each in call[2].split(",")]
    if call[1] == "Array":
        return given
    if call[1] == "JsonMerge":
        return {**given[0], **given[1]}
    assert call[1] == "MathAdd", text
    return given[0] + given[1]


def _at(path: str, values: Any) -> Any:
    for name in path.split(".")[1:]:
        values = values[name]
    return values


def _chosen(state: Mapping[str, Any], values: Any) -> str:
    found = (rule["Next"] for rule in state["Choices"] if _holds(rule, values))
    return str(next(found, state["Default"]))


def _holds(rule: Mapping[str, Any], values: Any) -> bool:
    for name, combine in (("And", all), ("Or", any)):
        if name in rule:
            return combine(_each(rule[name], values))
    (test,) = rule.keys() & _COMPARISONS.keys()
    return _COMPARISONS[test](_at(rule["Variable"], values), rule[test])


def _each(rules: list[dict[str, Any]], values: Any) -> Iterator[bool]:
    return (_holds(rule, values) for rule in rules)


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
