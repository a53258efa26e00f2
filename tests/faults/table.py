"""The table of faults: what goes wrong, where, and what the functions should do about it."""

from tests.faults import aws_faults, choreo_faults, function_faults
from tests.faults.cases import Fault

FAULTS: tuple[Fault, ...] = (
    *choreo_faults.token_service(),
    *choreo_faults.tokens(),
    *choreo_faults.gateway(),
    *choreo_faults.connection(),
    *choreo_faults.bodies(),
    *choreo_faults.data(),
    *choreo_faults.pages(),
    *choreo_faults.organizations(),
    *aws_faults.s3(),
    *aws_faults.parameter_store(),
    *aws_faults.kms(),
    *aws_faults.secrets_manager(),
    *aws_faults.function_calls(),
    *aws_faults.step_functions(),
    *function_faults.processes(),
    *function_faults.events(),
    *function_faults.clocks(),
    *function_faults.everything(),
)


def key(fault: Fault) -> str:
    """A fault's name in counts."""
    return f"{fault.place}: {fault.name}"


def named(by: str) -> str:
    """The name in counts of the fault that this test is about."""
    return key(next(fault for fault in FAULTS if fault.by == by))
