"""`docs/reliability.md`: the table of faults, and how many cases of each were survived."""

from collections.abc import Mapping

from tests.faults.cases import Fault
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
What cannot be seen, and so is not in the table: an answer that is well-formed, adds up and is
wrong. For such there is the table `checks`, which compares what the tables of a day tell of the
same requests.
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
    return f"{_HEAD}{total[1]} of {total[0]} cases were survived.\n\n{body}\n{_FOOT}"


def described(fault: Fault) -> str:
    """A row of the table up to its counts."""
    return f"| {fault.name} | {fault.place} | {fault.happens} |"


def _survived(counts: tuple[int, int] | None) -> str:
    return f"{counts[1]} of {counts[0]}" if counts else "not tried"
