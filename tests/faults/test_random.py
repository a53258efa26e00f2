"""Faults at random: several at once, killed functions, more than one run, a clock that goes on.

SEED and a number make a sequence; each failure names both.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.faults.cases import Case
from tests.faults.fault_rig import Container, Station
from tests.faults.proxy import Rule
from tests.faults.selection import SEED, SOAK
from tests.faults.surviving import recovered
from tests.faults.table import FAULTS, named

Record = Callable[[str, object], None]
MINUTES = float(os.environ.get("MINUTES") or 0)
SEQUENCES = 8 if SOAK else 4
# Of these each takes minutes where it stays.
_LONG = ("hang", "drip", "slow")


def _is_long(case: Case) -> bool:
    rules: Iterator[Mapping[str, Any]] = iter(case.choreo)
    return any(r["fault"] in _LONG and r["times"] is None for r in rules) or any(
        r.does == "hang" or (r.service == "lambda" and r.times is None) for r in case.aws
    )


CASES = [case for fault in FAULTS for case in fault.cases if not _is_long(case)]


class Sequence:
    """One sequence of faults, drawn from a seed and its number."""

    def __init__(self, station: Station, seed: str, number: int) -> None:
        self._station = station
        self._draw = random.Random(f"{seed}-{number}")
        self._export: Container | None = None
        self.events: list[str] = [f"SEED={seed}, sequence {number}"]

    def run(self) -> None:
        """Some runs with faults, then one without. Raises AssertionError."""
        self._station.reset()
        for _ in range(self._draw.choice((1, 1, 2, 3))):
            self._one_run()
            assert self._station.wrong() == []
            if self._draw.random() < 0.3:
                self._station.see(self._station.nows[-1] + timedelta(minutes=40))
        self._station.calm()
        self._station.store_secret()
        self._station.an_hour_later()
        recovered(self._station)

    def _one_run(self) -> None:
        chosen = self._draw.sample(CASES, self._draw.choice((1, 2, 2, 3)))
        choreo = [self._later(dict(rule)) for case in chosen for rule in case.choreo]
        self._station.expire_slots()
        for case in chosen:
            if case.before:
                case.before(self._station)
        kills = list(self._kills())
        self._station.sandbox.faults.replace(choreo)
        self._station.proxy.replace([*kills, *(rule for case in chosen for rule in case.aws)])
        if self._export is None or not self._export.alive or self._draw.random() < 0.5:
            self._export = self._station.container(through_proxy=True)
        killed = [f"{rule.who} {rule.does} at {rule.skip + 1}" for rule in kills]
        self.events.append(f"faults {[case.id for case in chosen]}, {choreo}, {killed}")
        ended = self._export.invoke(self._draw.choice(({}, {}, {"force": True})), 120.0)
        self.events.append(f"ended {ended.error or 'well'}: {ended.said[:200]}")

    def _later(self, rule: dict[str, Any]) -> dict[str, Any]:
        return rule | {"skip": rule.get("skip", 0) + self._draw.choice((0, 0, 1, 2, 5))}

    def _kills(self) -> Iterator[Rule]:
        """A function may be killed at some request."""
        does = self._draw.choice(("kill", "killed_late"))
        if self._draw.random() < 0.2:
            self._export = export = self._station.container(through_proxy=True)
            skip = self._draw.randrange(60)
            yield Rule(does, who=export.name, skip=skip, act=export.kill)  # type: ignore[arg-type]
        if self._draw.random() < 0.2:
            token = self._station.tokens_by(through_proxy=True)
            skip = self._draw.randrange(10)
            yield Rule(does, who=token.name, skip=skip, act=token.kill)  # type: ignore[arg-type]


def _tried(station: Station, number: int) -> None:
    sequence = Sequence(station, os.environ[SEED], number)
    try:
        sequence.run()
    except AssertionError as error:
        raise AssertionError("\n".join([*sequence.events, str(error)])) from error


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_faults_at_random(station: Station, record_property: Record, number: int) -> None:
    record_property("fault", named("test_faults_at_random"))
    _tried(station, number)


@pytest.mark.skipif(not MINUTES, reason="only by make soak")
@pytest.mark.parametrize("worker", range(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))
def test_faults_at_random_for_long(station: Station, record_property: Record, worker: int) -> None:
    record_property("fault", named("test_faults_at_random"))
    end = time.monotonic() + MINUTES * 60
    tried = 0
    while time.monotonic() < end:
        _tried(station, (worker + 1) * 1_000_000 + tried)
        tried += 1
    record_property("tried", tried)
