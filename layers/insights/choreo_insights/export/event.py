"""What a run may export: the event, checked against the settings and the catalogue."""

from datetime import date, datetime
from typing import Annotated

import msgspec

from choreo_insights.catalogue import Catalogue, Table
from choreo_insights.config import ExportConfig
from choreo_insights.errors import ConfigurationError
from choreo_insights.shapes import Shape

# Years before Choreo existed. Without a limit an event could list two thousand years of days.
_EARLIEST = date(2000, 1, 1)


class _Continued(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`since`, as version 0.1.0 sent it."""

    round: Annotated[int, msgspec.Meta(ge=2)]
    since: Annotated[datetime, msgspec.Meta(tz=True)]


class _Event(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    tables: list[str] | None = None
    organizations: list[str] | None = None
    from_: date | None = None
    to: date | None = None
    force: bool = False
    again: bool = False
    # What the state machine adds for its parts.
    part: bool = False
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    environments: list[str] | None = None
    # What executions that version 0.1.0 started send in their place.
    continued: _Continued | None = None
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1)] | None = None


_EVENT = Shape(_Event)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Tables, organisations and UTC days, both included.

    `again` exports closed days too, and replaces no past day by less; `force` does. `named_days`:
    the event names its days, and open ones are queried whenever they were queried before. What was
    written from `since` on counts as done. `environments` are ids or names, None for all.
    `part` is for a part of an execution of the state machine. `named_tables` are the tables as the
    event names them, None where it names none. `most_per_minute` is for executions that version
    0.1.0 started: they send no more requests than this. With `open_only` what is missing is left to
    the catch-up that is running, except of days that are open.
    """

    tables: tuple[Table, ...]
    organizations: tuple[str, ...]
    first: date
    last: date
    force: bool = False
    again: bool = False
    named_days: bool = False
    named_tables: tuple[str, ...] | None = None
    environments: frozenset[str] | None = None
    since: datetime | None = None
    part: bool = False
    most_per_minute: int | None = None
    open_only: bool = False

    @classmethod
    def from_event(
        cls, event: object, config: ExportConfig, catalogue: Catalogue, today: date
    ) -> "Bounds":
        """Reads an event; what it leaves out is everything.

        Raises ConfigurationError with the key, its value and what is allowed.
        """
        try:
            wish = _EVENT.convert(event)
        except msgspec.ValidationError as error:
            known = "tables, organizations, from, to (YYYY-MM-DD), again and force"
            raise ConfigurationError(f"the event is wrong: {error}. It may hold {known}") from error
        _check_lists(wish, config)
        first, last = _days(wish, config, today)
        named = tuple(wish.tables) if wish.tables else None
        return cls(
            tables=catalogue.chosen(named or config.tables),
            organizations=tuple(dict.fromkeys(wish.organizations or config.organizations)),
            first=first,
            last=last,
            force=wish.force,
            again=wish.again,
            named_days=wish.from_ is not None or wish.to is not None,
            named_tables=named,
            environments=None if wish.environments is None else frozenset(wish.environments),
            since=wish.continued.since if wish.continued else wish.since,
            part=wish.part or wish.requests_per_minute is not None,
            most_per_minute=wish.requests_per_minute,
        )

    def is_whole(self, config: ExportConfig, today: date) -> bool:
        """Whether it covers all that the stack exports, as the schedule's event does."""
        return (
            not self.part
            and self.named_tables is None
            and self.environments is None
            and set(self.organizations) == set(config.organizations)
            and self.first <= config.export_since
            and self.last >= today
        )


def _check_lists(wish: _Event, config: ExportConfig) -> None:
    for key in ("tables", "organizations", "environments"):
        if getattr(wish, key) == []:
            raise ConfigurationError(f"{key} is an empty list: leave it out to export all")
    for handle in wish.organizations or ():
        if handle not in config.organizations:
            known = ", ".join(config.organizations)
            msg = f"organizations: {handle!r} is not in the parameter Organizations ({known})"
            raise ConfigurationError(msg)


def _days(wish: _Event, config: ExportConfig, today: date) -> tuple[date, date]:
    first, last = wish.from_ or config.export_since, wish.to or today
    if first > last:
        raise ConfigurationError(f"from ({first}) lies after to ({last})")
    if first < _EARLIEST:
        raise ConfigurationError(f"from ({first}) lies before {_EARLIEST}, the earliest day")
    if first > today:
        raise ConfigurationError(f"from ({first}) lies in the future: today is {today} (UTC)")
    return first, min(last, today)
