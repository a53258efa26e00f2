"""How the tables of two releases differ, and what that means for exported days. No AWS."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from choreo_insights.catalogue import Column
from choreo_insights_cli.called import called
from choreo_insights_cli.sql.model import ViewColumn

# The type of each column, as Glue or QuickSight names it.
Types = Mapping[str, str]


def types(columns: Iterable[Column | ViewColumn]) -> dict[str, str]:
    return {column.name: column.type for column in columns}


@dataclass(frozen=True)
class Retyped:
    """A column whose type differs."""

    column: str
    before: str
    now: str


@dataclass(frozen=True)
class Change:
    """How one table differs. `renamed` maps former names to today's."""

    table: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: Mapping[str, str]
    retyped: tuple[Retyped, ...]

    @property
    def is_none(self) -> bool:
        return not (self.added or self.removed or self.renamed or self.retyped)


@dataclass(frozen=True)
class Changes:
    """How all tables differ: new ones, removed ones, and changed ones."""

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
    """Compares the tables. `renamed` maps each table's former names to today's."""
    changed = (
        _change(name, before[name], types, (renamed or {}).get(name, {}))
        for name, types in now.items()
        if name in before
    )
    return Changes(
        tuple(name for name in now if name not in before),
        tuple(name for name in before if name not in now),
        tuple(change for change in changed if not change.is_none),
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
    """Why the tables cannot replace the deployed ones, or None where they can."""
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
    """Describes the changes of tables, line by line.

    `daily` are the tables that are queried by day: of others the past cannot be queried.
    """
    by_day = set(daily)
    for name in changes.new:
        yield f"{name} is new: the next runs export it, from {since} on if it has days."
    for name in changes.gone:
        yield f"{name} is removed from SQL: its objects stay in S3 under insights/{name}/."
    for change in changes.changed:
        for former, name in change.renamed.items():
            yield (
                f"{change.table}.{former} is {name} now. `insights migrate` renames it in existing"
                f" objects; until then {name} is null in them. SQL that names {former} must"
                f" name {name}."
            )
        for name in change.removed:
            yield f"{change.table}.{name} is removed from SQL: existing objects keep it."
        for name in change.added:
            yield f"{change.table}.{name} is new: null on days that are exported already."
    grown = [change.table for change in changes.changed if change.added and change.table in by_day]
    if grown:
        yield "To export new columns of these days, as far as Choreo still has them:"
        yield f"  {backfill(since, today, grown)}"


def of_views(changes: Changes) -> Iterator[str]:
    """Describes the changes of views, line by line."""
    for name in changes.gone:
        yield f"The view {name} is removed: your SQL and dashboards that read it will fail."
    for change in changes.changed:
        for name in (*change.removed, *change.renamed):
            yield f"The view {change.table} no longer has {name}: your SQL that reads it will fail."


def backfill(first: date, last: date, tables: Iterable[str]) -> str:
    """The command that exports final days again."""
    names = ",".join(sorted(tables))
    return called(f"backfill --from {first} --to {last} --tables {names} --again")
