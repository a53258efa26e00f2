"""The request budget: whatever runs at once, no minute has more requests than it allows."""

import bisect
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choreo_insights.dataset.store import Overtaken
from choreo_insights.errors import InsightsError, OutOfTime, Retriable
from choreo_insights.export import budget
from choreo_insights.export.budget import Rates
from choreo_insights.export.slots import EXPIRES, PREFIX, BucketSlots, State
from tests.fakes import s3 as fake
from tests.fakes import slots as fakes
from tests.fakes.slots import MemorySlots
from tests.fakes.timeline import Process, Timeline


@dataclass(frozen=True)
class Wish:
    """A run: when it starts, for how long it sends, when it is killed (never: None); seconds."""

    start: float
    part: bool
    seconds: float
    killed: float | None = None
    # Between a request and the next one of the same thread.
    answer: float = 0.3
    most: float | None = None


class Stack:
    """Runs over one budget. `sent` is when requests were sent, in order."""

    def __init__(
        self, timeline: Timeline, per_minute: int, concurrency: int = 1, seed: int | None = None
    ) -> None:
        self.timeline = timeline
        self.per_minute = per_minute
        self.concurrency = concurrency
        self.sent: list[float] = []
        self.by_run: dict[str, list[float]] = {}
        self.waiting: set[str] = set()
        self._random = random.Random(seed)
        self.slots = MemorySlots(timeline, self._fault if seed is not None else lambda: None)

    def _fault(self) -> None:
        """S3 takes up to some seconds, and fails now and then."""
        self.timeline.sleep(self._random.choice([0.0, 0.01, 0.1, 0.1, 0.1, 2.0]))
        if self._random.random() < 0.01:
            raise Retriable("S3 is tired")

    def start(self, name: str, wish: Wish) -> None:
        """Has a run start in its time."""
        processes: list[Process] = []
        processes.append(
            self.timeline.spawn(lambda: self._run(name, wish, processes), after=wish.start)
        )
        if wish.killed is not None:
            self.timeline.spawn(
                lambda: [process.kill() for process in processes], after=wish.killed
            )

    def _run(self, name: str, wish: Wish, processes: list[Process]) -> None:
        timeline, skew = self.timeline, 1000.0 * len(name)
        shared = fakes.budget(timeline, self.slots, self.per_minute, clock_starts_at=skew)
        spawn = shared._start

        def start(keep):  # a container that is killed renews nothing
            before = len(timeline._all)
            join = spawn(keep)
            processes.extend(timeline._all[before:])
            return join

        shared._start = start
        ends = timeline.now + wish.seconds
        try:
            with shared.share(name, part=wish.part, most=wish.most, until=ends + skew) as share:
                if share is None:
                    self.waiting.add(name)
                    return
                threads = [
                    timeline.spawn(lambda: self._send(name, share, wish, ends, skew))
                    for _ in range(self.concurrency)
                ]
                processes.extend(threads)
                for thread in threads:
                    timeline.join(thread)
        except InsightsError:
            """It could not work at all."""

    def _send(self, name: str, share: budget.Share, wish: Wish, ends: float, skew: float) -> None:
        while self.timeline.now < ends:
            try:
                share.wait(ends + skew)
            except OutOfTime:
                return
            self.sent.append(self.timeline.now)
            self.by_run.setdefault(name, []).append(self.timeline.now)
            self.timeline.sleep(wish.answer)

    @property
    def most_in_a_minute(self) -> int:
        """The fullest minute, wherever it begins."""
        sent = sorted(self.sent)
        return max(
            (bisect.bisect_left(sent, at + 60 - 1e-6) - i for i, at in enumerate(sent)), default=0
        )


@pytest.fixture
def timeline() -> Iterator[Timeline]:
    with Timeline() as made:
        yield made


parts = st.builds(
    Wish,
    start=st.floats(10, 110),
    part=st.just(True),
    seconds=st.floats(5, 90),
    killed=st.none() | st.floats(10, 200),
    answer=st.sampled_from([0.0, 0.0, 1.0]),
)
others = st.builds(
    Wish,
    start=st.floats(0, 60),
    part=st.just(False),
    seconds=st.floats(60, 180),
    killed=st.none() | st.floats(0, 200),
    answer=st.just(0.0),
    most=st.none() | st.just(20.0),
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(others, min_size=1, max_size=2),
    st.lists(parts, max_size=6),
    st.integers(1, 20) | st.integers(200, 400),
    st.integers(1, 2),
    st.integers(0, 1000),
)
def test_no_minute_has_more_requests_than_allowed(
    others: list[Wish], parts: list[Wish], per_minute: int, concurrency: int, seed: int
) -> None:
    with Timeline() as timeline:
        stack = Stack(timeline, per_minute, concurrency, seed)
        for number, wish in enumerate([*others, *parts]):
            stack.start("r" * number + "un", wish)
        timeline.run()
        assert stack.most_in_a_minute <= per_minute + concurrency


