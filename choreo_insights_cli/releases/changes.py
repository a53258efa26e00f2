"""How the tables of two releases differ, and what becomes of the days that are there. No AWS."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from choreo_insights.catalogue import Column
from choreo_insights_cli.sql.statements import ViewColumn

# The type of each column, in the words of Glue or QuickSight.
Types = Mapping[str, str]


def types(columns: Iterable[Column | ViewColumn]) -> dict[str, str]:
    """The type of each column."""
    return {column.name: column.type for column in columns}


@dataclass(frozen=True)
class Retyped:
    """A column whose type differs."""

    column: str
    before: str
    now: str


@dataclass(frozen=True)
class Change:
    """How one table differs. `renamed` are the names of today by the former ones."""

    table: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: Mapping[str, str]
    retyped: tuple[Retyped, ...]

    @property
    def is_none(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.removed or self.renamed or self.retyped)


@dataclass(frozen=True)
class Changes:
    """How all tables differ: those that are new, those that are gone, and the others."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[Change, ...]

    @property
    def retyped(self) -> Iterator[tuple[str, Retyped]]:
        """Every column whose type differs, with its table."""
        for change in self.changed:
            for column in change.retyped:
                yield change.table, column


def differences(
    before: Mapping[str, Types],
    now: Mapping[str, Types],
    renamed: Mapping[str, Mapping[str, str]] | None = None,
) -> Changes:
    """What is different now. `renamed` are each table's names of today by the former ones."""
    found = (
        _change(name, before[name], types, (renamed or {}).get(name, {}))
        for name, types in now.items()
        if name in before
    )
    return Changes(
        tuple(name for name in now if name not in before),
        tuple(name for name in before if name not in now),
        tuple(change for change in found if not change.is_none),
    )


def _change(table: str, before: Types, now: Types, renamed: Mapping[str, str]) -> Change:
    done = {
        former: name
        for former, name in renamed.items()
        if former in before and name in now and name not in before
    }
    earlier = {done.get(name, name): kind for name, kind in before.items()}
    return Change(
        table,
        tuple(name for name in now if name not in earlier),
        tuple(name for name in earlier if name not in now),
        done,
        tuple(
            Retyped(name, earlier[name], kind)
            for name, kind in now.items()
            if earlier.get(name, kind) != kind
        ),
    )


def refusal(changes: Changes) -> str | None:
    """Why the tables cannot be deployed over those that are there, or None where they can."""
    lines = [
        f"{table}.{column.column} was {column.before} and would be {column.now}."
        for table, column in changes.retyped
    ]
    if not lines:
        return None
    return "\n".join(
        [
            "Nothing was deployed: files keep their types, so SQL over older days would fail.",
            *lines,
            "Give the column another name (an alias in the document): the old days keep theirs.",
        ]
    )


def of_tables(changes: Changes, daily: Iterable[str], since: date, today: date) -> Iterator[str]:
    """What a person should know of the tables, line by line; none where nothing differs.

    `daily` are the tables that are asked for by day: of others the past cannot be asked for.
    """
    by_day = set(daily)
    for name in changes.new:
        yield f"{name} is new: the next runs export it, since {since} where it is one by day."
    for name in changes.gone:
        yield f"{name} is gone from SQL: its objects stay in S3 under insights/{name}/."
    for change in changes.changed:
        for former, name in change.renamed.items():
            yield (
                f"{change.table}.{former} is {name} now. `insights migrate` says so in the objects"
                f" that are there; until then {name} is null in them. SQL that names {former} must"
                f" name {name}."
            )
        for name in change.removed:
            yield f"{change.table}.{name} is gone from SQL: objects that are there keep it."
        for name in change.added:
            yield f"{change.table}.{name} is new: null on the days that are there."
    grown = [change.table for change in changes.changed if change.added and change.table in by_day]
    if grown:
        yield "What Choreo still has of new columns, for the days that are there, is fetched by"
        yield f"  {backfill(since, today, grown)}"


def of_views(changes: Changes) -> Iterator[str]:
    """What a person should know of the views."""
    for name in changes.gone:
        yield f"The view {name} is gone: SQL and dashboards of yours that read it will fail."
    for change in changes.changed:
        for name in (*change.removed, *change.renamed):
            yield f"The view {change.table} has no {name} any more: what reads it will fail."


def backfill(first: date, last: date, tables: Iterable[str]) -> str:
    """The command that asks for final days again."""
    names = ",".join(sorted(tables))
    return f"insights backfill --from {first} --to {last} --tables {names} --again"
