"""Reads for `insights status`: parameters, listings, the ledger, the checks."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from choreo_insights.catalogue import Catalogue
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.ledger import RUNS, Entry, read_entries
from choreo_insights.dataset.parquet import decode
from choreo_insights.dataset.partitions import day_of, safe_name
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_merge import KnownEnvironment
from choreo_insights.dataset.store import Dataset, Stored
from choreo_insights_cli import names, options, paths
from choreo_insights_cli.commands.status.coverage import (
    ALL,
    ExpectedDataset,
    ExportSettings,
    LedgerStatus,
    Listings,
    Selection,
    Standing,
    TablePlace,
)
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.stack import Stack

# Requests to S3 under way at a time.
_THREADS = 32
_CHECKED_DAYS = 31
_CHECKED = ("what", "organization", "environment", "expected", "found", "verdict")
# Of 0.1.0, which wrote an object for each run: what is not in the newest was not tried lately.
_MOST_OBJECTS = 50
_BEGINNING = date(2000, 1, 1)


class Checks(msgspec.Struct, frozen=True):
    """The table `checks` from a day on: how many of each verdict, and the rows of mismatches."""

    since: date
    verdicts: Mapping[str, int]
    mismatches: Sequence[Mapping[str, Any]]


class Status(msgspec.Struct, frozen=True):
    """All that `insights status` shows. `checks` is None where none was made.

    `ends` is the last day of a dataset that has ended.
    """

    stack: str
    now: datetime
    since: date
    standings: Mapping[TablePlace, Standing]
    unknown: Sequence[str]
    checks: Checks | None
    settings: ExportSettings
    selection: Selection = ALL
    ends: date | None = None


def read(stack: Stack, now: datetime, *, everything: bool, selection: Selection = ALL) -> Status:
    """Reads it all, of the checks the last month alone unless `everything` is wanted.

    Raises WrongUsage for a name that is not exported, CommandError, InsightsError or what botocore
    raises.
    """
    chosen = settings(stack.parameters, paths.catalogue())
    options.check_organizations(selection.organizations, chosen.organizations)
    exported = [table.name for table in chosen.tables]
    more = "`insights tables` lists them."
    names.check("--tables", selection.tables, exported, "exported table", more)
    if selection.day and selection.day < chosen.since:
        raise WrongUsage(f"--day {selection.day} lies before ExportSince ({chosen.since}).")
    bucket = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
    return gather(stack.name, chosen, bucket, now, everything=everything, selection=selection)


def gather(
    name: str,
    chosen: ExportSettings,
    bucket: Dataset,
    now: datetime,
    *,
    everything: bool,
    selection: Selection = ALL,
) -> Status:
    """Reads the dataset. Raises CommandError where an object is broken, or what `bucket` does."""
    today = now.astimezone(UTC).date()
    checked_since = _BEGINNING if everything else today - timedelta(days=_CHECKED_DAYS - 1)
    with ThreadPoolExecutor(_THREADS) as threads:
        reader = _Reader(bucket, threads, today, checked_since)
        return reader.status(name, selection.of(chosen), now, selection)


def settings(parameters: Mapping[str, str], catalogue: Catalogue) -> ExportSettings:
    """What the stack's parameters say. Raises ConfigurationError for a table that is none."""
    tables = options.names(parameters["Tables"])
    return ExportSettings(
        organizations=options.names(parameters["Organizations"]),
        tables=tuple(
            table
            for table in catalogue.chosen(None if tables == ("all",) else tables)
            if not table.per_project or parameters.get("Projects")
        ),
        since=date.fromisoformat(parameters["ExportSince"]),
        settle_hours=float(parameters["SettleHours"]),
        stale_after_hours=float(parameters["StaleAfterHours"]),
        # 0.1.0 does not know it.
        frozen=parameters.get("Frozen") == "true",
    )


def _age(key: str) -> tuple[str, bool, str]:
    """Sorts the ledger's objects of a day by when their runs began.

    Not by LastModified, which `insights migrate` advances. On the date of an update objects are
    there of 0.1.0, named `20260131T101500...`, and then one of the date's later runs, `2026-01-31`.
    """
    name = key.rpartition("/")[2].removesuffix(".parquet")
    date_alone = name.count("-") == 2 and len(name) == len("2026-01-31")
    return name.replace("-", "")[:8], date_alone, name


def wanted(chosen: ExportSettings, bucket: Dataset, now: datetime) -> ExpectedDataset:
    """What should be there, and what is. Raises CommandError, or what `bucket` does."""
    today = now.astimezone(UTC).date()
    with ThreadPoolExecutor(_THREADS) as threads:
        reader = _Reader(bucket, threads, today, today)
        return reader.wanted(chosen, reader.listings(chosen), now)


