"""What an estimate starts from: the sizes and settings of a stack, and what was counted of it."""

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from choreo_insights_cli.costs.partition_size import Size

_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) .+\)")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A stack. APIs and applications are those of one environment, environments of one
    organisation.

    `history_days` are the days since `ExportSince`, which is taken for the stack's age too.
    `seconds_a_request` is how long the Insights API takes, which only a run shows. Queries are
    Athena's; `authors` and `readers` are QuickSight's, none where it is off. The others are
    parameters of the template. Raises ValueError for impossible values.
    """

    region: str = "eu-central-1"
    organizations: int = 1
    environments: int = 3
    apis: int = 20
    applications: int = 5
    history_days: int = 180
    runs_a_day: float = 24
    settle_hours: float = 24
    tables: tuple[str, ...] | None = None
    on_prem_key: bool = False
    concurrency: int = 4
    requests_per_minute: int = 120
    batch_size: int = 20
    seconds_a_request: float = 1.0
    token_minutes: float = 60
    token_bytes: int = 2_000
    alarms_a_month: float = 2
    architecture: str = "arm64"
    queries_a_day: float = 10
    query_days: int = 30
    authors: int = 0
    readers: int = 0
    quicksight_days: int = 400

    def __post_init__(self) -> None:
        """Raises ValueError for impossible values."""
        positive = ("concurrency", "requests_per_minute", "batch_size", "token_minutes")
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and (
                not math.isfinite(value) or value < 0 or (name in positive and not value)
            ):
                least = "more than 0" if name in positive else "0 or more"
                raise ValueError(f"{name} is {value}: give a number, {least}")

    @property
    def size(self) -> Size:
        return Size(self.apis, self.applications)

    @property
    def places(self) -> int:
        """Environments of all organisations."""
        return self.organizations * self.environments


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What was counted in the last `days` days, or is there now (`objects`, `stored_bytes`).

    A None was not counted: the model fills it in. `seconds` are those that the export
    function was billed for.
    """

    days: float = 30
    invocations: float | None = None
    token_invocations: float | None = None
    seconds: float | None = None
    requests: float | None = None
    written: float | None = None
    objects: float | None = None
    stored_bytes: float | None = None
    queries: float | None = None
    scanned_bytes: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The counts by name; empty where there are none."""
        counts = {name: value for name, value in asdict(self).items() if value is not None}
        return counts if len(counts) > 1 else {}


def runs_a_day(schedule: str) -> float:
    """How often a day a schedule of EventBridge Scheduler fires, as the template takes it.

    A cron's days are not looked at: it counts as firing on each. Raises ValueError.
    """
    if found := _RATE.fullmatch(schedule):
        return 1440 / (int(found[1]) * _MINUTES[found[2]])
    if found := _CRON.fullmatch(schedule):
        return _times(found[1], 60) * _times(found[2], 24)
    if schedule.startswith("at("):
        return 0
    raise ValueError(f"{schedule!r} is not a schedule, such as rate(1 hour)")


def _times(field: str, span: int) -> int:
    """How many values a field of a cron expression has, of a span that begins at 0."""
    count = 0
    for part in field.split(","):
        values, _, step = part.partition("/")
        first, _, last = values.partition("-")
        begin = 0 if first == "*" else int(first)
        end = int(last) if last else span - 1 if first == "*" or step else begin
        count += len(range(begin, end + 1, int(step or 1)))
    return count
