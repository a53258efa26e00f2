"""The size of `pip install .` in a clean environment."""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from choreo_insights_cli.paths import ROOT
from dev.bench.errors import BenchError

_MIB = 2**20


def measure() -> Counter[str]:
    """MiB by the folder or file that is installed, without what Python compiles later.

    The versions are the locked ones. Raises BenchError where it cannot be installed.
    """
    uv = Path(sys.prefix).parent / "uv/bin/uv"
    with tempfile.TemporaryDirectory() as name:
        given = ("--target", name, "--python", sys.executable)
        locked = ("--constraint", str(ROOT / "dev/requirements/dev.txt"))
        done = subprocess.run(
            [uv, "pip", "install", "-q", *given, *locked, str(ROOT)],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise BenchError(f"the program could not be installed:\n{done.stderr[-4000:]}")
        return _sizes(Path(name))


def _sizes(folder: Path) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            # duckdb is a module beside its package.
            top = path.relative_to(folder).parts[0].partition(".")[0].removeprefix("_")
            sizes[top] += path.stat().st_size
    return Counter({name: size / _MIB for name, size in sizes.items()})
