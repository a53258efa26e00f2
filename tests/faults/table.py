"""The table of faults: what goes wrong, where, and what the functions should do about it."""

from tests.faults import of_aws, of_choreo, of_functions
from tests.faults.cases import Fault

FAULTS: tuple[Fault, ...] = (
    *of_choreo.token_service(),
    *of_choreo.tokens(),
    *of_choreo.gateway(),
    *of_choreo.connection(),
    *of_choreo.bodies(),
    *of_choreo.data(),
    *of_choreo.pages(),
    *of_choreo.organizations(),
    *of_aws.s3(),
    *of_aws.parameter_store(),
    *of_aws.kms(),
    *of_aws.secrets_manager(),
    *of_aws.function_calls(),
    *of_aws.step_functions(),
    *of_functions.processes(),
    *of_functions.events(),
    *of_functions.clocks(),
    *of_functions.everything(),
)


def key(fault: Fault) -> str:
    """A fault's name in counts."""
    return f"{fault.place}: {fault.name}"


def named(by: str) -> str:
    """The name in counts of the fault that this test is about."""
    return key(next(fault for fault in FAULTS if fault.by == by))
