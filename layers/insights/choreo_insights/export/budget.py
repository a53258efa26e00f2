"""Divides RequestsPerMinute between the runs of a stack that go on at the same time.

Each run holds a slot, a small object in the dataset bucket: a part of the state machine one of
`part-0` to `part-3`, any other run `other`. A part has an eighth of the budget, `other` half of it,
or all of it while no part runs. A slot is won and renewed by a conditional PUT. Each side writes
its own slot before it reads the other side's, and S3 is strongly consistent, so that of two which
begin at once at least one sees the other:

    other                               a part
    writes other: whole
                                        writes part-0
    reads part-0 to part-3: one is held
                                        reads other: whole, waits
    halves its rate, writes other: half
                                        reads other: half, sends

A holder that dies is succeeded when its slot expires. Nobody's own clock decides that: a slot's age
is S3's Date minus its Last-Modified, and the holder stops sending well before by the time that
passed since it began to write.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from choreo_insights.dataset.store import Overtaken
from choreo_insights.errors import InsightsError, OutOfTime
from choreo_insights.export.slots import State
from choreo_insights.export.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from choreo_insights.export.slots import Seen, Slots

log = logging.getLogger(__name__)

OTHER = "other"
# Seconds. Its holder sends for VALID after it began to write a slot, which is free EXPIRES after
# that. What lies between is for a request on its way and for S3's whole seconds.
VALID = 60.0
RENEW = 15.0
# How often a run that waits looks again.
# S3 costs a request for each look; a slot is held for minutes.
POLL = 3.0
# A part does not keep a function waiting for longer: the state machine waits for less money.
PART_PATIENCE = 45.0
_PARTS = 4
_MINUTE = 60.0


class Rates(NamedTuple):
    """Requests a minute: of `other` while it has all and while it has half, and of each part."""

    whole: float
    half: float
    part: float
    parts: int

    @classmethod
    def of(cls, per_minute: int) -> Rates:
        """Whole numbers, as a fraction of a request is a whole one in some minute.

        Of a very small budget there are fewer parts.
        """
        half = per_minute // 2 or 0.5
        rest = per_minute - half
        parts = min(_PARTS, int(rest) or 1)
        return cls(per_minute, half, rest // parts or rest, parts)


class Share:
    """A run's share of the budget, as long as it holds its slot. Safe to share between threads.

    `most` is a rate that it does not exceed. The first request comes a whole interval after the
    slot was won, so that the requests of holders who succeed each other are as far apart.
    """

    def __init__(
        self,
        slots: Slots,
        name: str,
        run: str,
        rate: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.is_lost = False
        self.name = name
        self._slots = slots
        self._run = run
        self._interval = _MINUTE / rate
        self._throttle = Throttle(rate, clock, sleep)
        self._clock = clock
        self._sleep = sleep
        self._etag: str | None = None
        self._count = 0
        self._valid_until = -math.inf
        self._ready = -math.inf

    @property
    def is_valid(self) -> bool:
        """Whether requests may be sent."""
        return self._clock() < self._valid_until

    def wait(self, deadline: float | None = None, sender: str = "") -> None:
        """Returns when one more request may be sent.

        Raises OutOfTime where the share is lost, or that would be after `deadline`, and Held where
        the service asked this sender to wait for longer.
        """
        while True:
            self._await_turn(deadline)
            self._throttle.wait(deadline, sender)
            if self.is_valid:
                return

    def hold(self, seconds: float, sender: str = "") -> None:
        """Sends nothing of this sender for so long: what a 429 asks for."""
        self._throttle.hold(seconds, sender)

    def _await_turn(self, deadline: float | None) -> None:
        while not self.is_valid or self._clock() < self._ready:
            if self.is_lost:
                raise OutOfTime("other runs have the request budget")
            pause = max(1.0, self._ready - self._clock())
            if deadline is not None and self._clock() + pause > deadline:
                raise OutOfTime("the time left is too short for this run's share of the budget")
            self._sleep(pause)

    def claim(self, seen: Seen | None) -> bool:
        """Tries to win a slot that was seen to be free."""
        self._etag = seen.etag if seen else None
        try:
            self.renew()
        except Overtaken:
            return False
        return True

    def renew(self) -> None:
        """Makes the share valid for longer where the other side allows it.

        Raises Overtaken where another run holds the slot by now, and what `aws_failure` gives.
        """
        raise NotImplementedError

    def _write(self, *, whole: bool = False) -> float:
        """Writes the slot; gives when that began."""
        # Before the write, so that the holder never believes longer than the others do.
        began = self._clock()
        self._count += 1
        state = State(self._run, whole, self._count)
        try:
            self._etag = self._slots.write(self.name, state, over=self._etag)
        except Overtaken:
            # The answer to an earlier PUT of this run was lost, or the SDK has repeated this one.
            seen = self._slots.read(self.name)
            if seen is None or seen.state.holder != self._run:
                raise
            self._etag = self._slots.write(self.name, state, over=seen.etag)
        return began

    def _extend(self, began: float) -> None:
        if not self.is_valid:
            self._ready = self._clock() + self._interval
        # From before the write: the slot's age counts from some moment after it.
        self._valid_until = began + VALID

    def lose(self) -> None:
        """Sends nothing more."""
        self.is_lost = True
        self._valid_until = -math.inf

    def release(self) -> None:
        """Lets others have the slot at once. Where that fails it expires."""
        if self.is_lost:
            return
        self.lose()
        try:
            self._slots.write(self.name, State(), over=self._etag)
        except InsightsError as error:
            log.warning("the slot %s is not released, but expires: %s", self.name, error)


class OtherShare(Share):
    """The share of a run that is not a part of an execution."""

    def __init__(
        self,
        slots: Slots,
        run: str,
        rates: Rates,
        most: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        half = min(rates.half, most)
        super().__init__(slots, OTHER, run, half, clock, sleep)
        self._half, self._all = half, min(rates.whole, most)
        self._parts = [_part(number) for number in range(rates.parts)]
        # What a part sent is out of the last minute, and of its own interval.
        self._quiet = max(_MINUTE, _MINUTE / rates.part)
        self._whole = True

    def renew(self) -> None:
        began = self._write(whole=self._whole)
        seen = [self._slots.read(name) for name in self._parts]
        is_quiet = all(slot is None or slot.idle >= self._quiet for slot in seen)
        if not self._whole:
            # It says so by its next write, and reads again before it has all.
            self._whole = is_quiet
        elif is_quiet:
            self._throttle.set_rate(self._all)
        else:
            self._throttle.set_rate(self._half)
            self._whole = False
            began = self._write(whole=False)
        self._extend(began)


class PartShare(Share):
    """The share of a part."""

    def renew(self) -> None:
        began = self._write()
        other = self._slots.read(OTHER)
        if other is None or not (other.is_live and other.state.whole):
            self._extend(began)


def _part(number: int) -> str:
    return f"part-{number}"


# A daemon: a function that ends must not wait for the next renewal.
def _in_thread(keep: Callable[[], None]) -> Callable[[], None]:
    thread = threading.Thread(target=keep, name="budget", daemon=True)
    thread.start()
    return thread.join


class Budget:
    """RequestsPerMinute of a stack.

    `start` runs a function beside the caller and gives another one that waits for its end; `pause`
    waits for so many seconds, or until the event is set, and says whether it is.
    """

    def __init__(
        self,
        slots: Slots,
        per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        start: Callable[[Callable[[], None]], Callable[[], None]] = _in_thread,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._slots = slots
        self._rates = Rates.of(per_minute)
        self._clock = clock
        self._sleep = sleep
        self._start = start
        self._pause = pause

    @contextmanager
    def share(
        self, run: str, *, part: bool, until: float, most: float | None = None
    ) -> Iterator[Share | None]:
        """A share for a run until the block ends; None where there was none until `until`.

        Raises what `aws_failure` gives.
        """
        share = self._won(run, part, most or math.inf, until)
        if share is None:
            yield None
            return
        ended = threading.Event()
        join = self._start(lambda: self._keep(share, ended))
        try:
            yield share
        finally:
            ended.set()
            join()
            share.release()

    def _won(self, run: str, part: bool, most: float, until: float) -> Share | None:
        if part:
            until = min(until, self._clock() + PART_PATIENCE)
        while True:
            for share in self._shares(run, part, most):
                seen = self._slots.read(share.name)
                if not (seen and seen.is_live) and share.claim(seen):
                    return self._allowed(share, until)
            if self._clock() + POLL > until:
                return None
            self._sleep(POLL)

    def _shares(self, run: str, part: bool, most: float) -> Sequence[Share]:
        if not part:
            return [OtherShare(self._slots, run, self._rates, most, self._clock, self._sleep)]
        count, rate = self._rates.parts, min(self._rates.part, most)
        # Each begins at another one, so that parts which start together seldom meet.
        first = zlib.crc32(run.encode())
        names = [_part((first + number) % count) for number in range(count)]
        return [PartShare(self._slots, name, run, rate, self._clock, self._sleep) for name in names]

    def _allowed(self, share: Share, until: float) -> Share | None:
        """Waits for `other` to have no more than half; None where it still has all."""
        try:
            while not share.is_valid:
                if self._clock() + POLL > until:
                    share.release()
                    return None
                self._sleep(POLL)
                share.renew()
        except Overtaken:
            return None
        return share

    def _keep(self, share: Share, ended: threading.Event) -> None:
        """Renews the share until it ends."""
        pause = RENEW
        while not self._pause(ended, pause):
            try:
                share.renew()
            except Overtaken:
                log.warning("another run has taken the slot %s", share.name)
                share.lose()
                return
            except InsightsError as error:
                log.warning("the slot %s is not renewed: %s", share.name, error)
            pause = RENEW if share.is_valid else POLL
