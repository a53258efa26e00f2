"""What a fault is, and how its cases are written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tests.faults.proxy import Rule

if TYPE_CHECKING:
    from tests.faults.fault_rig import Station

# recovered: the run notices, and exports everything all the same.
# failed: it names what failed, and that the next run may not have it.
# person: it names what failed, and what a person should do.
# raised: it could not work at all, so that Lambda runs it again.
Outcome = Literal["recovered", "failed", "person", "raised"]
# What a run exports: two lists, and three tables of two environments and two days.
PARTITIONS = 1 + 2 + 3 * 2 * 2
# How many times a rule takes effect.
ALWAYS = None
# Query fields in the order of a run: what all wait for, a list, pages, hours, fives.
FIRST, LIST, PAGES = "listEnvironments", "listAllAPI", "getResourceUsage"
HOURS, FIVES = "getSuccessSummary", "getAPIUsageOverTime"
FIELDS = (FIRST, LIST, PAGES, HOURS, FIVES)
SHAPES = ("error_message", "code", "fault")


@dataclass(frozen=True)
class Case:
    """A run with faults.

    `choreo` are rules of the sandbox, `aws` those of the proxy. `says` is a pattern that the named
    reasons must fit. `exported` counts the partitions that are exported all the same, where that
    is known; where the outcome is `recovered` it is all of them. `before` is done before the run,
    `settled_by` is what a person does afterwards. `fresh`: the next run is that of a new container.
    `soak`: it is left to `make soak`.
    """

    id: str
    outcome: Outcome
    choreo: tuple[Mapping[str, Any], ...] = ()
    aws: tuple[Rule, ...] = ()
    says: str = ""
    exported: int | None = None
    before: Callable[["Station"], None] | None = None
    settled_by: Callable[["Station"], None] | None = None
    fresh: bool = False
    soak: bool = False


@dataclass(frozen=True)
class Fault:
    """A row of the table; `happens` is for the page. `by` names the test of what is no rule."""

    place: str
    name: str
    happens: str
    cases: Sequence[Case] = field(default=())
    by: str = ""


def rule(fault: str, times: int | None = 1, **values: Any) -> dict[str, Any]:
    """A rule of the sandbox's query endpoint."""
    return {"fault": fault, "times": times, **values}


def token(fault: str, times: int | None = ALWAYS, **values: Any) -> dict[str, Any]:
    """A rule of the sandbox's token service."""
    return rule(fault, times, where="token", **values)


def status(number: int, times: int | None = 1, **values: Any) -> dict[str, Any]:
    """A rule that answers with this status."""
    return rule("status", times, status=number, **values)


def error(
    request: str, code: str, number: int, times: int | None = 2, **values: Any
) -> tuple[Rule, ...]:
    """An error of AWS to `service:Operation`."""
    return aws("error", request, code=code, status=number, times=times, **values)


def aws(does: Literal["error", "reset", "lost", "cut", "garbage", "hang"], request: str,
        **values: Any) -> tuple[Rule, ...]:  # fmt: skip
    """A rule of the proxy for `service:Operation`."""
    service, _, operation = request.partition(":")
    return (Rule(does, service, operation, **values),)


def once(fault: str, **values: Any) -> Iterable[Case]:
    """A fault that passes: in the middle, and at the first request."""
    yield Case(f"{fault}-later", "recovered", (rule(fault, 2, skip=2, **values),))
    yield Case(f"{fault}-first", "recovered", (rule(fault, **values),), soak=True)


def stays(
    fault: str, outcome: Outcome, says: str, fields: Iterable[str] = (PAGES, FIRST), **values: Any
) -> Iterable[Case]:
    """A fault that stays for one query field; all fields but the first are left to the soak."""
    for number, name in enumerate(fields):
        rules = (rule(fault, ALWAYS, field=name, **values),)
        yield Case(f"{fault}-{name}", outcome, rules, says=says, soak=number > 0)


def rarely(*cases: Case) -> Iterable[Case]:
    """Cases that are left to the soak, for others are like them."""
    return (replace(case, soak=True) for case in cases)


def forget_registry(station: "Station") -> None:
    """The registry is lost, so that the run makes it anew."""
    station.delete("insights/registry_")


def store_secret(station: "Station") -> None:
    """What a person does whose credentials were refused."""
    station.store_secret()
