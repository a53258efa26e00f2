"""Many jobs over few requests."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, log2
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from choreo_insights.catalogue import Table
from choreo_insights.errors import (
    BadAnswer,
    Held,
    InsightsError,
    OutOfTime,
    PersonMustAct,
    Refused,
    Retriable,
    Unauthenticated,
)
from choreo_insights.export.decode import Answer
from choreo_insights.export.jobs import BatchKey, Job
from choreo_insights.export.queries import Query, QueryGenerator, Rows
from choreo_insights.export.scheduler import Scheduler

START = datetime(2026, 11, 20, tzinfo=UTC)
Answering = Callable[[str, Sequence[Query]], list[Answer | InsightsError]]


class Harness:
    """A scheduler over a function that answers. It notes each request's size, and each record."""

    def __init__(
        self,
        table: Table,
        answering: Answering,
        *,
        batch_size: int = 20,
        max_batch_size: int | None = None,
        concurrency: int = 1,
        random: Callable[[], float] = lambda: 0.99,
    ):
        self.table = table
        self.answering = answering
        self.sizes: list[int] = []
        self.results: dict[str, object] = {}
        self.jobs: dict[str, Job] = {}
        self.time = 0.0
        self.scheduler = Scheduler(
            self._ask,
            concurrency=concurrency,
            batch_size=batch_size,
            max_batch_size=max_batch_size,
            stop_taking=100,
            deadline=200,
            clock=lambda: self.time,
            now=lambda: START + timedelta(seconds=self.time),
            random=random,
        )

    def _ask(self, key, queries, deadline):
        assert deadline == 200
        self.sizes.append(len(queries))
        return self.answering(key.organization, queries)

    def job(
        self,
        name: str,
        rounds: Sequence[int] = (1,),
        *,
        kind: str = "",
        organization: str = "acme",
        table: str = "",
        optional: Sequence[str] = (),
    ) -> Job:
        """Queries of rounds one after the other, each of so many, and one for each `optional`.

        Jobs have a kind of their own, unless another is given.
        """
        own = replace(self.table, name=table) if table else self.table
        variables = {"name": kind or name, "time": {"from": name}}

        def begin() -> QueryGenerator:
            rows = Rows()
            for number, count in enumerate(rounds):
                queries = [Query(own, variables, {}) for _ in range(count)]
                queries += [Query(own, {"name": api}, {}, True) for api in optional]
                answers = yield queries
                assert len(answers) == len(queries), number
                assert None not in answers[:count]
                for found, query in zip(answers, queries, strict=True):
                    if found is None:
                        rows.unanswered.append(query.variables["name"])
                    else:
                        rows.add(found, {})
            return rows

        def record(job: Job, result: object) -> None:
            assert name not in self.results
            self.results[name] = result

        job = Job(BatchKey(organization), begin, lambda job, rows: rows, record)
        self.jobs[name] = job
        return job

    def run(self, jobs: Iterable[Job]) -> None:
        with self.scheduler:
            self.scheduler.run(jobs)

    def run_many(self, count: int, organization: str = "acme") -> None:
        self.run(self.many(count, organization))

    def many(self, count: int, organization: str = "acme") -> list[Job]:
        return [
            self.job(f"{organization}-{number}", organization=organization)
            for number in range(count)
        ]

    def failed(self) -> list[str]:
        return [name for name, got in self.results.items() if isinstance(got, InsightsError)]


def good(organization: str, queries: Sequence[Query]) -> list[Answer | InsightsError]:
    return [Answer({"n": [1]}, 1, frozenset()) for _ in queries]


def refusing(
    *names: str, error: type[InsightsError] = Refused
) -> Callable[[str, Sequence[Query]], list[Answer | InsightsError]]:
    """A service that refuses a request with any of these queries in it."""

    def answering(organization: str, queries: Sequence[Query]) -> list[Answer | InsightsError]:
        if any(query.variables["name"] in names for query in queries):
            raise error("internal system error")
        return good(organization, queries)

    return answering


# Batches


@given(
    rounds=st.lists(st.lists(st.integers(0, 7), max_size=3), max_size=8),
    batch_size=st.integers(1, 9),
    concurrency=st.integers(1, 3),
)
def test_every_job_gets_its_answers_in_requests_no_larger_than_allowed(
    hourly, rounds, batch_size, concurrency
):
    harness = Harness(hourly, good, batch_size=batch_size, concurrency=concurrency)
    harness.run(harness.job(str(number), counts) for number, counts in enumerate(rounds))
    counts = {name: rows.count for name, rows in harness.results.items()}
    assert counts == {str(number): sum(counts) for number, counts in enumerate(rounds)}
    assert all(size <= batch_size for size in harness.sizes)
    assert harness.scheduler.requests == len(harness.sizes)


