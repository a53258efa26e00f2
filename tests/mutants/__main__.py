"""`make mutants`: tests must fail where the code is wrong.

Applies each patch of patches.toml to a copy of the project, and expects one of its tests to fail.
With SAMPLE=n: mutants drawn at random, see sample.py.
"""

import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.copies import changed, copy, run_tests

PATCHES = Path(__file__).parent / "patches.toml"
DAYS = "tests/stateful/test_stateful.py"
JOBS = int(os.environ.get("JOBS", "2"))


class BadPatch(Exception):  # noqa: N818 - what it is called
    """A patch that cannot be applied, or whose tests fail without it."""


@dataclass(frozen=True)
class Patch:
    """A fault, and the tests that must find it."""

    name: str
    invariant: str
    file: str
    old: str
    new: str
    tests: Sequence[str]


def patches() -> list[Patch]:
    """All stored patches."""
    return [Patch(**each) for each in tomllib.loads(PATCHES.read_text("utf-8"))["patch"]]


def patched(patch: Patch, text: str) -> str:
    """A file's text with the fault. Raises BadPatch unless `old` stands there once."""
    if (count := text.count(patch.old)) != 1:
        raise BadPatch(f"{patch.name}: `old` stands {count} times in {patch.file}")
    return text.replace(patch.old, patch.new)


def killed_by(place: Path, patch: Patch) -> str | None:
    """The test that fails with the patch, or None. Raises BadPatch."""
    text = patched(patch, (place / patch.file).read_text("utf-8"))
    with changed(place, patch.file, text):
        # The state machine takes the longest.
        for test in sorted(patch.tests, key="days".__eq__):
            code, output = run_tests(place, [DAYS if test == "days" else test])
            found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
            # A library may still break at the end of the process.
            if code and found:
                return found[1]
            if code:
                raise BadPatch(f"{patch.name}: {test} ended with {code}:\n{output[-2000:]}")
    return None


def main(names: Sequence[str]) -> int:
    """Tries the patches whose names contain one of these texts. Gives the exit code.

    `--days` has the state machine alone find what it is expected to find.
    """
    texts = [name for name in names if name != "--days"]
    chosen = [p for p in patches() if not texts or any(text in p.name for text in texts)]
    if "--days" in names:
        chosen = [replace(patch, tests=["days"]) for patch in chosen if "days" in patch.tests]
    places: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(JOBS):
            copy(place := Path(folder) / str(number))
            places.put(place)
        tests = sorted({test for patch in chosen for test in patch.tests})
        code, output = run_tests(place, [DAYS if test == "days" else test for test in tests])
        if code:
            raise BadPatch(f"the tests fail without any patch:\n{output[-4000:]}")

        def tried(patch: Patch) -> tuple[Patch, str | None]:
            mine = places.get()
            try:
                return patch, killed_by(mine, patch)
            finally:
                places.put(mine)

        survived = 0
        with ThreadPoolExecutor(JOBS) as threads:
            for patch, killer in threads.map(tried, chosen):
                survived += killer is None
                verdict = f"killed by {killer}" if killer else "SURVIVED"
                print(f"{patch.invariant}: {patch.name}: {verdict}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} patches were killed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
