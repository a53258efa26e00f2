"""A history that one run has no time for, with a table that always fails, in made-up time.

The real handler runs under Lambda's rules for asynchronous calls, and its hand-over under the state
machine's own definition. Made up are the clock, and an export that takes a request of the real
budget for each partition that the real plan finds due.
"""

import bisect
import heapq
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.dataset.partitions import Environment, Partition, day_prefix
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.store import Stored
from choreo_insights.errors import OutOfTime, Retriable
from choreo_insights.export.budget import Share
from choreo_insights.export.catchup import CatchUps
from choreo_insights.export.event import Bounds
from choreo_insights.export.plan import Plan
from choreo_insights.export.report import Report
from choreo_insights_cli.commands.backfill.machine import PARTS_FAILED
from choreo_insights_cli.template import Template
from tests.fakes import slots as fakes
from tests.fakes import states as fake
from tests.fakes.asl import FailedError, Interpreter
from tests.fakes.slots import MemorySlots
from tests.fakes.timeline import Process, Timeline
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights.test_config import EXPORT
from tests.unit.functions.test_export import ROOT

DEFINITION = json.loads((ROOT / "statemachines" / "backfill.asl.json").read_text("utf-8"))
FUNCTION = Template(ROOT / "template.yaml").resources["ExportFunction"]["Properties"]
CATALOGUE = load()
# 25 tables x 240 days x 2 environments are 12,000 partitions.
TABLES = [
    table.name
    for table in CATALOGUE.tables
    if table.daily and table.scope == "environment" and not table.off and not table.kept_days
    and not table.environment_types and not table.on_prem_key and table.covers == "day"
][:25]  # fmt: skip
FAILING = TABLES[7]
DAYS = 240
ENVIRONMENTS = [Environment(each, each, "CHOREO", (each,), each) for each in ("e-1", "e-2")]
HOUR = 3600.0
# About 1,500 partitions in the 840 seconds that a run has.
PER_MINUTE = 108
SINCE = date(2026, 3, 26)
# So that the catch-up is running at midnight.
BEGIN = datetime(2026, 11, 20, 18, tzinfo=UTC)
HOURS = 18


class Bucket:
    """The dataset: when each partition was written."""

    def __init__(self, timeline: Timeline) -> None:
        self.written: dict[str, dict[str, Stored]] = {name: {} for name in TABLES}
        self._timeline = timeline

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        start, end = day_prefix(table, first), day_prefix(table, last) + "~"
        there = self.written.get(table, {})
        return {key: stored for key, stored in there.items() if start <= key <= end}

    def write(self, partition: Partition) -> None:
        stored = Stored(self._timeline.instant(), "etag")
        self.written[partition.table_name][partition.key] = stored


class NoLedger:
    """A ledger that is empty."""

    def newest(self, _: object) -> Mapping[Any, Any]:
        return {}


class Call(msgspec.Struct):
    """A call of the function. `event_of` is the asynchronous call that it belongs to, if any."""

    event: dict[str, Any]
    event_of: int | None
    start: float
    end: float = 0.0
    bounds: Bounds | None = None
    reply: dict[str, Any] | None = None
    requests: int = 0


