"""How each table stands in each environment: what is there against what should be. No AWS."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.coverage import is_closed, wanted
from choreo_insights.dataset.partitions import (
    Environment,
    day_end,
    day_of,
    day_prefix,
    day_start,
    last_day,
    safe_name,
)
from choreo_insights.dataset.registry_merge import KnownEnvironment
from choreo_insights.dataset.store import Stored

# How a day may stand.
STATES = ("final", "open", "missing", "failed")


class ExportSettings(msgspec.Struct, frozen=True):
    """What the stack's parameters say of the export. `frozen`: the dataset has ended."""

    organizations: tuple[str, ...]
    tables: tuple[Table, ...]
    since: date
    settle_hours: float
    stale_after_hours: float
    frozen: bool = False


class Selection(msgspec.Struct, frozen=True):
    """The part of the dataset that is looked at; what is empty leaves nothing out.

    An environment is named as people name it, or as in keys.
    """

    tables: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    day: date | None = None

    def of(self, settings: ExportSettings) -> ExportSettings:
        """The settings without the tables and organisations that are left out."""
        return msgspec.structs.replace(
            settings,
            tables=tuple(t for t in settings.tables if t.name in (self.tables or (t.name,))),
            organizations=self.organizations or settings.organizations,
        )

    def has(self, place: "TablePlace") -> bool:
        """Whether a place is looked at."""
        organization, _, environment = place.key_name.partition(".")
        organizations = [safe_name(handle) for handle in self.organizations]
        return organization in (organizations or [organization]) and (
            not self.environments
            or place.environment in self.environments
            or environment in self.environments
        )


ALL = Selection()


class LedgerStatus(msgspec.Struct, frozen=True):
    """A partition in the ledger: its newest entry, and the rows last written.

    `rows` is None where no entry says so. `unconfirmed` says whether the newest entry that decided
    anything closed the day although its source never confirmed it; None where none did.
    """

    at: datetime
    status: str
    error: str | None = None
    rows: int | None = None
    unconfirmed: bool | None = None


class TablePlace(msgspec.Struct, frozen=True):
    """A table's organisation and environment; its objects are named `key_name`."""

    table: str
    organization: str
    environment: str | None
    key_name: str

    def key(self, day: date) -> str:
        """The key of the object of a day."""
        return f"{day_prefix(self.table, day)}{self.key_name}.parquet"


class FailedPartition(msgspec.Struct, frozen=True):
    """A partition whose newest try failed, or gave less than is stored."""

    place: TablePlace
    day: date
    at: datetime
    error: str


