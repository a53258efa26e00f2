"""The synthetic organisation whose whole exports are measured."""

from datetime import UTC, datetime

from dev.sandbox import SandboxSettings, World
from dev.sandbox.world import EnvironmentSpec, OrganizationSpec

HANDLE = "synthetic"
# The last day is nearly over: it is queried like every other, and has lists.
NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)


def world(apis: int, applications: int) -> World:
    """One environment with so many APIs and applications."""
    environment = EnvironmentSpec("Production")
    organization = OrganizationSpec(
        HANDLE, apis=apis, applications=applications, environments=(environment,)
    )
    return World(organizations=[organization])


def settings() -> SandboxSettings:
    """The clock stands still, and a token lasts for the whole run."""
    return SandboxSettings(now=NOW, token_lifetime=24 * 3600)
