"""How the service behaves where no public source says so, from a few requests.

A record holds no names, ids, figures or tokens: its keys are settings of the sandbox, which behaves
as recorded with `python -m dev.sandbox --like FILE`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec

from choreo_insights.dataset.partitions import Environment
from choreo_insights.export.insights_api import time_filter
from choreo_insights.replies import parse_object
from choreo_insights_cli.commands.doctor.findings import Finding
from choreo_insights_cli.commands.doctor.live import Live

# The most requests for one organisation, and the days, environments and APIs that are looked at.
MOST_REQUESTS = 12
_DAYS = 7
_ENVIRONMENTS = 10
_LISTED = 20
_APIS = 8
_APIS_A_REQUEST = 4
_TRAFFIC = "getTotalTraffic(filter: $time, dataFilter: {data})"
_BY_API = "getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: {id})"
_USAGE = (
    "getAPIUsageOverTime(timeFilter: $time, dataFilter: $data, apiUsageOvertimeFilter:"
    ' {{ apiIds: {ids}, granularity: "1h" }}) {{ apiId usage {{ timeSpan count }} }}'
)
_HOURS = (
    'getSuccessSummary(filter: $time, dataFilter: $data, granularity: "1h")'
    " { summary { timeSpan requestCount } }"
)
_PAGE = (
    "getResourceUsage(timeFilter: $time, dataFilter: $data{filter}) {{ pagination {{ limit }} }}"
)
_LARGE = ", resourceUsageFilter: { paginationFilter: { limit: 1000, offset: 0 } }"

Index = Literal["mixed", "id", "name", "both", "switched"]
_Kind = Literal["id", "name", "both", "named", "switched"]


class Behaviour(msgspec.Struct, frozen=True):
    """What was found out, by the sandbox's settings; None is what could not be seen."""

    api_index: Index | None = None
    aggregate_with_ids: bool | None = None
    usage_as_object: bool | None = None
    foreign_entries: Literal["none", "by_name", "always"] | None = None
    zero_buckets: bool | None = None
    to_inclusive: bool | None = None
    page_limit_default: int | None = None
    page_limit_max: int | None = None
    newer_fields: bool | None = None
    introspection: bool | None = None

    def as_settings(self) -> dict[str, Any]:
        """The settings of a sandbox that behaves alike."""
        found = msgspec.structs.asdict(self)
        return {name: value for name, value in found.items() if value is not None}

    def findings(self) -> Iterator[Finding]:
        """Each behaviour in words, and what it means."""
        for name, value in msgspec.structs.asdict(self).items():
            if value is None:
                yield Finding(name, "skipped", "there is too little traffic to see it")
            else:
                shown = json.dumps(value).strip('"')
                yield Finding(name, "ok", f"{shown}: {_meaning(name, value)}")


_INDEX = {
    "mixed": "usage is kept by id for some APIs and by `name - version` for others",
    "id": "usage is kept by the API's id",
    "name": "usage is kept by `name - version`: what several APIs share cannot be told apart",
    "both": "usage is kept by id and by `name - version`",
    "switched": "usage was kept by `name - version`, and is kept by id now",
}
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "aggregate_with_ids": ("usage has the name of its API", "usage comes without an id"),
    "usage_as_object": ("usage comes as a list", "usage comes as one object"),
    "zero_buckets": ("hours without traffic are left out", "hours without traffic are 0"),
    "to_inclusive": ("`to` is not part of the time", "the bucket at `to` comes too: it is dropped"),
    "newer_fields": ("there are no display names", "`apis` has display names"),
    "introspection": ("the schema cannot be read", "the schema can be read"),
}
_FOREIGN = {
    "none": "a filter brings its own API alone",
    "by_name": "a filter by names brings other APIs too: those are queried by id as well",
    "always": "a filter brings other APIs too: such days fail",
}


def _meaning(name: str, value: Any) -> str:
    if name == "api_index":
        return _INDEX[value]
    if name == "foreign_entries":
        return _FOREIGN[value]
    if name in _MEANINGS:
        return _MEANINGS[name][bool(value)]
    return "rows of a page" + (" unless it asks for more" if name == "page_limit_default" else "")


class _Api(msgspec.Struct, frozen=True):
    id: str
    name: str
    version: str

    @property
    def text(self) -> str:
        return f"{self.name} - {self.version}"


