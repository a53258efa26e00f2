"""`insights backfill`: its plan, its dealings with the state machine, what it shows and reports."""

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, cast

import pytest
from cli.backfill.plan import Part, Place, Plan, Span, spans
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.backfill import plan, report, screen
from cli.backfill.command import Wish, places, planned
from cli.backfill.machine import PARTS_FAILED, Execution, Failure, Machine, Progress
from cli.errors import CommandError, WrongUsage
from insights.catalogue import Column
from insights.dataset import Dataset
from insights.ledger import Entry, Ledger
from insights.parquet import encode
from tests.fakes import states as fake
from tests.unit.export.memory import MemoryDataset

DAY = date(2026, 3, 10)
TODAY = date(2026, 3, 20)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ACME, GLOBEX = Place("acme", "Production"), Place("globex", None)
days = st.dates(date(2020, 1, 1), date(2030, 1, 1))


def span(first: int, last: int) -> Span:
    return Span(date(2026, 3, first), date(2026, 3, last))


def made(*parts: Part, **changes: Any) -> Plan:
    found: dict[str, Any] = {"tables": None, "requests_per_minute": 30} | changes
    return Plan(parts or (Part(ACME, span(1, 7)), Part(GLOBEX, span(1, 7))), **found)


class TestPlan:
    @given(days, st.integers(0, 800), st.integers(1, 400))
    def test_spans_hold_each_day_once_the_newest_first(
        self, first: date, more: int, length: int
    ) -> None:
        last = first + timedelta(days=more)
        held = []
        for each in spans(first, last, length):
            count = (each.last - each.first).days + 1
            assert 1 <= count <= length
            held += [each.last - timedelta(days=number) for number in range(count)]
        assert held == [last - timedelta(days=number) for number in range(more + 1)]

    @given(
        st.lists(
            st.builds(Place, st.sampled_from("abc"), st.none() | st.sampled_from("xyz")),
            min_size=1,
            unique=True,
        ),
        days,
        st.integers(0, 200),
        st.none() | st.integers(1, 100),
        st.integers(4, 1000),
    )
    def test_parts_hold_each_day_of_each_place_once_within_the_budget(
        self, where: list[Place], first: date, more: int, length: int | None, budget: int
    ) -> None:
        last = first + timedelta(days=more)
        found = plan.plan(
            where, first, last, span=length, tables=None, requests_per_minute=budget, workers=4
        )
        held = [
            (part.place, part.span.first + timedelta(days=number))
            for part in found.parts
            for number in range((part.span.last - part.span.first).days + 1)
        ]
        assert len(held) == len(set(held)) == len(where) * (more + 1)
        ends = [part.span.last for part in found.parts]
        assert ends == sorted(ends, reverse=True)
        assert found.requests_per_minute * min(4, len(found.parts)) <= budget
        assert found.fits

    def test_spans_grow_until_one_execution_holds_them(self) -> None:
        where = [Place(f"organization-{number}", "Production") for number in range(60)]
        wish: Any = {"tables": None, "requests_per_minute": 120, "workers": 4}
        found = plan.plan(where, date(2025, 1, 1), date(2026, 3, 1), span=None, **wish)
        assert found.fits
        assert {(part.span.last - part.span.first).days for part in found.parts} > {27}
        with pytest.raises(CommandError, match="Give a larger --span"):
            plan.plan(where, date(2025, 1, 1), date(2026, 3, 1), span=7, **wish)
        many = [Place("a" * 90, "b" * 90)] * 2000
        with pytest.raises(CommandError, match="2000 parts are too many"):
            plan.plan(many, DAY, DAY, span=None, **wish)

    def test_a_budget_that_is_too_small_to_share_is_refused(self) -> None:
        assert plan.share(7, 4) == 1
        with pytest.raises(CommandError, match=r"RequestsPerMinute is 3.* at least 4"):
            plan.share(3, 4)

    @given(st.sampled_from([ACME, GLOBEX, Place("a.b", 'Zürich, "Süd"')]), days, st.integers(0, 9))
    def test_the_name_follows_from_the_plan(self, where: Place, first: date, more: int) -> None:
        part = Part(where, Span(first, first + timedelta(days=more)))
        one = made(part)
        assert one.name == made(part).name
        assert one.name != made(part, tables=("apis",)).name
        assert one.name != made(part, again=True).name
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,70}", one.name)
        (written,) = json.loads(one.input)["parts"]
        assert Part.of_event({**written, "organizations": [where.organization]}) == part


