"""The objects of an organisation's tables over some days: read side by side, with their states."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any, Literal, Protocol

import msgspec

from choreo_insights.dataset.coverage import state
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import Environment, day_of, day_prefix, place_of
from choreo_insights.dataset.store import Kept, Stored
from choreo_insights.errors import InsightsError

# Requests to S3 under way at a time; what they return is used up in their order.
_THREADS = 16

State = Literal["missing", "open", "unconfirmed", "closed"]
Row = dict[str, Any]
_Entry = tuple[str, str, Environment, Stored]


class ObjectReader(Protocol):
    """What is used of `choreo_insights.dataset.store.Dataset`."""

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        """The objects of a table by key."""

    def read(self, key: str) -> Kept | None:
        """An object, or None."""


class ObjectContent(msgspec.Struct, frozen=True):
    """An object's rows and how its day stands. `written` is when it was written."""

    table: str
    environment: Environment
    day: date
    state: State
    written: datetime
    rows: Sequence[Row]


class Objects:
    """The objects of one organisation's environments.

    A day is unconfirmed where it was closed although the source kept giving less: the export says
    so in the object's metadata.
    """

    def __init__(
        self,
        dataset: ObjectReader,
        organization: str,
        environments: Sequence[Environment],
        settle_hours: float,
    ) -> None:
        self._dataset = dataset
        self._organization = organization
        self._environments = environments
        self._settle_hours = settle_hours

    def contents(
        self, columns: Mapping[str, Sequence[str]], first: date, last: date
    ) -> Iterator[ObjectContent]:
        """The objects of these tables from `first` to `last`, one after the other.

        `columns` are the columns to read of each table; a column that an object lacks is None in
        its rows. Raises InsightsError where an object cannot be read, and what `Dataset` raises.
        """
        with ThreadPoolExecutor(_THREADS) as threads:
            listed = threads.map(lambda table: self._listed(table, first, last), columns)
            objects = [entry for entries in listed for entry in entries]
            for start in range(0, len(objects), _THREADS * 4):
                some = objects[start : start + _THREADS * 4]
                for content in threads.map(lambda entry: self._content(entry, columns), some):
                    if content:
                        yield content

    def _listed(self, table: str, first: date, last: date) -> Iterable[_Entry]:
        listed = self._dataset.listing(table, first, last)
        places = {place_of(self._organization, each): each for each in self._environments}
        for key, stored in listed.items():
            place = key.rpartition("/")[2].removesuffix(".parquet")
            if place in places and key.startswith(day_prefix(table, day_of(key))):
                yield table, key, places[place], stored

    def _content(self, entry: _Entry, columns: Mapping[str, Sequence[str]]) -> ObjectContent | None:
        table, key, environment, stored = entry
        kept, day = self._dataset.read(key), day_of(key)
        if kept is None:
            return None
        try:
            values = decode(kept.body)
        except ValueError as error:
            raise InsightsError(
                f"{key} in the dataset bucket cannot be read ({error}): restore its earlier version"
            ) from error
        size = len(next(iter(values.values()), ()))
        chosen = [values.get(name, [None] * size) for name in columns[table]]
        rows = [dict(zip(columns[table], row, strict=True)) for row in zip(*chosen, strict=True)]
        how = state(stored, day, self._settle_hours)
        if how == "closed" and not kept.confirmed:
            how = "unconfirmed"  # type: ignore[assignment]
        return ObjectContent(table, environment, day, how, kept.written, rows)