class Standing(msgspec.Struct):
    """Counts of partitions by how they stand, each in one of the four.

    final: there, and not asked for again. failed: not final, and the newest try failed. open:
    there, and asked for again, as more may come. missing: not there. `rows_unknown` counts
    objects of which the ledger says nothing. `reaches` is the instant to which the data of every
    place goes that should have some; `never` counts the places of those that have none at all.
    Of the open ones `kept` are those of which the source gave less at the newest try; of the final
    ones `unconfirmed` are those that it never confirmed.
    """

    oldest: date | None = None
    newest: date | None = None
    final: int = 0
    open: int = 0
    missing: int = 0
    failed: int = 0
    rows: int = 0
    rows_unknown: int = 0
    reaches: datetime | None = None
    never: int = 0
    failures: list[FailedPartition] = msgspec.field(default_factory=list)
    kept: list[FailedPartition] = msgspec.field(default_factory=list)
    unconfirmed: list[FailedPartition] = msgspec.field(default_factory=list)

    def add(self, other: "Standing") -> None:
        """Takes another one in."""
        self.oldest = min(filter(None, (self.oldest, other.oldest)), default=None)
        self.newest = max(filter(None, (self.newest, other.newest)), default=None)
        # The oldest: one organisation's failure must not hide behind another's success.
        self.reaches = min(filter(None, (self.reaches, other.reaches)), default=None)
        for name in ("final", "open", "missing", "failed", "rows", "rows_unknown", "never"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures
        self.kept += other.kept
        self.unconfirmed += other.unconfirmed


class Listings:
    """The dataset's objects, by place and day."""

    def __init__(self, objects: Mapping[str, Mapping[str, Stored]]) -> None:
        self._found: dict[tuple[str, str], dict[date, Stored]] = {}
        for table, listed in objects.items():
            for key, stored in listed.items():
                name = key.rpartition("/")[2].removesuffix(".parquet")
                self._found.setdefault((table, name), {})[day_of(key)] = stored

    def days(self, table: str, key_name: str) -> dict[date, Stored]:
        """The objects of a place."""
        return self._found.get((table, key_name), {})

    def newest(self) -> date | None:
        """The newest day of all."""
        return max((max(days) for days in self._found.values()), default=None)

    def key_names(self, table: str | None = None) -> set[str]:
        """The places of a table, or of all."""
        return {name for of, name in self._found if table in (None, of)}


class ExpectedDataset:
    """What is there and what should be.

    `environments` are all that were ever listed of each organisation. Without a list, those count
    of which there are objects.
    """

    def __init__(
        self,
        settings: ExportSettings,
        environments: Mapping[str, Sequence[KnownEnvironment]],
        listings: Listings,
        now: datetime,
        selection: Selection = ALL,
    ) -> None:
        self.settings = settings
        self._day = selection.day
        self.now = now
        self._listings = listings
        self.environments = environments
        # What is not listed now is not exported any more, but for its days that are open. Where
        # nothing is, there was no list yet.
        self._gone = {
            (organization, known.id)
            for organization, each in environments.items()
            if any(known.listed for known in each)
            for known in each
            if not known.listed
        }
        # After the last day of a dataset that has ended nothing is missing.
        self.ends = listings.newest() if settings.frozen else None
        today = self.ends or now.astimezone(UTC).date()
        self._today = today
        young = now - day_start(today) < timedelta(hours=settings.stale_after_hours)
        # The first run of a day comes when the schedule says: until then nothing is missing.
        self._may_be_absent = {today} if young else set()
        # The days that runs query while they are open: of what is gone too, if they are stored.
        self._queried: dict[tuple[str, str], frozenset[date]] = {}
        self.places: dict[TablePlace, frozenset[date]] = {
            place: days for place, days in self._places() if selection.has(place)
        }

    def is_wanted(self, table: str, key_name: str, day: date) -> bool:
        """Whether a run queries the partition as long as its day is open."""
        return day in self._queried.get((table, key_name), ())

    def partitions(self, table: str) -> Iterator[tuple[str, date, Stored | None]]:
        """The key and day of each partition that is there or should be, with its object."""
        for place, days in self.places.items():
            there = self._listings.days(place.table, place.key_name)
            if place.table == table and (there or not self._keyed(place)):
                for day in there.keys() | days:
                    yield place.key(day), day, there.get(day)

    def unknown(self) -> list[str]:
        """The organisations without any list: what should be there is unknown."""
        named = {name.split(".")[0] for name in self._listings.key_names()}
        asked = (o for o in self.settings.organizations if o not in self.environments)
        return [organization for organization in asked if safe_name(organization) not in named]

    def looked_for(self) -> dict[date, dict[str, bool]]:
        """For each day, the objects of which the ledger is asked, and whether for their rows."""
        found: dict[date, dict[str, bool]] = {}
        for place, days in self.places.items():
            there = self._listings.days(place.table, place.key_name)
            # Without an object the organisation may lack the key: then no run tries it.
            wanted_days = days if there or not self._keyed(place) else frozenset()
            for day in self._looked_at(there.keys() | wanted_days):
                found.setdefault(day, {})[place.key(day)] = day in there
        return found

    def _looked_at(self, days: Iterable[date]) -> Iterable[date]:
        return days if self._day is None else [day for day in days if day == self._day]

    def standings(self, tried: Mapping[str, LedgerStatus]) -> dict[TablePlace, Standing]:
        """How every place stands."""
        found = {}
        for place, days in self.places.items():
            there = self._listings.days(place.table, place.key_name)
            if there or any(place.key(day) in tried for day in days) or not self._keyed(place):
                found[place] = self._standing(place, days, there, tried)
        return found

    def _keyed(self, place: TablePlace) -> bool:
        """Whether only organisations with an on-prem key have the table: who has, is a secret."""
        return any(t.on_prem_key for t in self.settings.tables if t.name == place.table)

    def _standing(
        self,
        place: TablePlace,
        days: frozenset[date],
        there: Mapping[date, Stored],
        tried: Mapping[str, LedgerStatus],
    ) -> Standing:
        stored_days = [*self._looked_at(there)]
        standing = Standing(min(stored_days, default=None), max(stored_days, default=None))
        # A list is of its day, and never queried for an earlier one.
        table = next((t for t in self.settings.tables if t.name == place.table), None)
        is_daily = table is not None and table.daily
        reached: datetime | None = None
        for day in self._looked_at(there.keys() | days):
            stored, entry = there.get(day), tried.get(place.key(day))
            ends = last_day(table, day)
            if stored:
                reaches = min(stored.written, day_end(ends))
                reached = max(reached or reaches, reaches)
                if entry is None or entry.rows is None:
                    standing.rows_unknown += 1
                else:
                    standing.rows += entry.rows
            if stored and (self._is_final(stored, ends) or not (is_daily or day in days)):
                standing.final += 1
                if entry and entry.unconfirmed:
                    standing.unconfirmed.append(_failure(place, day, entry))
            elif entry and entry.status == "failed":
                standing.failed += 1
                standing.failures.append(_failure(place, day, entry))
            elif stored or day in self._may_be_absent:
                standing.open += 1
                if entry and entry.status == "kept":
                    standing.kept.append(_failure(place, day, entry))
            else:
                standing.missing += 1
        # What is history alone gets no older. What is queried once a day is missing where it lacks,
        # and says nothing of how current the data are.
        once_a_day = table is not None and (table.past_only or table.per_project)
        standing.reaches = reached if days and not once_a_day else None
        standing.never = int(reached is None and standing.missing + standing.failed > 0)
        return standing

    def _is_final(self, stored: Stored, day: date) -> bool:
        return is_closed(stored.written, day, self.settings.settle_hours)

    def _places(self) -> Iterator[tuple[TablePlace, frozenset[date]]]:
        """Every place with the days that should be there; none where it is only history."""
        for table in self.settings.tables:
            seen = set()
            for organization in self.settings.organizations:
                for environment in self._of(table, organization):
                    days = self._wanted(table, organization, environment)
                    place = _place(table.name, organization, environment)
                    self._queried[table.name, place.key_name] = days
                    if environment and (organization, environment.id) in self._gone:
                        days = frozenset()
                    if days or self._listings.days(table.name, place.key_name):
                        seen.add(place.key_name)
                        yield place, days
            for key_name in sorted(self._listings.key_names(table.name) - seen):
                organization, _, name = key_name.partition(".")
                yield TablePlace(table.name, organization, name or None, key_name), frozenset()

    def _of(self, table: Table, organization: str) -> Iterable[Environment | None]:
        if table.scope == "organization":
            return (None,)
        if organization in self.environments:
            return [known.environment for known in self.environments[organization]]
        names = [name.partition(".") for name in self._listings.key_names(table.name)]
        types = table.environment_types
        kind = types[0] if types else ""
        return [
            Environment(name, name, kind, (), name)
            for handle, _, name in names
            if name and handle == safe_name(organization)
        ]

    def _wanted(
        self, table: Table, organization: str, environment: Environment | None
    ) -> frozenset[date]:
        partitions = wanted(
            table,
            organization,
            environment,
            first=self.settings.since,
            last=self._today,
            today=self._today,
        )
        return frozenset(partition.day for partition in partitions)


def _failure(place: TablePlace, day: date, entry: LedgerStatus) -> FailedPartition:
    return FailedPartition(place, day, entry.at, entry.error or "")


def _place(table: str, organization: str, environment: Environment | None) -> TablePlace:
    key_name = safe_name(organization)
    if environment is None:
        return TablePlace(table, organization, None, key_name)
    return TablePlace(table, organization, environment.name, f"{key_name}.{environment.key_name}")


def by_table(standings: Mapping[TablePlace, Standing]) -> dict[str, Standing]:
    """The sums of the tables."""
    found: dict[str, Standing] = {}
    for place, standing in standings.items():
        found.setdefault(place.table, Standing()).add(standing)
    return found


def stale(
    standings: Mapping[TablePlace, Standing], settings: ExportSettings, now: datetime
) -> dict[str, timedelta]:
    """For how long the data of an organisation has been older than it may be, where it is."""
    found: dict[str, timedelta] = {}
    if settings.frozen:
        return found
    for place, standing in standings.items():
        if place.organization in settings.organizations and standing.reaches:
            late = now - standing.reaches - timedelta(hours=settings.stale_after_hours)
            if late > timedelta():
                found[place.organization] = max(found.get(place.organization, late), late)
    return found


def together(standings: Iterable[Standing]) -> Standing:
    """The sum of all."""
    total = Standing()
    for standing in standings:
        total.add(standing)
    return total
