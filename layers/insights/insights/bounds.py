"""What a run may export: the event, checked against the settings and the catalogue."""

from datetime import date, datetime
from typing import Annotated

import msgspec

from insights.catalogue import Catalogue, Table
from insights.config import ExportConfig
from insights.errors import ConfigurationError


class Continued(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that an earlier invocation has begun: what was written from `since` on is done."""

    round: Annotated[int, msgspec.Meta(ge=2)]
    since: Annotated[datetime, msgspec.Meta(tz=True)]


class _Event(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    tables: list[str] | None = None
    organizations: list[str] | None = None
    from_: date | None = None
    to: date | None = None
    force: bool = False
    again: bool = False
    # The function's own, for runs that follow each other or share the request budget.
    continued: Continued | None = None
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1)] | None = None
    environments: list[str] | None = None


class Bounds(msgspec.Struct, frozen=True):
    """Tables, organisations and UTC days, both included.

    `again` asks for what is final too, and replaces no past day by less; `force` does.
    `requests_per_minute` is this run's share of the budget. Of the environments, only those of
    the names in `environments` are exported, where it is not None.
    """

    tables: tuple[Table, ...]
    organizations: tuple[str, ...]
    first: date
    last: date
    force: bool
    requests_per_minute: int
    continued: Continued | None = None
    environments: frozenset[str] | None = None
    again: bool = False

    @classmethod
    def from_event(
        cls, event: object, config: ExportConfig, catalogue: Catalogue, today: date
    ) -> "Bounds":
        """Reads an event; what it leaves out is everything.

        Raises ConfigurationError with the key, its value and what is allowed.
        """
        try:
            wish = msgspec.convert(event, _Event)
        except msgspec.ValidationError as error:
            known = "tables, organizations, from, to (YYYY-MM-DD), again and force"
            raise ConfigurationError(f"the event is wrong: {error}. It may hold {known}") from error
        for key in ("tables", "organizations", "environments"):
            if getattr(wish, key) == []:
                raise ConfigurationError(f"{key} is an empty list: leave it out to export all")
        for handle in wish.organizations or ():
            if handle not in config.organizations:
                known = ", ".join(config.organizations)
                msg = f"organizations: {handle!r} is not in the parameter Organizations ({known})"
                raise ConfigurationError(msg)
        first, last = wish.from_ or config.export_since, wish.to or today
        if first > last:
            raise ConfigurationError(f"from ({first}) lies after to ({last})")
        return cls(
            catalogue.chosen(tuple(wish.tables) if wish.tables else config.tables),
            tuple(dict.fromkeys(wish.organizations or config.organizations)),
            first,
            min(last, today),
            wish.force,
            min(config.requests_per_minute, wish.requests_per_minute or config.requests_per_minute),
            wish.continued,
            None if wish.environments is None else frozenset(wish.environments),
            wish.again,
        )