class _Reader:
    def __init__(
        self, bucket: Dataset, threads: ThreadPoolExecutor, today: date, checked_since: date
    ) -> None:
        self._bucket = bucket
        self._threads = threads
        self._today = today
        self._checked_since = checked_since

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def status(
        self, name: str, chosen: ExportSettings, now: datetime, selection: Selection
    ) -> Status:
        listed = self.listings(chosen, RUNS, CHECKS)
        there = self.wanted(chosen, listed, now, selection)
        known = [each.name for found in there.environments.values() for each in found]
        known += [place.key_name.partition(".")[2] for place in there.places]
        more = f"There are {', '.join(names.in_order(dict.fromkeys(known)))}."
        names.check("--environment", selection.environments, known, "environment", more)
        tried = self._tried(listed[RUNS], there.looked_for(), there.environments)
        standings = {
            place: standing
            for place, standing in there.standings(tried).items()
            if not selection.states or any(getattr(standing, s) for s in selection.states)
        }
        # Checks compare tables with each other.
        checks = None if selection.tables else self._checks(listed[CHECKS], selection)
        unknown = there.unknown()
        return Status(
            name, now, chosen.since, standings, unknown, checks, chosen, selection, there.ends
        )

    def wanted(
        self,
        chosen: ExportSettings,
        listed: Mapping[str, Mapping[str, Stored]],
        now: datetime,
        selection: Selection = ALL,
    ) -> ExpectedDataset:
        """What should be there, and what is, from the listings of tables."""
        known = self._environments(chosen.organizations)
        listings = Listings({table.name: listed[table.name] for table in chosen.tables})
        return ExpectedDataset(chosen, known, listings, now, selection)

    def listings(self, chosen: ExportSettings, *more: str) -> dict[str, dict[str, Stored]]:
        """The objects of the chosen tables, and of more."""

        def listing(table: str) -> tuple[str, dict[str, Stored]]:
            return table, self._bucket.listing(table, _BEGINNING, self._today)

        tables = {*(table.name for table in chosen.tables), *more}
        return dict(self._threads.map(listing, tables))

    def _rows(self, key: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of an object, with its day; none where it was deleted since it was listed."""
        if (kept := self._bucket.read(key)) is None:
            return []
        try:
            found = decode(kept.body, columns)
        except ValueError as error:
            raise CommandError(f"{key} cannot be read: {error}") from error
        day = {"day": day_of(key).isoformat()}
        rows = zip(*found.values(), strict=True)
        return [dict(zip(found, row, strict=True)) | day for row in rows]

    def _entries(self, key: str) -> list[Entry]:
        """The entries of a ledger object, the newest first."""
        if (kept := self._bucket.read(key)) is None:
            return []
        try:
            entries = list(read_entries(kept.body, day_of(key)))
        except ValueError as error:
            raise CommandError(f"{key} cannot be read: {error}") from error
        # Sorting keeps the order of equals, of which the later row is the newer one.
        entries.reverse()
        return sorted(entries, key=lambda entry: entry.exported_at, reverse=True)

    def _environments(self, organizations: Sequence[str]) -> dict[str, Sequence[KnownEnvironment]]:
        """Every environment of each organisation that was ever listed, by the registry."""
        registry = Registry(self._bucket, "status", self._now)
        found = zip(organizations, self._threads.map(registry.known, organizations), strict=True)
        return {organization: known for organization, known in found if known}

    def _tried(
        self,
        runs: Mapping[str, Stored],
        looked_for: Mapping[date, Mapping[str, bool]],
        known: Mapping[str, Sequence[KnownEnvironment]],
    ) -> dict[str, LedgerStatus]:
        """The ledger by the partitions' keys."""
        names = {
            (organization, environment.id): environment.key
            for organization, found in known.items()
            for environment in found
        }

        def key_of(entry: Entry) -> str:
            key_name = safe_name(entry.organization)
            if entry.environment is not None:
                name = names.get((entry.organization, entry.environment_id or ""))
                key_name += f".{name or safe_name(entry.environment)}"
            place = TablePlace(entry.table, entry.organization, entry.environment, key_name)
            return place.key(entry.day)

        by_day: dict[date, list[str]] = {}
        for key in sorted(runs, key=_age, reverse=True):
            by_day.setdefault(day_of(key), []).append(key)

        def of_day(day: date) -> dict[str, LedgerStatus]:
            return self._tried_on(by_day.get(day, ()), looked_for[day], key_of)

        found: dict[str, LedgerStatus] = {}
        for part in self._threads.map(of_day, looked_for):
            found |= part
        return found

    def _tried_on(
        self,
        objects: Sequence[str],
        looked_for: Mapping[str, bool],
        key_of: Callable[[Entry], str],
    ) -> dict[str, LedgerStatus]:
        """Reads a day's ledger, newest first, until nothing is left to learn."""
        found: dict[str, LedgerStatus] = {}
        for each in objects[:_MOST_OBJECTS]:
            for entry in self._entries(each):
                rows = entry.rows if entry.status in ("exported", "unchanged") else None
                key = key_of(entry)
                known = found.get(key) or LedgerStatus(entry.exported_at, entry.status, entry.error)
                if known.rows is None:
                    known = msgspec.structs.replace(known, rows=rows)
                if known.unconfirmed is None and entry.status not in ("failed", "overtaken"):
                    unconfirmed = entry.status == "kept" and bool(entry.final)
                    known = msgspec.structs.replace(known, unconfirmed=unconfirmed)
                found[key] = known
            if all(
                key in found and not (wants_rows and found[key].rows is None)
                for key, wants_rows in looked_for.items()
            ):
                break
        return found

    def _checks(self, listed: Mapping[str, Stored], selection: Selection) -> Checks | None:
        looked_at = sorted(
            (
                key
                for key in listed
                if day_of(key) >= self._checked_since and selection.day in (None, day_of(key))
            ),
            reverse=True,
        )
        if not looked_at:
            return None
        parts = self._threads.map(lambda key: self._rows(key, _CHECKED), looked_at)
        rows = [
            row
            for part in parts
            for row in part
            if row["organization"] in (selection.organizations or (row["organization"],))
            and row["environment"] in (selection.environments or (row["environment"],))
        ]
        mismatches = [row for row in rows if row["verdict"] == "mismatch"]
        verdicts = Counter(row["verdict"] for row in rows)
        return Checks(day_of(looked_at[-1]), verdicts, mismatches)
