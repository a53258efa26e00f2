"""Which faults a run tries: all in a soak, else a part that the seed draws.

The part has every fault that is not left to the soak, and of each place every outcome. A run prints
its seed, and SEED= draws the same part again.
"""

import os
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tests.faults.cases import Case, Fault
from tests.faults.table import key

SEED = "SEED"
SOAK = bool(os.environ.get("SOAK"))
T = TypeVar("T")


def cases(faults: Iterable[Fault]) -> list[tuple[Fault, Case]]:
    """The cases that this run tries."""
    every = [(fault, case) for fault in faults for case in fault.cases]
    return every if SOAK else drawn(every, os.environ[SEED])


def drawn(every: Sequence[tuple[Fault, Case]], seed: str) -> list[tuple[Fault, Case]]:
    """One case of each fault, and more until each place has all of its outcomes; in their order."""
    shuffled = [(fault, case) for fault, case in every if not case.soak]
    random.Random(seed).shuffle(shuffled)
    covered: set[tuple[str, str]] = set()
    chosen: set[tuple[str, str]] = set()
    for fault, case in shuffled:
        classes = {("fault", key(fault)), (fault.place, case.outcome)}
        if not classes <= covered:
            covered |= classes
            chosen.add((key(fault), case.id))
    return [(fault, case) for fault, case in every if (key(fault), case.id) in chosen]


def some(values: Sequence[T], number: int) -> list[T]:
    """So many of these values, drawn by the seed; all of them in a soak."""
    if SOAK:
        return [*values]
    return random.Random(os.environ[SEED]).sample(values, number)
