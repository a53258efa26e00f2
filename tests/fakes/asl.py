"""Interprets state machines as Step Functions does, as far as this project's definition goes.

https://states-language.net/spec.html
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Runs functions, so many of them at a time, and gives their results in their order.
Several = Callable[[Sequence[Callable[[], Any]], int], list[Any]]


class FailedError(Exception):
    """A task or an execution failed, with the error's name and its cause."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


def one_by_one(functions: Sequence[Callable[[], Any]], _: int) -> list[Any]:
    """Several functions without any time."""
    return [function() for function in functions]


@dataclass
class Interpreter:
    """Runs the states of a definition.

    `task` gets a resource and its input, and raises FailedError. `sleep` gets the seconds of a wait
    or before a retry; jitter is left out, so that a wait is the longest there can be. Before and
    after a part, `child` is called with its number, its input and, afterwards, its error.
    """

    definition: Mapping[str, Any]
    task: Callable[[str, Any], Any]
    sleep: Callable[[float], None] = lambda _: None
    several: Several = one_by_one
    child: Callable[[int, Any, FailedError | None, bool], None] = lambda *_: None

    def run(self, given: Any, context: Mapping[str, Any]) -> Any:
        """The output of an execution. Raises FailedError."""
        states = self.definition["States"]
        return self._states(states, self.definition["StartAt"], given, context)

    def _states(
        self, states: Mapping[str, Any], name: str, data: Any, context: Mapping[str, Any]
    ) -> Any:
        while True:
            state = states[name]
            kind = state["Type"]
            if kind == "Succeed":
                return self._output(state, data, data)
            if kind == "Fail":
                cause = state.get("Cause") or value(state["CausePath"], data, context)
                raise FailedError(state["Error"], cause)
            if kind == "Choice":
                name = chosen(state, data)
                continue
            data = getattr(self, f"_{kind.lower()}")(state, data, context)
            name = state["Next"]

    def _pass(self, state: Mapping[str, Any], data: Any, context: Mapping[str, Any]) -> Any:
        return self._output(state, data, self._parameters(state, data, context))

    def _wait(self, state: Mapping[str, Any], data: Any, _: Mapping[str, Any]) -> Any:
        self.sleep(state["Seconds"] if "Seconds" in state else at(state["SecondsPath"], data))
        return data

    def _task(self, state: Mapping[str, Any], data: Any, context: Mapping[str, Any]) -> Any:
        given = self._parameters(state, data, context)
        tried: dict[int, int] = {}
        while True:
            try:
                result = self.task(state["Resource"], given)
                break
            except FailedError as error:
                number, retry = retrier(state, error.error)
                count = tried.get(number, 0)
                if count >= retry.get("MaxAttempts", 3):
                    raise
                pause = retry.get("IntervalSeconds", 1) * retry.get("BackoffRate", 2.0) ** count
                self.sleep(min(pause, retry.get("MaxDelaySeconds", pause)))
                tried[number] = count + 1
        if "ResultSelector" in state:
            result = filled(state["ResultSelector"], result, context)
        return self._output(state, data, result)

    def _map(self, state: Mapping[str, Any], data: Any, context: Mapping[str, Any]) -> Any:
        processor = state["ItemProcessor"]

        def part(number: int, item: Any) -> Any:
            inner = {**context, "Map": {"Item": {"Index": number, "Value": item}}}
            given = filled(state["ItemSelector"], data, inner)
            self.child(number, given, None, False)
            try:
                result = self._states(processor["States"], processor["StartAt"], given, inner)
            except FailedError as error:
                self.child(number, given, error, True)
                if state["ToleratedFailurePercentage"] < 100:
                    raise
                return None
            self.child(number, given, None, True)
            return result

        items = at(state["ItemsPath"], data)
        functions = [lambda n=n, item=item: part(n, item) for n, item in enumerate(items)]
        return self._output(state, data, self.several(functions, state["MaxConcurrency"]))

    def _parameters(self, state: Mapping[str, Any], data: Any, context: Mapping[str, Any]) -> Any:
        return filled(state["Parameters"], data, context) if "Parameters" in state else data

    def _output(self, state: Mapping[str, Any], data: Any, result: Any) -> Any:
        path = state.get("ResultPath", "$")
        if path is None:
            result = data
        elif path != "$":
            result = {**data, path.removeprefix("$."): result}
        return at(state.get("OutputPath", "$"), result)


def after(state: Mapping[str, Any]) -> Iterator[str]:
    """The names of the states that may follow."""
    for rule in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        yield from (rule[key] for key in ("Next", "Default") if key in rule)


def chosen(state: Mapping[str, Any], data: Any) -> str:
    """Where a Choice leads."""
    found: str = next(
        (rule["Next"] for rule in state["Choices"] if holds(rule, data)), state["Default"]
    )
    return found


def holds(rule: Mapping[str, Any], data: Any) -> bool:
    """Whether a rule of a Choice is true."""
    if "And" in rule:
        return all(holds(each, data) for each in rule["And"])
    if "Or" in rule:
        return any(holds(each, data) for each in rule["Or"])
    left = at(rule["Variable"], data)
    (test,) = rule.keys() - {"Variable", "Next"}
    right = rule[test]
    if test.endswith("Path"):
        test, right = test.removesuffix("Path"), at(right, data)
    if test == "BooleanEquals":
        return left is right
    return bool({"NumericGreaterThan": left > right, "NumericLessThan": left < right}[test])


def retrier(state: Mapping[str, Any], error: str) -> tuple[int, Mapping[str, Any]]:
    """The rule of a task for an error, and its number: the first one that names it."""
    for number, retry in enumerate(state.get("Retry", ())):
        if error in retry["ErrorEquals"] or "States.ALL" in retry["ErrorEquals"]:
            return number, retry
    return -1, {"MaxAttempts": 0}


def at(path: str, data: Any) -> Any:
    """What a path such as `$.done.failed` or `$.runs[0]` leads to. Raises KeyError as AWS fails."""
    for name, number in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        data = data[name] if name else data[int(number)]
    return data


def filled(template: Any, data: Any, context: Mapping[str, Any]) -> Any:
    """A template such as Parameters, with its paths and functions replaced by values."""
    if not isinstance(template, Mapping):
        return template
    return {
        name.removesuffix(".$"): value(each, data, context)
        if name.endswith(".$")
        else filled(each, data, context)
        for name, each in template.items()
    }


def value(text: str, data: Any, context: Mapping[str, Any]) -> Any:
    """The value of a path or of a function's call."""
    if text.startswith("$$"):
        return at(text[1:], context)
    if text.startswith("$"):
        return at(text, data)
    name, _, rest = text.removesuffix(")").partition("(")
    given = [_argument(each, data, context) for each in _split(rest)]
    return _FUNCTIONS[name](*given)


def _split(text: str) -> list[str]:
    """Arguments, which may be texts with commas in them."""
    return [each.strip() for each in re.findall(r"'(?:\\.|[^'])*'|[^,']+", text) if each.strip()]


def _argument(text: str, data: Any, context: Mapping[str, Any]) -> Any:
    if text.startswith("'"):
        return text[1:-1]
    if text.startswith("$"):
        return value(text, data, context)
    return {"true": True, "false": False}[text] if text in ("true", "false") else int(text)


def _merged(first: Any, second: Any, deep: bool) -> Any:
    assert not deep  # AWS has no deep mode.
    return {**first, **second}


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "States.Array": lambda *values: list(values),
    "States.Format": lambda text, *values: text.format(*values),
    "States.JsonMerge": _merged,
    "States.MathAdd": lambda first, second: first + second,
}
