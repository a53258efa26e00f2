"""The limits that a growing stack meets, where it meets each, and what takes over then."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from choreo_insights.catalogue import Catalogue, load
from choreo_insights_cli.costs.inputs import Inputs
from choreo_insights_cli.costs.quantities import EXPORT_GB, LEDGER_DAYS, WORKERS, spice_gb
from choreo_insights_cli.costs.usage import INVOCATION_SECONDS, KEPT_SECONDS, START_SECONDS, Usage

# The way that a stack grows on: from size to size in so many steps, each by the same factors.
START = {"apis": 20, "organizations": 1, "history_days": 365}
END = {"apis": 1_000, "organizations": 10, "history_days": 3 * 365}
FAR = {"apis": 1_000, "organizations": 100, "history_days": 10 * 365}
_STEPS, _FAR_STEPS = 40, 20

# Measured: what the exporter remembers of an object that it has listed, beside what it takes
# itself. Assumed: small objects and folders that Athena, or 32 threads, get through in a second.
LISTED_BYTES = 420
_BASE_BYTES = 250e6
_OBJECTS_A_SECOND = 1_000
_FOLDERS_A_SECOND = 100
_MINUTE = 60
# AWS's, and the template's.
_SSM_A_SECOND = 40
_SCAN_BYTES = 10e9
_SPICE_GB = 10
_SPICE_ROWS = 1e9
_ENVIRONMENT_BYTES, _SETTINGS_BYTES, _HANDLE_BYTES = 4_096, 1_000, 16
_DASHBOARD_DAYS, _DASHBOARD_TABLES = 366, 30
# The view that comes from the most tables (latency_daily).
_WIDEST_VIEW = 6


@dataclass(frozen=True)
class Limit:
    """A limit: how much of `unit` may be used, how much a stack uses, and what comes after."""

    name: str
    unit: str
    bound: float
    used: Callable[[Usage], float]
    after: str


@dataclass(frozen=True)
class Met:
    """Where a limit is met on the way from START over END to FAR: the first size beyond it, or
    None. `at_start` and `at_end` are what is used there.
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
        """For JSON."""
        return asdict(self)


def _tokens_a_second(usage: Usage) -> float:
    """A container reads an organisation's token once, and then asks for it: as many at a time as
    it has threads. Parts of a backfill begin at the same time.
    """
    inputs = usage.inputs
    threads = min(inputs.organizations, inputs.concurrency)
    return threads / max(inputs.seconds_a_request, 1 / _SSM_A_SECOND) + WORKERS


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
        "Step Functions: what remains is handed to the distributed Map of `insights backfill`, once"
        " a day. An export that never ends in time needs fewer `Tables` or more `Concurrency`.",
    ),
    Limit(
        "requests to Choreo between two runs",
        "% of `RequestsPerMinute`",
        100,
        _budget_used,
        "No engine: a larger `RequestsPerMinute`, if WSO2 grants it, a rarer `ExportSchedule`, or"
        " fewer `Tables`.",
    ),
    Limit(
        "the listing at the start of an invocation",
        "seconds",
        INVOCATION_SECONDS - KEPT_SECONDS,
        lambda usage: usage.run.listing,
        "The same Map: a part lists its own days alone.",
    ),
    Limit(
        "memory for what was listed",
        "MB",
        EXPORT_GB * 1024,
        lambda usage: (_BASE_BYTES + usage.objects * LISTED_BYTES) / 2**20,
        "The same Map, or more `MemorySize`.",
    ),
    Limit(
        "Parameter Store's reads",
        "a second",
        _SSM_A_SECOND,
        _tokens_a_second,
        "Parameter Store's setting for higher throughput.",
    ),
    Limit(
        "organisations in a function's environment",
        "bytes",
        _ENVIRONMENT_BYTES,
        lambda usage: _SETTINGS_BYTES + usage.inputs.organizations * _HANDLE_BYTES,
        "A second stack.",
    ),
    Limit(
        "objects that `insights dashboard` copies, for a minute",
        "objects",
        _MINUTE * _OBJECTS_A_SECOND,
        _objects_of_dashboard,
        "Athena for the reading: QuickSight, or the views; or fewer `DAYS`.",
    ),
    Limit(
        "small files of a question over the whole ledger, for a minute",
        "objects",
        _MINUTE * _OBJECTS_A_SECOND,
        lambda usage: usage.ledger_objects * usage.inputs.history_days,
        f"A question with a day, as the views ask that look back {LEDGER_DAYS} days.",
    ),
    Limit(
        "small files of a question over a table's whole history, for a minute",
        "objects",
        _MINUTE * _OBJECTS_A_SECOND,
        lambda usage: usage.inputs.places * usage.inputs.history_days,
        "Athena: `INSERT INTO` an Iceberg table of months that are over, and `OPTIMIZE`.",
    ),
    Limit(
        "partitions that projection lists for a question without a day, for a minute",
        "folders",
        _MINUTE * _FOLDERS_A_SECOND,
        lambda usage: _WIDEST_VIEW * usage.inputs.history_days,
        "A question with a day; or a later `ExportSince`, from which SQL sees days.",
    ),
    Limit(
        "`ScanLimitBytes` of a question over the whole of the largest table",
        "GB",
        _SCAN_BYTES / 1e9,
        lambda usage: _largest_table(usage) / 1e9,
        "A question with a day, or a larger `ScanLimitBytes`: Athena itself reads on.",
    ),
    Limit(
        "SPICE of one author",
        "GB",
        _SPICE_GB,
        spice_gb,
        "Bought capacity, a smaller `QuickSightDays`, or data sets that ask Athena directly.",
    ),
    Limit(
        "rows of one data set in SPICE",
        "rows",
        _SPICE_ROWS,
        _rows_in_spice,
        "A smaller `QuickSightDays`, or data sets that ask Athena directly.",
    ),
)


def on_the_way(inputs: Inputs, step: int) -> Inputs:
    """The stack after so many steps from START to END, and then to FAR."""
    begin, end, share = START, END, step / _STEPS
    if step > _STEPS:
        begin, end, share = END, FAR, (step - _STEPS) / _FAR_STEPS
    sizes = {name: round(size * (end[name] / size) ** share) for name, size in begin.items()}
    return replace(inputs, **sizes)


def limits(inputs: Inputs, *, catalogue: Catalogue | None = None) -> list[Met]:
    """The limits in the order in which they are met; at the end those that are not.

    The sizes of `inputs` are replaced by those on the way, its settings count.
    """
    catalogue = catalogue or load()
    steps = range(_STEPS + _FAR_STEPS + 1)
    way = [Usage(on_the_way(inputs, step), catalogue) for step in steps]
    found = [_met(limit, way) for limit in LIMITS]
    return sorted(found, key=lambda met: (met.step is None, met.step or 0))


def _met(limit: Limit, way: list[Usage]) -> Met:
    used = [limit.used(usage) for usage in way]
    common = (limit.name, limit.unit, limit.bound, limit.after, used[0], used[_STEPS])
    step = next((step for step, amount in enumerate(used) if amount > limit.bound), None)
    if step is None:
        return Met(*common)
    at = way[step].inputs
    return Met(*common, step, at.apis, at.organizations, at.history_days)


def beyond(inputs: Inputs, *, catalogue: Catalogue | None = None) -> list[Limit]:
    """The limits that this very stack is beyond."""
    usage = Usage(inputs, catalogue or load())
    return [limit for limit in LIMITS if limit.used(usage) > limit.bound]
