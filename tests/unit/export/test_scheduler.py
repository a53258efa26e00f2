"""Many jobs over few requests."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.catalogue import Table
from insights.decode import Answer
from insights.driver import Asker, Driver, Job
from insights.errors import (
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Refused,
    Retriable,
    Unauthenticated,
)
from insights.questions import Ask, Collecting, Rows

NEVER = float("inf")
Asking = Callable[[str, Sequence[Ask]], list[Answer | InsightsError]]


class Harness:
    """A driver over a function that answers, noting each request's size."""

    def __init__(self, table: Table, asking: Asking, *, batch_size: int = 20, concurrency: int = 1):
        self.table = table
        self.asking = asking
        self.sizes: list[int] = []
        self.results: dict[str, Rows | InsightsError] = {}
        self.time = 0.0
        self.driver = Driver(
            self._ask,
            concurrency=concurrency,
            batch_size=batch_size,
            stop_taking=100,
            deadline=200,
            clock=lambda: self.time,
            now=lambda: datetime(2026, 11, 20, tzinfo=UTC),
        )

    def _ask(self, asker, asks, deadline):
        self.sizes.append(len(asks))
        return self.asking(asker.organization, asks)

    def job(self, name: str, rounds: Sequence[int] = (1,), organization: str = "acme", order=(0,)):
        def begin() -> Collecting:
            rows = Rows()
            for count in rounds:
                answers = yield [Ask(self.table, {"name": name}, {}) for _ in range(count)]
                assert len(answers) == count
                for found in answers:
                    rows.add(found, {})
            return rows

        def finished(job: Job, result: Rows | InsightsError) -> None:
            assert name not in self.results
            self.results[name] = result

        self.driver.add(Job(Asker(organization), order, begin, finished))

    def run(self, jobs: int, organization: str = "acme") -> None:
        for number in range(jobs):
            self.job(f"{organization}-{number}", organization=organization)
        self.drive()

    def drive(self) -> None:
        with self.driver:
            self.driver.run()


def good(organization: str, asks: Sequence[Ask]) -> list[Answer | InsightsError]:
    return [Answer({"n": [1]}, 1, frozenset()) for _ in asks]


@given(
    rounds=st.lists(st.lists(st.integers(0, 7), max_size=3), max_size=8),
    batch_size=st.integers(1, 9),
    concurrency=st.integers(1, 3),
)
def test_every_job_gets_its_answers_in_requests_no_larger_than_allowed(
    hourly, rounds, batch_size, concurrency
):
    harness = Harness(hourly, good, batch_size=batch_size, concurrency=concurrency)
    for number, counts in enumerate(rounds):
        harness.job(str(number), counts)
    harness.drive()
    counts = {name: rows.count for name, rows in harness.results.items()}
    assert counts == {str(number): sum(asked) for number, asked in enumerate(rounds)}
    assert all(size <= batch_size for size in harness.sizes)
    assert harness.driver.requests == len(harness.sizes)


def test_questions_of_many_jobs_share_requests(hourly):
    harness = Harness(hourly, good)
    harness.run(45)
    assert harness.sizes == [20, 20, 5]


def test_one_questions_error_fails_its_own_job_alone(hourly):
    def asking(organization, asks):
        return [
            InsightsError("internal system error") if ask.variables["name"] == "acme-3" else found
            for ask, found in zip(asks, good(organization, asks), strict=True)
        ]

    harness = Harness(hourly, asking)
    harness.run(6)
    failed = [name for name, got in harness.results.items() if isinstance(got, InsightsError)]
    assert failed == ["acme-3"]


@pytest.mark.parametrize("error", [Refused, Retriable])
def test_a_batch_that_is_refused_is_halved_and_that_is_kept_in_mind(hourly, error):
    def asking(organization, asks):
        if len(asks) > 6:
            raise error("too much")
        return good(organization, asks)

    harness = Harness(hourly, asking)
    harness.run(40)
    assert all(isinstance(result, Rows) for result in harness.results.values())
    assert harness.sizes == [20, 10, *([5] * 8)]


def test_what_is_refused_alone_fails_and_the_others_come(hourly):
    def asking(organization, asks):
        if any(ask.variables["name"] == "acme-1" for ask in asks):
            raise Refused("complexity")
        return good(organization, asks)

    harness = Harness(hourly, asking)
    harness.run(8)
    failed = [name for name, got in harness.results.items() if isinstance(got, InsightsError)]
    assert failed == ["acme-1"]


def test_being_asked_to_wait_halves_nothing(hourly):
    def asking(organization, asks):
        raise Retriable("too many requests", status=429)

    harness = Harness(hourly, asking)
    harness.run(20)
    assert harness.sizes == [20]


@pytest.mark.parametrize("error", [PersonMustAct, Unauthenticated])
def test_what_a_person_must_solve_ends_that_organisation_and_no_other(hourly, error):
    def asking(organization, asks):
        if organization == "acme":
            raise error("not subscribed")
        return good(organization, asks)

    harness = Harness(hourly, asking, batch_size=2)
    for number in range(30):
        harness.job(f"globex-{number}", organization="globex")
    harness.run(30)
    assert len(harness.sizes) == 1 + 15
    assert len(harness.results) == 60
    for name, result in harness.results.items():
        assert isinstance(result, error if name.startswith("acme") else Rows)


def test_a_service_that_is_down_is_not_asked_for_every_partition(hourly):
    def asking(organization, asks):
        raise Retriable("503")

    harness = Harness(hourly, asking)
    harness.run(500)
    assert len(harness.results) == 500
    assert len(harness.sizes) < 12


def test_nothing_is_begun_when_time_is_over(hourly):
    def asking(organization, asks):
        harness.time = 150
        return good(organization, asks)

    harness = Harness(hourly, asking, batch_size=2)
    for number in range(10):
        harness.job(str(number), rounds=(1, 1), order=(number,))
    harness.drive()
    left = sorted(name for name, got in harness.results.items() if isinstance(got, OutOfTime))
    assert left == [str(number) for number in range(2, 10)]


def test_a_failure_after_the_deadline_is_left_for_the_next_run(hourly):
    def asking(organization, asks):
        harness.time = 250
        raise Retriable("timed out")

    harness = Harness(hourly, asking)
    harness.run(1)
    assert isinstance(harness.results["acme-0"], OutOfTime)


def test_a_bug_fails_its_jobs_and_not_the_run(hourly):
    def asking(organization, asks):
        if asks[0].variables["name"] == "acme-0":
            raise ZeroDivisionError
        return good(organization, asks)

    harness = Harness(hourly, asking, batch_size=1)
    harness.run(3)
    assert "ZeroDivisionError" in str(harness.results["acme-0"])
    assert isinstance(harness.results["acme-1"], Rows)


def test_requests_run_side_by_side(hourly):
    together = threading.Barrier(3, timeout=30)

    def asking(organization, asks):
        together.wait()
        return good(organization, asks)

    harness = Harness(hourly, asking, batch_size=1, concurrency=3)
    harness.run(3)
    assert all(isinstance(result, Rows) for result in harness.results.values())


def test_only_as_many_jobs_are_begun_as_fill_the_requests(hourly):
    begun: list[int] = []

    def asking(organization, asks):
        begun.append(sum(1 for job in jobs if job.started))
        return good(organization, asks)

    harness = Harness(hourly, asking, batch_size=4, concurrency=1)
    jobs: list[Job] = []
    add = harness.driver.add
    harness.driver.add = lambda job: (jobs.append(job), add(job))[1]
    harness.run(100)
    assert max(later - 4 * number for number, later in enumerate(begun)) <= 8
