"""Time and peak memory of a job in this process."""

import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_MIB = 1024 * 1024


def run(job: Callable[[], int]) -> None:
    """Runs a job, which returns its number of rows, and prints its time and memory.

    Earlier imports count neither as time nor as memory.
    """
    gc.collect()
    before = _forgetpeak()
    started = time.perf_counter()
    rows = job()
    seconds = time.perf_counter() - started
    used = peak() - before
    result = {"rows": rows, "seconds": seconds, "peak_mib": max(0, used) / _MIB}
    sys.stdout.write(json.dumps(result) + "\n")


def _forgetpeak() -> int:
    """Bytes of memory now; resets the peak where the system can."""
    if not _STATUS.exists():
        return peak()
    # `5` resets the peak to what is held now: see proc(5), clear_refs.
    Path("/proc/self/clear_refs").write_text("5", "utf-8")
    return _status("VmRSS")


def peak() -> int:
    """The most bytes of memory so far."""
    if _STATUS.exists():
        return _status("VmHWM")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _status(name: str) -> int:
    lines = _STATUS.read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
