"""`make mutants SAMPLE=n`: n mutants drawn at random, and how many of them the tests kill.

cosmic-ray makes those of Python; those of the views' SQL are made here. The tests that are named
after a module are run first, then all others. SEED= draws the same ones again.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutants.copies import ROOT, changed, copy, run_tests

PACKAGES = (
    "layers/insights/choreo_insights",
    "functions",
    "choreo_insights_cli/sql",
    "choreo_insights_cli/releases",
)
# Annotations are full of `|`, a cache that is missing changes nothing but speed, and most values
# that are equal are the same.
LEFT_OUT = re.compile(r"BitOr|RemoveDecorator|Eq_Is|Operator_Is")
ALL_TESTS = ("tests/unit", "tests/stateful")
JOBS = int(os.environ.get("JOBS", "2"))
# What may go wrong in SQL: a pattern, and what is put in its place.
SQL = (
    (r">=", ">"),
    (r"<=", "<"),
    (r" = ", " <> "),
    (r" AND ", " OR "),
    (r" \+ ", " - "),
    (r"\bmax\(", "min("),
    (r"\bmin\(", "max("),
    (r"\bsum\(", "max("),
    (r"\bLEFT JOIN\b", "JOIN"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bNOT IN\b", "IN"),
    (r", 0\)", ", 1)"),
    (r"(PARTITION BY [^,()]+), \S+?(?=[ ,)\n])", r"\1"),
    (r"(GROUP BY [^,\n]+), \w+(\.\w+)?", r"\1"),
)


@dataclass(frozen=True)
class Mutant:
    """A change of one file: an operator at one of the places where it applies."""

    file: str
    operator: str
    occurrence: int

    def of(self, text: str) -> str:
        """The changed text."""
        if self.file.endswith(".sql"):
            pattern, replacement = SQL[int(self.operator)]
            match = [*re.finditer(pattern, _code(text))][self.occurrence]
            return text[: match.start()] + match.expand(replacement) + text[match.end() :]
        mutated = mutate_code(text, get_operator(self.operator)(), self.occurrence)
        assert mutated is not None
        return str(mutated)


def _code(text: str) -> str:
    """SQL with its comments blanked."""
    return re.sub(r"--.*", lambda match: " " * len(match[0]), text)


def mutants(file: str) -> Iterator[Mutant]:
    """All mutants of a file."""
    text = (ROOT / file).read_text("utf-8")
    if file.endswith(".sql"):
        for number, (pattern, _) in enumerate(SQL):
            for occurrence, _ in enumerate(re.finditer(pattern, _code(text))):
                yield Mutant(file, str(number), occurrence)
        return
    nodes = [*ast_nodes(get_ast(text))]
    for name in sorted(operator_names()):
        operator = get_operator(name)
        if operator.arguments() or LEFT_OUT.search(name):
            continue
        count = sum(1 for node in nodes for _ in operator().mutation_positions(node))
        for occurrence in range(count):
            yield Mutant(file, name, occurrence)


def files() -> list[str]:
    """The files to change."""
    found = (path for place in PACKAGES for path in sorted((ROOT / place).rglob("*")))
    return [path.relative_to(ROOT).as_posix() for path in found if path.suffix in (".py", ".sql")]


def own_tests(file: str) -> list[str]:
    """Tests that are named after a file; of a view, those of the views."""
    if file.startswith("choreo_insights_cli/sql/views/"):
        return ["tests/unit/choreo_insights_cli/sql"]
    stem = Path(file).stem
    found = sorted((ROOT / "tests/unit").rglob(f"test_{stem}*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found]


def killed_by(place: Path, mutant: Mutant, python: str) -> str | None:
    """The test that fails with a mutant, or None."""
    text = mutant.of((place / mutant.file).read_text("utf-8"))
    with changed(place, mutant.file, text, python):
        for tests in (own_tests(mutant.file), ALL_TESTS):
            if tests:
                code, output = run_tests(place, tests, python)
                if code:
                    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
                    return found[1] if found else f"exit code {code}"
    return None


def main(count: int, seed: int, python: str) -> int:
    """Draws mutants, and tries them with the Python that the tests need. Gives the exit code."""
    every = [mutant for file in files() for mutant in mutants(file)]
    in_some_order = random.Random(seed).sample(every, len(every))
    drawn = list(islice(filter(_compiles, in_some_order), count))
    print(f"SEED={seed}: {count} of {len(every)} mutants", flush=True)
    places: SimpleQueue[Path] = SimpleQueue()

    def tried(mutant: Mutant) -> tuple[Mutant, str | None]:
        place = places.get()
        try:
            return mutant, killed_by(place, mutant, python)
        finally:
            places.put(place)

    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(JOBS):
            copy(place := Path(folder) / str(number))
            places.put(place)
        # A test that fails anyway would seem to kill every mutant.
        code, output = run_tests(place, ALL_TESTS, python)
        if code:
            print(f"The tests fail without any mutant:\n{output[-4000:]}")
            return 1
        with ThreadPoolExecutor(JOBS) as threads:
            for mutant, killer in threads.map(tried, drawn):
                survived += killer is None
                print(f"{mutant.file} {mutant.operator} {mutant.occurrence}:", end=" ")
                print(f"killed by {killer}" if killer else "SURVIVED", flush=True)
                if killer is None:
                    print(_difference(mutant), flush=True)
    killed = count - survived
    print(f"{killed} of {count} mutants were killed: {100 * killed // count} %")
    return 0 if killed >= 0.95 * count else 1


def _compiles(mutant: Mutant) -> bool:
    """Whether a mutant is a program at all: any test finds one that is none."""
    if not mutant.file.endswith(".py"):
        return True
    try:
        compile(mutant.of((ROOT / mutant.file).read_text("utf-8")), mutant.file, "exec")
    except SyntaxError:
        return False
    return True


def _difference(mutant: Mutant) -> str:
    text = (ROOT / mutant.file).read_text("utf-8")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as changed:
        changed.write(mutant.of(text))
        changed.flush()
        words = ["git", "diff", "--no-index", "-U1", mutant.file, changed.name]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    return "\n".join(done.stdout.splitlines()[4:])


if __name__ == "__main__":
    wanted, chosen, with_python = sys.argv[1:]
    sys.exit(main(int(wanted), int(chosen or random.randrange(1_000_000)), with_python))
