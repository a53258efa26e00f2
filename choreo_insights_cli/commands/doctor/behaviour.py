"""How the service behaves where no public source says so, and what each answer means.

A record holds no names, ids, figures or tokens: its keys are settings of the sandbox, which behaves
as recorded with `python -m dev.sandbox --like FILE`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from choreo_insights_cli.commands.doctor.findings import Finding

Index = Literal["mixed", "id", "name", "both", "switched"]
# What is not looked beyond: query fields of one request, and days back.
MOST_ROOTS = 100
MOST_DAYS = 728
# Of Parameter Store's standard parameters; longer ones are advanced.
_STANDARD_PARAMETER = 4_096
# A token that lives shorter than this is replaced again and again within one export.
_SHORT_LIFE = 300
# Why these were not seen, beside too little traffic: an option was left out, or nothing met them.
_NEEDED = {
    "throttled_in_200": "not seen: nothing was throttled",
    "tenants_have_traffic": "no environment lists another tenant",
    "late_hours": "give --wait MINUTES to look twice",
    "one_token": "give --mint to mint a second token",
    "token_lifetime": "give --mint to mint a second token",
    "token_size": "give --mint to mint a second token",
}


class Behaviour(msgspec.Struct, frozen=True):
    """What was found out, by the sandbox's settings; None is what could not be seen."""

    subscribed: bool | None = None
    introspection: bool | None = None
    aliases: bool | None = None
    root_fields_max: int | None = None
    api_index: Index | None = None
    shared_names: bool | None = None
    aggregate_with_ids: bool | None = None
    usage_as_object: bool | None = None
    foreign_entries: Literal["none", "by_name", "always"] | None = None
    totals_equal_usage: bool | None = None
    newer_fields: bool | None = None
    traffic_type: Literal["unknown", "same", "external"] | None = None
    api_id_version_pairs: bool | None = None
    tenants_have_traffic: bool | None = None
    zero_buckets: bool | None = None
    to_inclusive: bool | None = None
    page_limit_default: int | None = None
    page_limit_max: int | None = None
    error_shape: Literal["error_message", "code", "fault"] | None = None
    granularity_error: Literal["gateway", "graphql"] | None = None
    throttled_in_200: bool | None = None
    late_hours: int | None = None
    retention: Mapping[str, int] | None = None
    token_lifetime: int | None = None
    token_size: int | None = None
    one_token: bool | None = None

    def as_settings(self) -> dict[str, Any]:
        """The settings of a sandbox that behaves alike."""
        found = msgspec.structs.asdict(self)
        return {name: value for name, value in found.items() if value is not None}

    def findings(self) -> Iterator[Finding]:
        """Each behaviour in words, and what it means for the settings."""
        for name, value in msgspec.structs.asdict(self).items():
            if value is None:
                because = _NEEDED.get(name, "not seen: too little traffic, or no answer")
                yield Finding(name, "skipped", because)
            elif name == "retention":
                yield from _of_retention(value)
            else:
                shown = json.dumps(value).strip('"')
                yield Finding(name, "ok", f"{shown}: {_meaning(name, value)}")


