"""Faults of the functions themselves, each with a test of its own."""

from collections.abc import Iterator

from tests.faults.cases import Fault


def processes() -> Iterator[Fault]:
    """Where the functions run."""
    place = "a function's process"
    yield Fault(
        place,
        "the export is killed at any point",
        "What was written is whole; the next run does the rest.",
        by="test_the_export_killed_at_any_point",
    )
    yield Fault(
        place,
        "the token function is killed at any point",
        "The export fails and names it; a lease that nobody gives back ends by itself.",
        by="test_the_token_function_killed_at_any_point",
    )
    yield Fault(
        place,
        "little time is left",
        "The run stops in time and says how much remains; a fresh invocation goes on.",
        by="test_little_time",
    )


def events() -> Iterator[Fault]:
    """What the functions are called with."""
    place = "events"
    yield Fault(
        place,
        "the same event twice",
        "The second run finds what the first wrote: the same rows.",
        by="test_the_same_event_twice",
    )
    yield Fault(
        place,
        "several runs at once",
        "Conditional writes: each object is one run's whole answer, each row is there once.",
        by="test_runs_at_once",
    )
    yield Fault(
        place,
        "a run that is overtaken by a newer one",
        "It does not overwrite the newer answer.",
        by="test_a_run_that_is_overtaken",
    )


def clocks() -> Iterator[Fault]:
    """What time the functions think it is."""
    place = "clock"
    yield Fault(
        place,
        "ten minutes ahead or behind, in either function or both",
        "Days, tokens and leases stay right: the time of S3 and of the token service counts.",
        by="test_a_clock_that_is_wrong",
    )
    yield Fault(
        place,
        "so wrong that AWS refuses the signatures",
        "The run fails and names what was refused.",
        by="test_a_clock_that_aws_refuses",
    )


def everything() -> Iterator[Fault]:
    """All together."""
    yield Fault(
        "the deployed stack",
        "throttles, a killed function, a killed token, two invocations at once",
        "As above, in the functions as they are deployed.",
        by="test_the_deployed_functions",
    )
    yield Fault(
        "everywhere",
        "several of all these, at random",
        "Whatever happened, the next run makes the dataset right.",
        by="test_faults_at_random",
    )
