"""Programs in the background are stopped whole, and nobody else is."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from choreo_insights_cli.errors import CommandError
from dev.local.background import Background, start, tail, wait_until_ready
from dev.local.paths import basic_environment

PARENT_AND_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def run(tmp_path: Path, program: str) -> tuple[Background, Path]:
    log = tmp_path / "logs" / "program.log"
    return start([sys.executable, "-c", program], basic_environment(), log, tmp_path), log


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


def test_stop_ends_what_a_program_started_too(tmp_path: Path) -> None:
    started, log = run(tmp_path, PARENT_AND_CHILD)
    wait_until_ready(started, lambda: log.read_text("utf-8").endswith("\n"), "The parent", log)
    child = int(log.read_text("utf-8"))
    assert started.alive
    assert is_running(child)

    started.stop()

    assert not started.alive
    until(lambda: not is_running(child))


def test_stop_ends_the_children_of_a_program_that_is_gone(tmp_path: Path) -> None:
    started, log = run(tmp_path, PARENT_AND_CHILD)
    wait_until_ready(started, lambda: log.read_text("utf-8").endswith("\n"), "The parent", log)
    os.kill(started.pid, signal.SIGKILL)
    until(lambda: not started.alive)

    started.stop()

    until(lambda: not is_running(int(log.read_text("utf-8"))))


def test_stop_uses_force_where_asking_does_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dev.local.background._STOP_SECONDS", 0.05)
    started, log = run(tmp_path, DEAF)
    wait_until_ready(started, lambda: "deaf" in log.read_text("utf-8"), "The deaf one", log)

    started.stop()

    assert not started.alive


def test_a_stranger_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    started, _ = run(tmp_path, "import time; time.sleep(600)")
    earlier = replace(started, born="some other time")
    assert not earlier.alive

    earlier.stop()

    assert started.alive
    started.stop()


def test_stop_twice_does_no_harm(tmp_path: Path) -> None:
    started, _ = run(tmp_path, "import time; time.sleep(600)")
    started.stop()
    started.stop()
    assert not started.alive


def test_a_program_that_ended_before_it_was_looked_at_does_not_run(tmp_path: Path) -> None:
    started, _ = run(tmp_path, "")
    until(lambda: not started.alive)

    assert not replace(started, born="").alive


def test_a_program_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    started, log = run(tmp_path, "raise SystemExit('the disk is full')")

    with pytest.raises(CommandError, match=r"The program did not start(.|\n)*the disk is full"):
        wait_until_ready(started, lambda: False, "The program", log)


def test_the_environment_is_not_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    started, log = run(tmp_path, "import os; print(sorted(os.environ), flush=True)")
    until(lambda: not started.alive)

    assert "AWS_PROFILE" not in log.read_text("utf-8")
    assert "PROXY" not in log.read_text("utf-8")


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert tail(log) == "(empty)"
    log.write_text("\n".join(map(str, range(50))), "utf-8")
    assert tail(log, 3) == "47\n48\n49"
