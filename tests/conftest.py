"""What all tests share."""

import atexit
import gc

from hypothesis import HealthCheck, settings

# No limits by the clock: a busy machine is no failure.
settings.register_profile(
    "project",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")

# With Python's thresholds the collector takes a quarter of the tests' processor time: worlds,
# catalogues and schemas are a million objects that live long, and it walks them again and again.
gc.set_threshold(50_000, 20, 100)
# What is left out of collections below: DuckDB complains where it is still there in the end.
atexit.register(gc.unfreeze)


def pytest_collection_finish() -> None:
    """Leaves the imported modules out of all collections."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Leaves pytest's last collection nothing to do.

    On a busy machine it would take longer than the five seconds after which execnet, under
    pytest-xdist, sends its own process SIGINT. That raises KeyboardInterrupt within the collection.
    """
    gc.freeze()
