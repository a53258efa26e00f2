"""One day of one environment, computed from the traffic."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from dev.sandbox.filters import in_index, shown
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.traffic import Alert, Cell, Traffic
from dev.sandbox.world import Api, Organization, SandboxEnvironment

Row = dict[str, Any]
Key = tuple[Any, ...]

_TRAFFIC = Traffic()


@dataclass(frozen=True)
class Day:
    """One day of one environment (or none, in lists of the organisation)."""

    organization: Organization
    place: SandboxEnvironment | None
    day: date
    now: datetime
    settings: SandboxSettings
    # None is all traffic.
    tenant: str | None = None

    @property
    def environment(self) -> SandboxEnvironment:
        """The environment. Raises LookupError where the table needs one that was not given."""
        if self.place is None:
            raise LookupError("the table is one of an environment: name it")
        return self.place

    @cached_property
    def hours(self) -> list[tuple[datetime, Sequence[Cell]]]:
        """Each hour with the cells that have arrived."""
        return self.hours_of(self.environment)

    def hours_of(self, environment: SandboxEnvironment) -> list[tuple[datetime, Sequence[Cell]]]:
        """The same for another environment."""
        start = datetime.combine(self.day, datetime.min.time(), UTC)
        first = int(start.timestamp()) // 3600
        late = self.settings.late_hours
        hours = (_TRAFFIC.hour(environment, first + i, self.now, late) for i in range(24))
        return [
            (start + timedelta(hours=i), [cell for cell in cells if self._is_mine(cell)])
            for i, cells in enumerate(hours)
        ]

    def _is_mine(self, cell: Cell) -> bool:
        tenants = self.place.tenants if self.place else ()
        return self.tenant is None or tenants[cell.stream.index % len(tenants)] == self.tenant

    @cached_property
    def cells(self) -> list[Cell]:
        return [cell for _, cells in self.hours for cell in cells]

    @property
    def alerts(self) -> list[Alert]:
        """The alerts of the day that are still kept."""
        start = datetime.combine(self.day, datetime.min.time(), UTC)
        minute = int(start.timestamp()) // 60
        if self.tenant not in (None, self.environment.tenants[0]):
            return []
        alerts = _TRAFFIC.alerts(self.environment, minute, minute + 1440, self.now)
        return [in_index(self.settings, self.environment, alert) for _, alert in alerts]

    @property
    def listed(self) -> list[Api]:
        """The APIs that are in the list."""
        return list(self.environment.listed)

    @property
    def queried(self) -> list[Api]:
        """The APIs that are in the list, or were after the day had begun."""
        start = datetime.combine(self.day, datetime.min.time(), UTC)
        return list(self.environment.listed_since(start.timestamp()))

    def shown(self, api: Api, time: datetime | None = None) -> str:
        """How an answer names an API, of a bucket that begins at this time or of the whole day."""
        start = time or datetime.combine(self.day, datetime.min.time(), UTC)
        return shown(self.settings, api, int(start.timestamp()) // 60)

    def cells_of(self, api: Api) -> list[Cell]:
        """The day's cells of one API."""
        return self._by_api.get(api, [])

    @cached_property
    def _by_api(self) -> dict[Api, list[Cell]]:
        return by_api(self.cells)


def by_api(cells: Iterable[Cell]) -> dict[Api, list[Cell]]:
    """The cells of each API that has any."""
    groups: defaultdict[Api, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.stream.api].append(cell)
    return dict(groups)


def rows_of(counts: Mapping[Key, int], *columns: str) -> list[Row]:
    """Counts by key as rows."""
    return [
        dict(zip(columns, key, strict=True)) | {"count": count} for key, count in counts.items()
    ]
