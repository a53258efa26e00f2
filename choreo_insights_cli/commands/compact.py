"""`insights compact`: finished months in Iceberg tables of their own, for queries over years."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from typing import Literal

import click
import msgspec

from choreo_insights.catalogue import Table
from choreo_insights.dataset.coverage import State, state
from choreo_insights.dataset.store import Dataset, Stored
from choreo_insights.report.month import Month
from choreo_insights_cli import names, options, output, paths, spinner
from choreo_insights_cli.commands.query import QueryResult, by_athena
from choreo_insights_cli.commands.status.coverage import ExpectedDataset
from choreo_insights_cli.commands.status.reading import settings, wanted
from choreo_insights_cli.errors import BAD_NEWS, DONE, CommandError, WrongUsage
from choreo_insights_cli.sql import months
from choreo_insights_cli.stack import Stack

# Beside `insights/`: runs, `insights migrate`, `insights restore` and copies never look here.
FOLDER = "months"
_DAILY = ("day", "past_day")
_EXAMPLES = """\b
Examples:
  insights compact --before 2026-07 --dry-run         months, objects and bytes
  insights compact --before 2026-07 --tables success_summary,latency
  insights query "SELECT sum(request_count) FROM success_summary_months"
"""

Outcome = Literal["compacted", "to compact", "up to date", "skipped"]


@click.command(epilog=_EXAMPLES)
@click.option(
    "--before",
    type=options.MonthType(),
    required=True,
    metavar="MONTH",
    help="Months before this one, YYYY-MM; all of them must be over.",
)
@click.option("--tables", metavar="NAMES", help="Tables, with commas; left out: all daily ones.")
@click.option("--dry-run", is_flag=True, help="Write nothing; list months, objects and bytes.")
@options.as_json
@options.of_stack
def command(stack: Stack, before: Month, tables: str | None, dry_run: bool, as_json: bool) -> int:
    """Write finished months to Iceberg tables, for queries over years.

    The rows of a table go to `<table>_months`. A month is written when all of its days are closed,
    and again when an object of it has changed since. The dataset stays as it is, and no view reads
    these tables.
    """
    if stack.parameters.get("Emulated") == "true" and not dry_run:
        raise CommandError("The local AWS has no Iceberg tables: use --dry-run there.")
    results = []
    with spinner.shown("the dataset is listed"):
        compaction = prepared(stack, options.names(tables or ""), before, datetime.now(UTC))
    for month in compaction.run(before, dry=dry_run):
        results.append(month)
        if not as_json:
            output.line(month.line)
    if as_json:
        output.as_json([{**asdict(month), "month": str(month.month)} for month in results])
    elif not results:
        output.line(f"There is no month of the dataset before {before}.")
    return BAD_NEWS if any(month.outcome == "skipped" for month in results) else DONE


@dataclass(frozen=True)
class CompactedMonth:
    """A month of a table: what became of it, and the objects that it is made from."""

    table: str
    month: Month
    outcome: Outcome
    objects: int
    bytes: int
    rows: int | None = None
    reason: str | None = None

    @property
    def line(self) -> str:
        """The month as people read it."""
        said: Mapping[Outcome, str] = {
            "compacted": f"compacted {self.rows or 0:,} rows from {self.objects:,} objects",
            "to compact": f"to compact: {self.objects:,} objects, {self.bytes / 1e6:,.1f} MB",
            "up to date": "up to date",
            "skipped": f"skipped: {self.reason}",
        }
        return f"{self.table} {self.month}: {said[self.outcome]}"


@dataclass
class SourceMonth:
    """The objects of a month by key, and its days that are not closed."""

    objects: dict[str, Stored] = field(default_factory=dict)
    unfinished: dict[date, State] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """A text that differs where an object was added, replaced or deleted."""
        listed = "".join(f"{key} {self.objects[key].etag}\n" for key in sorted(self.objects))
        return sha256(listed.encode()).hexdigest()[:32]

    @property
    def reason(self) -> str | None:
        """Why it cannot be compacted yet, None where it can."""
        if not self.unfinished:
            return None
        first, *others = sorted(self.unfinished)
        more = f", and {len(others)} more" if others else ""
        return f"{first} is {self.unfinished[first]}{more}"


def prepared(stack: Stack, chosen: Sequence[str], before: Month, now: datetime) -> "Compaction":
    """The compaction of these tables, of all daily ones where none is named; lists the dataset.

    Raises WrongUsage for a month that is not over and an unknown table, else as `wanted`.
    """
    this = Month.of(now.date())
    if this < before:
        raise WrongUsage(f"--before {before}: {this} is not over; use {this} or an earlier month.")
    exported = settings(stack.parameters, paths.catalogue())
    daily = {table.name: table for table in exported.tables if table.covers in _DAILY}
    names.check("--tables", chosen, daily, "exported daily table", "`insights tables` lists them.")
    tables = tuple(daily[name] for name in chosen or daily)
    bucket = stack.outputs["DatasetBucketName"]
    there = wanted(msgspec.structs.replace(exported, tables=tables), Dataset(stack.s3, bucket), now)
    query = partial(by_athena, stack)
    return Compaction(there, bucket, partial(_is_there, stack), query, f"{now:%Y%m%dT%H%M%S%f}")


def _is_there(stack: Stack, table: str) -> bool:
    try:
        stack.glue.get_table(DatabaseName=stack.outputs["DatabaseName"], Name=table)
    except stack.glue.exceptions.EntityNotFoundException:
        return False
    return True


@dataclass(frozen=True)
class Compaction:
    """Brings the tables of months up to date.

    `is_there` says whether Glue has a table, `query` carries a statement out, and `name` is this
    run's.
    """

    there: ExpectedDataset
    bucket: str
    is_there: Callable[[str], bool]
    query: Callable[[str], QueryResult]
    name: str

    def run(self, before: Month, *, dry: bool) -> Iterator[CompactedMonth]:
        """Compacts the months before one, the oldest first, unless `dry`; raises as `query`."""
        for table in self.there.settings.tables:
            yield from self._table(table, before, dry=dry)

    def _table(self, table: Table, before: Month, *, dry: bool) -> Iterator[CompactedMonth]:
        sources = _sources(self.there, table.name, before)
        is_there = self.is_there(months.months_table(table.name))
        made = self._made(table.name) if is_there else {}
        is_ready = False
        for month, source in sorted(sources.items()):
            outcome = _outcome(source, made.get(month))
            size = sum(stored.size for stored in source.objects.values())
            result = CompactedMonth(table.name, month, outcome, len(source.objects), size)
            if outcome == "skipped":
                result = replace(result, reason=source.reason)
            elif outcome == "to compact" and not dry:
                if not is_ready:
                    self._prepare(table, is_there=is_there)
                    is_ready = True
                rows = self._write(table, month, source, replaces=month in made)
                result = replace(result, outcome="compacted", rows=rows)
            yield result

    def _made(self, table: str) -> dict[Month, tuple[str, str]]:
        """For each month that is there the least and the greatest mark of its rows."""
        rows = self.query(months.made_from(table)).rows
        return {
            Month.parse(str(month)[:7]): (str(least), str(greatest))
            for month, least, greatest, _ in rows
        }

    def _prepare(self, table: Table, *, is_there: bool) -> None:
        """Makes the table, or adds the columns that it lacks."""
        if not is_there:
            location = f"s3://{self.bucket}/{FOLDER}/{table.name}/"
            self.query(months.create(table.name, table.columns, location))
            return
        names_there = self.query(months.header(table.name)).names
        wanted_columns = months.columns_of(table.columns)
        if lacking := [column for column in wanted_columns if column.name not in names_there]:
            self.query(months.add(table.name, lacking))

    def _write(self, table: Table, month: Month, source: SourceMonth, *, replaces: bool) -> int:
        """Writes a month; the count of its rows.

        When it breaks off between the two statements the month is not there, and the next run
        writes it. What two runs at a time write twice has two marks, and is written again.
        """
        if replaces:
            self.query(months.delete(table.name, month.first, month.last))
        # SQL sees days from ExportSince on, as the sources do.
        first = max(month.first, self.there.settings.since)
        mark = f"{source.fingerprint} {self.name}"
        return self.query(months.insert(table.name, table.columns, first, month.last, mark)).updated


def _outcome(source: SourceMonth, made: tuple[str, str] | None) -> Outcome:
    if source.unfinished:
        return "skipped"
    if made is None:
        return "to compact"
    least, greatest = made
    same = least == greatest and least.partition(" ")[0] == source.fingerprint
    return "up to date" if same else "to compact"


def _sources(there: ExpectedDataset, table: str, before: Month) -> dict[Month, SourceMonth]:
    """The months of a table before one, from that of its oldest object on."""
    found: dict[Month, SourceMonth] = {}
    partitions = [each for each in there.partitions(table) if each[1] < before.first]
    oldest = min((day for _, day, stored in partitions if stored), default=date.max)
    for key, day, stored in partitions:
        if day < max(there.settings.since, oldest.replace(day=1)):
            continue
        source = found.setdefault(Month.of(day), SourceMonth())
        if stored:
            source.objects[key] = stored
        if (now := state(stored, day, there.settings.settle_hours)) != "closed":
            source.unfinished[day] = now
    return found
