"""The cross-checks: which tables count the same requests, and why they may differ.

To add one, add it to `COMPARISONS` or `HOURS`. `day_checks` applies them to the tables of a day.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.common_columns import row_key

Counts = Literal["requests", "errors"]


class Sum(msgspec.Struct, frozen=True):
    """The sum of some columns of a table; with `error_type`, of its rows alone."""

    table: str
    columns: tuple[str, ...]
    error_type: str | None = None
    named: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.table, self.error_type or self.named)))

    @property
    def needs(self) -> tuple[str, ...]:
        """All columns that it looks at."""
        return (*self.columns, "error_type") if self.error_type else self.columns

    def of(self, columns: Mapping[str, Sequence[Any]]) -> int | None:
        """The sum; None where there are rows, and nothing but nulls in them."""
        values = [value for name in self.columns for value in columns[name]]
        if self.error_type:
            values = [
                value
                for value, side in zip(values, columns["error_type"], strict=True)
                if side == self.error_type
            ]
        known = [value for value in values if value is not None]
        return sum(known) if known or not values else None


class Comparison(msgspec.Struct, frozen=True):
    """Two sums that agree, or of which `found` may be the lower one, and why."""

    found: tuple[Sum, ...]
    expected: tuple[Sum, ...]
    counts: Counts
    lower: str | None = None

    def __str__(self) -> str:
        found, expected = (" + ".join(map(str, side)) for side in (self.found, self.expected))
        return f"{found} {'<=' if self.lower else '='} {expected}"

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables that it looks at."""
        return distinct(part.table for part in (*self.found, *self.expected))


_SUCCESSES = Sum("success_summary", ("request_count",))
_ERRORS = Sum("error_summary", ("error_count",))
_BY_CATEGORY = Sum("errors_by_category", ("auth", "target_connectivity", "throttled", "other"))
_DETAILS = Sum("errors_details", ("count",))
_BY_APP = Sum("api_usage_by_app_over_time", ("count",))
_BY_BACKEND = Sum("api_usage_by_backend_over_time", ("count",))
_BY_API = Sum("api_usage_over_time", ("count",))
_BY_API_DAILY = Sum("total_traffic_by_api", ("total_traffic_by_api",))
_TRAFFIC = Sum("total_traffic", ("total_traffic",))
_ALL_ERRORS = Sum("total_errors", ("total_errors",))
_CODES_PROXY = Sum("errors_by_status_code", ("count",), "PROXY")
_CODES_TARGET = Sum("errors_by_status_code", ("count",), "TARGET")
_SIDES = "proxy_target_errors_over_time"
_SIDE_PROXY = Sum(_SIDES, ("proxy_total",), named="proxy")
_SIDE_TARGET = Sum(_SIDES, ("target_total",), named="target")

_DELETED = "APIs that are deleted by now count in the total alone"
COMPARISONS = (
    Comparison((_SUCCESSES, _ERRORS), (_TRAFFIC,), "requests"),
    Comparison((_BY_APP,), (_TRAFFIC,), "requests"),
    Comparison(
        (_BY_BACKEND,),
        (_TRAFFIC,),
        "requests",
        "a request that was refused or answered from the cache reaches no backend",
    ),
    # Both are queried for the listed APIs, so that deleted ones make no difference.
    Comparison((_BY_API,), (_BY_API_DAILY,), "requests"),
    Comparison((_BY_API,), (_TRAFFIC,), "requests", _DELETED),
    Comparison((Sum("resource_usage", ("count",)),), (_TRAFFIC,), "requests", _DELETED),
    Comparison((Sum("apis_usage_by_applications", ("count",)),), (_TRAFFIC,), "requests", _DELETED),
    Comparison((_ERRORS,), (_ALL_ERRORS,), "errors"),
    Comparison((_BY_CATEGORY,), (_ALL_ERRORS,), "errors"),
    Comparison((_DETAILS,), (_ALL_ERRORS,), "errors"),
    Comparison((Sum("total_errors_by_api", ("proxy",)),), (_ALL_ERRORS,), "errors", _DELETED),
    Comparison(
        (_CODES_PROXY,),
        (_ALL_ERRORS,),
        "errors",
        "what the backend answered can count as TARGET alone, and what is of no API, or of one "
        "that is deleted by now, in the total alone",
    ),
    # Not against all errors: a request that is tried again fails at a target and still succeeds.
    Comparison((_CODES_PROXY,), (_SIDE_PROXY,), "errors", _DELETED),
    Comparison((_CODES_TARGET,), (_SIDE_TARGET,), "errors", _DELETED),
    Comparison(
        (_ALL_ERRORS,),
        (_SIDE_PROXY, _SIDE_TARGET),
        "errors",
        "a request can fail on both sides, and at the target more than once",
    ),
)

SUMS = tuple(dict.fromkeys(part for each in COMPARISONS for part in (*each.found, *each.expected)))

# The columns that count requests by hour, by table.
HOURLY: Mapping[str, Sum] = {
    each.table: each for each in (_SUCCESSES, _ERRORS, _BY_APP, _BY_CATEGORY, _DETAILS)
} | {"latency_summary": Sum("latency_summary", ("latency_time",))}
_BOTH = (_SUCCESSES.table, _ERRORS.table)
# Sets of tables that together count all requests, and all errors.
REQUESTS_BY_HOUR = (_BOTH, (_BY_APP.table,))
ERRORS_BY_HOUR = ((_ERRORS.table,), (_BY_CATEGORY.table,))


class Hours(msgspec.Struct, frozen=True):
    """Tables that together have a row in each hour in which others count the same requests.

    A bucket without traffic may be missing or 0 [Choreo], so 24 hours cannot be required.
    """

    tables: tuple[str, ...]
    others: tuple[str, ...]
    counts: Counts

    def __str__(self) -> str:
        return f"hours of {' + '.join(self.tables)} as in {' + '.join(self.others)}"


HOURS = (
    Hours(_BOTH, (_BY_APP.table,), "requests"),
    Hours((_BY_APP.table,), _BOTH, "requests"),
    # A failed request may have no latency.
    Hours(("latency_summary",), (_SUCCESSES.table,), "requests"),
    Hours((_BY_CATEGORY.table,), (_ERRORS.table,), "errors"),
    Hours((_DETAILS.table,), (_ERRORS.table,), "errors"),
    Hours((_ERRORS.table,), (_BY_CATEGORY.table,), "errors"),
)

_COMPARED = frozenset(part.table for part in SUMS)


def is_checked(table: Table) -> bool:
    """Whether checks look at a table: at the shipped ones of days that have sums or keys.

    The key of a row is unknown in users' own tables.
    """
    if table.own or table.monthly:
        return False
    return table.name in _COMPARED or bool(row_key(table))


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in the order of their first time."""
    return tuple(dict.fromkeys(names))
