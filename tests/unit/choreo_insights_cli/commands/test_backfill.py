"""`insights backfill`: its plan, its dealings with the state machine, what it shows and reports."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, cast

import pytest
from rich.console import Console

from choreo_insights.dataset.ledger import Entry, Ledger
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.store import Dataset
from choreo_insights.export.parts import Backfill, Part, Place, Span
from choreo_insights_cli.commands.backfill import report, screen
from choreo_insights_cli.commands.backfill.command import BackfillOptions, divided
from choreo_insights_cli.commands.backfill.machine import (
    PARTS_FAILED,
    Execution,
    FailedPart,
    Machine,
    Progress,
)
from choreo_insights_cli.errors import CommandError, WrongUsage
from tests.fakes import states as fake
from tests.unit.choreo_insights.memory import MemoryDataset

PARAMETERS = {"Organizations": "acme, globex"}
DAY = date(2026, 3, 10)
TODAY = date(2026, 3, 20)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ACME, GLOBEX = Place("acme", "e-1"), Place("globex", None)


def span(first: int, last: int) -> Span:
    return Span(date(2026, 3, first), date(2026, 3, last))


def made(*parts: Part, **changes: Any) -> Backfill:
    return Backfill(parts or (Part(ACME, span(1, 7)), Part(GLOBEX, span(1, 7))), **changes)


class TestWish:
    def test_is_read_from_the_options(self) -> None:
        first, last = date(2026, 3, 1), date(2026, 3, 31)
        wish = BackfillOptions.read(first, last, TODAY, tables="apis, latency", span=5, again=True)
        assert wish == BackfillOptions(first, TODAY, ("apis", "latency"), None, 5, True)
        assert BackfillOptions.read(first, first, TODAY, tables="all", organizations="a,b") == (
            BackfillOptions(first, first, None, ("a", "b"))
        )

    @pytest.mark.parametrize(
        ("first", "last", "says"),
        [
            (None, None, "insights backfill --from"),
            (DAY, None, "insights backfill --from"),
            (date(2026, 3, 3), date(2026, 3, 2), "lies after --to"),
            (date(2026, 3, 21), date(2026, 3, 22), "lies in the future"),
        ],
    )
    def test_a_wrong_one_is_refused(self, first: date | None, last: date | None, says: str) -> None:
        with pytest.raises(WrongUsage, match=says):
            BackfillOptions.read(first, last, TODAY)

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            (
                {"organizations": ("hooli",)},
                "--org hooli: no such organisation. The stack exports acme, globex",
            ),
            ({"tables": ("weather",)}, "--tables weather: no such table"),
        ],
    )
    def test_what_there_is_not_is_refused(self, changes: dict[str, Any], says: str) -> None:
        wish = BackfillOptions(**({"first": DAY, "last": DAY, "tables": None, "organizations": None,
                        "span": None} | changes))  # fmt: skip
        with pytest.raises(CommandError, match=says):
            divided(wish, PARAMETERS, registry())

    def test_its_parts_are_those_of_the_environments_that_are_listed(self) -> None:
        wish = BackfillOptions(DAY, DAY + timedelta(days=8), ("latency",), None, None, again=True)
        found = divided(wish, PARAMETERS, registry(acme=("e-2", "e-1")))
        last = DAY + timedelta(days=8)
        assert found == Backfill(
            tuple(
                Part(place, each)
                for each in (Span(DAY, date(2026, 3, 11)), Span(last - timedelta(days=6), last))
                for place in (Place("acme", "e-1"), Place("acme", "e-2"), GLOBEX)
            ),
            ("latency",),
            again=True,
        )

    def test_too_many_parts_are_refused(self) -> None:
        wish = BackfillOptions(date(2000, 1, 1), DAY, span=1)
        with pytest.raises(CommandError, match="Give a larger --span"):
            divided(wish, PARAMETERS, registry())


def registry(**organizations: tuple[str, ...]) -> Registry:
    """A registry with the environments of these organisations."""
    made = Registry(cast("Dataset", MemoryDataset()), "r", lambda: NOW)
    for handle, ids in organizations.items():
        rows = [{"environment_id": each, "environment_name": each.upper()} for each in ids]
        made.environments(handle, rows, TODAY)
    return made


@pytest.fixture
def states() -> Iterator[fake.FakeStates]:
    with fake.running() as running:
        yield running


@pytest.fixture
def machine(states: fake.FakeStates) -> Machine:
    return Machine(states.client(), fake.ARN, sleep=lambda _: None)


class TestMachine:
    def test_the_same_plan_runs_once_at_a_time(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        first = machine.start(made())
        assert machine.start(made()) == first
        assert first.under_way
        states.runs[first.name].end("SUCCEEDED", "SUCCEEDED")
        second = machine.start(made())
        assert second.name == f"{first.name}_2"
        assert machine.start(made()).name == second.name

    def test_a_start_that_aws_has_not_seen_yet_is_waited_for(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        states.unseen = 3
        assert machine.start(made()).under_way

    def test_is_found_by_name_and_by_arn(self, machine: Machine) -> None:
        started = machine.start(made())
        assert machine.execution(started.name) == machine.execution(started.arn) == started
        assert machine.running() == started
        with pytest.raises(CommandError, match=rf"no backfill x\. .*{started.name} \(running\)"):
            machine.execution("x")

    def test_which_one_runs_must_be_clear(self, machine: Machine) -> None:
        with pytest.raises(CommandError, match="No backfill runs"):
            machine.running()
        names = {machine.start(made(again=again)).name for again in (True, False)}
        with pytest.raises(CommandError, match="Name one") as refused:
            machine.running()
        assert all(name in str(refused.value) for name in names)

    def test_the_last_one_is_meant_where_none_is_named(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        with pytest.raises(CommandError, match="No backfill was started so far"):
            machine.last()
        first = machine.start(made())
        states.runs[first.name].end("SUCCEEDED", "FAILED", error=PARTS_FAILED)
        assert machine.last().name == first.name
        second = machine.start(made(again=True))
        assert machine.last().name == second.name
        assert {each.name for each in machine.newest()} == {first.name, second.name}

    def test_a_resumed_one_starts_its_bar_where_it_stood(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        started = machine.start(made())
        states.runs[started.name].end("SUCCEEDED", "SUCCEEDED")
        console = Console(file=io.StringIO(), width=80)
        screen.follow(machine, started, console, sleep=lambda _: None, already=5)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        assert "7 of 7 parts done" in shown

    def test_counts_its_parts(self, machine: Machine, states: fake.FakeStates) -> None:
        started = machine.start(made())
        states.runs[started.name].end("SUCCEEDED", "FAILED", error=PARTS_FAILED)
        found = machine.progress(started)
        assert (found.parts, found.done, found.failed, found.running) == (2, 1, 1, 0)

    def test_what_was_stopped_is_redriven(self, machine: Machine, states: fake.FakeStates) -> None:
        started = machine.start(made())
        machine.stop(started)
        stopped = machine.execution(started.name)
        assert stopped.status == "ABORTED"
        again = machine.resume(stopped)
        assert again.arn == started.arn
        assert again.under_way
        assert states.runs[started.name].redrives == 1

    def test_what_cannot_be_redriven_is_started_again(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        states.redrives = False
        started = machine.start(made())
        machine.stop(started)
        stopped = machine.execution(started.name)
        again = machine.resume(stopped)
        assert again.input == made(since=stopped.started).input

    def test_after_failures_only_the_failed_parts_are_done_again(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        parts = [Part(ACME, span(day, day)) for day in (9, 8, 7, 6, 5)]
        started = machine.start(made(*parts, tables=("apis",), force=True, again=True))
        outcomes = ("FAILED", "SUCCEEDED", "FAILED", "TIMED_OUT", "SUCCEEDED")
        states.runs[started.name].end(*outcomes, error=PARTS_FAILED)
        again = machine.resume(machine.execution(started.name))
        # What was written since the first execution began is done.
        given: dict[str, Any] = {"tables": ("apis",), "force": True, "again": True}
        left = made(parts[0], parts[2], parts[3], since=started.started, **given)
        assert again.input == left.input
        states.runs[again.name].end("FAILED", "SUCCEEDED", "SUCCEEDED", error=PARTS_FAILED)
        third = machine.resume(machine.execution(again.name))
        assert third.input == made(parts[0], since=started.started, **given).input

    def test_an_execution_of_an_older_release_is_resumed(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        part = {"organization": "acme", "environments": ["Production"], "from": "2026-03-01",
                "to": "2026-03-07"}  # fmt: skip
        text = json.dumps({"parts": [part], "tables": None, "requests_per_minute": 30})
        states.client().start_execution(stateMachineArn=fake.ARN, name="older", input=text)
        states.runs["older"].end("FAILED", error=PARTS_FAILED)
        again = machine.resume(machine.execution("older"))
        old = Part(Place("acme", "Production"), span(1, 7))
        assert again.input == made(old, since=machine.execution("older").started).input


class TestScreen:
    @pytest.mark.parametrize(
        ("ended", "left", "seconds", "shown"),
        [
            (0, 10, 5.0, "time left unknown"),
            (2, 10, 60.0, "2.0 parts a minute, 0:05:00 left"),
            (1, 100, 120.0, "0.5 parts a minute, 3:20:00 left"),
            (0, 0, 0.0, "0.0 parts a minute, 0:00:00 left"),
        ],
    )
    def test_the_pace_tells_the_time_left(
        self, ended: int, left: int, seconds: float, shown: str
    ) -> None:
        assert str(screen.pace(ended, left, seconds)) == shown

    def test_after_a_redrive_the_pace_begins_anew(self) -> None:
        began = NOW - timedelta(days=3)
        clock = screen.Clock(Progress(20, 10, 0, 4, began), True, NOW)
        after = NOW + timedelta(minutes=1)
        assert clock.pace(Progress(20, 15, 0, 4, began), after).per_minute == 5
        attached = screen.Clock(Progress(20, 10, 0, 4, began), False, NOW)
        assert attached.pace(Progress(20, 12, 0, 4, began), NOW).left == timedelta(days=2)

    @pytest.mark.parametrize("terminal", [False, True])
    def test_follows_to_the_end(
        self, machine: Machine, states: fake.FakeStates, terminal: bool
    ) -> None:
        started = machine.start(made())
        run = states.runs[started.name]
        steps = iter(("wait", "one", "all"))

        def sleep(_: float) -> None:
            step = next(steps)
            if step == "one":
                run.children[0].status = "SUCCEEDED"
            elif step == "all":
                run.end("SUCCEEDED", "FAILED", error=PARTS_FAILED)

        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=100)

        ended = screen.follow(machine, started, console, sleep)

        assert (ended.status, ended.error) == ("FAILED", PARTS_FAILED)
        assert "1 of 2 parts done, 1 failed" in out.getvalue()
        if not terminal:
            assert [line.split(",")[0] for line in out.getvalue().splitlines()] == [
                "0 of 2 parts done",
                "1 of 2 parts done",
                "1 of 2 parts done",
            ]


def entry(**changes: Any) -> Entry:
    found: dict[str, Any] = {
        "table": "latency",
        "organization": "acme",
        "environment": "Production",
        "environment_id": "e-1",
        "day": DAY,
        "status": "failed",
        "started": NOW,
        "seconds": 1.0,
        "error": "it broke",
    }
    return Entry(**found | changes)


def ledger(*runs: tuple[datetime, list[Entry]]) -> Dataset:
    """A dataset with the ledger of these runs."""
    memory = MemoryDataset()
    dataset = cast("Dataset", memory)
    for number, (at, entries) in enumerate(runs):
        memory.now = at
        run = Ledger(dataset, f"run-{number}", partial(datetime.fromtimestamp, at.timestamp(), UTC))
        for each in entries:
            run.add(each)
        run.flush()
    return dataset


def reported(dataset: Dataset, *failures: FailedPart, since: datetime = NOW) -> list[str]:
    later = NOW + timedelta(hours=2)
    ledger = report.tried(dataset, failures, since, later)
    return list(report.lines(failures, ledger, {"e-1": "Production", "e-2": "Test"}))


class TestReport:
    def test_names_what_failed_alike_with_its_reason(self) -> None:
        failed = [
            entry(day=DAY + timedelta(days=number), table=table)
            for table in ("latency", "error_summary")
            for number in (0, 1, 3)
        ]
        other = entry(table="apis_usage", error="403")
        dataset = ledger((NOW, [*failed, other, entry(status="exported", table="fine")]))
        assert reported(dataset, FailedPart(Part(ACME, span(9, 15)), "NeedsPerson", "")) == [
            "acme Production, 2026-03-09 to 2026-03-15 (1 part):",
            "  error_summary, latency on 2026-03-10 to 2026-03-11, 2026-03-13: it broke",
            "  apis_usage on 2026-03-10: 403",
        ]

    def test_the_last_run_counts_and_those_before_the_backfill_do_not(self) -> None:
        hour = timedelta(hours=1)
        dataset = ledger(
            (NOW - hour, [entry(table="old")]),
            (NOW + hour, [entry(table="recovered", status="exported", error=None)]),
            (NOW, [entry(table="recovered"), entry(table="broken", error="first")]),
            (NOW + hour, [entry(table="broken", error="second")]),
        )
        assert reported(dataset, FailedPart(Part(ACME, span(9, 15)), "RetriesFailed", ""))[1:] == [
            "  broken on 2026-03-10: second"
        ]

    def test_what_is_of_another_part_is_not_told(self) -> None:
        dataset = ledger(
            (
                NOW,
                [
                    entry(organization="globex"),
                    entry(environment="Test", environment_id="e-2"),
                    entry(day=TODAY),
                ],
            )
        )
        failure = FailedPart(Part(ACME, span(9, 15)), "Sandbox.Timedout", "Task timed out")
        assert reported(dataset, failure)[1:] == ["  Sandbox.Timedout: Task timed out"]

    def test_parts_whose_list_failed_are_told_once(self) -> None:
        lists = entry(
            table="environments",
            environment=None,
            environment_id=None,
            day=TODAY,
            error="403: subscribe",
        )
        failures = [
            FailedPart(Part(Place("acme", each), days), "NeedsPerson", "")
            for each in ("e-2", "e-1")
            for days in (span(1, 7), span(8, 14))
        ]
        assert reported(ledger((NOW, [lists])), *failures) == [
            "acme Production, Test, 2026-03-01 to 2026-03-14 (4 parts):",
            "  environments on 2026-03-20: 403: subscribe",
        ]

    def test_environments_are_called_by_name_and_found_by_id(self) -> None:
        renamed = entry(environment="Former name", error="HTTP 502")
        alone = entry(environment="Gone", environment_id="e-9", error="HTTP 503")
        gone, older = Place("acme", "e-9"), Place("acme", "Former name")
        failures = [FailedPart(Part(place, span(9, 15)), "X", "") for place in (ACME, gone, older)]
        assert reported(ledger((NOW, [renamed, alone])), *failures) == [
            "acme Former name, Production, 2026-03-09 to 2026-03-15 (2 parts):",
            "  latency on 2026-03-10: HTTP 502",
            "acme e-9, 2026-03-09 to 2026-03-15 (1 part):",
            "  latency on 2026-03-10: HTTP 503",
        ]

    def test_nothing_failed(self) -> None:
        assert reported(ledger()) == []

    @pytest.mark.parametrize(
        ("error", "cause", "shown"),
        [
            ("NeedsPerson", "Some failed.", "NeedsPerson: Some failed."),
            ("X", json.dumps({"errorMessage": "no such thing"}), "X: no such thing"),
            ("X", json.dumps([1]), "X: [1]"),
            ("X", "y" * 1000, "X: yyy"),
        ],
    )
    def test_what_the_ledger_does_not_tell_is_told_by_the_state_machine(
        self, error: str, cause: str, shown: str
    ) -> None:
        found = report.reason_of(FailedPart(Part(ACME, span(1, 2)), error, cause))
        assert found.startswith(shown)
        assert len(found) < 500


def test_an_execution_is_called_by_its_name() -> None:
    arn = "arn:aws:states:eu-central-1:1:execution:stack-backfill:2026-01-01_2026-01-31_1a2b3c4d"
    execution = Execution(arn, "PENDING_REDRIVE", NOW, "{}", None, 1)
    assert execution.name == "2026-01-01_2026-01-31_1a2b3c4d"
    assert execution.under_way
