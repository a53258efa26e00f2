"""Runs programs in the background, each in its own session, and stops them with their children.

psutil would save three lines of this, and `make bench` would need it too: a process group is
killed by the standard library in either case.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from choreo_insights_cli.errors import CommandError

# The signals that end a command at the terminal.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Long, for a machine that others keep busy: what cannot start ends by itself.
_START_SECONDS = 300
_STOP_SECONDS = 10
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Background:
    """A program that was started here, maybe by an earlier command."""

    pid: int
    born: str

    @property
    def alive(self) -> bool:
        """Whether it runs. Another process that has the same id since does not count."""
        _reap(self.pid)
        # A program that had ended before its start time could be read has none.
        return self.born != "" and _born(self.pid) == self.born

    def stop(self) -> None:
        """Ends it and every process that it started; after ten seconds by force."""
        if _born(self.pid) not in (self.born, ""):
            return
        if not _signal_all(self.pid, signal.SIGTERM):
            return
        end = time.monotonic() + _STOP_SECONDS
        while _signal_all(self.pid, 0):
            if time.monotonic() > end:
                _signal_all(self.pid, signal.SIGKILL)
                # Once: SIGKILL needs no second one, only time.
                end = float("inf")
            time.sleep(0.02)


def start(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, folder: Path
) -> Background:
    """Starts a program in `folder`, with nothing but this environment, writing to `log`.

    The terminal's Ctrl-C does not reach it: the caller stops it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, _uninterrupted():
        process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A session of its own is a process group of its own, which `stop` signals as a whole.
            start_new_session=True,
        )
        _children[process.pid] = process
    return Background(process.pid, _born(process.pid))


def run(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, folder: Path
) -> int:
    """Runs a program as `start` does, waits for it and returns its exit status.

    Where the wait is interrupted, the program is stopped.
    """
    started = start(command, environment, log, folder)
    try:
        return _children[started.pid].wait()
    finally:
        started.stop()


def stop_all() -> None:
    """Stops everything that this process started."""
    for pid in list(_children):
        Background(pid, _born(pid)).stop()


def wait_until_ready(started: Background, ready: Callable[[], bool], what: str, log: Path) -> None:
    """Calls `ready` until it is true.

    Raises CommandError with the end of the log when the program ends first, or after five minutes.
    """
    end = time.monotonic() + _START_SECONDS
    while not ready():
        if not started.alive or time.monotonic() > end:
            started.stop()
            raise CommandError(f"{what} did not start. The end of {log}:\n{tail(log)}")
        time.sleep(0.02)


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(empty)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Defers Ctrl-C until the process is recorded, else it is orphaned."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deferred: list[int] = []
    earlier = {
        number: signal.signal(number, lambda number, _: deferred.append(number))
        for number in INTERRUPTS
    }
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    for interrupt in deferred:
        signal.raise_signal(interrupt)


def _signal_all(group: int, number: int) -> bool:
    _reap(group)
    with suppress(ProcessLookupError):
        os.killpg(group, number)
        return True
    return False


def _reap(pid: int) -> None:
    # A child that ended keeps its process group in being until it has been waited for.
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]


def _born(pid: int) -> str:
    """When a process started, in the unit of the system; empty where it does not run."""
    with suppress(FileNotFoundError, ProcessLookupError):
        # The command's name, in parentheses, may itself hold spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    if Path("/proc/self/stat").exists():
        return ""
    listed = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return listed.stdout.strip()
