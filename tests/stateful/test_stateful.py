"""Days of a stack at random: see machine.py for what happens, invariants.py for what must hold.

`make test` runs few steps, of seeds that stay the same; `make soak` runs STEPS of them, prints how
often each rule and each kill point ran, and fails where one ran too seldom. `SEED=` repeats one.
"""

import os
import random
import sys

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import CALLS, KILLS, RULES, Days

SOAK = bool(os.environ.get("SOAK"))
STEPS = int(os.environ.get("STEPS", "2000"))
# How often each must run in a soak of 2,000 steps.
LEAST_OF_A_RULE = 15
LEAST_OF_A_KILL = 1


def run(number: int, examples: int, steps: int) -> None:
    """Runs examples of so many steps."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        # What fails is made smaller where there is time for it.
        phases=(Phase.generate, Phase.shrink) if SOAK else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Days), settings=chosen)


@pytest.mark.skipif(SOAK, reason="the soak runs more of the same")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_invariants_hold_whatever_happens(number: int) -> None:
    before = RULES.total()
    run(number, examples=int(os.environ.get("EXAMPLES", "3")), steps=12)
    assert RULES.total() - before >= 20


@pytest.mark.skipif(not SOAK, reason="takes long: `make soak`")
def test_they_hold_for_thousands_of_steps(capfd: pytest.CaptureFixture[str]) -> None:
    number = int(os.environ.get("SEED") or random.randrange(1_000_000))
    RULES.clear()
    KILLS.clear()
    while RULES.total() < STEPS:
        with capfd.disabled():
            sys.stdout.write(f"SEED={number}: {RULES.total()} of {STEPS} steps\n")
        run(number, examples=8, steps=30)
        number += 1
    with capfd.disabled():
        for name, count in sorted((RULES | KILLS).items()):
            sys.stdout.write(f"{count:6} {name}\n")
    least = LEAST_OF_A_RULE * STEPS // 2000
    assert not {name: count for name, count in RULES.items() if count < least}
    kinds = [*filter(None, CALLS), "stepfunctions StartExecution"]
    points = [f"{when} {kind}" for kind in kinds for when in ("before", "after")]
    assert not [point for point in points if KILLS[point] < LEAST_OF_A_KILL]
