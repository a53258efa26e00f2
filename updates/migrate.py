"""Brings the objects that are there under today's names of columns, and tells what they lack.

A name needs no source: an object is written again with its columns renamed, so no day is lost that
Choreo has forgotten. A value that was never asked for can only come from there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Literal

from insights.catalogue import Catalogue, Column
from insights.dataset import Dataset, Overtaken, Stored
from insights.errors import InsightsError
from insights.parquet import names, under_todays_names
from insights.partitions import day_of, is_final
from updates.changes import backfill

# Requests to S3 under way at a time.
_THREADS = 32
_BEGINNING = date(2000, 1, 1)


@dataclass(frozen=True)
class Shape:
    """A table as it is today, and how its objects come to be asked for again.

    daily: until they are final. list: on their own day. never: once written, they stay.
    """

    name: str
    columns: Sequence[Column]
    asked: Literal["daily", "list", "never"]

    @property
    def renamed(self) -> dict[str, str]:
        """The names of today by the former ones."""
        return {former: column.name for column in self.columns for former in column.former}

    def is_open(self, stored: Stored, day: date, now: datetime, settle_hours: float) -> bool:
        """Whether an export writes the object again by itself: then it is left alone.

        Written by somebody else it would look final, and what comes late would be missed.
        """
        if self.asked == "daily":
            return not is_final(stored.written, day, settle_hours)
        return self.asked == "list" and day >= now.date()


@dataclass
class Outcome:
    """What became of a table's objects, in counts, and the days whose objects lack a column."""

    table: str
    daily: bool
    objects: int = 0
    # With a former name: written again, and left to the export.
    renamed: int = 0
    left: int = 0
    lacking: dict[str, set[date]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    """An object that was looked at."""

    day: date
    lacks: tuple[str, ...]
    former: Literal["none", "renamed", "left"]


def shapes(catalogue: Catalogue, own: Iterable[tuple[str, str, Sequence[Column]]]) -> list[Shape]:
    """The tables of a catalogue, and the exporter's own by name, description and columns."""
    asked = [Shape(t.name, t.columns, "daily" if t.daily else "list") for t in catalogue.tables]
    return [*asked, *(Shape(name, columns, "never") for name, _, columns in own)]


def _silent(table: str, done: int, of: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Migration:
    """A look at the whole dataset. With `dry` nothing is written."""

    dataset: Dataset
    now: datetime
    settle_hours: float
    dry: bool

    def run(
        self, tables: Sequence[Shape], tell: Callable[[str, int, int], None] = _silent
    ) -> list[Outcome]:
        """What became of each table; `tell` hears of one how many objects of how many are done.

        Raises InsightsError where an object cannot be read or written.
        """
        with ThreadPoolExecutor(_THREADS) as threads:
            return [self._table(shape, threads, tell) for shape in tables]

    def _table(
        self, shape: Shape, threads: ThreadPoolExecutor, tell: Callable[[str, int, int], None]
    ) -> Outcome:
        outcome = Outcome(shape.name, shape.asked == "daily")
        listed = self.dataset.listing(shape.name, _BEGINNING, self.now.date())
        migrated = threads.map(partial(self._migrated, shape), listed, listed.values())
        for number, found in enumerate(migrated, 1):
            if found is not None:
                _count(outcome, found)
            tell(shape.name, number, len(listed))
        return outcome

    def _migrated(self, shape: Shape, key: str, stored: Stored) -> _Found | None:
        if (kept := self.dataset.read(key)) is None:
            return None
        try:
            body = under_todays_names(kept.body, shape.renamed)
            there = {shape.renamed.get(name, name) for name in names(kept.body)}
        except ValueError as error:
            raise InsightsError(f"{key} cannot be read: {error}") from error
        lacks = tuple(column.name for column in shape.columns if column.name not in there)
        day = day_of(key)
        if body is None:
            return _Found(day, lacks, "none")
        if shape.is_open(stored, day, self.now, self.settle_hours):
            return _Found(day, lacks, "left")
        if not self.dry:
            try:
                self.dataset.replace(key, body, over=kept.etag, asked=kept.asked, run=kept.run)
            except Overtaken:
                return _Found(day, (), "left")
        return _Found(day, lacks, "renamed")


def _count(outcome: Outcome, found: _Found) -> None:
    outcome.objects += 1
    outcome.renamed += found.former == "renamed"
    outcome.left += found.former == "left"
    for name in found.lacks:
        outcome.lacking.setdefault(name, set()).add(found.day)


def lines(outcomes: Iterable[Outcome], *, dry: bool) -> Iterator[str]:
    """What a person should know, line by line; none where all objects are as they should be."""
    grown: list[Outcome] = []
    for outcome in outcomes:
        if outcome.renamed:
            what = "to be renamed" if dry else "renamed"
            share = f"{outcome.renamed} of {outcome.objects} objects"
            yield f"{outcome.table}: columns {what} in {share}."
        if outcome.left:
            yield (
                f"{outcome.table}: former names in {outcome.left} objects of days that are not"
                " final: the next export writes them anew."
            )
        for name, days in outcome.lacking.items():
            yield (
                f"{outcome.table}.{name}: null from {min(days)} to {max(days)} (days: {len(days)}),"
                " exported before there was such a column."
            )
        if outcome.lacking and outcome.daily:
            grown.append(outcome)
    if grown:
        yield "What Choreo still has of these is fetched by"
    for outcome in grown:
        days = set().union(*outcome.lacking.values())
        yield f"  {backfill(min(days), max(days), [outcome.table])}"