def test_queries_of_many_jobs_share_requests(hourly):
    harness = Harness(hourly, good)
    harness.run_many(45)
    assert harness.sizes == [20, 20, 5]


def test_requests_run_side_by_side(hourly):
    together = threading.Barrier(3, timeout=300)

    def answering(organization, queries):
        together.wait()
        return good(organization, queries)

    harness = Harness(hourly, answering, batch_size=1, concurrency=3)
    harness.run_many(3)
    assert harness.failed() == []


def test_a_job_knows_when_its_first_query_was_batched_and_how_many_requests_it_took(hourly):
    def answering(organization, queries):
        harness.time += 10
        return good(organization, queries)

    harness = Harness(hourly, answering, batch_size=2)
    harness.run([harness.job("first", (2, 1)), harness.job("second", (3,))])
    first, second = harness.jobs["first"], harness.jobs["second"]
    assert (first.started, first.requests) == (START, 2)
    assert (second.started, second.requests) == (START + timedelta(seconds=10), 2)


# What fails


def test_one_querys_error_fails_its_own_job_alone(hourly):
    def answering(organization, queries):
        return [
            InsightsError("internal system error") if query.variables["name"] == "acme-3" else found
            for query, found in zip(queries, good(organization, queries), strict=True)
        ]

    harness = Harness(hourly, answering)
    harness.run_many(6)
    assert harness.failed() == ["acme-3"]
    assert harness.sizes == [6]


@pytest.mark.parametrize("error", [Refused, Retriable, BadAnswer])
@settings(max_examples=40)
@given(bad=st.integers(0, 199), batch_size=st.sampled_from([1, 5, 20, 33]))
def test_a_bad_query_fails_alone_and_costs_a_logarithm(hourly, error, bad, batch_size):
    harness = Harness(hourly, refusing(f"acme-{bad}", error=error), batch_size=batch_size)
    harness.run_many(200)
    assert harness.failed() == [f"acme-{bad}"]
    assert len(harness.sizes) <= ceil(200 / batch_size) + 4 * ceil(log2(batch_size)) + 4


def test_queries_that_a_refusal_points_at_need_no_search(hourly):
    bad = {f"acme-{number}" for number in range(0, 200, 9)}

    def answering(organization, queries):
        error = Refused("unknown field")
        error.blamed = {
            number: Refused(f"about {query.variables['name']}")
            for number, query in enumerate(queries)
            if query.variables["name"] in bad
        }
        if error.blamed:
            raise error
        return good(organization, queries)

    harness = Harness(hourly, answering)
    harness.run_many(200)
    assert set(harness.failed()) == bad
    assert all(str(harness.results[name]) == f"about {name}" for name in bad)
    # A search for each would take some eight.
    assert len(harness.sizes) <= 10 + 2 * len(bad)


def test_what_failed_alone_is_sent_alone_from_then_on(hourly):
    harness = Harness(hourly, refusing("bad"))
    harness.run(
        harness.job(f"{day}-{number}", kind="bad" if number == 19 else f"good-{number}")
        for day in range(20)
        for number in range(20)
    )
    assert harness.failed() == [f"{day}-19" for day in range(20)]
    # 19 full batches, the search on the first day, and one request for each other day.
    assert len(harness.sizes) <= 19 + 12 + 19


def test_a_kind_that_always_fails_is_given_up_but_tried_now_and_then(hourly):
    harness = Harness(hourly, refusing("bad"))
    harness.run(harness.job(str(day), kind="bad") for day in range(500))
    assert len(harness.failed()) == 500
    # With another draw it is about 4 ln(500 / 4).
    assert len(harness.sizes) < 25
    untried = [name for name, job in harness.jobs.items() if not job.requests]
    assert len(untried) > 475
    for name in untried:
        assert harness.jobs[name].started is None
        text = str(harness.results[name])
        assert re.match(r"not queried, as \d+ queries failed in a row", text)
        assert "internal system error" in text


def test_what_was_given_up_is_tried_by_chance(hourly):
    """Older days may work where the newest do not, also while those fail in every run."""

    def answering(organization, queries):
        if any(query.variables["time"]["from"] < "030" for query in queries):
            raise Refused("internal system error")
        return good(organization, queries)

    harness = Harness(hourly, answering, random=Random(1).random)
    harness.run(harness.job(f"{day:03}", kind="bad") for day in range(100))
    passed = [name for name, result in harness.results.items() if isinstance(result, Rows)]
    assert min(passed) < "045"
    assert set(passed) == {f"{day:03}" for day in range(int(min(passed)), 100)}


