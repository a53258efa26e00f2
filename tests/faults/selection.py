"""Which faults a run tries: all in a soak, else a part that changes from day to day.

The part has of each place every outcome, and in five days each fault that is not left to the soak.
The seed draws what happens at random, and is the same every day. A run prints both: SEED= PART=
draws the same again.
"""

import os
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tests.faults.cases import Case, Fault
from tests.faults.table import key

SEED, PART = "SEED", "PART"
# In so many days each fault has its turn.
DAYS = 5
SOAK = bool(os.environ.get("SOAK"))
T = TypeVar("T")


def cases(faults: Iterable[Fault]) -> list[tuple[Fault, Case]]:
    """The cases that this run tries."""
    every = [(fault, case) for fault in faults for case in fault.cases]
    return every if SOAK else drawn(every, os.environ[SEED], int(os.environ[PART]))


def drawn(every: Sequence[tuple[Fault, Case]], seed: str, part: int) -> list[tuple[Fault, Case]]:
    """A case of each fault whose turn it is, and more until each place has all of its outcomes.

    In their order.
    """
    shuffled = [(fault, case) for fault, case in every if not case.soak]
    turn = {*sorted({key(fault) for fault, _ in shuffled})[part % DAYS :: DAYS]}
    random.Random(f"{seed}-{part}").shuffle(shuffled)
    shuffled.sort(key=lambda each: key(each[0]) not in turn)
    covered: set[tuple[str, str]] = set()
    chosen: set[tuple[str, str]] = set()
    for fault, case in shuffled:
        classes = {("turn", key(fault))} if key(fault) in turn else set()
        classes.add((fault.place, case.outcome))
        if not classes <= covered:
            covered |= classes
            chosen.add((key(fault), case.id))
    return [(fault, case) for fault, case in every if (key(fault), case.id) in chosen]


def some(values: Sequence[T], number: int) -> list[T]:
    """So many of these values, drawn by the seed; all of them in a soak."""
    if SOAK:
        return [*values]
    return random.Random(os.environ[SEED]).sample(values, number)
