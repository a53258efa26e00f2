"""What the service does not give at present, although it had it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from dev.sandbox.traffic import Cell, Traffic
from dev.sandbox.world import SandboxEnvironment, Stream

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Lapse:
    """A query field (None: every one) gives less of one day of one environment.

    Of each four streams of requests `share` are left; 0 is as if nothing had ever happened.
    """

    environment: str
    day: date
    field: str | None = None
    share: int = 0

    def hides(self, environment: SandboxEnvironment, hour: int, stream: Stream) -> bool:
        """Whether a stream's cell of an hour (since 1970) is not given."""
        return (
            environment.id == self.environment
            and (_EPOCH + timedelta(hours=hour)).date() == self.day
            and stream.index % 4 >= self.share
        )


class Filtered(Traffic):
    """Some cells of a traffic. Alerts are left out of it."""

    def __init__(
        self, whole: Traffic, keeps: Callable[[SandboxEnvironment, int, Stream], bool]
    ) -> None:
        super().__init__()
        self._all = whole
        self._keeps = keeps

    def hour(
        self,
        environment: SandboxEnvironment,
        hour: int,
        now: datetime,
        late_hours: int = 20,
        streams: Sequence[Stream] | None = None,
    ) -> Sequence[Cell]:
        """As the whole."""
        cells = self._all.hour(environment, hour, now, late_hours, streams)
        return tuple(cell for cell in cells if self._keeps(environment, hour, cell.stream))


def thinned(whole: Traffic, lapses: Sequence[Lapse]) -> Traffic:
    """Traffic without what lapses hide."""
    return Filtered(
        whole, lambda place, hour, stream: not any(x.hides(place, hour, stream) for x in lapses)
    )


def since(whole: Traffic, first: int) -> Traffic:
    """Traffic from an hour on (since 1970)."""
    return Filtered(whole, lambda _, hour, __: hour >= first)


def external(whole: Traffic) -> Traffic:
    """Traffic from outside alone: every fourth caller is inside."""
    return Filtered(whole, lambda _, __, stream: bool(stream.index % 4))


def without(whole: Traffic, apis: Collection[str]) -> Traffic:
    """Traffic without that of some APIs (their ids)."""
    return Filtered(whole, lambda _, __, stream: stream.api.id not in apis)
