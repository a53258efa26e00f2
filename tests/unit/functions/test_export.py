"""The export function: what it hands over, when it fails, and what it replies."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.dataset.registry import Registry
from choreo_insights.errors import BadAnswer, ConfigurationError, PersonMustAct, Retriable
from choreo_insights.export.budget import Budget, Share
from choreo_insights.export.catchup import CatchUps, key
from choreo_insights.export.event import Bounds
from choreo_insights.export.report import Report
from choreo_insights.export.slots import State
from choreo_insights_cli.template import Template
from tests.fakes import states as fake
from tests.fakes.slots import MemorySlots
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights.test_config import EXPORT

ROOT = Path(__file__).parents[3]
TEMPLATE = Template(ROOT / "template.yaml")
STARTED = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
DAY = date(2026, 11, 20)
CONFIG = ExportConfig.from_environment(EXPORT)
CATALOGUE = load()
FAILURE = {"table": "apis", "organization": "acme", "environment": None, "day": "d", "reason": "r"}


class Function:
    """The real handler over an export with a given report."""

    def __init__(self, app: ModuleType, states: fake.FakeStates) -> None:
        self.app = app
        self.states = states
        self.now = STARTED
        self.report = Report(exported=3)
        self.dataset = MemoryDataset()
        self.slots = MemorySlots(SimpleNamespace(now=0.0))  # type: ignore[arg-type]
        self.bounds: Bounds | None = None
        self.steps: list[str] = []
        self.during: Callable[[], None] = lambda: None
        self.clients = SimpleNamespace(
            config=CONFIG,
            catalogue=CATALOGUE,
            dataset=self.dataset,
            secrets=None,
            choreo=lambda share: share,
            budget=Budget(self.slots, 120),
            catch_ups=CatchUps(states.client(), fake.ARN),
        )

    def export(self, *given: Any, **_: Any) -> SimpleNamespace:
        self.bounds = given[2]
        return SimpleNamespace(export=self._export, check=lambda: self.steps.append("check"))

    def _export(self) -> Report:
        self.steps.append("export")
        self.during()
        return self.report

    def run(self, event: dict[str, Any], seconds: float = 900) -> dict[str, Any]:
        context = SimpleNamespace(
            function_name="export",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:export",
            aws_request_id="11111111-2222",
            get_remaining_time_in_millis=lambda: seconds * 1000,
        )
        reply: dict[str, Any] = self.app.handler(event, context)
        return reply


@pytest.fixture
def function(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    with fake.running() as states:
        made = Function(app, states)
        states.started = lambda _: made.steps.append("hand over")
        monkeypatch.setattr(app, "_clients", lambda: made.clients)
        monkeypatch.setattr(app, "Export", made.export)
        monkeypatch.setattr(app, "utc_now", lambda: made.now)
        yield made


def environments(function: Function, *ids: str, organization: str = "acme") -> None:
    """Lists these environments of an organisation."""
    rows = [{"environment_id": each, "environment_name": each, "type": "CHOREO"} for each in ids]
    registry = Registry(function.dataset, "r", lambda: STARTED)  # type: ignore[arg-type]
    registry.environments(organization, rows, DAY)


class TestHandOver:
    def test_what_remains_is_handed_over_before_the_checks(self, function: Function) -> None:
        environments(function, "e-2", "e-1")
        function.report.remaining = 9
        event = {"organizations": ["acme"], "from": "2026-11-10", "tables": ["latency"]}

        reply = function.run({**event, "force": True, "again": True})

        assert function.steps == ["export", "hand over", "check"]
        (run,) = function.states.runs.values()
        assert run.name.startswith("catchup-2026-11-20-")
        assert len(run.name) <= 80
        assert reply["catch_up"] == run.name
        given = json.loads(run.input)
        assert given.pop("parts") == [
            {"organization": "acme", "environments": [each], "from": first, "to": last}
            for first, last in (("2026-11-10", "2026-11-13"), ("2026-11-14", "2026-11-20"))
            for each in ("e-1", "e-2")
        ]
        assert given == {
            "tables": ["latency"],
            "again": True,
            "force": True,
            "since": STARTED.isoformat(),
        }

    def test_nothing_is_handed_over_where_nothing_remains(self, function: Function) -> None:
        reply = function.run({})
        assert function.steps == ["export", "check"]
        assert reply["catch_up"] is None
        assert not function.states.runs

    def test_the_start_of_the_first_run_travels_on(self, function: Function) -> None:
        function.report.remaining = 9
        function.run({"since": "2026-11-19T01:02:03Z"})
        (run,) = function.states.runs.values()
        assert json.loads(run.input)["since"] == "2026-11-19T01:02:03+00:00"

    def test_what_is_not_listed_yet_is_one_part(self, function: Function) -> None:
        environments(function, "e-1")
        function.report.remaining = 9
        function.run({"from": "2026-11-20"})
        (run,) = function.states.runs.values()
        parts = json.loads(run.input)["parts"]
        assert [(each["organization"], each["environments"]) for each in parts] == [
            ("acme", ["e-1"]),
            ("globex", None),
        ]

    def test_environments_of_the_event_are_kept(self, function: Function) -> None:
        environments(function, "e-1", "e-2")
        function.report.remaining = 9
        function.run({"from": "2026-11-20", "organizations": ["acme"], "environments": ["e-2"]})
        (run,) = function.states.runs.values()
        assert [each["environments"] for each in json.loads(run.input)["parts"]] == [["e-2"]]

    def test_many_environments_make_a_plan_that_fits(self, function: Function) -> None:
        function.clients.config = replace(CONFIG, export_since=date(2020, 1, 1))
        environments(function, *(f"environment-{number:036}" for number in range(1600)))
        function.report.remaining = 9
        reply = function.run({})
        assert reply["failed"] == 0
        (run,) = function.states.runs.values()
        assert len(run.input) < 256 * 1024
        assert {each["environments"] for each in json.loads(run.input)["parts"]} == {None}

    @pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED", "ABORTED"])
    def test_there_is_one_a_day_whatever_became_of_it(
        self, function: Function, status: str
    ) -> None:
        function.report.remaining = 9
        name = function.run({})["catch_up"]
        function.states.runs[name].status = status
        # The last day is not part of what it is called by.
        assert function.run({"to": "2026-11-20"})["catch_up"] == name
        assert [*function.states.runs] == [name]

    def test_a_new_day_has_a_new_one(self, function: Function) -> None:
        function.report.remaining = 9
        first = function.run({})["catch_up"]
        function.states.runs[first].status = "ABORTED"
        function.now = datetime(2026, 11, 21, 0, 5, tzinfo=UTC)
        second = function.run({})["catch_up"]
        assert second.startswith("catchup-2026-11-21-")
        assert [*function.states.runs] == [first, second]

    def test_none_is_started_while_one_of_an_earlier_day_runs(self, function: Function) -> None:
        function.report.remaining = 9
        first = function.run({})["catch_up"]
        function.now = datetime(2026, 11, 21, 0, 5, tzinfo=UTC)
        assert function.run({})["catch_up"] == first
        assert [*function.states.runs] == [first]

    @pytest.mark.parametrize(
        "event",
        [
            {"organizations": ["acme"]},
            {"tables": ["latency"]},
            {"from": "2026-03-01"},
            {"force": True},
            {"again": True},
            {"environments": ["e"]},
        ],
        ids=lambda event: next(iter(event)),
    )
    def test_other_bounds_have_another_one(self, function: Function, event: dict[str, Any]) -> None:
        function.report.remaining = 9
        names = {function.run(each)["catch_up"] for each in ({}, event)}
        assert len(names) == 2
        assert function.states.runs.keys() == names

    def test_the_same_bounds_in_other_words_have_the_same_one(self) -> None:
        one = Bounds.from_event({}, CONFIG, CATALOGUE, DAY)
        event = {"organizations": ["globex", "acme"], "from": "2026-01-31", "to": "2026-02-03"}
        assert key(one) == key(Bounds.from_event(event, CONFIG, CATALOGUE, DAY))

    def test_while_one_runs_open_days_are_exported_alone(self, function: Function) -> None:
        function.report.remaining = 9
        name = function.run({})["catch_up"]
        assert function.bounds
        assert not function.bounds.open_only
        function.run({})
        assert function.bounds.open_only
        # Other bounds are none of its business.
        function.run({"from": "2026-11-01"})
        assert not function.bounds.open_only
        function.states.runs[name].status = "FAILED"
        function.run({})
        assert not function.bounds.open_only

    def test_among_many_executions_its_own_is_found(self, function: Function) -> None:
        client = function.states.client()
        for number in range(5):  # The fake lists two on a page.
            client.start_execution(
                stateMachineArn=fake.ARN, name=f"2026-01-0{number}_x", input='{"parts": []}'
            )
        function.report.remaining = 9
        function.run({})
        function.run({})
        assert function.bounds
        assert function.bounds.open_only

    @pytest.mark.parametrize("operation", ["StartExecution", "ListExecutions"])
    def test_a_hand_over_that_fails_is_a_failure_of_the_run(
        self, function: Function, operation: str
    ) -> None:
        function.report.remaining = 9
        function.states.refuses.add(operation)
        reply = function.run({})
        assert reply["needs_person"] == reply["failed"] > 0
        assert reply["catch_up"] is None
        assert {failure["table"] for failure in reply["failures"]} == {"backfill"}
        assert all(operation in failure["reason"] for failure in reply["failures"])
        assert function.steps == ["export", "check"]

    def test_a_part_hands_nothing_over_and_asks_for_no_executions(self, function: Function) -> None:
        function.report.remaining = 9
        reply = function.run({"part": True, "since": "2026-11-19T01:02:03Z"})
        assert function.steps == ["export", "check"]
        assert reply["remaining"] == 9
        assert not function.states.calls


class TestBudget:
    def test_each_run_holds_a_slot_until_its_export_has_ended(self, function: Function) -> None:
        held: list[set[str]] = []
        function.during = lambda: held.append(function.slots.held)
        function.states.started = lambda _: held.append(function.slots.held)
        function.report.remaining = 9
        function.run({})
        function.run({"part": True})
        assert held[:2] == [{"other"}, set()]
        assert len(held) == 3
        assert held[2] < {"part-0", "part-1", "part-2", "part-3"}

    def test_a_run_without_a_share_says_so_and_exports_nothing(self, function: Function) -> None:
        function.slots.write("other", State("another", whole=True), over=None)
        reply = function.run({}, seconds=1)
        assert reply["waiting"]
        assert (reply["exported"], reply["remaining"]) == (0, 2)
        assert function.steps == []
        assert not function.states.runs

    def test_a_run_that_loses_its_share_waits_and_hands_nothing_over(
        self, function: Function
    ) -> None:
        function.report.remaining = 9
        shares: list[Share] = []
        function.clients.choreo = shares.append

        def lose() -> None:
            shares[0].lose()

        function.during = lose
        reply = function.run({})
        assert reply["waiting"]
        assert not function.states.runs

    def test_executions_of_an_older_release_retry_an_error(self, function: Function) -> None:
        event = {
            "continued": {"round": 2, "since": "2026-11-19T01:02:03Z"},
            "requests_per_minute": 30,
            "environments": ["Production"],
        }
        function.run(event)
        assert function.bounds
        assert function.bounds.part
        assert function.bounds.most_per_minute == 30
        assert function.bounds.since == datetime(2026, 11, 19, 1, 2, 3, tzinfo=UTC)
        function.report.count_failure("apis", "acme", None, DAY, PersonMustAct("a 403"))
        assert function.run(event)["failed"] == 1
        function.report.count_failure("apis", "acme", None, DAY, Retriable("a 502"))
        with pytest.raises(Retriable, match="2 partitions failed"):
            function.run(event)
        function.slots.write("other", State("another", whole=True), over=None)
        with pytest.raises(Retriable, match="2 are left"):
            function.run(event, seconds=1)


class TestReply:
    def test_a_run_that_completes_is_a_success_whatever_failed(
        self, function: Function, capsys: pytest.CaptureFixture[str]
    ) -> None:
        function.report = Report(exported=3)
        function.report.count_failure("apis", "acme", None, DAY, Retriable("a 502"))
        reply = function.run({})
        assert reply["failed"] == reply["retriable"] == 1
        assert reply["failures"][0]["reason"] == "a 502"
        printed = capsys.readouterr().out
        assert '"Exported":3' in printed
        assert '"Failed":1,"Retriable":1,"NeedsPerson":0' in printed

    def test_no_run_both_hands_over_and_raises(self, function: Function) -> None:
        function.report = Report(exported=3, remaining=4)
        function.report.count_failure("apis", "acme", None, DAY, Retriable("a 502"))
        reply = function.run({})
        assert reply["retriable"] == 1
        assert reply["catch_up"]

    def test_has_what_other_systems_read(self, function: Function) -> None:
        assert function.run({}).keys() >= {
            *("exported", "settled", "failed", "remaining", "kept", "rows", "bytes", "requests"),
            *("retriable", "waiting", "needs_person", "mismatches", "unconfirmed", "failures"),
        }

    def test_what_failed_is_named_in_the_log(
        self, function: Function, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An alarm's mail names no organisation: the log and the ledger do."""
        report = function.report = Report(exported=9)
        report.count_failure("apis", "globex", "Production", DAY, PersonMustAct("a 403"))
        report.count_failure("latency", "lotus", "Production", DAY, BadAnswer("what is this?"))
        report.count_failure("runs", None, None, DAY, Retriable("no space"))
        function.run({})
        failed = [vars(each) for each in caplog.records if each.msg == "partition failed"]
        assert [(each["organization"], each["reason"]) for each in failed] == [
            ("globex", "a 403"),
            ("lotus", "what is this?"),
            (None, "no space"),
        ]

    @pytest.mark.parametrize(
        ("event", "remaining", "metrics"),
        [
            ({}, 0, {"Exported": 3, "Mismatches": 0, "Retriable": 1, "NeedsPerson": 0}),
            ({}, 5, {"Exported": 3, "Retriable": 1}),
            ({"organizations": ["acme"]}, 0, {"Exported": 3, "Retriable": 1}),
            ({"tables": ["apis"]}, 0, {"Exported": 3, "Retriable": 1}),
            ({"to": "2026-11-19"}, 0, {"Exported": 3, "Retriable": 1}),
            ({"part": True, "since": "2026-11-19T00:00:00Z"}, 0, {"Exported": 3}),
        ],
        ids=["all", "rest", "organisation", "table", "past", "part"],
    )
    def test_only_a_run_that_saw_everything_writes_zeros(
        self,
        function: Function,
        capsys: pytest.CaptureFixture[str],
        event: dict[str, Any],
        remaining: int,
        metrics: dict[str, int],
    ) -> None:
        environments(function, "e-1")
        function.report = Report(exported=3, remaining=remaining)
        function.report.count_failure("apis", "acme", None, DAY, Retriable("a 502"))
        function.run(event)
        (line,) = (
            json.loads(line)
            for line in capsys.readouterr().out.splitlines()
            if line.startswith('{"StackName":')
        )
        ((written,), dimensions) = (
            line["_aws"]["CloudWatchMetrics"],
            line["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
        )
        assert dimensions == [["StackName"]]
        found = {metric["Name"]: line[metric["Name"]] for metric in written["Metrics"]}
        complete = {"Complete": int(not remaining)} if not event else {}
        assert found == metrics | complete


class TestRaises:
    @pytest.mark.parametrize(
        ("event", "says"),
        [
            ({"from": "0001-01-01"}, r"from \(0001-01-01\) lies before 2000-01-01"),
            ({"from": "2026-11-21", "to": "2026-11-22"}, r"from \(2026-11-21\) lies in the future"),
            ({"from": "2026-02-01", "to": "2026-01-01"}, r"lies after to \(2026-01-01\)"),
            ({"tables": []}, "tables is an empty list"),
            ({"organizations": ["hooli"]}, "'hooli' is not in the parameter Organizations"),
            ({"form": "2026-02-01"}, "form"),
            ({"since": "2026-02-01T00:00:00"}, "since"),
            ([], "the event is wrong"),
        ],
    )
    def test_an_event_that_is_wrong(self, function: Function, event: Any, says: str) -> None:
        with pytest.raises(ConfigurationError, match=says):
            function.run(event)
        assert function.slots.held == set()

    def test_what_makes_all_of_it_impossible(self, function: Function) -> None:
        def newer() -> None:
            raise PersonMustAct("the dataset is of version 3")

        function.during = newer
        with pytest.raises(PersonMustAct, match="version 3"):
            function.run({})
        assert function.slots.held == set()
        assert not function.states.runs
