"""What all tests share."""

from hypothesis import HealthCheck, settings

# No limits by the clock: a busy machine is no failure.
settings.register_profile(
    "project",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")
