"""Overwrites a partition's object, but never with less than it holds."""

from collections.abc import Callable, Container
from datetime import datetime
from typing import Literal

import msgspec

from choreo_insights.dataset.coverage import closes_at, gives_up_at, is_closed
from choreo_insights.dataset.guard import (
    Content,
    carried,
    compared_columns,
    has_unnamed,
    lost,
    merged,
    remembering,
    with_queried_ids,
)
from choreo_insights.dataset.parquet import Constant, File, decode
from choreo_insights.dataset.partitions import Partition
from choreo_insights.dataset.store import Dataset, Kept, Overtaken, Stored
from choreo_insights.errors import Retriable
from choreo_insights.times import microseconds

Verdict = Literal["exported", "unchanged", "kept", "overtaken"]

_ATTEMPTS = 5


class KnownApis(msgspec.Struct, frozen=True):
    """What is known of the APIs of a partition.

    `listed` are those that are listed now, `unanswered` those that the service refused to answer
    for. `resolve` gives the id that an answered one stands for, or None.
    """

    listed: Container[str] = ()
    unanswered: frozenset[str] = frozenset()
    resolve: Callable[[str | None], str | None] = lambda _: None


class Written(msgspec.Struct, frozen=True):
    """What became of a response, and why where it was not written.

    `closed` says that no run queries the partition again.
    """

    verdict: Verdict
    reason: str | None = None
    rows: int | None = None
    size: int | None = None
    closed: bool = False


class Writer(msgspec.Struct, frozen=True):
    """Writes partitions for one run. With `force` a smaller response is written all the same."""

    dataset: Dataset
    run: str
    force: bool
    settle_hours: float
    now: Callable[[], datetime]

    def write(
        self,
        partition: Partition,
        file: File,
        *,
        over: Stored | None,
        queried_at: datetime,
        apis: KnownApis,
    ) -> Written:
        """Replaces the object that was listed as `over` before the run began.

        A response that was requested before another run's that is there by now is dropped. One
        that holds less than the object is refused, and a list that has not changed stays as it is.
        `queried_at` is when it was requested.

        Raises what `Dataset` does, and Retriable where others write the object again and again.
        """
        etag = over.etag if over else None
        for attempt in range(_ATTEMPTS):
            old = self.dataset.read(partition.key) if over or attempt else None
            changed = old is not None and not _is_listed(old, over)
            if old and changed and (old.run, old.queried_at) == (self.run, queried_at):
                # The response to an earlier PUT was lost, and the SDK has repeated it.
                return self._exported(partition, file, len(old.body))
            if old and changed and old.queried_at >= queried_at:
                return Written("overtaken", "another run has written a newer response")
            is_list = not partition.table.daily
            if old and is_list and not self.force and _same(partition, file, old):
                # A list of today, as it was an hour ago: rewriting it would say nothing new.
                return Written("unchanged", rows=file.rows, size=len(old.body))
            if old and partition.table.daily:
                file, reason = self._guarded(partition, file, old, apis)
                if reason:
                    return self._keep(partition, old, reason)
            etag = old.etag if old else None
            body = file.encode(partition.table.columns)
            try:
                self.dataset.replace(
                    partition.key, body, over=etag, queried_at=queried_at, run=self.run
                )
            except Overtaken:
                continue
            return self._exported(partition, file, len(body))
        raise Retriable(f"{partition.key} was written by others {_ATTEMPTS} times meanwhile")

    def _exported(self, partition: Partition, file: File, size: int) -> Written:
        closed = self.now() >= closes_at(partition.last_day, self.settle_hours)
        return Written("exported", rows=file.rows, size=size, closed=closed)

    def _guarded(
        self, partition: Partition, file: File, old: Kept, apis: KnownApis
    ) -> tuple[File, str | None]:
        """The rows to write, and what they would lose; the rows of APIs that are gone stay."""
        table = partition.table
        if self.force and not apis.unanswered:
            return file, None
        stored = decode(old.body, compared_columns(table), table.renamed)
        resolve = remembering(apis.resolve, stored)
        unnamed = has_unnamed(table, stored, resolve)
        if unnamed:
            # Whose rows these were is not known: the sums over all APIs are compared.
            resolve = _any_api
        before = Content.of(table, stored, len(stored["organization"]), resolve)
        new = file.plain()
        after = Content.of(table, new, file.rows, resolve)
        carry = apis.unanswered
        if not self.force:
            carry = frozenset() if unnamed else carried(table, before, after, apis.listed)
        if carry:
            kept = with_queried_ids(table, decode(old.body, renamed=table.renamed))
            values, rows = merged(table, kept, new, carry, resolve)
            file = File(dict(values), rows, file.dropped)
            after = Content.of(table, values, rows, resolve)
        return file, None if self.force else lost(table, before, after)

    def _keep(self, partition: Partition, old: Kept, reason: str) -> Written:
        """Leaves the object as it is, which confirms nothing.

        Once the source had a week to recover, the object of an open day is rewritten unchanged,
        marked as unconfirmed: that closes the day.
        """
        reason = f"the source gives {reason}: the stored data stays"
        day, settle = partition.last_day, self.settle_hours
        if self.now() < gives_up_at(day, settle) or is_closed(old.written, day, settle):
            return Written("kept", reason)
        try:
            self.dataset.replace(
                partition.key,
                old.body,
                over=old.etag,
                queried_at=old.queried_at,
                run=old.run,
                confirmed=False,
            )
        except Overtaken:
            return Written("overtaken", "another run has written it")
        return Written("kept", f"{reason}, unconfirmed", closed=True)


def _is_listed(old: Kept, over: Stored | None) -> bool:
    """Whether an object is still the one that was listed."""
    # All files without rows have the same ETag. A GET gives Last-Modified in whole seconds.
    return (
        over is not None
        and old.etag == over.etag
        and old.written.replace(microsecond=0) == over.written.replace(microsecond=0)
    )


def _same(partition: Partition, file: File, old: Kept) -> bool:
    """Whether an object holds these very rows, whenever they were queried."""
    moment = Constant(microseconds(old.queried_at))
    again = File({**file.columns, "exported_at": moment}, file.rows)
    return again.encode(partition.table.columns) == old.body


def _any_api(_: str | None) -> str:
    return "any"
