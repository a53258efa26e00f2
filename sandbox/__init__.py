"""The sandbox Choreo: a small real server with the token service and the Insights API.

It behaves as the public facts say, over synthetic traffic that is the same for the same seed.
"""

from sandbox.faults import Fault
from sandbox.server import SandboxServer
from sandbox.settings import Settings
from sandbox.world import EnvironmentSpec, OrganizationSpec, World

__all__ = [
    "EnvironmentSpec",
    "Fault",
    "OrganizationSpec",
    "SandboxServer",
    "Settings",
    "World",
]
