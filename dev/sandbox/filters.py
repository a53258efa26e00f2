"""The filters of a query, checked and turned into cells of traffic."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import product
from typing import Any, Literal

from dev.sandbox.grouping import Groups
from dev.sandbox.lapses import Lapse, external, since, thinned, without
from dev.sandbox.paging import Pages
from dev.sandbox.refusals import BadRequestError, QueryError
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.traffic import Alert, Cell, Traffic, id_of
from dev.sandbox.world import Api, Organization, SandboxEnvironment, Stream, World

Args = Mapping[str, Any]

# Minutes of each granularity.
GRANULARITIES = {"1m": 1, "15m": 15, "1h": 60, "1d": 1440, "7d": 10080}
# Weeks begin on Monday; 1970 began on a Thursday.
_WEEK_SHIFT = 3 * 1440
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The query fields whose filters have trafficType in newer releases.
_BY_TRAFFIC_TYPE = (
    *("getAPIUsageOverTime", "getAPIUsageByAppOverTime", "getAPIUsageByBackendOverTime"),
    "getResourceUsage",
)


@dataclass(frozen=True)
class TimeSpan:
    """The minutes [start, end) since 1970, and the zone that answers are given in."""

    start: int
    end: int
    zone: timezone

    def default_granularity(self) -> str:
        """What the service takes where none is sent: the longer the range, the coarser."""
        minutes = self.end - self.start
        bounds = (("1m", 120), ("15m", 1440), ("1h", 7 * 1440), ("1d", 90 * 1440))
        # The service's own bounds are not documented; that it chooses by the range is [Choreo].
        return next((name for name, most in bounds if minutes <= most), "7d")

    def bucket(self, minute: int, length: int) -> int:
        """Start of the bucket that a minute lies in, by the clock of the zone."""
        # Buckets follow the zone of the filter [Choreo].
        shift = int(self.zone.utcoffset(None).total_seconds()) // 60
        shift += _WEEK_SHIFT if length == GRANULARITIES["7d"] else 0
        return (minute + shift) // length * length - shift

    def text(self, minute: int) -> str:
        """A minute as answers give it, with seven fraction digits."""
        return _text(minute, self.zone)


@lru_cache(maxsize=8192)
def _text(minute: int, zone: timezone) -> str:
    local = (_EPOCH + timedelta(minutes=minute)).astimezone(zone)
    # Seven fraction digits [Choreo].
    offset = "Z" if zone == UTC else local.strftime("%z")[:3] + ":" + local.strftime("%z")[3:]
    return f"{local:%Y-%m-%dT%H:%M:%S}.0000000{offset}"


def tenant_of(environment: SandboxEnvironment, number: int) -> str:
    """The tenant of a stream, where each tenant has traffic: each in its turn."""
    return environment.tenants[number % len(environment.tenants)]


@dataclass(frozen=True)
class TrafficSource:
    """An environment, and those of its ids that the filter names."""

    environment: SandboxEnvironment
    ids: frozenset[str]
    # None is all of them.
    tenant: str | None = None
    project: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the filter names all ids."""
        return len(self.ids) == len(self.environment.ids)

    def has(self, number: int) -> bool:
        """Whether the stream (or the API's alert) of a number is the tenant's."""
        return self.tenant in (None, tenant_of(self.environment, number))


def _named(args: Args) -> frozenset[str]:
    """The ids of APIs that stand anywhere in the arguments."""
    ids: set[str] = set()
    for name, value in args.items():
        if name == "apiId" and value:
            ids.add(value)
        elif name == "apiIds":
            ids.update(i for i in value or () if i)
        elif isinstance(value, dict):
            ids |= _named(value)
    return frozenset(ids)