class Stack:
    """A stack in made-up time: its function, its state machine and its schedule."""

    def __init__(self, timeline: Timeline, app: ModuleType, states: fake.FakeStates) -> None:
        self.timeline = timeline
        self.states = states
        self.bucket = Bucket(timeline)
        self.slots = MemorySlots(timeline)
        self.calls: list[Call] = []
        self.sent: list[float] = []
        self.broken: set[str] = {FAILING}
        self.executions: dict[str, Process] = {}
        self._handler: Callable[..., dict[str, Any]] = app.handler
        self._numbers = itertools.count()
        states.started = self._start
        registry_of = MemoryDataset()
        rows = [{"environment_id": each.id, "environment_name": each.name, "type": each.type}
                for each in ENVIRONMENTS]  # fmt: skip
        registry = Registry(registry_of, "r", timeline.instant)  # type: ignore[arg-type]
        registry.environments("acme", rows, SINCE)
        settings = EXPORT | {"ORGANIZATIONS": "acme", "TABLES": ",".join(TABLES)}
        settings |= {"EXPORT_SINCE": SINCE.isoformat(), "REQUESTS_PER_MINUTE": str(PER_MINUTE)}
        self.config = ExportConfig.from_environment(settings)
        self.clients = SimpleNamespace(
            config=self.config,
            catalogue=CATALOGUE,
            dataset=registry_of,
            secrets=None,
            choreo=lambda share: share,
            budget=fakes.budget(timeline, self.slots, PER_MINUTE),
            catch_ups=CatchUps(states.client(), fake.ARN),
        )

    # The function

    def call(self, event: dict[str, Any], event_of: int | None = None) -> dict[str, Any]:
        """Runs the handler to its end, in this process. Raises what it does."""
        ends = self.timeline.now + FUNCTION["Timeout"]
        call = Call(event, event_of, self.timeline.now)
        self.calls.append(call)
        context = SimpleNamespace(
            function_name="export",
            memory_limit_in_mb=512,
            invoked_function_arn="arn",
            aws_request_id=f"{len(self.calls):08}",
            get_remaining_time_in_millis=lambda: (ends - self.timeline.now) * 1000,
        )
        self.now_calling = call
        try:
            call.reply = self._handler(event, context)
        finally:
            call.end = self.timeline.now
        assert call.end <= ends
        return call.reply

    def send(self, event: dict[str, Any]) -> None:
        """Calls the function asynchronously: Lambda tries again what fails."""
        number = next(self._numbers)
        for attempt in range(1 + FUNCTION["EventInvokeConfig"]["MaximumRetryAttempts"]):
            try:
                self.call(event, number)
            except Exception:
                self.timeline.sleep(60.0 * (attempt + 1))
            else:
                return

    def schedule(self, hours: int) -> None:
        """The first event, and one for each hour."""
        for hour in range(hours):
            self.timeline.spawn(lambda: self.send({}), after=hour * HOUR)

    # The state machine

    def _start(self, run: fake.Run) -> None:
        self.executions[run.name] = self.timeline.spawn(lambda: self._execute(run))

    def _execute(self, run: fake.Run) -> None:
        machine = Interpreter(
            DEFINITION,
            lambda resource, given: self._task(run, resource, given),
            self.timeline.sleep,
            self._several,
            lambda number, _, error, ended: self._note(run, number, error, ended=ended),
        )
        start = self.timeline.instant().isoformat().replace("+00:00", "Z")
        try:
            machine.run(json.loads(run.input), {"Execution": {"StartTime": start, "Id": run.name}})
        except FailedError as error:
            run.status, run.error = "FAILED", error.error
        else:
            run.status = "SUCCEEDED"

    def _task(self, run: fake.Run, resource: str, given: Any) -> Any:
        if resource.endswith("listMapRuns"):
            return {"MapRuns": [{"MapRunArn": "run"}]}
        if resource.endswith("describeMapRun"):
            done = sum(child.status == "SUCCEEDED" for child in run.children)
            return {"ItemCounts": {"Succeeded": done, "Total": len(run.children)}}
        try:
            return {"Payload": self.call(given["Payload"])}
        except Exception as error:
            raise FailedError(type(error).__name__, str(error)) from error

    def _note(self, run: fake.Run, number: int, error: FailedError | None, *, ended: bool) -> None:
        child = run.children[number]
        if ended:
            child.status, child.error = ("FAILED", error.error) if error else ("SUCCEEDED", "")

    def _several(self, functions: Sequence[Callable[[], Any]], limit: int) -> list[Any]:
        results: list[Any] = [None] * len(functions)
        left = iter(enumerate(functions))

        def work() -> None:
            for number, function in left:
                results[number] = function()

        workers = [self.timeline.spawn(work) for _ in range(limit)]
        for worker in workers:
            self.timeline.join(worker)
        return results

    # What was seen

    @property
    def missing(self) -> list[Partition]:
        """The partitions that were never written."""
        days = [SINCE + timedelta(days=number) for number in range(DAYS + 1)]
        return [
            partition
            for table in self.config.tables or ()
            for environment in ENVIRONMENTS
            for day in days
            if (partition := Partition(CATALOGUE.table(table), table, "acme", environment, day)).key
            not in self.bucket.written[table]
        ]

    @property
    def parts(self) -> list[Call]:
        """The calls by the state machine."""
        return [call for call in self.calls if call.event_of is None]

    @property
    def scheduled(self) -> list[Call]:
        """The calls that the schedule's events led to."""
        return [call for call in self.calls if call.event_of is not None]

    @property
    def most_in_a_minute(self) -> int:
        """The fullest minute, wherever it begins."""
        sent = sorted(self.sent)
        return max(bisect.bisect_left(sent, at + 60 - 1e-6) - i for i, at in enumerate(sent))


class MadeUpExport:
    """Takes a request for each due partition; those of broken tables fail."""

    stack: Stack

    def __init__(self, *given: Any, choreo: Share, run_id: str, ends: float, **_: Any) -> None:
        self._bounds: Bounds = given[2]
        self._share = choreo
        self._deadline = ends - 60
        self._call = self.stack.now_calling
        self._call.bounds = self._bounds
        self._report = Report()

    def export(self) -> Report:
        stack, bounds = self.stack, self._bounds
        plan = Plan(bounds, stack.config.settle_hours, stack.timeline.instant())
        plan.load(stack.bucket, NoLedger())  # type: ignore[arg-type]
        due = [
            plan.due(table, "acme", environment)
            for environment in ENVIRONMENTS
            for table in bounds.tables
            if bounds.environments is None or environment.id in bounds.environments
        ]
        for partition in heapq.merge(*due, key=plan.urgency):
            self._do(partition)
        self._report.settled += plan.settled
        self._report.remaining += plan.left
        return self._report

    def _do(self, partition: Partition) -> None:
        if self._report.remaining:
            self._report.remaining += 1
            return
        try:
            self._share.wait(self._deadline)
        except OutOfTime:
            self._report.remaining += 1
            return
        self._call.requests += 1
        self.stack.sent.append(self.stack.timeline.now)
        if partition.table_name in self.stack.broken:
            self._report.count_failure(
                partition.table_name, "acme", None, partition.day, Retriable("a 502")
            )
        else:
            self.stack.bucket.write(partition)
            self._report.count_export("acme", 1, 1)

    def check(self) -> None:
        """Nothing."""


