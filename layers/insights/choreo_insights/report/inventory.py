"""What changed in the lists of APIs and applications, from the list of each day."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Literal

import msgspec

from choreo_insights.report.objects import ObjectContent, Row

Kind = Literal["API", "application"]
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "apis": ("api_id", "api_name", "version", "provider"),
    "applications": ("application_id", "application_name", "owner"),
}
_KINDS: Mapping[str, Kind] = {"apis": "API", "applications": "application"}


class InventoryChange(msgspec.Struct, frozen=True):
    """A difference of a day's list from the list before it; `detail` says what changed."""

    environment: str
    day: date
    kind: Kind
    change: Literal["added", "removed", "changed"]
    id: str
    name: str
    detail: str = ""


def changes(
    lists: Iterable[ObjectContent], first: date, names: Mapping[str, str]
) -> list[InventoryChange]:
    """The changes from `first` on, of lists that may begin before it.

    The first list of all is compared with nothing. `names` are the shown names of environments by
    their ids.
    """
    found: list[InventoryChange] = []
    by_place: dict[tuple[str, str], list[ObjectContent]] = {}
    for each in lists:
        by_place.setdefault((each.environment.id, each.table), []).append(each)
    for (environment, table), of_place in by_place.items():
        of_place.sort(key=lambda content: content.day)
        before: dict[str, Row] | None = None
        for content in of_place:
            id_column = COLUMNS[table][0]
            now = {str(row[id_column]): row for row in content.rows if row[id_column]}
            if before is not None and content.day >= first:
                found += _between(names[environment], content.day, table, before, now)
            before = now
    return sorted(found, key=lambda c: (c.day, c.environment, c.kind, c.name, c.id))


def _between(
    environment: str, day: date, table: str, before: Mapping[str, Row], now: Mapping[str, Row]
) -> Iterator[InventoryChange]:
    kind, name = _KINDS[table], COLUMNS[table][1]
    for each in now.keys() - before.keys():
        shown = str(now[each][name] or each)
        yield InventoryChange(environment, day, kind, "added", each, shown, _version(now[each]))
    for each in before.keys() - now.keys():
        shown = str(before[each][name] or each)
        yield InventoryChange(
            environment, day, kind, "removed", each, shown, _version(before[each])
        )
    for each in now.keys() & before.keys():
        old, new = before[each], now[each]
        detail = "; ".join(
            f"{column}: {old[column] or '-'} to {new[column] or '-'}"
            for column in COLUMNS[table][1:]
            # A file of an older release may lack the column.
            if old[column] != new[column] and old[column] is not None
        )
        if detail:
            yield InventoryChange(
                environment, day, kind, "changed", each, str(new[name] or each), detail
            )


def _version(row: Row) -> str:
    return f"version {row['version']}" if row.get("version") else ""