@given(st.integers(1, 60_000))
def test_half_and_parts_are_not_more_than_the_whole(per_minute: int) -> None:
    rates = Rates.of(per_minute)
    assert rates.whole == per_minute
    assert rates.half + rates.parts * rates.part <= per_minute
    assert 1 <= rates.parts <= 4
    assert rates.part > 0
    if per_minute > 1:
        assert rates.part == int(rates.part)


def test_half_is_for_one_run_and_an_eighth_for_each_part() -> None:
    assert Rates.of(120) == (120, 60, 15, 4)
    assert Rates.of(3) == (3, 1, 1, 2)


def rate(moments: list[float], first: float, last: float) -> float:
    """Requests a minute within these seconds."""
    return sum(first <= at < last for at in moments) * 60 / (last - first)


def test_a_run_alone_has_all_of_it_and_sends_evenly(timeline: Timeline) -> None:
    stack = Stack(timeline, 120, concurrency=2)
    stack.start("other", Wish(0, part=False, seconds=300))
    timeline.run()
    assert rate(stack.sent, 10, 290) == pytest.approx(120, rel=0.01)
    assert min(b - a for a, b in zip(stack.sent, stack.sent[1:], strict=False)) > 0.499
    assert stack.slots.held == set()


def test_parts_take_half_of_it_and_give_it_back(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("other", Wish(0, part=False, seconds=900))
    for number in range(4):
        stack.start(f"part-{number}", Wish(200, part=True, seconds=300))
    timeline.run()
    other = stack.by_run["other"]
    assert rate(other, 10, 200) == pytest.approx(120, rel=0.02)
    assert rate(other, 230, 500) == pytest.approx(60, rel=0.02)
    for number in range(4):
        assert rate(stack.by_run[f"part-{number}"], 240, 490) == pytest.approx(15, rel=0.1)
    # After a minute without any part it has all again.
    assert rate(other, 580, 890) == pytest.approx(120, rel=0.02)
    assert stack.waiting == set()


def test_parts_send_nothing_before_the_other_run_has_halved_its_rate(timeline: Timeline) -> None:
    stack = Stack(timeline, 400, concurrency=2)
    stack.start("other", Wish(0, part=False, seconds=150, answer=0.0))
    for number in range(4):
        # The other run has just looked.
        stack.start(f"part-{number}", Wish(61, part=True, seconds=60, answer=0.0))
    timeline.run()
    assert stack.most_in_a_minute <= 402
    assert 70 < min(stack.by_run["part-0"]) < 80


def test_between_two_parts_the_other_run_stays_at_half(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("other", Wish(0, part=False, seconds=300))
    stack.start("part", Wish(50, part=True, seconds=60))
    stack.start("next", Wish(160, part=True, seconds=60))
    timeline.run()
    assert min(stack.by_run["next"]) == pytest.approx(164, abs=0.5)


def test_a_slot_that_was_renewed_since_it_was_read_is_not_won(timeline: Timeline) -> None:
    slots = MemorySlots(timeline)
    first, second = (
        budget.PartShare(slots, "part-0", run, 15, timeline, timeline.sleep)
        for run in ("first", "second")
    )

    def race() -> None:
        assert first.claim(None)
        timeline.sleep(EXPIRES + 1)
        seen = slots.read("part-0")
        assert seen
        assert not seen.is_live
        first.renew()  # It was only slow.
        assert not second.claim(seen)
        assert first.is_valid
        assert not second.is_valid

    timeline.spawn(race)
    timeline.run()


def test_parts_without_another_run_have_an_eighth_each(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    for number in range(5):
        stack.start(f"part-{number}", Wish(0, part=True, seconds=300))
    timeline.run()
    assert rate(stack.sent, 10, 290) == pytest.approx(60, rel=0.05)
    assert len(stack.waiting) == 1


def test_a_second_run_waits_for_the_first_one(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("first", Wish(0, part=False, seconds=200))
    stack.start("second", Wish(50, part=False, seconds=300))
    timeline.run()
    assert max(stack.by_run["first"]) <= 200
    assert 200 < min(stack.by_run["second"]) < 205
    assert stack.waiting == set()


def test_a_second_run_that_waits_in_vain_says_so(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("first", Wish(0, part=False, seconds=800))
    stack.start("second", Wish(50, part=False, seconds=300))
    timeline.run()
    assert stack.waiting == {"second"}
    assert "second" not in stack.by_run


def test_a_run_that_was_killed_is_succeeded_within_two_minutes(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("first", Wish(0, part=False, seconds=800, killed=100))
    stack.start("second", Wish(50, part=False, seconds=800))
    timeline.run()
    assert max(stack.by_run["first"]) <= 100
    assert EXPIRES < min(stack.by_run["second"]) < 220


def test_a_part_does_not_wait_for_a_whole_run_that_was_killed(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("other", Wish(0, part=False, seconds=800, killed=100))
    stack.start("part", Wish(101, part=True, seconds=600))
    stack.start("later", Wish(221, part=True, seconds=600))
    timeline.run()
    # The state machine waits in its place.
    assert stack.waiting == {"part"}
    assert min(stack.by_run["later"]) < 230
    assert stack.slots.held == {"other"}


def test_an_execution_of_an_older_release_stays_below_its_own_budget(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("part", Wish(0, part=True, seconds=300, most=5))
    timeline.run()
    assert rate(stack.sent, 0, 300) <= 5


def test_who_loses_its_slot_sends_nothing_more(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)
    stack.start("other", Wish(0, part=False, seconds=300))
    timeline.run(100)
    stack.slots.slots["other"] = "etag", State("somebody"), timeline.now
    timeline.run()
    assert max(stack.sent) < 116
    # Nor does it release what is not its own.
    assert stack.slots.slots["other"][1] == State("somebody")


def test_s3_that_fails_for_a_while_stops_the_run_for_a_while(timeline: Timeline) -> None:
    stack = Stack(timeline, 120)

    def down() -> None:
        if 100 < timeline.now < 250:
            raise Retriable("S3 is down")

    stack.slots._fault = down
    stack.start("other", Wish(0, part=False, seconds=400))
    timeline.run()
    silent = max(b - a for a, b in zip(stack.sent, stack.sent[1:], strict=False))
    assert 85 < silent < 110
    assert max(stack.sent) > 390


class TestBucket:
    @pytest.fixture
    def bucket(self) -> Iterator[fake.FakeS3]:
        with fake.running() as running:
            yield running

    def test_is_read_as_it_was_written(self, bucket: fake.FakeS3) -> None:
        slots = BucketSlots(bucket.client(), fake.BUCKET)
        assert slots.read("other") is None
        etag = slots.write("other", State("run", whole=True, count=3), over=None)
        seen = slots.read("other")
        assert seen
        assert seen[:2] == (etag, State("run", whole=True, count=3))
        assert seen.is_live
        assert seen.age < 5
        assert [*bucket.objects] == [f"{PREFIX}other.json"]

    def test_its_age_is_that_by_the_clock_of_s3(self, bucket: fake.FakeS3) -> None:
        slots = BucketSlots(bucket.client(), fake.BUCKET)
        slots.write("part-0", State("run"), over=None)
        bucket.objects[f"{PREFIX}part-0.json"].written -= timedelta(seconds=95)
        seen = slots.read("part-0")
        assert seen
        assert not seen.is_live
        assert 3 < seen.idle < 10

    def test_another_run_is_not_overwritten(self, bucket: fake.FakeS3) -> None:
        slots = BucketSlots(bucket.client(), fake.BUCKET)
        first = slots.write("other", State("one"), over=None)
        with pytest.raises(Overtaken):
            slots.write("other", State("two"), over=None)
        slots.write("other", State("two"), over=first)
        with pytest.raises(Overtaken):
            slots.write("other", State("one"), over=first)

    def test_what_nobody_can_read_is_free(self, bucket: fake.FakeS3) -> None:
        slots = BucketSlots(bucket.client(), fake.BUCKET)
        slots.write("other", State("one"), over=None)
        bucket.objects[f"{PREFIX}other.json"].body = b"{"
        seen = slots.read("other")
        assert seen
        assert not seen.is_live

    def test_failures_of_s3_say_what_was_tried(self, bucket: fake.FakeS3) -> None:
        slots = BucketSlots(bucket.client(), fake.BUCKET)
        bucket.faults = [lambda _: fake.refusal(503, "SlowDown")] * 2
        with pytest.raises(Retriable, match=r"reading state/budget/other\.json failed"):
            slots.read("other")
        with pytest.raises(Retriable, match=r"writing state/budget/other\.json failed"):
            slots.write("other", State("one"), over=None)

    def test_a_real_run_wins_renews_and_releases(self, bucket: fake.FakeS3) -> None:
        slots = BucketSlots(bucket.client(), fake.BUCKET)
        shared = budget.Budget(slots, 60_000)
        with shared.share("run", part=False, until=0.0) as share:
            assert share
            share.wait()
            held = slots.read("other")
            assert held
            assert held.state.holder == "run"
            with budget.Budget(slots, 60_000).share("two", part=False, until=0.0) as second:
                assert second is None
        released = slots.read("other")
        assert released
        assert released.state == State()