@contextmanager
def simulated(app: ModuleType, begin: datetime) -> Iterator[Stack]:
    """A stack whose time begins then."""
    with (
        fake.running() as states,
        Timeline(begin) as timeline,
        pytest.MonkeyPatch.context() as patch,
    ):
        made = Stack(timeline, app, states)
        patch.setattr(MadeUpExport, "stack", made, raising=False)
        patch.setattr(app, "_clients", lambda: made.clients)
        patch.setattr(app, "Export", MadeUpExport)
        patch.setattr(app, "utc_now", timeline.instant)
        patch.setattr(app, "time", SimpleNamespace(monotonic=timeline))
        # A line for each failure takes longer than all else.
        patch.setattr(app.logger, "error", lambda *_, **__: None)
        yield made


@pytest.fixture(scope="module")
def stack(app: ModuleType) -> Iterator[Stack]:
    """A stack after its first 18 hours. Its clock stands still."""
    with simulated(app, BEGIN) as made:
        made.schedule(HOURS)
        made.timeline.run(until=HOURS * HOUR)
        yield made


def test_no_event_leads_to_two_runs(stack: Stack) -> None:
    """Though each run has failures, and the first one has no time for all."""
    assert [call.event_of for call in stack.scheduled] == [*range(HOURS)]
    assert all(call.reply and call.reply["retriable"] for call in stack.scheduled)
    first = stack.scheduled[0]
    assert first.reply
    assert first.reply["exported"] + first.reply["failed"] == first.requests
    assert 1_400 < first.requests < 1_600
    assert first.reply["remaining"] + first.requests == 12_000


def test_one_catch_up_exports_the_rest(stack: Stack) -> None:
    (execution,) = stack.states.runs.values()
    first = stack.scheduled[0]
    assert first.reply
    assert execution.name == first.reply["catch_up"]
    # It was still running on the next day, when nothing else was started.
    last = max(call.end for call in stack.parts)
    assert stack.timeline.instant().date() > BEGIN.date()
    assert BEGIN + timedelta(seconds=last) > datetime(2026, 11, 21, 2, tzinfo=UTC)
    assert execution.error == PARTS_FAILED
    assert {child.error for child in execution.children} == {"RetriesFailed"}


def test_everything_but_the_broken_table_is_exported(stack: Stack) -> None:
    assert {partition.table_name for partition in stack.missing} == {FAILING}
    assert len(stack.missing) == 2 * (DAYS + 1)


def test_no_minute_has_more_requests_than_allowed(stack: Stack) -> None:
    assert stack.most_in_a_minute <= PER_MINUTE + 1


def test_what_is_done_is_not_requested_again(stack: Stack) -> None:
    """But open days by each scheduled run, and the broken table by each run that finds it due."""
    exported = sum(call.reply["exported"] for call in stack.calls if call.reply)
    assert exported <= 12_000 + HOURS * 3 * 48


def test_beside_a_catch_up_scheduled_runs_export_open_days_alone(stack: Stack) -> None:
    end = max(call.end for call in stack.parts)
    during = [call for call in stack.scheduled[1:] if call.end < end]
    after = [call for call in stack.scheduled if call.start > end]
    assert len(during) > 8
    assert after
    for call in during:
        assert call.bounds
        assert call.bounds.open_only
        # Of today, and of one or two past days after a checkpoint or what failed: each of 25
        # tables and 2 environments.
        assert 50 <= call.requests <= 3 * 50
    for call in after:
        assert call.bounds
        assert not call.bounds.open_only
        assert call.reply
        assert call.reply["remaining"] == 0


def test_as_many_parts_run_at_a_time_as_there_are_slots(stack: Stack) -> None:
    starts = [call.start for call in stack.parts]
    most = max(sum(o.start <= at < o.end for o in stack.parts) for at in starts)
    assert most == DEFINITION["States"]["Parts"]["MaxConcurrency"]


def test_a_catch_up_that_was_stopped_stays_stopped_until_the_next_day(app: ModuleType) -> None:
    with simulated(app, datetime(2026, 11, 20, 21, 30, tzinfo=UTC)) as stack:
        stack.schedule(hours=4)
        stack.timeline.run(until=0.5 * HOUR)
        (first,) = stack.states.runs.values()
        stack.states.client().stop_execution(executionArn=f"execution:{first.name}")
        stack.executions[first.name].kill()
        stack.timeline.run(until=2.4 * HOUR)
        assert [*stack.states.runs] == [first.name]
        assert all(call.reply and call.reply["remaining"] for call in stack.scheduled)
        # At half past midnight.
        stack.timeline.run(until=3.5 * HOUR)
        assert [name[:18] for name in stack.states.runs] == [
            "catchup-2026-11-20",
            "catchup-2026-11-21",
        ]
