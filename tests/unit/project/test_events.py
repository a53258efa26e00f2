"""Each file in `events/` is an event that is accepted, and each kind of event has a file."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.export.event import Bounds, _Event
from choreo_insights.export.parts import Backfill, Part
from choreo_insights.report.monthly import Event as ReportEvent
from choreo_insights.tokens.events import ACTIONS, Request
from tests.unit.choreo_insights.test_config import EXPORT

FOLDER = Path(__file__).resolve().parents[3] / "events"
FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
EXPORTS = [name for name in FILES if name.startswith("export")]
TODAY = date(2026, 11, 10)


@pytest.mark.parametrize("name", EXPORTS)
def test_the_export_function_takes_it(name: str) -> None:
    config = ExportConfig.from_environment(EXPORT)
    bounds = Bounds.from_event(FILES[name], config, load(), TODAY)
    assert bounds.first <= bounds.last
    assert bounds.tables


def test_every_key_of_an_export_has_an_example() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(_Event)}
    assert keys == {key for name in EXPORTS for key in FILES[name]}


def test_every_action_of_the_token_function_has_an_example() -> None:
    requests = [Request.read(event) for name, event in FILES.items() if name.startswith("token")]
    asked = {(request.action, request.organization is None) for request in requests}
    assert asked == {(action, everyone) for action in ACTIONS for everyone in (True, False)}
    assert any(request.rejected for request in requests)


def test_every_key_of_a_report_has_an_example() -> None:
    events = [ReportEvent.read(event) for name, event in FILES.items() if name.startswith("report")]
    assert {event.month for event in events} == {None, "2026-11"}
    assert any(event.organizations for event in events)


def test_the_backfill_s_parts_are_parts() -> None:
    for part in FILES["backfill"]["parts"]:
        assert Part.of_event({**part, "organizations": [part["organization"]]}).as_dict() == part
    since = datetime(2026, 11, 8, tzinfo=UTC)
    assert {*FILES["backfill"]} == {*json.loads(Backfill((), since=since).input)}


def test_the_page_names_each_file() -> None:
    page = (FOLDER / "README.md").read_text("utf-8")
    assert set(re.findall(r"`([a-z-]+)\.json`", page)) == FILES.keys()
