"""The request budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.errors import OutOfTime
from insights.throttle import Throttle


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def throttle(per_minute: int) -> tuple[Throttle, Clock]:
    clock = Clock()
    return Throttle(per_minute, clock=lambda: clock.now, sleep=clock.sleep), clock


@given(st.integers(1, 20), st.lists(st.floats(0, 40), max_size=80))
def test_no_minute_has_more_requests_than_allowed(per_minute: int, pauses: list[float]):
    budget, clock = throttle(per_minute)
    sent = []
    for pause in pauses:
        clock.now += pause
        budget.wait()
        sent.append(clock.now)
    for i, start in enumerate(sent):
        assert sum(1 for moment in sent[i:] if moment < start + 60 - 1e-6) <= per_minute


def test_a_429_holds_all_back():
    budget, clock = throttle(100)
    budget.hold(30)
    budget.hold(5)
    budget.wait()
    assert clock.now == 1030


def test_it_does_not_wait_for_what_comes_too_late():
    budget, clock = throttle(1)
    budget.wait()
    with pytest.raises(OutOfTime, match="60 s"):
        budget.wait(deadline=clock.now + 30)
    assert clock.now == 1000
