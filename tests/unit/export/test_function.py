"""The export function: how it goes on, and when it fails."""

import importlib.util
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from checks.template import Template
from insights.bounds import Bounds, Continued
from insights.errors import BadAnswer, PersonMustAct, Retriable
from insights.report import Report
from tests.alarms import named

ROOT = Path(__file__).parents[3]
APP = ROOT / "functions/export/app.py"
TEMPLATE = Template(ROOT / "template.yaml")
STARTED = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
DAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def app() -> ModuleType:
    spec = importlib.util.spec_from_file_location("export_app", APP)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def bounds(continued: Continued | None = None) -> Bounds:
    return Bounds((), ("acme",), DAY, DAY, False, 120, continued)


def test_what_is_left_is_handed_to_a_fresh_invocation_until_all_is_done(app):
    event, continued, rounds = {"force": True}, None, 1
    while following := app.following_event(
        event, bounds(continued), Report(exported=5, remaining=9), STARTED
    ):
        assert following["force"]
        assert following["continued"]["since"] == STARTED.isoformat()
        rounds = following["continued"]["round"]
        continued, event = Continued(rounds, STARTED), following
        assert rounds <= app.MOST_ROUNDS
    assert rounds == app.MOST_ROUNDS


@pytest.mark.parametrize(
    ("event", "report"),
    [
        ({}, Report(exported=5)),
        ({}, Report(remaining=5)),
        ({}, Report(failed=5, remaining=5)),
        ({"requests_per_minute": 10}, Report(exported=5, remaining=5)),
    ],
)
def test_it_does_not_go_on_when_done_without_progress_or_for_a_backfill(app, event, report):
    assert app.following_event(event, bounds(), report, STARTED) is None


@pytest.fixture
def run(app, monkeypatch):
    """The handler over an export with a given report; gives what it invoked and printed."""

    def call(report: Report, event: dict, stack: str = "probe") -> list:
        invoked: list = []
        clients = SimpleNamespace(
            config=SimpleNamespace(stack_name=stack),
            catalogue=None,
            dataset=None,
            secrets=None,
            choreo=lambda budget: None,
            functions=SimpleNamespace(invoke=lambda **values: invoked.append(values)),
        )
        monkeypatch.setattr(app, "_clients", lambda: clients)
        monkeypatch.setattr(app.Bounds, "from_event", lambda *_: bounds())
        made = SimpleNamespace(run=lambda: report)
        monkeypatch.setattr(app, "Export", lambda *_, **__: made)
        context = SimpleNamespace(
            function_name="export",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:export",
            aws_request_id="11111111-2222",
            get_remaining_time_in_millis=lambda: 1000,
        )
        invoked.append(app.handler(event, context))
        return invoked

    return call


FAILURE = {"table": "apis", "organization": "acme", "environment": None, "day": "d", "reason": "r"}


def test_it_fails_after_all_was_written_where_a_retry_may_help(app, run, capsys):
    report = Report(exported=3, failed=1, retriable=1, failures=[FAILURE])
    report.by_organization["acme", "Exported"] = 3
    report.failed_tables["apis", "acme"] = 1
    with pytest.raises(app.PartitionsFailed, match='"failed": 1'):
        run(report, {})
    printed = capsys.readouterr().out
    assert '"Exported":3' in printed
    assert '"Table":"apis"' in printed


def test_the_alarms_name_the_organisation(run, capsys):
    report = Report(exported=9)
    report.count_failure("apis", "globex", "Production", DAY, PersonMustAct("a 403"))
    report.count_failure("latency", "lotus", "Production", DAY, BadAnswer("what is this?"))
    report.count_failure("runs", None, None, DAY, Retriable("no space"))
    with pytest.raises(Exception, match="no space"):
        run(report, {}, stack="choreo-insights")
    log = capsys.readouterr().out.splitlines()
    assert named(TEMPLATE, "FailedPartitions", log) == {"globex": 1, "lotus": 1, "*": 1}
    assert named(TEMPLATE, "NeedsPerson", log) == {"globex": 1}


def test_it_does_not_fail_where_only_a_person_can_help(run, capsys):
    report = Report(exported=3, failed=1, needs_person=1, failures=[FAILURE])
    (reply,) = run(report, {})
    assert reply["failures"] == [FAILURE]
    assert '"NeedsPerson":1' in capsys.readouterr().out


def test_it_invokes_itself_before_it_ends(run):
    invoked, reply = run(Report(exported=3, remaining=2), {"tables": ["apis"]})
    assert invoked["InvocationType"] == "Event"
    assert b'"round": 2' in invoked["Payload"]
    assert b'"tables": ["apis"]' in invoked["Payload"]
    assert reply["remaining"] == 2