_CHOICES: Mapping[str, Mapping[Any, str]] = {
    "subscribed": {
        False: "subscribe the application to the API Insights in the developer portal",
        True: "the application is subscribed to the API",
    },
    "introspection": {
        False: "the schema cannot be read: custom/schema.graphql is written by hand",
        True: "the schema can be read: --schema writes it for your own documents",
    },
    "aliases": {
        False: "a request takes no aliases, which the export needs: report this",
        True: "several queries share a request, as BatchSize says",
    },
    "api_index": {
        "mixed": "usage is kept by id for some APIs and by `name - version` for others",
        "id": "usage is kept by the API's id",
        "name": "usage is kept by `name - version`: APIs that share one cannot be distinguished",
        "both": "usage is kept by id and by `name - version`, and counts once",
        "switched": "usage was kept by `name - version`, and is kept by id now; both are joined",
    },
    "shared_names": {
        False: "no two listed APIs have one name and version",
        True: "listed APIs share a name and version: it is sent for none of them",
    },
    "aggregate_with_ids": {
        False: "usage has the name of its API",
        True: "usage comes without an id: APIs that share a name have none of their own",
    },
    "usage_as_object": {
        False: "usage comes as a list",
        True: "usage comes as one object, which is read too",
    },
    "foreign_entries": {
        "none": "a filter brings its own API alone",
        "by_name": "a filter by names brings other APIs too: such APIs are queried by id again",
        "always": "a filter brings other APIs too: such days fail, so report this",
    },
    "totals_equal_usage": {
        False: "getTotalTrafficByAPI counts otherwise than getAPIUsageOverTime: `checks` says so",
        True: "getTotalTrafficByAPI counts what getAPIUsageOverTime does",
    },
    "newer_fields": {
        False: "there are no display names: `api_name` is the component's slug",
        True: "`apis` has display names",
    },
    "traffic_type": {
        "unknown": "filters have no trafficType",
        "same": "trafficType ALL is sent, and changes nothing",
        "external": "trafficType ALL is sent: without it a part of the traffic is missing",
    },
    "api_id_version_pairs": {
        False: "filters have no apiIdVersionPairs",
        True: "filters have apiIdVersionPairs; the names of the API are sent, which is enough",
    },
    "tenants_have_traffic": {
        False: "only the tenants of the parameter Tenant have traffic",
        True: "other tenants have traffic too: set Tenant to what `other tenants` says",
    },
    "zero_buckets": {
        False: "hours without traffic are left out",
        True: "hours without traffic are 0: tables have a row for each",
    },
    "to_inclusive": {
        False: "`to` is not part of the time",
        True: "the bucket at `to` comes too: it is dropped",
    },
    "error_shape": {
        "error_message": "a wrong token is refused with error_message, code, error_description",
        "code": "a wrong token is refused with code, message, description",
        "fault": "a wrong token is refused with a fault in the body",
    },
    "granularity_error": {
        "gateway": "a wrong granularity is HTTP 400",
        "graphql": "a wrong granularity is an error in a reply with HTTP 200",
    },
    "throttled_in_200": {
        False: "throttling is HTTP 429",
        True: "throttling is an error in a reply with HTTP 200, which is read as a 429",
    },
    "one_token": {
        False: "a new token leaves the earlier one valid",
        True: "a new token ends the earlier one: let nothing but the stack mint with this key",
    },
}


def _of_roots(most: int) -> str:
    if most >= MOST_ROOTS:
        return "query fields in one request, or more: MaxBatchSize may stay as it is"
    return f"query fields in one request at the most: set MaxBatchSize={most}, BatchSize to less"


def _of_lateness(hours: int) -> str:
    if not hours:
        return "nothing came late between the two looks: SettleHours may stay as it is"
    return f"hours after their hour data still arrive: set SettleHours to {hours + 2} or more"


def _of_life(seconds: int) -> str:
    if seconds < _SHORT_LIFE:
        return "seconds: set a longer token expiry time in the application, 900 s is usual"
    return "seconds that a token lives"


def _of_size(size: int) -> str:
    if size > _STANDARD_PARAMETER:
        return "characters: Parameter Store keeps it as an advanced parameter, which costs"
    return "characters, which a standard parameter holds"


_NUMBERS: Mapping[str, Callable[[int], str]] = {
    "root_fields_max": _of_roots,
    "page_limit_default": lambda _: "rows of a page unless it asks for more",
    "page_limit_max": lambda _: "rows of a page at the most: pages are read until all are there",
    "late_hours": _of_lateness,
    "token_lifetime": _of_life,
    "token_size": _of_size,
}


def _meaning(name: str, value: Any) -> str:
    if name in _NUMBERS:
        return _NUMBERS[name](value)
    return _CHOICES[name].get(value, "as the export expects")


def _of_retention(days: Mapping[str, int]) -> Iterator[Finding]:
    """The query fields by how far back they answer."""
    alike: dict[int, list[str]] = {}
    for field, kept in sorted(days.items()):
        alike.setdefault(kept, []).append(field)
    for kept, names in sorted(alike.items(), reverse=True):
        fields = f"all {len(names)} query fields" if len(alike) == 1 else ", ".join(names)
        if kept >= MOST_DAYS:
            meaning = "ExportSince may be as early"
        else:
            meaning = f"older days are lost, or were never: ExportSince need not be before {kept}"
            meaning += " days ago; export what is older than your dataset soon"
        more = " or more" * (kept >= MOST_DAYS)
        yield Finding("retention", "ok", f"{kept} days{more}: {fields}: {meaning}")