def test_a_kind_that_passes_again_is_trusted_again(hourly):
    def answering(organization, queries):
        if len(harness.sizes) < 8 and any(q.variables["name"] == "bad" for q in queries):
            raise Refused("internal system error")
        return good(organization, queries)

    harness = Harness(hourly, answering)
    harness.run(harness.job(str(day), kind="bad") for day in range(200))
    assert len(harness.failed()) < 5
    assert harness.sizes[-6:-1] == [20] * 5


def test_requests_that_are_too_large_become_smaller(hourly):
    def answering(organization, queries):
        if len(queries) > 6:
            raise Refused("too complex")
        return good(organization, queries)

    harness = Harness(hourly, answering)
    harness.run_many(2000)
    assert harness.failed() == []
    refused = [size for size in harness.sizes if size > 6]
    assert len(refused) < 14
    assert len(harness.sizes) < 1.1 * 2000 / 5


def test_requests_grow_again_after_a_fault_that_passed(hourly):
    def answering(organization, queries):
        if 10 < len(harness.sizes) <= 17:
            raise Retriable("HTTP 503", status=503)
        return good(organization, queries)

    harness = Harness(hourly, answering)
    harness.run_many(2000)
    assert harness.failed() == []
    assert len(harness.sizes) < 100 + 7 + 15
    assert harness.sizes[-21:-1] == [20] * 20


def test_requests_grow_to_the_largest_that_is_allowed(hourly):
    harness = Harness(hourly, good, max_batch_size=90)
    harness.run_many(2000)
    assert harness.sizes[0] == 20
    assert max(harness.sizes) == 90
    assert len(harness.sizes) < 2000 / 90 + 15


def test_requests_grow_no_further_than_the_service_takes(hourly):
    def answering(organization, queries):
        if len(queries) > 40:
            raise Refused("too complex")
        return good(organization, queries)

    harness = Harness(hourly, answering, max_batch_size=100)
    harness.run_many(2000)
    assert harness.failed() == []
    refused = [size for size in harness.sizes if size > 40]
    assert 0 < len(refused) <= log2(2000 / 40) + 1
    assert len(harness.sizes) < 1.2 * 2000 / 40


def test_a_slow_response_lets_requests_not_grow(hourly):
    def answering(organization, queries):
        harness.time += 11
        return good(organization, queries)

    harness = Harness(hourly, answering, max_batch_size=100)
    harness.run_many(100)
    assert harness.sizes == [20] * 5


def test_a_large_response_lets_requests_not_grow(hourly):
    def answering(organization, queries):
        return [replace(answer, size=250_001) for answer in good(organization, queries)]

    harness = Harness(hourly, answering, max_batch_size=100)
    harness.run_many(100)
    assert harness.sizes == [20] * 5


def test_being_throttled_halves_nothing(hourly):
    def answering(organization, queries):
        raise Retriable("too many requests", status=429)

    harness = Harness(hourly, answering)
    harness.run_many(20)
    assert harness.sizes == [20]


def test_a_service_that_throttles_every_request_is_given_up(hourly):
    def answering(organization, queries):
        raise Retriable("too many requests", status=429)

    harness = Harness(hourly, answering)
    harness.run_many(500)
    assert harness.sizes == [20] * 5
    assert len(harness.failed()) == 500


@pytest.mark.parametrize("error", [PersonMustAct, Unauthenticated, Held])
def test_what_concerns_an_organisation_ends_it_and_no_other(hourly, error):
    def answering(organization, queries):
        if organization == "acme":
            raise error("not subscribed")
        return good(organization, queries)

    harness = Harness(hourly, answering, batch_size=2)
    harness.run([*harness.many(30, "globex"), *harness.many(30, "acme")])
    assert len(harness.sizes) == 1 + 15
    assert len(harness.results) == 60
    for name, result in harness.results.items():
        assert isinstance(result, error if name.startswith("acme") else Rows)


def test_what_was_learned_holds_for_the_next_jobs(hourly):
    def answering(organization, queries):
        raise PersonMustAct("not subscribed")

    harness = Harness(hourly, answering)
    with harness.scheduler:
        harness.scheduler.run([harness.job("first")])
        harness.scheduler.run([harness.job("second")])
    assert harness.failed() == ["first", "second"]
    assert harness.sizes == [1]


