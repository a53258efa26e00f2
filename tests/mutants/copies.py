"""Copies of the project in which something is wrong, and the tests run in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Examples of the state machine, more than `make test` runs.
EXAMPLES = "6"


def copy(target: Path) -> None:
    """Copies the project's files, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def run_tests(place: Path, tests: Sequence[str], python: str = sys.executable) -> tuple[int, str]:
    """Runs tests in a copy until one fails: pytest's exit code, and what it printed."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{place}:{place / 'layers/insights'}",
        # A cached module is told from a changed one by its size and its second.
        "PYTHONDONTWRITEBYTECODE": "1",
        "EXAMPLES": EXAMPLES,
    }
    words = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        words,
        cwd=place,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