class TestWish:
    def test_is_read_from_the_options(self) -> None:
        first, last = date(2026, 3, 1), date(2026, 3, 31)
        wish = Wish.read(first, last, TODAY, tables="apis, latency", span=5, again=True)
        assert wish == Wish(first, TODAY, ("apis", "latency"), None, 5, True)
        assert Wish.read(first, first, TODAY, tables="all", organizations="a,b") == (
            Wish(first, first, None, ("a", "b"))
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
            Wish.read(first, last, TODAY)

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"organizations": ("hooli",)}, "--org hooli is not exported. Those are: acme, globex"),
            ({"tables": ("weather",)}, "--tables: .*'weather' is no table"),
        ],
    )
    def test_what_there_is_not_is_refused(self, changes: dict[str, Any], says: str) -> None:
        wish = Wish(**({"first": DAY, "last": DAY, "tables": None, "organizations": None,
                        "span": None} | changes))  # fmt: skip
        parameters = {"Organizations": "acme, globex", "RequestsPerMinute": "120"}
        with pytest.raises(CommandError, match=says):
            planned(wish, parameters, memory(), 4)


def memory(**objects: bytes) -> Dataset:
    """A dataset with the lists of environments of these organisations, of two days."""
    dataset = MemoryDataset()
    for handle, body in objects.items():
        for day in (date(2026, 3, 19), date(2026, 3, 20)):
            key = f"insights/environments/day={day}/{handle}.parquet"
            older = environments("Development")
            dataset.put(key, body if day.day == 20 else older, asked=NOW, run="r")
    return cast("Dataset", dataset)


def environments(*names: str | None) -> bytes:
    return encode([Column("environment_name", "string")], {"environment_name": names}, len(names))


class TestPlaces:
    def test_are_the_environments_of_the_newest_list(self) -> None:
        dataset = memory(acme=environments("Production", "Zürich", "Production"))
        assert places(dataset, ("acme", "globex")) == [
            Place("acme", "Production"),
            Place("acme", "Zürich"),
            Place("globex", None),
        ]

    def test_an_environment_without_a_name_is_not_lost(self) -> None:
        dataset = memory(acme=environments("Production", None), globex=environments())
        assert places(dataset, ("acme", "globex")) == [Place("acme", None), Place("globex", None)]

    def test_a_list_that_cannot_be_read_is_named(self) -> None:
        with pytest.raises(CommandError, match=r"environments/day=2026-03-20/acme.parquet cannot"):
            places(memory(acme=b"no Parquet"), ("acme",))


@pytest.fixture
def states() -> Iterator[fake.FakeStates]:
    with fake.running() as running:
        yield running


@pytest.fixture
def machine(states: fake.FakeStates) -> Machine:
    return Machine(states.client(), fake.ARN, sleep=lambda _: None)


class TestMachine:
    def test_says_how_many_work_at_a_time(self, machine: Machine) -> None:
        assert machine.workers() == 4

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
        names = {machine.start(made(requests_per_minute=number)).name for number in (1, 2)}
        with pytest.raises(CommandError, match="Name one") as refused:
            machine.running()
        assert all(name in str(refused.value) for name in names)

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
        again = machine.resume(machine.execution(started.name))
        assert again.name == f"{started.name}_2"
        assert again.input == started.input

    def test_after_failures_only_the_failed_parts_are_done_again(
        self, machine: Machine, states: fake.FakeStates
    ) -> None:
        parts = [Part(ACME, span(day, day)) for day in (9, 8, 7, 6, 5)]
        started = machine.start(made(*parts, tables=("apis",), requests_per_minute=7))
        outcomes = ("FAILED", "SUCCEEDED", "FAILED", "TIMED_OUT", "SUCCEEDED")
        states.runs[started.name].end(*outcomes, error=PARTS_FAILED)
        again = machine.resume(machine.execution(started.name))
        left = made(parts[0], parts[2], parts[3], tables=("apis",), requests_per_minute=7)
        assert again.input == left.input


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
        "environment_id": "1",
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