@pytest.mark.parametrize(("answered_before", "most"), [(True, 10 + 5 + 8), (False, 5 + 100)])
def test_a_service_that_is_down_gets_few_requests(hourly, answered_before, most):
    def answering(organization, queries):
        if answered_before and len(harness.sizes) <= 10:
            return good(organization, queries)
        raise Retriable("503")

    harness = Harness(hourly, answering)
    harness.run(harness.job(str(number), kind=f"kind-{number % 150}") for number in range(2000))
    assert len(harness.results) == 2000
    assert len(harness.failed()) == (1800 if answered_before else 2000)
    assert len(harness.sizes) < most


def test_a_service_that_comes_back_is_used_again(hourly):
    def answering(organization, queries):
        if 10 < len(harness.sizes) <= 30:
            raise Retriable("503")
        return good(organization, queries)

    harness = Harness(hourly, answering, random=Random(1).random)
    harness.run(harness.job(str(number), kind=f"kind-{number % 150}") for number in range(2000))
    failed = [int(name) for name in harness.failed()]
    assert 200 <= min(failed) < max(failed) < 400
    assert any("not queried, as" in str(harness.results[str(number)]) for number in failed)


def test_a_day_on_which_everything_fails_does_not_stop_the_older_ones(hourly):
    """Kinds that are answered on other days: it looks as if the service were down."""

    def answering(organization, queries):
        if any(query.variables["time"]["from"].startswith("1-") for query in queries):
            raise Retriable("HTTP 500", status=500)
        return good(organization, queries)

    harness = Harness(hourly, answering, random=Random(1).random)
    harness.run(
        harness.job(f"{day}-{number}", kind=str(number))
        for day in range(4)
        for number in range(300)
    )
    failed = Counter(name.partition("-")[0] for name in harness.failed())
    assert failed["1"] == 300
    assert failed["2"] < 30
    assert failed.keys() == {"1", "2"}


@settings(max_examples=40)
@given(
    bad=st.integers(0, 29), count=st.integers(1, 20), error=st.sampled_from([Retriable, Refused])
)
def test_some_bad_kinds_side_by_side_do_not_stop_the_others(hourly, bad, count, error):
    bad_ones = {str((bad + number) % 30) for number in range(count)}
    harness = Harness(hourly, refusing(*bad_ones, error=error))
    harness.run(
        harness.job(f"{day}-{number}", kind=str(number))
        for day in range(10)
        for number in range(30)
    )
    assert len(harness.failed()) == count * 10
    assert all(name.partition("-")[2] in bad_ones for name in harness.failed())


def test_a_bug_fails_its_jobs_and_not_the_run(hourly):
    def answering(organization, queries):
        if any(query.variables["name"] == "acme-0" for query in queries):
            raise ZeroDivisionError
        return good(organization, queries)

    harness = Harness(hourly, answering)
    broken = harness.job("begins badly")
    broken.begin = lambda: 1 / 0
    unstorable = harness.job("stores badly")
    unstorable.store = lambda job, rows: 1 / 0
    harness.run([broken, unstorable, *harness.many(3)])
    assert sorted(harness.failed()) == ["acme-0", "begins badly", "stores badly"]
    assert all("ZeroDivisionError" in str(harness.results[name]) for name in harness.failed())


# Optional queries


@pytest.mark.parametrize("error", [Refused, Retriable])
def test_an_optional_query_that_fails_alone_is_answered_with_none(hourly, error):
    harness = Harness(hourly, refusing("gone", error=error))
    jobs = [harness.job(f"day-{day}", (3,), optional=["gone", "there"]) for day in range(30)]
    harness.run(jobs)
    for result in harness.results.values():
        assert isinstance(result, Rows)
        assert (result.count, result.unanswered) == (4, ["gone"])
    # Each day's query is sent alone, once it is known to fail; what waits for it is a window.
    assert len(harness.sizes) < 2 * 30 + 5


def test_an_optional_query_may_fail_by_itself_in_a_request_that_is_answered(hourly):
    def answering(organization, queries):
        return [
            InsightsError("unknown API") if query.optional else found
            for query, found in zip(queries, good(organization, queries), strict=True)
        ]

    harness = Harness(hourly, answering)
    harness.run([harness.job("day", (2,), optional=["gone"])])
    assert harness.results["day"].unanswered == ["gone"]
    assert harness.sizes == [3]


