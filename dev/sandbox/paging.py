"""Pages of rows, in an order that stays."""

from collections.abc import Callable, Mapping
from typing import Any

from dev.sandbox.memory import Memory
from dev.sandbox.refusals import QueryError
from dev.sandbox.settings import SandboxSettings

Row = dict[str, Any]
# So many questions are remembered, for their next page.
_REMEMBERED = 16


class Pages:
    """The sorted rows of the questions asked last. Safe to share among threads."""

    def __init__(self) -> None:
        self._rows: Memory[list[Row]] = Memory(_REMEMBERED)

    def page(
        self,
        question: str,
        arguments: Mapping[str, Any] | None,
        settings: SandboxSettings,
        by: str,
        make: Callable[[], list[Row]],
    ) -> tuple[list[Row], Row]:
        """One page and its `pagination`; `question` is everything that the rows depend on.

        Raises QueryError for a sort field that is none, or a limit below zero.
        """
        arguments = arguments or {}
        limit, offset = arguments.get("limit"), arguments.get("offset") or 0
        limit = settings.page_limit_default if limit is None else limit
        limit = min(limit, settings.page_limit_max)
        if limit < 0 or offset < 0:
            raise QueryError("limit and offset must not be negative")
        sort_by, order = arguments.get("sortBy") or by, arguments.get("sortOrder") or "desc"
        key = repr((question, sort_by, order))
        rows = self._rows.get(key, lambda: _ordered(make(), sort_by, order))
        return rows[offset : offset + limit], {
            "total": len(rows),
            "limit": limit,
            "offset": offset,
            "sortBy": sort_by,
            "sortOrder": order,
        }


def _ordered(rows: list[Row], sort_by: str, order: str) -> list[Row]:
    rows = sorted(rows, key=_every_value)
    if rows and sort_by not in rows[0]:
        raise QueryError(f"Invalid sortBy: {sort_by}")
    # Python sorts stably: rows that are equal keep the order of all their values.
    rows.sort(key=lambda row: _sortable(row[sort_by]), reverse=order.lower() != "asc")
    return rows


def _every_value(row: Row) -> list[str]:
    return [str(value) for value in row.values()]


def _sortable(value: Any) -> tuple[int, Any]:
    if isinstance(value, list):
        return 0, 0
    return (0, value) if value is not None else (-1, 0)
