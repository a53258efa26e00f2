"""Writes `docs/generated/reliability.md`: the faults with their counts, and the invariants."""

import textwrap
from collections.abc import Mapping

from tests.faults.cases import Fault
from tests.faults.invariants import INVARIANTS, Invariant
from tests.faults.table import FAULTS, key

# By the fault's name: how many cases were tried, and how many were survived.
Counts = dict[str, tuple[int, int]]

_HEAD = """\
# What goes wrong, and what happens then

Made by `make reliability`, which tries every fault in this table against the real functions, on
the local AWS with permissions enforced and on the sandbox Choreo. A case is survived if

- nothing that was stored at any time was wrong: each object equals the generator's rows, or is the
  older whole one, or is not there;
- the run named what failed, or nothing did;
- after the fault, one more run made the dataset equal, row for row, to one exported without faults.

"""
_FOOT = """
What cannot be seen, and so is not in the table: a response that is well-formed, adds up and is
wrong. For such there is the table `checks`, which compares what the tables of a day say of the same
requests.

# What always holds

Whatever happens to a run, and in whatever order runs happen. Each section names the tests that
prove it. Beside these, `test_the_invariants_hold_whatever_happens` draws runs, faults and changes
at random, and checks what is stored after each of them.
"""


def text(counts: Mapping[str, tuple[int, int]]) -> str:
    """The page."""
    total = [sum(each) for each in zip(*counts.values(), strict=True)] or [0, 0]
    rows = [
        "| fault | place | what happens | survived |",
        "| --- | --- | --- | --- |",
        *(f"{described(fault)} {_survived(counts.get(key(fault)))} |" for fault in FAULTS),
    ]
    body = "\n".join(rows)
    counted = f"{total[1]} of {total[0]} cases were survived."
    sections = "".join(map(section, INVARIANTS))
    return f"{_HEAD}{counted}\n\n{body}\n{_FOOT}{sections}"


def described(fault: Fault) -> str:
    """A row of the table up to its counts."""
    return f"| {fault.name} | {fault.place} | {fault.happens} |"


def section(invariant: Invariant) -> str:
    """The section of an invariant."""
    tests = textwrap.fill(
        f"Tests: {', '.join(f'`{name}`' for name in invariant.tests)}.",
        100,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"\n## {invariant.name}\n\n{invariant.text}\n{tests}\n"


def _survived(counts: tuple[int, int] | None) -> str:
    return f"{counts[1]} of {counts[0]}" if counts else "not tried"
