"""The limits that a growing stack meets first, at which size, and what to do then.

docs/scaling.md has those that come later.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from choreo_insights.catalogue import Catalogue, load
from choreo_insights_cli.costs.inputs import Inputs
from choreo_insights_cli.costs.quantities import spice_gb
from choreo_insights_cli.costs.usage import INVOCATION_SECONDS, KEPT_SECONDS, START_SECONDS, Usage

# A stack grows from size to size in so many steps, each by the same factors.
START = {"apis": 20, "organizations": 1, "history_days": 365}
END = {"apis": 1_000, "organizations": 10, "history_days": 3 * 365}
FAR = {"apis": 1_000, "organizations": 100, "history_days": 10 * 365}
_STEPS, _FAR_STEPS = 40, 20

# AWS's and the template's, and what 32 threads are assumed to copy in a second.
_SCAN_BYTES = 10e9
_SPICE_GB = 10
_SPICE_ROWS = 1e9
_COPIED_IN_A_MINUTE = 60_000
_DASHBOARD_DAYS, _DASHBOARD_TABLES = 366, 30


@dataclass(frozen=True)
class Limit:
    """A limit: how much of `unit` a stack may use, how much it uses, and what to do beyond it."""

    name: str
    unit: str
    bound: float
    used: Callable[[Usage], float]
    after: str


@dataclass(frozen=True)
class LimitReached:
    """The first size beyond a limit, of a stack that grows from START to END and on to FAR.

    The size is None where no size is beyond it. `at_start` and `at_end` are what START and END
    use.
    """

    name: str
    unit: str
    bound: float
    after: str
    at_start: float
    at_end: float
    step: int | None = None
    apis: int | None = None
    organizations: int | None = None
    history_days: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _budget_used(usage: Usage) -> float:
    allowed = usage.inputs.requests_per_minute * 1_440
    return 100 * usage.requests / allowed


def _objects_of_dashboard(usage: Usage) -> float:
    days = min(_DASHBOARD_DAYS, usage.inputs.history_days)
    return usage.inputs.places * _DASHBOARD_TABLES * days


def _rows_in_spice(usage: Usage) -> float:
    return usage.most_rows * min(usage.inputs.quicksight_days, usage.inputs.history_days)


def _largest_table(usage: Usage) -> float:
    return max(map(usage.table_bytes, usage.daily))


LIMITS = (
    Limit(
        "one invocation of the function",
        "seconds",
        INVOCATION_SECONDS - KEPT_SECONDS,
        lambda usage: START_SECONDS + usage.run.listing + usage.run.work,
        "The state machine exports what remains, once a day. A run that never ends in time needs"
        " fewer `Tables` or more `Concurrency`.",
    ),
    Limit(
        "requests to Choreo between two runs",
        "% of `RequestsPerMinute`",
        100,
        _budget_used,
        "A larger `RequestsPerMinute`, if WSO2 grants it, a rarer `ExportSchedule`, or fewer"
        " `Tables`.",
    ),
    Limit(
        "objects that `insights dashboard` copies, for a minute",
        "objects",
        _COPIED_IN_A_MINUTE,
        _objects_of_dashboard,
        "QuickSight or the views, which read by Athena; or fewer `DAYS`.",
    ),
    Limit(
        "`ScanLimitBytes` of a query over the whole of the largest table",
        "GB",
        _SCAN_BYTES / 1e9,
        lambda usage: _largest_table(usage) / 1e9,
        "A query with a day, or a larger `ScanLimitBytes`.",
    ),
    Limit(
        "SPICE of one author",
        "GB",
        _SPICE_GB,
        spice_gb,
        "Bought capacity, a smaller `QuickSightDays`, or data sets that query Athena directly.",
    ),
    Limit(
        "rows of one data set in SPICE",
        "rows",
        _SPICE_ROWS,
        _rows_in_spice,
        "A smaller `QuickSightDays`, or data sets that query Athena directly.",
    ),
)


def grown_to(inputs: Inputs, step: int) -> Inputs:
    """The stack after so many steps from START to END, and on to FAR."""
    begin, end, share = START, END, step / _STEPS
    if step > _STEPS:
        begin, end, share = END, FAR, (step - _STEPS) / _FAR_STEPS
    sizes = {name: round(size * (end[name] / size) ** share) for name, size in begin.items()}
    return replace(inputs, **sizes)


def limits(inputs: Inputs, *, catalogue: Catalogue | None = None) -> list[LimitReached]:
    """The limits in the order in which a growing stack meets them; those that it does not, last.

    Takes the settings from `inputs`, not the sizes.
    """
    catalogue = catalogue or load()
    steps = range(_STEPS + _FAR_STEPS + 1)
    way = [Usage(grown_to(inputs, step), catalogue) for step in steps]
    reached = [_reached(limit, way) for limit in LIMITS]
    return sorted(reached, key=lambda limit: (limit.step is None, limit.step or 0))


def _reached(limit: Limit, way: list[Usage]) -> LimitReached:
    used = [limit.used(usage) for usage in way]
    common = (limit.name, limit.unit, limit.bound, limit.after, used[0], used[_STEPS])
    step = next((step for step, amount in enumerate(used) if amount > limit.bound), None)
    if step is None:
        return LimitReached(*common)
    at = way[step].inputs
    return LimitReached(*common, step, at.apis, at.organizations, at.history_days)


def beyond(inputs: Inputs, *, catalogue: Catalogue | None = None) -> list[Limit]:
    """The limits that this stack is beyond."""
    usage = Usage(inputs, catalogue or load())
    return [limit for limit in LIMITS if limit.used(usage) > limit.bound]