class _Usage(msgspec.Struct, frozen=True):
    """An answer about one API: its entries by name, each with its counts by hour."""

    entries: Sequence[tuple[str | None, Mapping[str, int]]]
    is_object: bool

    @classmethod
    def of(cls, value: Any) -> "_Usage":
        items = value if isinstance(value, list) else [value] if value else []
        entries = [
            (item["apiId"], {row["timeSpan"]: row["count"] for row in item["usage"] or ()})
            for item in items
        ]
        return cls(entries, isinstance(value, dict))

    def counts(self, api: _Api) -> dict[str, int]:
        """The hours with requests, without the entries of other APIs."""
        found: dict[str, int] = {}
        for name, hours in self.entries:
            if name in (None, api.id, api.text, api.name):
                found |= {hour: count for hour, count in hours.items() if count}
        return found

    def names(self, api: _Api) -> set[str | None]:
        """The names of entries with rows: `other` for those of other APIs."""
        own = (None, api.id, api.text, api.name)
        return {name if name in own else "other" for name, hours in self.entries if any(hours)}


class Examiner:
    """Examines one organisation, within `MOST_REQUESTS` requests."""

    def __init__(self, live: Live, tenant: str, today: date) -> None:
        self._live = live
        self._tenant = tenant
        self._today = today
        self._requests = 0

    def examine(self, environments: Sequence[Environment], *, introspection: bool) -> Behaviour:
        """What the busiest environment shows. Raises InsightsError where no reply comes."""
        behaviour = Behaviour(introspection=introspection)
        environment = self._busiest(environments)
        if environment is None:
            return behaviour
        first = self._today - timedelta(days=_DAYS)
        last = self._today - timedelta(days=1)
        data = {"data": self._data(environment), "time": time_filter(first, last)}
        listed = self._ask({"it": "listAllAPI(dataFilter: $data) { id name version }"}, data)
        newer = self._ask({"it": "listAllAPI(dataFilter: $data) { displayName }"}, data)
        apis = [_Api(**each) for each in listed.get("it") or ()]
        found = {"newer_fields": "it" in newer} | self._pages(data) | self._usage(apis, data)
        return msgspec.structs.replace(behaviour, **found, to_inclusive=self._inclusive(data))

    def _data(self, environment: Environment) -> dict[str, Any]:
        ids = list(environment.ids)
        return {"orgId": self._live.org_id, "environmentIds": ids, "tenant": self._tenant}

    def _ask(self, fields: Mapping[str, str], variables: Mapping[str, Any]) -> dict[str, Any]:
        """The answers by alias; those that failed are left out."""
        if self._requests >= MOST_REQUESTS or not fields:
            return {}
        self._requests += 1
        used = {name: value for name, value in variables.items() if f"${name}" in str(fields)}
        kinds = ", ".join(
            f"${name}: {'TimeFilter!' if name == 'time' else 'DataFilter!'}" for name in used
        )
        body = " ".join(f"{alias}: {field}" for alias, field in fields.items())
        reply = self._live.post(f"query ({kinds}) {{ {body} }}", used)
        data = parse_object(reply.body).get("data")
        found = data if reply.status == 200 and isinstance(data, dict) else {}
        return {alias: value for alias, value in found.items() if value is not None}

    def _busiest(self, environments: Sequence[Environment]) -> Environment | None:
        places = list(environments)[:_ENVIRONMENTS]
        first, last = self._today - timedelta(days=_DAYS), self._today - timedelta(days=1)
        data = {f"d{i}": self._data(each) for i, each in enumerate(places)}
        fields = {f"e{i}": _TRAFFIC.format(data=f"$d{i}") for i in range(len(places))}
        totals = self._ask(fields, {**data, "time": time_filter(first, last)})
        busiest = max(totals, key=lambda alias: totals[alias], default=None)
        return places[int(busiest[1:])] if busiest and totals[busiest] else None

    def _pages(self, data: Mapping[str, Any]) -> dict[str, Any]:
        fields = {"usual": _PAGE.format(filter=""), "large": _PAGE.format(filter=_LARGE)}
        limits = {
            alias: answer["pagination"]["limit"]
            for alias, answer in self._ask(fields, data).items()
        }
        return {"page_limit_default": limits.get("usual"), "page_limit_max": limits.get("large")}

    def _inclusive(self, data: Mapping[str, Any]) -> bool | None:
        """Whether the bucket at `to` comes, by an hour that has traffic, as has the next one."""
        summary = self._ask({"it": _HOURS}, data).get("it") or {}
        hours = {
            datetime.fromisoformat(row["timeSpan"]).astimezone(UTC)
            for row in summary.get("summary") or ()
            if row["requestCount"]
        }
        start = next((h for h in sorted(hours) if h + timedelta(hours=1) in hours), None)
        if start is None:
            return None
        ends = (start, start + timedelta(hours=1))
        time = {
            name: f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
            for name, moment in zip(("from", "to"), ends, strict=True)
        }
        answer = self._ask({"it": _HOURS}, {**data, "time": time}).get("it") or {}
        return len(answer.get("summary") or ()) > 1 if "summary" in answer else None

    # Usage

    def _usage(self, apis: Sequence[_Api], data: Mapping[str, Any]) -> dict[str, Any]:
        """What is found of the busiest APIs that share no name."""
        texts = [api.text for api in apis]
        alone = [api for api in apis if texts.count(api.text) == 1][:_LISTED]
        fields = {f"a{i}": _BY_API.format(id=json.dumps(a.id)) for i, a in enumerate(alone)}
        totals = self._ask(fields, data)
        busy = sorted((a for a in totals if totals[a]), key=lambda a: -totals[a])[:_APIS]
        looks: list[tuple[_Api, _Usage, _Usage, _Usage]] = []
        for begin in range(0, len(busy), _APIS_A_REQUEST):
            part = [alone[int(alias[1:])] for alias in busy[begin : begin + _APIS_A_REQUEST]]
            looks += self._looks(part, data)
        return _from_usage(looks)

    def _looks(
        self, apis: Sequence[_Api], data: Mapping[str, Any]
    ) -> Iterator[tuple[_Api, _Usage, _Usage, _Usage]]:
        """Usage of each API by its id, by its text, and by both."""
        fields = {}
        for i, api in enumerate(apis):
            for kind, ids in (("i", [api.id]), ("n", [api.text]), ("b", [api.id, api.text])):
                fields[f"{kind}{i}"] = _USAGE.format(ids=json.dumps(ids))
        answers = self._ask(fields, data)
        for i, api in enumerate(apis):
            found = [answers.get(f"{kind}{i}") for kind in "inb"]
            if all(each is not None for each in found):
                by_id, by_text, by_both = map(_Usage.of, found)
                yield api, by_id, by_text, by_both


