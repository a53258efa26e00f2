"""Slots of the request budget in made-up time: as S3 keeps them, and as slow as a test says."""

import hashlib
import threading
from collections.abc import Callable

import msgspec

from choreo_insights.dataset.store import Overtaken
from choreo_insights.export.budget import Budget
from choreo_insights.export.slots import Seen, State
from tests.fakes.timeline import Timeline


class MemorySlots:
    """What `BucketSlots` does. `fault` is called before and after each operation took effect."""

    def __init__(self, timeline: Timeline, fault: Callable[[], None] = lambda: None) -> None:
        self._timeline = timeline
        self._fault = fault
        self.slots: dict[str, tuple[str, State, float]] = {}

    def read(self, name: str) -> Seen | None:
        self._fault()
        found, now = self.slots.get(name), self._timeline.now
        self._fault()
        return Seen(found[0], found[1], now - found[2]) if found else None

    def write(self, name: str, state: State, *, over: str | None) -> str:
        self._fault()
        found = self.slots.get(name)
        if (found[0] if found else None) != over:
            raise Overtaken(name)
        # As of S3, it follows from the content.
        etag = hashlib.md5(msgspec.json.encode(state), usedforsecurity=False).hexdigest()
        self.slots[name] = etag, state, self._timeline.now
        self._fault()
        return etag

    @property
    def held(self) -> set[str]:
        """The slots that somebody holds."""
        return {name for name, (_, state, _) in self.slots.items() if state.holder}


def budget(
    timeline: Timeline, slots: MemorySlots, per_minute: int, *, clock_starts_at: float = 0.0
) -> Budget:
    """A container's budget. Its monotonic clock starts anywhere."""

    def start(keep: Callable[[], None]) -> Callable[[], None]:
        process = timeline.spawn(keep)

        def join() -> None:
            timeline.wake(process)
            timeline.join(process)

        return join

    def pause(ended: threading.Event, seconds: float) -> bool:
        if not ended.is_set():
            timeline.sleep(seconds)
        return ended.is_set()

    return Budget(
        slots,
        per_minute,
        clock=lambda: timeline.now + clock_starts_at,
        sleep=timeline.sleep,
        start=start,
        pause=pause,
    )
