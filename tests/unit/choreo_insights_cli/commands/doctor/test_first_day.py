"""The output that the page on the first day shows is what the doctor prints."""

import io
import re
from typing import Any

from choreo_insights_cli.commands.doctor.show import show
from choreo_insights_cli.console import Console
from dev.sandbox import World
from tests.documents import blocks
from tests.unit.choreo_insights_cli.commands.doctor.test_behaviour import Probed

PAGE = "docs/first-day.md"
SHOWN = [block.text for block in blocks("text") if block.page == PAGE]
# A service that keys usage by names, as clients of 2026 see it.
SERVICE = {"api_index": "name", "newer_fields": True, "traffic_type": "same"}


def printed(**options: Any) -> list[str]:
    """The lines of the doctor in a pipe, without the settings above."""
    report = Probed(World(), **SERVICE).diagnose(**options)
    stream = io.StringIO()
    show(report, Console(file=stream))
    lines = stream.getvalue().splitlines()
    return list(map(masked, lines[lines.index("acme") + 1 :]))


def masked(line: str) -> str:
    """A line without what differs from run to run."""
    return re.sub(r"fingerprint [0-9a-f]{16}|expires \S+Z", "...", line)


def test_the_page_shows_what_the_doctor_prints():
    before, behaviour, *_ = SHOWN
    assert list(map(masked, before.splitlines())) == printed()
    probed = printed(probe=True, mint=True)
    first = next(i for i, line in enumerate(probed) if "subscribed | " in line)
    assert behaviour.splitlines() == probed[first:-2]
