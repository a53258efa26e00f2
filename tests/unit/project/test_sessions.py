"""How a run of the tests ends, whatever the tests have left in memory."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LEAVES_MUCH = """
import atexit, gc

def test_it():
    global kept
    kept = [[number] for number in range(1000)]
    atexit.register(lambda: print("collected:", any(each is kept for each in gc.get_objects())))
"""


def test_the_last_collection_has_nothing_to_do(tmp_path: Path) -> None:
    """While it lasts, execnet may send a worker SIGINT: tests signal child processes only."""
    (tmp_path / "test_it.py").write_text(LEAVES_MUCH, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", os.devnull, "."],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "collected: False" in done.stdout
