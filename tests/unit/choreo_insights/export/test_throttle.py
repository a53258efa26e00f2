"""The pace of requests, and what holds them back."""

import threading
from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.errors import Held, OutOfTime
from choreo_insights.export.throttle import MAX_HOLD, Throttle
from tests.fakes.clock import Clock

RATES = st.one_of(st.integers(1, 600), st.floats(0.2, 600), st.sampled_from([0.5, 7.5, 120]))


def throttle(rate: float, now: float = 1000.0) -> tuple[Throttle, Clock]:
    clock = Clock(now)
    return Throttle(rate, clock=clock, sleep=clock.sleep), clock


def most_in_a_minute(sent: list[float]) -> int:
    return max(sum(start <= moment < start + 60 for moment in sent[i:]) for i, start in
               enumerate(sent))  # fmt: skip


@given(RATES, st.lists(st.floats(0, 40), min_size=1, max_size=60), st.floats(0, 1e7))
def test_no_minute_has_more_requests_than_the_rate(rate: float, pauses: list[float], now: float):
    pace, clock = throttle(rate, now)
    sent = []
    for pause in pauses:
        clock.advance(pause)
        pace.wait()
        sent.append(clock())
    assert most_in_a_minute(sent) <= ceil(rate)


@given(RATES)
def test_requests_are_evenly_spaced_and_no_slower_than_the_rate(rate: float):
    pace, clock = throttle(rate)
    sent = []
    for _ in range(5):
        pace.wait()
        sent.append(clock())
    assert sent[0] == 1000
    for before, after in pairwise(sent):
        assert Fraction(60) / Fraction(rate) <= Fraction(after) - Fraction(before)
        assert after - before == pytest.approx(60 / rate, abs=1e-3)


def test_an_idle_time_is_not_made_up_for():
    pace, clock = throttle(60)
    pace.wait()
    clock.advance(600)
    for _ in range(10):
        pace.wait()
    assert clock() == pytest.approx(1609, abs=1e-3)


def test_the_rate_can_change():
    pace, clock = throttle(1)
    pace.wait()
    pace.set_rate(120)
    pace.wait()
    assert clock() == pytest.approx(1000.5, abs=1e-3)
    pace.set_rate(0.5)
    pace.wait()
    assert clock() == pytest.approx(1120.5, abs=1e-3)


def test_who_waits_notices_that_the_rate_has_changed():
    clock = Clock(0.0)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        pace.set_rate(60)

    pace = Throttle(1, clock=clock, sleep=sleep)
    pace.wait()
    pace.wait()
    assert clock() <= 6


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_sends_nothing_is_refused(rate: float):
    with pytest.raises(ValueError, match="sends nothing"):
        Throttle(rate)


def test_threads_share_the_pace():
    clock = Clock(0.0)
    sent: list[float] = []
    pace = Throttle(60, clock=clock, sleep=clock.sleep)

    def send() -> None:
        pace.wait()
        sent.append(clock())

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock() >= 7


# What the service asks for


def test_a_hold_keeps_its_sender_back_and_no_other():
    pace, clock = throttle(600)
    pace.hold(30, "acme")
    pace.hold(5, "acme")
    pace.wait(sender="globex")
    assert clock() == 1000
    pace.wait(sender="acme")
    assert clock() == 1030


@pytest.mark.parametrize("seconds", [MAX_HOLD + 1, 315_360_000, float("inf")])
def test_a_hold_ends_after_a_quarter_of_an_hour(seconds: float):
    pace, clock = throttle(600)
    pace.hold(seconds)
    pace.wait()
    assert clock() == 1000 + MAX_HOLD


def test_being_held_beyond_the_deadline_is_a_failure_of_its_own():
    pace, clock = throttle(60)
    pace.hold(600, "acme")
    with pytest.raises(Held, match="asked to wait, for 600 s more") as raised:
        pace.wait(deadline=1500, sender="acme")
    assert raised.value.retry_after == 600
    assert clock() == 1000
    pace.wait(deadline=1600, sender="acme")
    assert clock() == 1600


def test_it_does_not_wait_for_a_turn_that_comes_too_late():
    pace, clock = throttle(1)
    pace.wait()
    with pytest.raises(OutOfTime, match="in 60 s, which is too late"):
        pace.wait(deadline=clock() + 30)
    assert clock() == 1000
