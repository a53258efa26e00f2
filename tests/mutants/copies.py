"""Copies of the project in which something is wrong, and the tests run in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    # Some tests ask git which files are the project's.
    for words in (["init", "-q"], ["add", "--all"]):
        subprocess.run(["git", *words], cwd=target, check=True)


@contextmanager
def changed(place: Path, name: str, text: str, python: str = sys.executable) -> Iterator[None]:
    """Gives a file of a copy another text until the block ends, and what is generated from it."""
    file = place / name
    original = file.read_text("utf-8")
    _write(file, text, place, python)
    try:
        yield
    finally:
        _write(file, original, place, python)


def _write(file: Path, text: str, place: Path, python: str) -> None:
    file.write_text(text, "utf-8")
    if file.suffix == ".sql":
        # What DuckDB runs is compiled from it.
        _run(place, [python, "-m", "choreo_insights_cli", "tables", "--compile"])


def run_tests(place: Path, tests: Sequence[str], python: str = sys.executable) -> tuple[int, str]:
    """Runs tests in a copy until one fails: pytest's exit code, and what it printed."""
    return _run(place, [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests])


def _run(place: Path, words: Sequence[str]) -> tuple[int, str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{place}:{place / 'layers/insights'}",
        # A cached module is told from a changed one by its size and its second.
        "PYTHONDONTWRITEBYTECODE": "1",
        "EXAMPLES": EXAMPLES,
    }
    done = subprocess.run(
        words,
        cwd=place,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
