"""Pages of rows, in an order that stays."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from sandbox.refusals import QueryError
from sandbox.settings import Settings

Row = dict[str, Any]
# So many questions are remembered, for their next page.
_REMEMBERED = 16


class Pages:
    """The sorted rows of the questions asked last. Safe to share among threads."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, list[Row]] = OrderedDict()
        self._lock = Lock()

    def page(
        self,
        question: str,
        given: Mapping[str, Any] | None,
        settings: Settings,
        by: str,
        make: Callable[[], list[Row]],
    ) -> tuple[list[Row], Row]:
        """One page and its `pagination`; `question` tells all that the rows depend on.

        Raises QueryError for a sort field that is none, or a limit below zero.
        """
        given = given or {}
        limit, offset = given.get("limit"), given.get("offset") or 0
        limit = settings.page_limit_default if limit is None else limit
        limit = min(limit, settings.page_limit_max)
        if limit < 0 or offset < 0:
            raise QueryError("limit and offset must not be negative")
        sort_by, order = given.get("sortBy") or by, given.get("sortOrder") or "desc"
        rows = self._sorted(question, sort_by, order, make)
        return rows[offset : offset + limit], {
            "total": len(rows),
            "limit": limit,
            "offset": offset,
            "sortBy": sort_by,
            "sortOrder": order,
        }

    def _sorted(
        self, question: str, sort_by: str, order: str, make: Callable[[], list[Row]]
    ) -> list[Row]:
        key = repr((question, sort_by, order))
        with self._lock:
            if key in self._rows:
                return self._rows[key]
        rows = sorted(make(), key=_every_value)
        if rows and sort_by not in rows[0]:
            raise QueryError(f"Invalid sortBy: {sort_by}")
        # Python sorts stably: rows that are equal keep the order of all their values.
        rows.sort(key=lambda row: _sortable(row[sort_by]), reverse=order.lower() != "asc")
        with self._lock:
            self._rows[key] = rows
            while len(self._rows) > _REMEMBERED:
                self._rows.popitem(last=False)
        return rows


def _every_value(row: Row) -> list[str]:
    return [str(value) for value in row.values()]


def _sortable(value: Any) -> tuple[int, Any]:
    if isinstance(value, list):
        return 0, 0
    return (0, value) if value is not None else (-1, 0)
