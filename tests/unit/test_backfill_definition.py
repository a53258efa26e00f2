"""The state machine of the backfill, as it is written: what it asks for, retries and ends with."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import insights.errors
from checks.template import Template
from cli.backfill.machine import PARTS_FAILED
from cli.backfill.plan import Part, Place, Plan, Span
from insights.bounds import Bounds
from insights.catalogue import load
from insights.report import Report

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "statemachines" / "backfill.asl.json").read_text()
DEFINITION: dict[str, Any] = json.loads(TEXT)
STATES: dict[str, Any] = DEFINITION["States"]
PARTS: dict[str, Any] = STATES["Parts"]
INNER: dict[str, Any] = PARTS["ItemProcessor"]["States"]
EXPORT: dict[str, Any] = INNER["Export"]
TEMPLATE = Template(ROOT / "template.yaml")
PLAN = Plan(
    (Part(Place("acme", "Production"), Span(date(2026, 1, 1), date(2026, 1, 7))),),
    None,
    30,
    again=True,
)
DONE = {"exported": 3, "settled": 0, "failed": 0, "remaining": 0}


def after(state: dict[str, Any]) -> Iterator[str]:
    """The names of the states that may follow."""
    for rule in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        yield from (rule[key] for key in ("Next", "Default") if key in rule)


def holds(rule: dict[str, Any], values: dict[str, Any]) -> bool:
    """Whether a rule of a Choice is true."""
    if "And" in rule:
        return all(holds(each, values) for each in rule["And"])
    if "Or" in rule:
        return any(holds(each, values) for each in rule["Or"])
    value = at(rule["Variable"], values)
    (test,) = rule.keys() - {"Variable", "Next"}
    right = rule[test]
    if test.endswith("Path"):
        test, right = test.removesuffix("Path"), at(right, values)
    return bool({"NumericGreaterThan": value > right, "NumericLessThan": value < right}[test])


def at(path: str, values: Any) -> Any:
    """What a path such as `$.done.failed` leads to."""
    for name in path.split(".")[1:]:
        values = values[name]
    return values


def chosen(state: dict[str, Any], values: dict[str, Any]) -> str:
    """Where a Choice leads."""
    found: str = next(
        (rule["Next"] for rule in state["Choices"] if holds(rule, values)), state["Default"]
    )
    return found


@pytest.mark.parametrize("states", [STATES, INNER], ids=["backfill", "part"])
def test_every_state_is_reached_and_every_next_is_there(states: dict[str, Any]) -> None:
    start = DEFINITION["StartAt"] if states is STATES else PARTS["ItemProcessor"]["StartAt"]
    reached, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += after(states[name])
    assert reached == states.keys()


def test_only_one_loop_is_there_and_it_is_bounded() -> None:
    def loops(states: dict[str, Any], name: str, path: tuple[str, ...]) -> Iterator[set[str]]:
        if name in path:
            yield set(path[path.index(name) :])
            return
        for following in after(states[name]):
            yield from loops(states, following, (*path, name))

    assert list(loops(STATES, DEFINITION["StartAt"], ())) == []
    assert list(loops(INNER, "Export", ())) == [{"Export", "IsItDone", "GoOn"}]
    # Each time around counts, and the count has an end.
    assert INNER["GoOn"]["Parameters"]["rounds.$"] == "States.MathAdd($.rounds, 1)"
    values = {"done": {**DONE, "remaining": 5}, "rounds": PARTS["ItemSelector"]["rounds"]}
    rounds = 1
    while chosen(INNER["IsItDone"], values) == "GoOn":
        values["rounds"] += 1
        rounds += 1
    assert chosen(INNER["IsItDone"], values) == "Unfinished"
    assert rounds == 48


@pytest.mark.parametrize(
    ("done", "leads_to"),
    [
        ({}, "Done"),
        ({"exported": 0, "settled": 9}, "Done"),
        ({"remaining": 5}, "GoOn"),
        ({"remaining": 5, "failed": 1}, "GoOn"),
        ({"remaining": 5, "exported": 0}, "Unfinished"),
        ({"failed": 1}, "NeedsPerson"),
    ],
)
def test_what_an_export_left_decides_what_follows(done: dict[str, int], leads_to: str) -> None:
    assert chosen(INNER["IsItDone"], {"done": DONE | done, "rounds": 1}) == leads_to


def test_a_part_that_failed_stops_no_other_but_fails_the_whole_at_the_end() -> None:
    assert PARTS["ToleratedFailurePercentage"] == 100
    assert chosen(STATES["IsItWhole"], {"succeeded": 9, "parts": 10}) == "PartsFailed"
    assert chosen(STATES["IsItWhole"], {"succeeded": 10, "parts": 10}) == "Whole"
    assert STATES["PartsFailed"]["Error"] == PARTS_FAILED


def test_parts_are_executions_of_their_own_a_few_at_a_time() -> None:
    assert PARTS["ItemProcessor"]["ProcessorConfig"] == {
        "Mode": "DISTRIBUTED",
        # An express one ends after five minutes, an export may take fifteen.
        "ExecutionType": "STANDARD",
    }
    assert 1 <= PARTS["MaxConcurrency"] <= 10
    # The state between the states is small, however many parts there are.
    assert PARTS["ResultPath"] is None


@pytest.mark.parametrize("state", [EXPORT, STATES["FindParts"], STATES["CountParts"]])
def test_retries_back_off_with_jitter_and_end(state: dict[str, Any]) -> None:
    for retry in state["Retry"]:
        if retry["MaxAttempts"]:
            assert retry["MaxAttempts"] <= 10
            assert retry["BackoffRate"] >= 2
            assert retry["IntervalSeconds"] >= 5
            assert retry["JitterStrategy"] == "FULL"
    # AWS wants it alone, and the rest before it.
    assert state["Retry"][-1]["ErrorEquals"] == ["States.ALL"]
    assert all("States.ALL" not in retry["ErrorEquals"] for retry in state["Retry"][:-1])


def test_what_no_retry_helps_against_is_not_retried() -> None:
    never = [retry["ErrorEquals"] for retry in EXPORT["Retry"] if not retry["MaxAttempts"]]
    assert never == [["ConfigurationError", "PersonMustAct", "Unauthenticated"]]
    assert all(hasattr(insights.errors, name) for name in never[0])
    again = {name for retry in EXPORT["Retry"] for name in retry["ErrorEquals"]} - set(never[0])
    assert again >= {"PartitionsFailed", "Retriable", "Lambda.TooManyRequestsException"}


def test_the_events_are_those_of_the_export_function() -> None:
    selector = PARTS["ItemSelector"]["event"]
    (part,) = json.loads(PLAN.input)["parts"]
    context = {
        "Map": {"Item": {"Value": part}},
        "Execution": {"StartTime": "2026-02-01T10:00:00.123Z"},
    }

    def filled(node: dict[str, Any]) -> dict[str, Any]:
        return dict(value(*item) for item in node.items())

    def value(name: str, given: Any) -> tuple[str, Any]:
        if isinstance(given, dict):
            return name, filled(given)
        if not name.endswith(".$"):
            return name, given
        if given.startswith("States.Array("):
            return name[:-2], [at(given[len("States.Array($") : -1], context)]
        source = context if given.startswith("$$.") else json.loads(PLAN.input)
        return name[:-2], at(given.replace("$$", "$"), source)

    event = filled(selector)
    config: Any = SimpleNamespace(
        organizations=("acme", "globex"),
        tables=("success_summary",),
        export_since=date(2026, 2, 1),
        requests_per_minute=120,
    )
    bounds = Bounds.from_event(event, config, load(), date(2026, 2, 1))

    assert bounds.organizations == ("acme",)
    assert bounds.environments == frozenset({"Production"})
    assert (bounds.first, bounds.last) == (date(2026, 1, 1), date(2026, 1, 7))
    assert [table.name for table in bounds.tables] == ["success_summary"]
    assert bounds.requests_per_minute == 30
    assert bounds.again
    assert bounds.continued
    assert bounds.continued.since.isoformat() == "2026-02-01T10:00:00.123000+00:00"
    assert Part.of_event(event) == PLAN.parts[0]


def test_counts_alone_are_kept_of_a_reply() -> None:
    kept = EXPORT["ResultSelector"]
    assert {name.removesuffix(".$") for name in kept} == DONE.keys()
    assert all(kept[f"{name}.$"] == f"$.Payload.{name}" for name in DONE)
    assert DONE.keys() <= Report().counts().keys()


def test_it_waits_for_as_long_as_the_function_may_run() -> None:
    function = TEMPLATE.resources["ExportFunction"]["Properties"]
    assert EXPORT["TimeoutSeconds"] > function["Timeout"]


def test_the_template_fills_in_what_it_leaves_open() -> None:
    properties = TEMPLATE.resources["Backfill"]["Properties"]
    assert (ROOT / properties["DefinitionUri"]).read_text() == TEXT
    assert properties["DefinitionSubstitutions"].keys() == {"ExportFunction", "Partition"}
    for name in properties["DefinitionSubstitutions"]:
        assert f"${{{name}}}" in TEXT
    assert TEXT.count("${") == TEXT.count("${ExportFunction}") + TEXT.count("${Partition}")
    assert PARTS["Label"] == "Parts"  # as the policy of its role names it
