"""Replacing a partition without losing what the source has since forgotten."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from insights.catalogue import Table
from insights.dataset import Dataset, Kept, Overtaken, Stored
from insights.errors import Retriable
from insights.parquet import decode
from insights.partitions import Partition

Verdict = Literal["exported", "kept", "overtaken"]

_ATTEMPTS = 5


class Size(msgspec.Struct, frozen=True):
    """How much a partition holds: rows, sums of its counts, and how many other figures."""

    rows: int
    totals: Mapping[str, int]

    @classmethod
    def of(cls, table: Table, body: bytes) -> "Size":
        """The size of a file of this table; a column that it has not holds nothing."""
        kinds = {c.name: c.type for c in table.columns if c.type in ("bigint", "double")}
        columns = decode(body, [*kinds, "organization"], table.renamed)
        totals = {}
        for name, kind in kinds.items():
            figures = [figure for figure in columns.get(name, ()) if figure is not None]
            totals[name] = sum(figures) if kind == "bigint" else len(figures)
        return cls(len(columns["organization"]), totals)

    def lost_against(self, old: "Size", *, final: bool) -> str | None:
        """What would be lost if this replaced `old`, or None.

        Of a final day nothing may shrink. Of one that is still open a figure may, while others
        grow; but where nothing grows, the source has forgotten.
        """
        pairs = {name: (total, old.totals.get(name, 0)) for name, total in self.totals.items()}
        if not final and any(new > before for new, before in pairs.values()):
            return None
        if self.rows < old.rows:
            return f"{self.rows} rows in place of {old.rows}"
        for name, (new, before) in pairs.items():
            if new < before:
                return f"{name}: {new} in place of {before}"
        return None


class Written(msgspec.Struct, frozen=True):
    """What became of a file, and why where it was not written."""

    verdict: Verdict
    reason: str | None = None


class Writer(msgspec.Struct, frozen=True):
    """Writes partitions. `protect` is off where a smaller answer is wanted all the same."""

    dataset: Dataset
    run: str
    protect: bool

    def write(
        self,
        partition: Partition,
        body: bytes,
        *,
        over: Stored | None,
        over_is_final: bool,
        day_is_over: bool,
        asked: datetime,
    ) -> Written:
        """Replaces the object that was listed as `over`.

        What somebody else has written since stays where it was asked for later; a past day stays
        where less would take its place. Raises what `Dataset` does, and Retriable where others
        write the object again and again.
        """
        compares = self.protect and day_is_over and partition.table.daily
        etag = over.etag if over else None
        for attempt in range(_ATTEMPTS):
            old = self.dataset.read(partition.key) if attempt or (compares and etag) else None
            own = old is not None and old.run == self.run
            if attempt and old and not own and old.asked >= asked:
                return Written("overtaken", "a newer run has written it")
            # What this run wrote itself a moment ago, and now doubts, is no history.
            if compares and old and not own:
                new = Size.of(partition.table, body)
                lost = new.lost_against(
                    Size.of(partition.table, old.body), final=over_is_final and not attempt
                )
                if lost:
                    return self._keep(partition, old, asked, lost, final=over_is_final)
            if attempt or old:
                etag = old.etag if old else None
            try:
                self.dataset.replace(partition.key, body, over=etag, asked=asked, run=self.run)
            except Overtaken:
                continue
            return Written("exported")
        raise Retriable(f"{partition.key} was written by others {_ATTEMPTS} times meanwhile")

    def _keep(
        self, partition: Partition, old: Kept, asked: datetime, lost: str, *, final: bool
    ) -> Written:
        """Leaves the old object. One that was not final is written again, so that it ages."""
        if not final:
            try:
                self.dataset.replace(
                    partition.key, old.body, over=old.etag, asked=asked, run=self.run
                )
            except Overtaken:
                return Written("overtaken", "another run has written it")
        return Written("kept", f"the source now gives {lost}: it was kept as it is")
