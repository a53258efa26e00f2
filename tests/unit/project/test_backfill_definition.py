"""The state machine of the backfill, as it is written: what it sends, retries and ends with."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import choreo_insights.errors
from choreo_insights.catalogue import load
from choreo_insights.export.budget import Rates
from choreo_insights.export.event import Bounds
from choreo_insights.export.parts import Backfill, Part, Place, Span
from choreo_insights.export.report import Report
from choreo_insights_cli.commands.backfill.machine import PARTS_FAILED
from choreo_insights_cli.template import Template
from tests.fakes.asl import FailedError, Interpreter, after, chosen

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "statemachines" / "backfill.asl.json").read_text("utf-8")
DEFINITION: dict[str, Any] = json.loads(TEXT)
STATES: dict[str, Any] = DEFINITION["States"]
PARTS: dict[str, Any] = STATES["Parts"]
INNER: dict[str, Any] = PARTS["ItemProcessor"]["States"]
EXPORT: dict[str, Any] = INNER["Export"]
TEMPLATE = Template(ROOT / "template.yaml")
PART = Part(Place("acme", "e-1"), Span(date(2026, 1, 1), date(2026, 1, 7)))
CONTEXT = {"Execution": {"StartTime": "2026-02-01T10:00:00.123Z", "Id": "arn"}}
DONE = {
    "exported": 3,
    "settled": 0,
    "failed": 0,
    "remaining": 0,
    "retriable": 0,
    "waiting": False,
}


class Station:
    """Runs an execution whose exports reply as they are told to; a reply may be an error."""

    def __init__(self, *replies: dict[str, Any] | FailedError, then: Any = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.waits: list[float] = []
        self.ended: list[str] = []
        self._replies = iter(replies)
        self._then = then or {}

    def _task(self, resource: str, given: Any) -> Any:
        if resource.endswith("listMapRuns"):
            return {"MapRuns": [{"MapRunArn": "run"}]}
        if resource.endswith("describeMapRun"):
            done = self.ended.count("")
            return {"ItemCounts": {"Succeeded": done, "Total": len(self.ended)}}
        assert resource.endswith("lambda:invoke")
        self.events.append(given["Payload"])
        reply = next(self._replies, self._then)
        if isinstance(reply, FailedError):
            raise reply
        return {"Payload": DONE | reply}

    def _child(self, number: int, given: Any, error: FailedError | None, ended: bool) -> None:
        if ended:
            self.ended.append(error.error if error else "")

    def run(self, backfill: Backfill = Backfill((PART,)), **more: Any) -> str:  # noqa: B008
        """How it ends: with an error, or with none."""
        machine = Interpreter(DEFINITION, self._task, self.waits.append, child=self._child)
        try:
            machine.run(json.loads(backfill.input) | more, CONTEXT)
        except FailedError as error:
            return error.error
        return ""


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


def test_every_loop_leads_through_the_export_and_counts() -> None:
    def loops(states: dict[str, Any], name: str, path: tuple[str, ...]) -> Iterator[list[str]]:
        if name in path:
            yield [*path[path.index(name) :]]
            return
        for following in after(states[name]):
            yield from loops(states, following, (*path, name))

    assert list(loops(STATES, DEFINITION["StartAt"], ())) == []
    found = list(loops(INNER, "Export", ()))
    assert len(found) == 4
    for loop in found:
        assert loop[:2] == ["Export", "IsItDone"]
        counted = [
            name
            for state in loop
            for name, text in INNER[state].get("Parameters", {}).items()
            if text == f"States.MathAdd($.{name.removesuffix('.$')}, 1)"
        ]
        assert counted[0] in ("rounds.$", "waits.$")


def test_a_part_that_is_done_is_done() -> None:
    station = Station()
    assert station.run() == ""
    assert len(station.events) == 1
    assert station.waits == []


def test_a_part_goes_on_at_once_while_each_run_exports_something() -> None:
    left = {"remaining": 5}
    station = Station(*[left] * 30)
    assert station.run() == ""
    assert len(station.events) == 31
    assert station.waits == []
    assert Station(then=left).run() == PARTS_FAILED


def test_the_runs_of_a_part_are_bounded() -> None:
    station = Station(then={"remaining": 5})
    station.run()
    assert station.ended == ["Unfinished"]
    assert len(station.events) == 48


def test_what_a_retry_may_help_against_is_tried_again_with_growing_waits() -> None:
    station = Station(then={"exported": 0, "failed": 2, "retriable": 2})
    station.run()
    assert station.ended == ["RetriesFailed"]
    assert station.waits == [60, 120, 240, 480, 960]
    assert len(station.events) == 6


def test_a_retry_that_helps_ends_the_part() -> None:
    station = Station({"failed": 2, "retriable": 2}, {"exported": 2})
    assert station.run() == ""
    assert station.waits == [60]


def test_progress_does_not_use_up_the_retries() -> None:
    fails = {"exported": 0, "failed": 2, "retriable": 2}
    some = {"exported": 1, "failed": 1, "retriable": 1}
    station = Station(*[fails] * 4, some, *[fails] * 4, some, *[fails] * 3, {})
    assert station.run() == ""
    assert station.waits == [60, 120, 240, 480, *[60, 120, 240, 480, 960], 60, 120, 240, 480]
    station = Station(some, then=fails)
    station.run()
    assert station.waits == [60, 120, 240, 480, 960]


def test_a_part_whose_container_is_held_back_waits() -> None:
    """Nothing exported, something left: a 429 with a long Retry-After, say."""
    held = {"exported": 0, "remaining": 1}
    station = Station(held, held, held, {})
    assert station.run() == ""
    assert station.waits == [60, 120, 240]
    station = Station(then=held)
    station.run()
    assert station.ended == ["Unfinished"]


def test_a_part_that_waits_for_the_budget_uses_up_neither_retries_nor_runs() -> None:
    waiting = {"exported": 0, "remaining": 1, "waiting": True}
    station = Station(*[waiting] * 600, {"remaining": 5}, *[waiting] * 50, {})
    assert station.run() == ""
    assert set(station.waits) == {120}
    station = Station(then=waiting)
    station.run()
    # After a day without any share of it, and the usual retries.
    assert station.waits == [*[120] * (24 * 30), 60, 120, 240, 480, 960]
    assert station.ended == ["Unfinished"]


def test_what_needs_a_person_is_not_retried() -> None:
    station = Station({"failed": 1})
    assert station.run() == PARTS_FAILED
    assert station.ended == ["NeedsPerson"]
    assert len(station.events) == 1


def test_a_call_that_fails_is_made_again_whatever_the_emulator_calls_it() -> None:
    """The local AWS names each error of a function Runtime.HandlerError."""
    for name in ("Runtime.HandlerError", "Sandbox.Timedout", "Lambda.TooManyRequestsException"):
        station = Station(FailedError(name), FailedError(name))
        assert station.run() == ""
        assert len(station.events) == 3
        assert len(station.waits) == 2
    for name in ("ConfigurationError", "PersonMustAct", "Unauthenticated"):
        assert hasattr(choreo_insights.errors, name)
        station = Station(FailedError(name))
        station.run()
        assert station.ended == [name]
    station = Station(then=FailedError("Runtime.HandlerError"))
    station.run()
    assert station.ended == ["Runtime.HandlerError"]
    assert len(station.events) == 4


def test_a_part_that_failed_stops_no_other_but_fails_the_whole_at_the_end() -> None:
    parts = tuple(Part(Place("acme", f"e-{number}"), PART.span) for number in range(3))
    station = Station({}, {"failed": 1}, {})
    assert station.run(Backfill(parts)) == PARTS_FAILED
    assert station.ended == ["", "NeedsPerson", ""]
    assert PARTS["ToleratedFailurePercentage"] == 100
    assert chosen(STATES["IsItWhole"], {"succeeded": 10, "parts": 10}) == "Whole"
    assert STATES["PartsFailed"]["Error"] == PARTS_FAILED


def test_parts_are_executions_of_their_own_one_for_each_slot_of_the_budget() -> None:
    assert PARTS["ItemProcessor"]["ProcessorConfig"] == {
        "Mode": "DISTRIBUTED",
        # An express one ends after five minutes, an export may take fifteen.
        "ExecutionType": "STANDARD",
    }
    assert PARTS["MaxConcurrency"] == Rates.of(60_000).parts
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


def bounds(event: dict[str, Any]) -> Bounds:
    config: Any = SimpleNamespace(
        organizations=("acme", "globex"),
        tables=("success_summary",),
        export_since=date(2026, 2, 1),
    )
    return Bounds.from_event(event, config, load(), date(2026, 2, 1))


def test_the_events_are_those_of_the_export_function() -> None:
    station = Station()
    since = datetime(2026, 1, 31, 9, tzinfo=UTC)
    station.run(Backfill((PART,), ("latency",), again=True, force=True, since=since))
    (event,) = station.events
    found = bounds(event)
    assert found.organizations == ("acme",)
    assert found.environments == frozenset({"e-1"})
    assert (found.first, found.last) == (date(2026, 1, 1), date(2026, 1, 7))
    assert [table.name for table in found.tables] == ["latency"]
    assert found.part
    assert found.again
    assert found.force
    assert found.since == since
    assert found.most_per_minute is None
    assert Part.of_event(event) == PART


def test_what_the_input_leaves_out_has_defaults() -> None:
    """As inputs of version 0.1.0 do, and those that are written by hand."""
    station = Station()
    machine = Interpreter(DEFINITION, station._task, child=station._child)
    machine.run({"parts": [PART.as_dict()], "requests_per_minute": 30}, CONTEXT)
    found = bounds(station.events[0])
    assert found.named_tables is None
    assert not found.again
    assert not found.force
    assert found.since
    assert found.since.isoformat() == "2026-02-01T10:00:00.123000+00:00"
    assert found.part


def test_every_round_is_sent_the_same_event() -> None:
    station = Station({"remaining": 1}, {"exported": 0, "retriable": 1}, {"waiting": True})
    station.run()
    assert len(station.events) == 4
    assert all(event == station.events[0] for event in station.events)


def test_counts_alone_are_kept_of_a_reply() -> None:
    kept = EXPORT["ResultSelector"]
    assert {name.removesuffix(".$") for name in kept} == DONE.keys()
    assert all(kept[f"{name}.$"] == f"$.Payload.{name}" for name in DONE)
    assert DONE.keys() <= Report().reply().keys()


def test_it_waits_for_as_long_as_the_function_may_run() -> None:
    function = TEMPLATE.resources["ExportFunction"]["Properties"]
    assert EXPORT["TimeoutSeconds"] > function["Timeout"]


def test_the_template_fills_in_what_it_leaves_open() -> None:
    properties = TEMPLATE.resources["Backfill"]["Properties"]
    assert (ROOT / properties["DefinitionUri"]).read_text("utf-8") == TEXT
    assert properties["DefinitionSubstitutions"].keys() == {"ExportFunction", "Partition"}
    for name in properties["DefinitionSubstitutions"]:
        assert f"${{{name}}}" in TEXT
    assert TEXT.count("${") == TEXT.count("${ExportFunction}") + TEXT.count("${Partition}")
    assert PARTS["Label"] == "Parts"  # as the policy of its role names it