def _from_usage(looks: Sequence[tuple[_Api, _Usage, _Usage, _Usage]]) -> dict[str, Any]:
    """What usage tells of the service."""
    seen = [look for look in looks if look[3].counts(look[0])]
    if not seen:
        return {}
    alone = any("other" in by_id.names(api) for api, by_id, _, _ in seen)
    beside = any("other" in by_both.names(api) for api, _, _, by_both in seen)
    rows = [
        count
        for api, _, _, by_both in seen
        for name, hours in by_both.entries
        if name in (None, api.id, api.text)
        for count in hours.values()
    ]
    lengths = [len(hours) for _, _, _, by_both in seen for _, hours in by_both.entries if hours]
    return {
        "api_index": _index(seen),
        "aggregate_with_ids": any(None in both.names(api) for api, _, _, both in seen),
        "usage_as_object": any(both.is_object for _, _, _, both in seen),
        "foreign_entries": "always" if alone else "by_name" if beside else "none",
        "zero_buckets": True if 0 in rows else False if min(lengths) < 24 * _DAYS else None,
    }


def _index(seen: Sequence[tuple[_Api, _Usage, _Usage, _Usage]]) -> Index | None:
    kinds: set[_Kind] = {_kind(*look) for look in seen}
    if "switched" in kinds:
        return "switched"
    # Where sums come, no entry has a name: that only their ids find others tells them apart.
    if "named" in kinds or kinds == {"id", "both"}:
        return "mixed"
    kind = kinds.pop()
    return None if kinds or kind == "named" else kind


def _kind(api: _Api, by_id: _Usage, by_text: _Usage, _by_both: _Usage) -> _Kind:
    """What the index has for one API; `named` if its id finds what is kept by its name."""
    ids, texts = by_id.counts(api), by_text.counts(api)
    if not texts:
        return "id"
    if not ids:
        return "name"
    if len(ids.keys() & texts.keys()) <= 1:
        return "switched"
    return "named" if api.text in by_id.names(api) else "both"
