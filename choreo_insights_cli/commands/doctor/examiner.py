"""Finds out how the service behaves, from a bounded number of requests."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from choreo_insights.dataset.partitions import Environment
from choreo_insights.errors import InsightsError, Retriable
from choreo_insights.export.decode import Answer
from choreo_insights.export.insights_api import means_throttled, time_filter
from choreo_insights.export.queries import Query
from choreo_insights.replies import Reply, parse_object
from choreo_insights_cli.commands.doctor.behaviour import MOST_ROOTS, Behaviour
from choreo_insights_cli.commands.doctor.documents import Document
from choreo_insights_cli.commands.doctor.live import Live
from choreo_insights_cli.commands.doctor.retention import Retention, probed_tables
from choreo_insights_cli.commands.doctor.usage import ApiUsage, Look, ProbedApi, from_usage

# The most requests for one organisation, and the days, environments and APIs that are looked at.
MOST_REQUESTS = 80
_DAYS = 7
_ENVIRONMENTS = 10
_LISTED = 20
_APIS = 8
_APIS_A_REQUEST = 4
# Hours in which data that still arrive are looked for, and query fields of a request about days.
_LATE_DAYS = 4
_BATCH = 20
_KINDS = {"time": "TimeFilter!", "filter": "APIUsageOverTimeFilter"}
_TRAFFIC = "getTotalTraffic(filter: $time, dataFilter: {data})"
_BY_API = "getTotalTrafficByAPI(filter: $time, dataFilter: $data, apiId: {id})"
_SERIES = "{ apiId usage { timeSpan count } }"
_FILTERED = (
    f"getAPIUsageOverTime(timeFilter: $time, dataFilter: $data, apiUsageOvertimeFilter: $filter)"
    f" {_SERIES}"
)
_USAGE = (
    "getAPIUsageOverTime(timeFilter: $time, dataFilter: $data, apiUsageOvertimeFilter:"
    ' {{ apiIds: {ids}, granularity: "1h" }}) {{ apiId usage {{ timeSpan count }} }}'
)
_HOURS = (
    'getSuccessSummary(filter: $time, dataFilter: $data, granularity: "{}")'
    " {{ summary {{ timeSpan requestCount }} }}"
)
_PAGE = (
    "getResourceUsage(timeFilter: $time, dataFilter: $data{filter}) {{ pagination {{ limit }} }}"
)
_LARGE = ", resourceUsageFilter: { paginationFilter: { limit: 1000, offset: 0 } }"
# Keys of an error of the gateway, by its shape.
_SHAPES = {"fault": "fault", "error_message": "error_message", "message": "code"}
NOT_SUBSCRIBED = "900908"


class Examiner:
    """Examines one organisation, within `MOST_REQUESTS` requests.

    `pause` lies between two looks at the newest hours; without it late data are not looked for.
    """

    def __init__(
        self,
        live: Live,
        tenant: str,
        documents: Sequence[Document],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[], None] | None = None,
    ) -> None:
        self._live = live
        self._tenant = tenant
        self._documents = documents
        self._now = now
        self._pause = pause
        self._today = now().date()
        self._most_roots = MOST_ROOTS
        self.requests = 0

    def examine(self, environments: Sequence[Environment], *, introspection: bool) -> Behaviour:
        """What the busiest environment shows. Raises InsightsError where no reply comes."""
        found: dict[str, Any] = {"subscribed": True, "introspection": introspection}
        self._time = time_filter(*(self._today - timedelta(days=n) for n in (_DAYS, 1)))
        if environments:
            found |= self._form(environments[0])
        environment = self._busiest(environments) if found.get("aliases") else None
        if environment is not None:
            self._look_at(environment, found)
        return Behaviour(**found, throttled_in_200=self._live.throttled_in_200)

    def _look_at(self, environment: Environment, found: dict[str, Any]) -> None:
        data = {"data": self._data(environment), "time": self._time}
        looked_at, before = self._now(), self._hours(data) if self._pause else {}
        apis = [
            ProbedApi(**each)
            for each in self._ask({"it": "listAllAPI(dataFilter: $data) { id name version }"}, data)
            .get("it", ())
        ]  # fmt: skip
        if apis:
            found["shared_names"] = len({api.text for api in apis}) < len(apis)
        newer = self._ask({"it": "listAllAPI(dataFilter: $data) { displayName }"}, data)
        found |= {"newer_fields": "it" in newer} | self._pages(data) | self._to_inclusive(data)
        looks = self._looks_at(apis, data)
        found |= from_usage(looks, 24 * _DAYS)
        seen = [look for look in looks if look.by_both.counts(look.api)]
        if seen:
            found |= self._filters(seen[0].api, data)
            found["retention"] = self._retention(environment, seen[0].api, data) or None
        if self._pause:
            self._pause()
            found["late_hours"] = _lateness(before, self._hours(data), looked_at)

    # ---------------------------------------------------------------- Requests

    def _data(self, environment: Environment) -> dict[str, Any]:
        ids = list(environment.ids)
        return {"orgId": self._live.org_id, "environmentIds": ids, "tenant": self._tenant}

    def _ask(self, fields: Mapping[str, str], variables: Mapping[str, Any]) -> dict[str, Any]:
        """The answers by alias, in as many requests as it takes; those that failed are left out."""
        found: dict[str, Any] = {}
        aliases = list(fields)
        for start in range(0, len(aliases), self._most_roots):
            part = aliases[start : start + self._most_roots]
            body = " ".join(f"{alias}: {fields[alias]}" for alias in part)
            reply = self._send(body, variables)
            data = parse_object(reply.body).get("data") if reply and reply.status == 200 else None
            found |= data if isinstance(data, dict) else {}
        return {alias: value for alias, value in found.items() if value is not None}

    def _may_send(self) -> bool:
        """Counts a request, where the budget allows another one."""
        if self.requests >= MOST_REQUESTS:
            return False
        self.requests += 1
        return True

    def _send(self, body: str, variables: Mapping[str, Any]) -> Reply | None:
        """The reply to query fields; None where the budget is used up.

        Raises Retriable where it is throttled to the end: that says nothing about the query.
        """
        if not self._may_send():
            return None
        # There are ten environments at most, so no name is the beginning of another one.
        used = {n: v for n, v in variables.items() if f"${n}" in body}
        kinds = ", ".join(f"${name}: {_KINDS.get(name, 'DataFilter!')}" for name in used)
        reply = self._live.post(f"query ({kinds}) {{ {body} }}", used)
        if means_throttled(reply):
            raise Retriable(f"{self._live.says(reply)}: it throttles", status=429)
        return reply

    def _answers(self, queries: Sequence[Query]) -> list[Answer | InsightsError | None]:
        """The export's own queries; a request that fails is split until one is to blame."""
        found: list[Answer | InsightsError | None] = []
        size = min(_BATCH, self._most_roots)
        for start in range(0, len(queries), size):
            found += self._answered(queries[start : start + size])
        return found

    def _answered(self, queries: Sequence[Query]) -> Sequence[Answer | InsightsError | None]:
        if not self._may_send():
            return [None] * len(queries)
        try:
            return self._live.outcomes(queries)
        except InsightsError as error:
            if len(queries) == 1:
                return [error]
        half = len(queries) // 2
        return [*self._answered(queries[:half]), *self._answered(queries[half:])]

    # ---------------------------------------------------------------- What a request may be

    def _form(self, environment: Environment) -> dict[str, Any]:
        """Aliases, the number of query fields, and errors; over no time at all."""
        data = {"data": self._data(environment), "time": dict.fromkeys(_ENDS, self._time["from"])}
        field = _TRAFFIC.format(data="$data")
        found: dict[str, Any] = {"aliases": None}
        for body, means in (
            (f"a: {field} b: {field}", True),
            (f"a: {field}", True),
            (field, False),
        ):
            reply = self._send(body, data)
            if _is_answered(reply):
                found["aliases"] = means
                break
            if reply and reply.status >= 500:
                raise Retriable(self._live.says(reply), status=reply.status)
        if found["aliases"]:
            found["root_fields_max"] = self._most_roots = self._roots(field, data)
        return found | self._errors(data)

    def _roots(self, field: str, data: Mapping[str, Any]) -> int:
        """The most query fields that one request may have, as far as is looked."""

        def is_taken(count: int) -> bool:
            body = " ".join(f"r{number}: {field}" for number in range(count))
            return _is_answered(self._send(body, data))

        low, high = 1, MOST_ROOTS
        if is_taken(high):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if is_taken(middle) else (low, middle)
        return low

    def _errors(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The form of the errors for a wrong token and a wrong granularity."""
        found: dict[str, Any] = {}
        if self._may_send():
            found["error_shape"] = error_shape(self._live.refused())
        reply = self._send(_HOURS.format("1w"), data)
        if reply and reply.status == 400:
            found["granularity_error"] = "gateway"
        elif reply and reply.status == 200 and parse_object(reply.body).get("errors"):
            found["granularity_error"] = "graphql"
        return found

    # ---------------------------------------------------------------- Answers

    def _busiest(self, environments: Sequence[Environment]) -> Environment | None:
        places = list(environments)[:_ENVIRONMENTS]
        data = {f"d{i}": self._data(each) for i, each in enumerate(places)}
        fields = {f"e{i}": _TRAFFIC.format(data=f"$d{i}") for i in range(len(places))}
        totals = self._ask(fields, {**data, "time": self._time})
        busiest = max(totals, key=lambda alias: totals[alias], default=None)
        return places[int(busiest[1:])] if busiest and totals[busiest] else None

    def _pages(self, data: Mapping[str, Any]) -> dict[str, Any]:
        fields = {"usual": _PAGE.format(filter=""), "large": _PAGE.format(filter=_LARGE)}
        limits = {
            alias: answer["pagination"]["limit"]
            for alias, answer in self._ask(fields, data).items()
        }
        return {"page_limit_default": limits.get("usual"), "page_limit_max": limits.get("large")}

    def _hours(self, data: Mapping[str, Any]) -> dict[datetime, int]:
        """The successes of the newest hours."""
        time = time_filter(self._today - timedelta(days=_LATE_DAYS - 1), self._now().date())
        return _by_hour(self._ask({"it": _HOURS.format("1h")}, {**data, "time": time}))

    def _to_inclusive(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Whether the bucket at `to` comes, by an hour that has traffic, as has the next one."""
        hours = _by_hour(self._ask({"it": _HOURS.format("1h")}, data))
        self._busy_days = _busiest_days(hours)
        start = next((h for h in sorted(hours) if hours.get(h + timedelta(hours=1))), None)
        if start is None:
            return {}
        ends = (start, start + timedelta(hours=1))
        time = {n: f"{end:%Y-%m-%dT%H:%M:%S}.000Z" for n, end in zip(_ENDS, ends, strict=True)}
        answer = self._ask({"it": _HOURS.format("1h")}, {**data, "time": time}).get("it") or {}
        return {"to_inclusive": len(answer["summary"]) > 1} if answer.get("summary") else {}

    # ---------------------------------------------------------------- Usage

    def _looks_at(self, apis: Sequence[ProbedApi], data: Mapping[str, Any]) -> list[Look]:
        """The usage of the busiest APIs that share no name, the busiest first."""
        texts = [api.text for api in apis]
        alone = [api for api in apis if texts.count(api.text) == 1][:_LISTED]
        fields = {f"a{i}": _BY_API.format(id=json.dumps(a.id)) for i, a in enumerate(alone)}
        totals = self._ask(fields, data)
        busy = sorted((a for a in totals if totals[a]), key=lambda a: -totals[a])[:_APIS]
        looks: list[Look] = []
        for begin in range(0, len(busy), _APIS_A_REQUEST):
            part = [alone[int(alias[1:])] for alias in busy[begin : begin + _APIS_A_REQUEST]]
            looks += self._looks(part, data)
        return looks

    def _looks(self, apis: Sequence[ProbedApi], data: Mapping[str, Any]) -> Iterator[Look]:
        fields = {}
        for i, api in enumerate(apis):
            for kind, ids in (("i", [api.id]), ("n", [api.text]), ("b", api.names)):
                fields[f"{kind}{i}"] = _USAGE.format(ids=json.dumps(ids))
            fields[f"t{i}"] = _BY_API.format(id=json.dumps(api.id))
        answers = self._ask(fields, data)
        for i, api in enumerate(apis):
            found = [answers.get(f"{kind}{i}") for kind in "inb"]
            if all(each is not None for each in found):
                by_id, by_text, by_both = (ApiUsage.of(each, self._today) for each in found)
                yield Look(api, by_id, by_text, by_both, answers.get(f"t{i}"))

    def _filters(self, api: ProbedApi, data: Mapping[str, Any]) -> dict[str, Any]:
        """Which newer filter fields are known, and what they change.

        The filter is one variable, which takes a text and the value of an enum alike.
        """
        filter_ = {"apiIds": api.names, "granularity": "1h"}
        pairs = {**filter_, "apiIdVersionPairs": [{"id": api.id, "version": api.version}]}
        fields = {
            "all": _FILTERED,
            "some": _USAGE.format(ids=json.dumps(api.names)),
            "total": _BY_API.format(id=json.dumps(api.id)),
        }
        found: dict[str, Any] = {
            "api_id_version_pairs": "it" in self._ask({"it": _FILTERED}, {**data, "filter": pairs})
        }
        answers = self._ask(fields, {**data, "filter": {**filter_, "trafficType": "ALL"}})
        if "all" not in answers:
            return found | {"traffic_type": "unknown"}
        every, some = (
            ApiUsage.of(answers.get(alias), self._today).total(api) for alias in ("all", "some")
        )
        found["traffic_type"] = "same" if every == some else "external"
        return found | {"totals_equal_usage": every == answers.get("total")}

    def _retention(
        self, environment: Environment, api: ProbedApi, data: Mapping[str, Any]
    ) -> dict[str, int]:
        if not self._busy_days:
            return {}
        retention = Retention(self._answers, data["data"], api, self._today)
        tables = probed_tables(self._documents, environment)
        return retention.days(tables, (self._today - self._busy_days[0].date()).days)


_ENDS = ("from", "to")


def _is_answered(reply: Reply | None) -> bool:
    """Whether each query field of a request got its answer."""
    if reply is None or reply.status != 200:
        return False
    data = parse_object(reply.body).get("data")
    return isinstance(data, dict) and None not in data.values()


def error_shape(reply: Reply) -> str | None:
    """The shape of the gateway's error, None for none that is known."""
    found = parse_object(reply.body)
    return next((shape for key, shape in _SHAPES.items() if key in found), None)


def without_subscription(reply: Reply, code: str) -> Behaviour | None:
    """What a refusal for lack of a subscription shows; None for another reply."""
    if reply.status != 403 or code != NOT_SUBSCRIBED:
        return None
    return msgspec.convert(
        {"subscribed": False, "error_shape": error_shape(reply)}, Behaviour, strict=False
    )


def _by_hour(answer: Mapping[str, Any]) -> dict[datetime, int]:
    rows = (answer.get("it") or {}).get("summary") or ()
    return {
        datetime.fromisoformat(row["timeSpan"]).astimezone(UTC): row["requestCount"]
        for row in rows
        if row["requestCount"]
    }


def _busiest_days(hours: Mapping[datetime, int]) -> list[datetime]:
    """Days, each as its midnight, the busiest first."""
    days: dict[datetime, int] = {}
    for hour, count in hours.items():
        day = hour.replace(hour=0)
        days[day] = days.get(day, 0) + count
    return sorted(days, key=lambda day: -days[day])


def _lateness(
    before: Mapping[datetime, int], after: Mapping[datetime, int], looked_at: datetime
) -> int:
    """For how many hours after its end an hour still grew; 0 where none did."""
    ages = [
        (looked_at - hour).total_seconds() / 3600 - 1
        for hour, count in after.items()
        if count > before.get(hour, 0)
    ]
    return max((math.floor(age) + 1 for age in ages if age >= 0), default=0)