def reported(dataset: Dataset, *failures: Failure, since: datetime = NOW) -> list[str]:
    later = NOW + timedelta(hours=2)
    return list(report.lines(failures, report.tried(dataset, failures, since, later)))


class TestReport:
    def test_names_what_failed_alike_with_its_reason(self) -> None:
        failed = [
            entry(day=DAY + timedelta(days=number), table=table)
            for table in ("latency", "error_summary")
            for number in (0, 1, 3)
        ]
        other = entry(table="apis_usage", error="403")
        dataset = ledger((NOW, [*failed, other, entry(status="exported", table="fine")]))
        assert reported(dataset, Failure(Part(ACME, span(9, 15)), "NeedsPerson", "")) == [
            "acme Production, 2026-03-09 to 2026-03-15 (1 part):",
            "  error_summary, latency on 2026-03-10 to 2026-03-11, 2026-03-13: it broke",
            "  apis_usage on 2026-03-10: 403",
        ]

    def test_the_last_run_counts_and_those_before_the_backfill_do_not(self) -> None:
        hour = timedelta(hours=1)
        dataset = ledger(
            (NOW - hour, [entry(table="old")]),
            (NOW + hour, [entry(table="mended", status="exported", error=None)]),
            (NOW, [entry(table="mended"), entry(table="broken", error="first")]),
            (NOW + hour, [entry(table="broken", error="second")]),
        )
        assert reported(dataset, Failure(Part(ACME, span(9, 15)), "PartitionsFailed", ""))[1:] == [
            "  broken on 2026-03-10: second"
        ]

    def test_what_is_of_another_part_is_not_told(self) -> None:
        dataset = ledger(
            (NOW, [entry(organization="globex"), entry(environment="Test"), entry(day=TODAY)])
        )
        failure = Failure(Part(ACME, span(9, 15)), "Sandbox.Timedout", "Task timed out")
        assert reported(dataset, failure)[1:] == ["  Sandbox.Timedout: Task timed out"]

    def test_parts_whose_list_failed_are_told_once(self) -> None:
        lists = entry(table="environments", environment=None, day=TODAY, error="403: subscribe")
        failures = [
            Failure(Part(Place("acme", name), days), "NeedsPerson", "")
            for name in ("Test", "Production")
            for days in (span(1, 7), span(8, 14))
        ]
        assert reported(ledger((NOW, [lists])), *failures) == [
            "acme Production, Test, 2026-03-01 to 2026-03-14 (4 parts):",
            "  environments on 2026-03-20: 403: subscribe",
        ]

    def test_nothing_failed(self) -> None:
        assert reported(ledger()) == []

    @pytest.mark.parametrize(
        ("error", "cause", "shown"),
        [
            ("NeedsPerson", "Some failed.", "NeedsPerson: Some failed."),
            ("X", json.dumps({"errorMessage": "no such thing"}), "X: no such thing"),
            (
                "PartitionsFailed",
                json.dumps(
                    {"errorMessage": json.dumps({"failures": [{"reason": "a"}, {"reason": "a"}]})}
                ),
                "PartitionsFailed: a",
            ),
            ("PartitionsFailed", '{"errorMessage": "{\\"fail', 'PartitionsFailed: {"errorMess'),
            ("X", json.dumps([1]), "X: [1]"),
            ("X", "y" * 1000, "X: yyy"),
        ],
    )
    def test_what_the_ledger_does_not_tell_is_told_by_the_state_machine(
        self, error: str, cause: str, shown: str
    ) -> None:
        found = report.reason_of(Failure(Part(ACME, span(1, 2)), error, cause))
        assert found.startswith(shown)
        assert len(found) < 500


def test_an_execution_is_called_by_its_name() -> None:
    arn = "arn:aws:states:eu-central-1:1:execution:stack-backfill:2026-01-01_2026-01-31_1a2b3c4d"
    execution = Execution(arn, "PENDING_REDRIVE", NOW, "{}", None, 1)
    assert execution.name == "2026-01-01_2026-01-31_1a2b3c4d"
    assert execution.under_way
