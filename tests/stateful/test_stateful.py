"""Days of a stack at random: see machine.py for what happens, invariants.py for what must hold."""

import os

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import KILLS, RULES, Days

SOAK = bool(os.environ.get("SOAK"))


def test_the_invariants_hold_whatever_happens() -> None:
    chosen = settings(
        max_examples=40 if SOAK else 8,
        stateful_step_count=50 if SOAK else 14,
        deadline=None,
        database=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink) if SOAK else (Phase.generate,),
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )
    RULES.clear()
    KILLS.clear()
    run_state_machine_as_test(seed(int(os.environ.get("SEED", "1")))(Days), settings=chosen)
    for name, count in sorted({**RULES, **KILLS}.items()):
        print(f"{count:6} {name}")  # noqa: T201 - how often each rule and kill point ran
