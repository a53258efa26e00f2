"""Which parts of a backfill failed and why: from the state machine, and from the ledger."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

from choreo_insights.dataset.ledger import RUNS, Entry, read_entries
from choreo_insights.dataset.partitions import day_of
from choreo_insights.dataset.store import Dataset, Stored
from choreo_insights.export.parts import Part, Span
from choreo_insights_cli.commands.backfill.machine import FailedPart
from choreo_insights_cli.errors import CommandError

_THREADS = 16
_LONGEST_REASON = 400
# An export queries these first, on its own day: when one fails, nothing else is tried.
_LISTS = ("environments", "apis", "applications")


class PartitionKey(NamedTuple):
    """What the ledger's rows are about."""

    table: str
    organization: str
    environment: str | None
    environment_id: str | None
    day: date


@dataclass(frozen=True)
class LastAttempt:
    """The newest entry of a partition in the ledger."""

    status: str
    error: str | None
    at: datetime


def tried(
    dataset: Dataset, failures: Sequence[FailedPart], since: datetime, now: datetime
) -> dict[PartitionKey, LastAttempt]:
    """The ledger's entries since then of the partitions of these parts, and of their lists.

    Raises CommandError where an object of the ledger cannot be read, or what `dataset` does.
    """
    if not failures:
        return {}
    spans = {failure.part.span for failure in failures} | {Span(since.date(), now.date())}
    days = {day for span in spans for day in _days(span)}
    listed = dataset.listing(RUNS, min(days), max(days))
    keys = [key for key, stored in listed.items() if _is_of(key, stored, days, since)]
    newest: dict[PartitionKey, LastAttempt] = {}
    with ThreadPoolExecutor(_THREADS) as threads:
        for entries in threads.map(lambda key: _entries(dataset, key, since), keys):
            for entry in entries:
                last = newest.get(_partition(entry))
                # A later row wins a tie: rows of one flush may share an instant.
                if last is None or last.at <= entry.exported_at:
                    outcome = LastAttempt(entry.status, entry.error, entry.exported_at)
                    newest[_partition(entry)] = outcome
    return newest


def _days(span: Span) -> Iterator[date]:
    return map(date.fromordinal, range(span.first.toordinal(), span.last.toordinal() + 1))


def _is_of(key: str, stored: Stored, days: set[date], since: datetime) -> bool:
    # S3 counts whole seconds.
    return day_of(key) in days and stored.written >= since.replace(microsecond=0)


def _entries(dataset: Dataset, key: str, since: datetime) -> list[Entry]:
    if (kept := dataset.read(key)) is None:
        return []
    try:
        entries = read_entries(kept.body, day_of(key))
        return [entry for entry in entries if entry.exported_at >= since]
    except ValueError as error:
        raise CommandError(f"{key} cannot be read: {error}") from error


def _partition(entry: Entry) -> PartitionKey:
    return PartitionKey(
        entry.table, entry.organization, entry.environment, entry.environment_id, entry.day
    )


def lines(
    failures: Iterable[FailedPart],
    ledger: Mapping[PartitionKey, LastAttempt],
    names: Mapping[str, str],
) -> Iterator[str]:
    """The report for a reader: the parts of an organisation that failed alike, and the reasons.

    `names` are those of environments by id.
    """
    alike: dict[tuple[str, ...], list[Part]] = {}
    for failure in sorted(failures, key=_order):
        organization = failure.part.place.organization
        alike.setdefault((organization, *_reasons(failure, ledger)), []).append(failure.part)
    for (organization, *reasons), parts in alike.items():
        ids = filter(None, (part.place.environment for part in parts))
        environments = dict.fromkeys(names.get(each, each) for each in ids)
        name = " ".join(filter(None, (organization, ", ".join(environments))))
        days = [day for part in parts for day in _days(part.span)]
        yield f"{name}, {_ranges(days)} ({_parts(len(parts))}):"
        yield from (f"  {reason}" for reason in reasons)


def _parts(number: int) -> str:
    return "1 part" if number == 1 else f"{number} parts"


def _reasons(failure: FailedPart, ledger: Mapping[PartitionKey, LastAttempt]) -> list[str]:
    failed = [partition for partition in ledger if _failed(failure.part, partition, ledger)]
    reasons = _by_reason(failed, ledger)
    if not reasons:
        return [reason_of(failure)]
    return [f"{_named(partitions)}: {reason}" for reason, partitions in reasons.items()]


def _order(failure: FailedPart) -> tuple[str, str, int]:
    place, span = failure.part.place, failure.part.span
    return place.organization, place.environment or "", -span.last.toordinal()


def _failed(
    part: Part, partition: PartitionKey, ledger: Mapping[PartitionKey, LastAttempt]
) -> bool:
    place, span = part.place, part.span
    return (
        ledger[partition].status == "failed"
        and partition.organization == place.organization
        and (
            partition.environment is None
            or place.environment in (None, partition.environment_id, partition.environment)
        )
        and (partition.table in _LISTS or span.first <= partition.day <= span.last)
    )


def _by_reason(
    partitions: Iterable[PartitionKey], ledger: Mapping[PartitionKey, LastAttempt]
) -> dict[str, list[PartitionKey]]:
    by_reason: dict[str, list[PartitionKey]] = {}
    for partition in partitions:
        by_reason.setdefault(ledger[partition].error or "no reason given", []).append(partition)
    return by_reason


def _named(partitions: Sequence[PartitionKey]) -> str:
    """Partitions as tables and days, those of the same days together."""
    days: dict[str, list[date]] = {}
    for partition in sorted(partitions, key=lambda each: (each.table, each.day)):
        days.setdefault(partition.table, []).append(partition.day)
    together = sorted(days.items(), key=lambda item: (item[1], item[0]))
    return "; ".join(
        f"{', '.join(table for table, _ in group)} on {_ranges(of)}"
        for of, group in groupby(together, key=lambda item: item[1])
    )


def _ranges(days: Sequence[date]) -> str:
    ranges: list[list[date]] = []
    for day in sorted(set(days)):
        if ranges and day.toordinal() == ranges[-1][-1].toordinal() + 1:
            ranges[-1].append(day)
        else:
            ranges.append([day])
    return ", ".join(str(run[0]) + (f" to {run[-1]}" if len(run) > 1 else "") for run in ranges)


def reason_of(failure: FailedPart) -> str:
    """What the state machine saw: for what is not in the ledger, as of a killed function."""
    message = failure.cause
    with suppress(ValueError, TypeError, KeyError):
        # The error of a function is JSON.
        message = json.loads(message)["errorMessage"]
    text = f"{failure.error}: {message}" if failure.error not in message else message
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