@pytest.mark.parametrize(
    "error",
    [Retriable("HTTP 503"), Retriable("HTTP 429", status=429), Held("wait"), PersonMustAct("no")],
)
def test_a_service_that_fails_does_not_pass_for_an_optional_query_that_failed(hourly, error):
    def answering(organization, queries):
        raise error

    harness = Harness(hourly, answering)
    harness.run([harness.job("day", (0,), optional=["gone", "too"])])
    assert harness.failed() == ["day"]


# Time


def test_nothing_is_begun_when_time_is_over(hourly):
    def answering(organization, queries):
        harness.time = 150
        return good(organization, queries)

    harness = Harness(hourly, answering, batch_size=2)
    harness.run(harness.job(str(number), (1, 1)) for number in range(10))
    left = sorted(name for name, got in harness.results.items() if isinstance(got, OutOfTime))
    assert left == [str(number) for number in range(2, 10)]
    assert harness.jobs["9"].requests == 0
    assert not harness.scheduler.has_time


def test_nothing_is_sent_after_the_deadline(hourly):
    def answering(organization, queries):
        harness.time = 200
        return good(organization, queries)

    harness = Harness(hourly, answering, batch_size=2)
    harness.run([harness.job("long", (3,)), harness.job("short", (1,))])
    assert harness.sizes == [2]
    assert all(isinstance(result, OutOfTime) for result in harness.results.values())


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (Retriable("timed out"), OutOfTime),
        (Held("10 years"), Held),
        (Retriable("HTTP 429", status=429), Retriable),
        (Refused("bad field"), Refused),
        (PersonMustAct("not subscribed"), PersonMustAct),
    ],
)
def test_what_the_deadline_may_have_caused_is_left_for_the_next_run(hourly, error, recorded):
    def answering(organization, queries):
        harness.time = 250
        raise error

    harness = Harness(hourly, answering)
    harness.run_many(1)
    assert type(harness.results["acme-0"]) is recorded


# Memory


def test_jobs_are_pulled_as_requests_need_them(hourly):
    pulled = 0
    unfinished = []

    def jobs() -> Iterator[Job]:
        nonlocal pulled
        for number in range(3000):
            pulled += 1
            unfinished.append(pulled - len(harness.results))
            yield harness.job(str(number))
            del harness.jobs[str(number)]

    harness = Harness(hourly, good, batch_size=4, concurrency=2)
    harness.run(jobs())
    assert len(harness.results) == 3000
    assert max(unfinished) <= 2 * 4 * 2 + 8


# Even shares


def test_organisations_get_even_shares_of_the_requests(hourly):
    order: list[str] = []

    def answering(organization, queries):
        order.append(organization)
        return good(organization, queries)

    harness = Harness(hourly, answering, batch_size=2)
    with harness.scheduler:
        harness.scheduler.run([harness.job("b", organization="globex")])
        # All of one come first, as many as would fill its requests many times.
        harness.scheduler.run([*harness.many(200, "acme"), *harness.many(20, "globex")])
    first = Counter(order[1:21])
    assert first["globex"] == first["acme"] == 10


# Work beside the requests


def test_background_work_runs_in_a_thread_and_its_outcome_comes_back(hourly):
    here = threading.get_ident()
    seen: list[object] = []

    def then(outcome: object) -> None:
        seen.append((threading.get_ident(), outcome))

    def fails() -> None:
        raise InsightsError("no")

    harness = Harness(hourly, good)
    with harness.scheduler:
        harness.scheduler.background(threading.get_ident, then)
        harness.scheduler.background(fails, then)
        harness.scheduler.run([])
    assert [thread for thread, _ in seen] == [here, here]
    outcomes = {type(outcome): outcome for _, outcome in seen}
    assert outcomes[int] != here
    assert str(outcomes[InsightsError]) == "no"


def test_stores_run_in_threads_and_records_in_this_one(hourly):
    here = threading.get_ident()
    harness = Harness(hourly, good)
    job = harness.job("one")
    record = job.record
    threads: list[int] = []

    def store(job: Job, rows: Rows) -> object:
        threads.append(threading.get_ident())
        return job, rows.count

    job.store = store
    job.record = lambda job, result: threads.append(threading.get_ident()) or record(job, result)
    harness.run([job])
    assert harness.results["one"] == (job, 1)
    assert threads[0] != here
    assert threads[1:] == [here]


def test_a_job_can_be_replaced_by_another(hourly):
    harness = Harness(hourly, refusing("old"))
    old, new = harness.job("old"), harness.job("new")
    record = old.record
    old.record = lambda job, result: record(job, result) or new
    harness.run([old, *harness.many(3)])
    assert harness.failed() == ["old"]
    assert harness.results["new"].count == 1
