"""What the facts leave open, and what an operator of the sandbox may turn."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal, get_args

DeletedApis = Literal["answered", "empty", "refused"]
ErrorShape = Literal["error_message", "code", "fault"]
ApiIndex = Literal["mixed", "id", "name", "both", "switched"]
ForeignEntries = Literal["none", "by_name", "always"]
TrafficType = Literal["unknown", "same", "external"]
GranularityError = Literal["gateway", "graphql"]
ERROR_SHAPES = get_args(ErrorShape)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "deleted_apis": get_args(DeletedApis),
    "error_shape": ERROR_SHAPES,
    "api_index": get_args(ApiIndex),
    "foreign_entries": get_args(ForeignEntries),
    "traffic_type": get_args(TrafficType),
    "granularity_error": get_args(GranularityError),
}
_OPTIONAL_NUMBERS = ("rate_limit", "root_fields_max")


@dataclass
class SandboxSettings:
    """Switches of a running sandbox. Each request works on the values it started with."""

    # "A new token kills the old one" of the same key, scope and organisation.
    one_token: bool = True
    # A revoked JWT may go on working at the gateway until it expires.
    revoked_tokens_work: bool = False
    # Choreo's default, set per application [Choreo].
    token_lifetime: int = 900
    # Characters of an access token; 0 is the natural size of about 700.
    token_size: int = 0
    scope: str = "apim:api_manage"
    error_shape: ErrorShape = "code"
    # A limit of 5 is documented, the largest one unknown: clients send 20 [Choreo].
    page_limit_default: int = 5
    page_limit_max: int = 20
    # Lists of ids take at most five [Choreo].
    ids_max: int = 5
    zero_buckets: bool = False
    to_inclusive: bool = False
    # getAPIUsageOverTime without ids: one series without an id, or one for each API.
    aggregate_without_ids: bool = False
    # What the index keys APIs by: some by id and some by `name - version`; all by id; all by
    # `name - version`; by both at once; by `name - version` until `index_switched_at`, then by id.
    # Lists of API ids in filters match its keys alone, arguments of one id match always.
    api_index: ApiIndex = "mixed"
    # None is half past twelve of the day before (UTC).
    index_switched_at: datetime | None = None
    # getAPIUsageOverTime with ids: one series without an id, the sum over all that matches.
    aggregate_with_ids: bool = False
    # getAPIUsageOverTime answers with one object in place of a list.
    usage_as_object: bool = False
    # Whether a filter also brings an entry of another API: if it has several names, or always.
    foreign_entries: ForeignEntries = "none"
    introspection: bool = True
    # How an API is answered for that was deleted: as ever, as if it had no traffic, or not at all.
    deleted_apis: DeletedApis = "answered"
    # Environment.region and API.displayName, seen in clients of 2026 only.
    newer_fields: bool = False
    # The newer filter field trafficType: whether the service knows it, and whether usage without it
    # leaves a part of the traffic out.
    traffic_type: TrafficType = "unknown"
    # The newer filter field apiIdVersionPairs, which changes no answer here.
    api_id_version_pairs: bool = False
    # Whether getTotalTrafficByAPI counts what getAPIUsageOverTime does; else successes alone.
    totals_equal_usage: bool = True
    # Whether the application is subscribed to the API, and whether query fields may have aliases.
    subscribed: bool = True
    aliases: bool = True
    # Query fields of one request before it is too complex; None: unlimited.
    root_fields_max: int | None = None
    # Who refuses a wrong granularity: the gateway with 400, or GraphQL in a reply with 200.
    granularity_error: GranularityError = "gateway"
    # Whether errors of GraphQL say where in the document they are.
    error_locations: bool = True
    # Whether throttling is a GraphQL error in a reply with 200.
    throttled_in_200: bool = False
    # Whether each environment lists another API of the name and version of its first one. It is
    # deployed when the sandbox starts.
    shared_names: bool = False
    # Whether each listed tenant has a part of the traffic; else carbon.super has all of it.
    tenants_have_traffic: bool = False
    # Days for which query fields keep what they answer with, by field; `*` is every other one. What
    # is not named is kept for ever.
    retention: tuple[tuple[str, int], ...] = ()
    # A part of the events of an hour arrives up to so many hours late; 0 is never late.
    late_hours: int = 20
    # Frozen time; None uses the real clock.
    now: datetime | None = None
    # Queries a minute before 429; None: unlimited.
    rate_limit: int | None = None

    def retained(self, field: str) -> int | None:
        """The days for which a query field keeps what it answers with; None is for ever."""
        retention = dict(self.retention)
        return retention.get(field, retention.get("*"))

    def clock(self) -> datetime:
        """The instant that the data is seen at, with its zone."""
        return self.now or datetime.now(UTC)

    @property
    def index_switch(self) -> int:
        """The minute since 1970 from which the index keys APIs by id, if it is one that changes."""
        moment = self.index_switched_at
        if moment is None:
            noon = datetime.combine(self.clock().date(), time(12, 30), UTC)
            moment = noon - timedelta(days=1)
        return int(moment.timestamp()) // 60

    def update(self, values: dict[str, Any]) -> None:
        """Sets several by name. Raises ValueError for an unknown name or a wrong type."""
        known = {field.name for field in fields(self)}
        for name, value in values.items():
            if name not in known:
                msg = f"unknown setting {name!r}. The settings are: {', '.join(sorted(known))}"
                raise ValueError(msg)
            setattr(self, name, self._checked(name, value))

    def _checked(self, name: str, value: Any) -> Any:
        if name in ("now", "index_switched_at"):
            return None if value is None else _instant(value)
        if name in _OPTIONAL_NUMBERS and value is None:
            return None
        if name == "retention":
            return _retention(value)
        if (values := _CHOICES.get(name)) and value not in values:
            raise ValueError(f"{name} {value!r} is none of {', '.join(values)}")
        expected = int if name in _OPTIONAL_NUMBERS else type(getattr(self, name))
        # Not isinstance: a bool is an int in Python.
        if type(value) is not expected:
            raise ValueError(f"{name} takes {expected.__name__}, not {value!r}")
        return value

    def as_dict(self) -> dict[str, Any]:
        """All values, fit for JSON."""
        instants = {name: getattr(self, name) for name in ("now", "index_switched_at")}
        values = {name: moment.isoformat() if moment else None for name, moment in instants.items()}
        return asdict(self) | values | {"retention": dict(self.retention)}


def _retention(value: Any) -> tuple[tuple[str, int], ...]:
    pairs = value.items() if isinstance(value, Mapping) else value
    retention = tuple(sorted((str(name), days) for name, days in pairs))
    if wrong := [name for name, days in retention if type(days) is not int or days < 0]:
        raise ValueError(f"retention of {wrong[0]} takes whole days")
    return retention


def _instant(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
