"""The sandbox Choreo: a small real server with the token service and the Insights API.

It behaves as the public facts say, over synthetic traffic that is the same for the same seed.
"""

from dev.sandbox.faults import Fault
from dev.sandbox.server import SandboxServer
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.world import EnvironmentSpec, OrganizationSpec, World

__all__ = [
    "EnvironmentSpec",
    "Fault",
    "OrganizationSpec",
    "SandboxServer",
    "SandboxSettings",
    "World",
]