@dataclass(frozen=True)
class QueryContext:
    """The caller, and all that the answer depends on beside the arguments."""

    world: World
    traffic: Traffic
    settings: SandboxSettings
    now: datetime
    organization: Organization
    # Set where an on-prem key was given in place of a token.
    on_prem: SandboxEnvironment | None = None
    pages: Pages = field(default_factory=Pages)
    groups: Groups = field(default_factory=Groups)
    lapses: tuple[Lapse, ...] = ()

    def by(self, name: str, args: Args) -> "QueryContext":
        """The same for one query field, over the traffic that it gives at present.

        Raises QueryError where an API is named that the service does not know any more.
        """
        lapses = tuple(each for each in self.lapses if each.field in (None, name))
        traffic = thinned(self.traffic, lapses) if lapses else self.traffic
        if (days := self.settings.retained(name)) is not None:
            traffic = since(traffic, int(self.now.timestamp()) // 3600 - 24 * days)
        if self._leaves_out(name, args):
            traffic = external(traffic)
        gone = self._deleted(args) if self.settings.deleted_apis != "answered" else frozenset()
        if gone:
            if self.settings.deleted_apis == "refused":
                raise QueryError("API not found")
            traffic = without(traffic, gone)
        return replace(self, lapses=lapses, traffic=traffic)

    def _leaves_out(self, name: str, args: Args) -> bool:
        """Whether an answer leaves internal traffic out, as its filter does not name it."""
        if self.settings.traffic_type != "external" or name not in _BY_TRAFFIC_TYPE:
            return False
        filters = (value for value in args.values() if isinstance(value, dict))
        return all(each.get("trafficType") != "ALL" for each in filters)

    def _deleted(self, args: Args) -> frozenset[str]:
        """The APIs among the arguments that were deleted in the environments that are named."""
        named = _named(args)
        if not named:
            return named
        places = [source.environment for source in self.sources(args)]
        return frozenset(
            api.id
            for place in places
            for api in place.apis
            if api.id in named and api.until and api.deleted
        )

    @property
    def world_seen(self) -> Hashable:
        """What answers depend on beside the arguments, the settings and the time."""
        return self.world.changes, self.lapses

    def sources(self, args: Args) -> list[TrafficSource]:
        """The environments that a `dataFilter` names. Raises QueryError."""
        data = args["dataFilter"]
        self.check_organization(data["orgId"])
        # The service refuses both together [Choreo].
        if self.on_prem and data.get("projectId"):
            raise QueryError("projectId must not be given together with an on-prem key")
        ids = data.get("environmentIds") or []
        project = data.get("projectId")
        sources = [
            replace(source, project=project)
            for source in self.of_ids([data.get("environmentId"), *ids])
        ]
        tenants = {t for e in self.organization.environments for t in e.tenants}
        if data["tenant"] not in tenants:
            raise QueryError(f"Invalid tenant: {data['tenant']}")
        if self.settings.tenants_have_traffic:
            mine = [source for source in sources if data["tenant"] in source.environment.tenants]
            return [replace(source, tenant=data["tenant"]) for source in mine]
        if data["tenant"] != "carbon.super":
            # Another tenant is known, but has no traffic: `carbon.super` has all of it.
            return [TrafficSource(source.environment, frozenset()) for source in sources]
        return sources

    def check_organization(self, uuid: str) -> None:
        """Raises QueryError where the token is not for this organisation."""
        if uuid != self.organization.uuid:
            raise QueryError(f"Not authorized to access the organization {uuid}")

    def of_ids(self, named: Iterable[str | None]) -> list[TrafficSource]:
        """The environments of these ids; unknown ids hold nothing. Raises QueryError for none."""
        wanted = {i for i in named if i}
        if not wanted:
            raise QueryError("Either environmentId or environmentIds must be given")
        sources = []
        for environment in (*self.organization.environments, *self.organization.deleted):
            if self.on_prem not in (None, environment):
                continue
            ids = wanted.intersection(environment.ids)
            if ids:
                sources.append(TrafficSource(environment, frozenset(ids)))
        return sources

    def ids(self, named: Sequence[str | None] | None) -> frozenset[str] | None:
        """A list of ids in a filter (None where it is left out or empty). Raises QueryError."""
        if named and len(named) > self.settings.ids_max:
            raise QueryError(f"A maximum of {self.settings.ids_max} ids is allowed in a filter")
        return frozenset(i for i in named if i) if named else None

    def granularity(self, name: str | None, span: TimeSpan) -> str:
        """The granularity to answer with. Raises BadRequestError for one that is none."""
        if name is None:
            return span.default_granularity()
        if name not in GRANULARITIES:
            by_gateway = self.settings.granularity_error == "gateway"
            kind = BadRequestError if by_gateway else QueryError
            raise kind(f"granularity {name} is none of {', '.join(GRANULARITIES)}")
        return name

    def series(
        self, sources: list[TrafficSource], span: TimeSpan, granularity: str, pick: "Pick"
    ) -> dict[int, list[Cell]]:
        """Cells by the start of their bucket, in order."""
        length = GRANULARITIES[granularity]
        end = self._end(span, length)
        buckets: dict[int, list[Cell]] = {}
        if self.settings.zero_buckets:
            first = span.bucket(span.start, length)
            buckets = {start: [] for start in range(first, end, length)}
        for hour in range(span.start // 60, -(-end // 60)):
            cells = self._hour(sources, hour, pick)
            if not cells:
                continue
            start, stop = max(span.start, hour * 60), min(end, hour * 60 + 60)
            while start < stop:
                bucket = span.bucket(start, length)
                following = min(stop, bucket + length)
                parts = _parts(cells, start - hour * 60, following - hour * 60)
                if parts:
                    buckets.setdefault(bucket, []).extend(parts)
                start = following
        return buckets

    def _end(self, span: TimeSpan, length: int) -> int:
        if self.settings.to_inclusive and span.bucket(span.end, length) == span.end > span.start:
            return span.end + length
        return span.end

    def state(self, span: TimeSpan, granularity: str) -> Hashable:
        """All that `series` depends on beside its arguments: the settings, and what has arrived."""
        # Rounded up: the last hour counts, however little of it lies in the range.
        end = -(-self._end(span, GRANULARITIES[granularity]) // 60)
        # Nothing comes any more when the last hour's late events are there.
        complete = 3600 * (end + self.settings.late_hours)
        return self.world_seen, astuple(self.settings), min(int(self.now.timestamp()), complete)

    def cells(self, sources: list[TrafficSource], span: TimeSpan, pick: "Pick") -> list[Cell]:
        """All cells of a range, parts of hours included."""
        cells: list[Cell] = []
        for hour in range(span.start // 60, -(-span.end // 60)):
            start, stop = max(span.start - hour * 60, 0), min(span.end - hour * 60, 60)
            cells += _parts(self._hour(sources, hour, pick), start, stop)
        return cells

    def shown(self, api: Api, minute: int) -> str:
        """How answers name an API of which the data begin at this minute."""
        return shown(self.settings, api, minute)

    def _hour(self, sources: list[TrafficSource], hour: int, pick: "Pick") -> list[Cell]:
        cells: list[Cell] = []
        for source, (key, start, stop) in product(sources, _shares(self.settings, pick, hour)):
            environment, ids = source.environment, source.ids
            streams = None if pick.apis is None else streams_of(environment, pick.apis, key)
            late = self.settings.late_hours
            arrived = self.traffic.hour(environment, hour, self.now, late, streams)
            if not source.complete:
                arrived = [c for c in arrived if id_of(environment, c.stream.index, hour) in ids]
            if source.project is not None:
                arrived = [c for c in arrived if c.stream.api.project == source.project]
            if source.tenant is not None:
                arrived = [c for c in arrived if source.has(c.stream.index)]
            cells += _parts(arrived, start, stop)
        if pick.apps is not None:
            cells = [cell for cell in cells if cell.stream.application.id in pick.apps]
        return cells

    def alerts(self, sources: list[TrafficSource], span: TimeSpan) -> list[Alert]:
        """The alerts of a range that are still kept."""
        return [
            in_index(self.settings, source.environment, alert)
            for source in sources
            for held, alert in self.traffic.alerts(
                source.environment, span.start, span.end, self.now
            )
            if held in source.ids and source.tenant in (None, source.environment.tenants[0])
        ]


# What an index may key APIs by; `any` is whatever it has, and what a single id is compared with.
Key = Literal["any", "shown", "id", "name", "both"]


@dataclass(frozen=True)
class Pick:
    """Some APIs (by the keys of the index) and applications; None is all.

    `one` is an argument of a single id, which matches whatever the index is keyed by. `key` are
    entries of one kind, where the index has several.
    """

    apis: frozenset[str] | None = None
    apps: frozenset[str] | None = None
    one: bool = False
    key: Key = "any"


ALL = Pick()


def one_api(own_id: str | None) -> Pick:
    """A single API where the argument names one."""
    return Pick(frozenset((own_id,)), one=True) if own_id else ALL


def keys_of(settings: SandboxSettings) -> tuple[Key, ...]:
    """The kinds of keys that the index has."""
    if settings.api_index in ("both", "switched"):
        return ("name", "id")
    return ("any",)


def _shares(settings: SandboxSettings, pick: Pick, hour: int) -> list[tuple[Key, int, int]]:
    """The parts of an hour, in minutes, by what the index keys their data by."""
    index = settings.api_index
    if pick.one or (pick.apis is None and pick.key == "any"):
        return [("any", 0, 60)]
    if index == "mixed":
        return [("shown", 0, 60)]
    if index == "both":
        return [("both" if pick.key == "any" else pick.key, 0, 60)]
    if index != "switched":
        return [(index, 0, 60)]
    switch = min(max(settings.index_switch - hour * 60, 0), 60)
    parts: list[tuple[Key, int, int]] = [("name", 0, switch), ("id", switch, 60)]
    return [part for part in parts if part[1] < part[2] and pick.key in ("any", part[0])]


def shown(settings: SandboxSettings, api: Api, minute: int) -> str:
    """How answers name an API of which the data begin at this minute since 1970."""
    index = settings.api_index
    if index == "mixed":
        return api.shown
    is_named = index == "name" or (index == "switched" and minute < settings.index_switch)
    return api.named if is_named else api.id


def in_index(settings: SandboxSettings, environment: SandboxEnvironment, alert: Alert) -> Alert:
    """An alert with the name that the index has for its API."""
    names = {api.shown: shown(settings, api, alert.minute) for api in environment.apis}
    return alert._replace(api=names[alert.api])


@lru_cache(maxsize=2048)
def streams_of(
    environment: SandboxEnvironment, apis: frozenset[str], key: Key = "any"
) -> tuple[Stream, ...]:
    """The streams of some APIs, which are given by keys of this kind."""
    return tuple(s for s in environment.streams if not apis.isdisjoint(_keys(s.api, key)))


def _keys(api: Api, key: Key) -> tuple[str, ...]:
    if key == "id":
        return (api.id,)
    if key == "name":
        return (api.named,)
    return (api.id, api.shown) if key == "shown" else (api.id, api.shown, api.named)


def _parts(cells: Sequence[Cell], start: int, stop: int) -> Sequence[Cell]:
    if (start, stop) == (0, 60):
        return cells
    parts = (cell.part(start, stop, 60) for cell in cells)
    return [part for part in parts if part.total]


def span_of(time_filter: Args | None, now: datetime) -> TimeSpan:
    """A `TimeFilter`; left out, the last day. Raises QueryError."""
    if time_filter is None:
        end = int(now.timestamp()) // 60
        return TimeSpan(end - 1440, end, UTC)
    start, end_ = _moment(time_filter["from"]), _moment(time_filter["to"])
    if end_ < start:
        raise QueryError("Invalid time range: from is after to")
    offset = start.utcoffset() or timedelta()
    return TimeSpan(
        int(start.timestamp()) // 60,
        int(end_.timestamp()) // 60,
        timezone(offset) if offset else UTC,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise QueryError(f"Invalid time: {text}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
