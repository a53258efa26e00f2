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
        "The query that needed a token is retried; while the lease of the killed one lasts, the "
        "partitions fail and name it.",
        by="test_the_token_function_killed_at_any_point",
    )
    yield Fault(
        place,
        "little time is left",
        "The run ends in time, says how much remains, and hands that to the state machine.",
        by="test_little_time",
    )
    yield Fault(
        place,
        "the export is killed while it writes its ledger",
        "The next run gives the objects their entries.",
        by="test_the_export_killed_while_it_writes_its_ledger",
    )
    yield Fault(
        place,
        "a run is killed while it holds the request budget",
        "Others wait for its slot, and say so, until it expires.",
        by="test_a_slot_of_a_killed_run",
    )


def events() -> Iterator[Fault]:
    """What the functions are called with."""
    place = "events"
    yield Fault(
        place,
        "the same event twice",
        "The second run finds what the first one wrote: the same rows.",
        by="test_the_same_event_twice",
    )
    yield Fault(
        place,
        "several runs at once",
        "Conditional writes: each object is one run's whole response, each row is there once.",
        by="test_runs_at_once",
    )
    yield Fault(
        place,
        "a run that is overtaken by a newer one",
        "It does not overwrite the newer response.",
        by="test_a_run_that_is_overtaken",
    )
    yield Fault(
        place,
        "work is left, and the day's catch-up exists already",
        "The run attaches to it, whether it runs or has ended, and starts no second one.",
        by="test_the_catch_up_exists_already",
    )
    yield Fault(
        place,
        "a run of the schedule while a catch-up is running",
        "It exports open days alone.",
        by="test_a_run_beside_a_catch_up",
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
        "It names what was refused.",
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
