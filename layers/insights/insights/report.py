"""What a run did: the function's reply, and what its metrics count."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from insights.errors import NEEDS_PERSON, InsightsError
from insights.partitions import Partition

# In a metric, where a failure is of no organisation by itself. No handle is this.
_EVERY = "*"
# A task of Step Functions takes a reply of 256 KB, the smallest limit on its way.
_MOST_FAILURES = 250
_COUNTS = (
    *("exported", "settled", "failed", "remaining", "kept", "rows", "bytes", "requests"),
    *("retriable", "needs_person", "mismatches"),
)


@dataclass
class Report:
    """What a run did, in the words of the contract."""

    exported: int = 0
    settled: int = 0
    failed: int = 0
    remaining: int = 0
    rows: int = 0
    bytes: int = 0
    requests: int = 0
    failures: list[dict[str, str | None]] = field(default_factory=list)
    # Past days that were not replaced by less.
    kept: int = 0
    # Answers with fields that nobody asked for: the service has changed.
    unknown_fields: int = 0
    # Failures that a retry may mend, and those that it does not.
    retriable: int = 0
    needs_person: int = 0
    # Checks of which the two sides do not agree.
    mismatches: int = 0
    # Whether other runs have the request budget, so that this one did less than it had time for.
    waiting: bool = False
    # The execution of the state machine that goes on with what remains.
    catch_up: str | None = None
    # Exported, Failed and NeedsPerson by organisation; failed by table and organisation.
    by_organization: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed_tables: Counter[tuple[str, str]] = field(default_factory=Counter)
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """The counts of the reply."""
        return {name: getattr(self, name) for name in _COUNTS}

    def reply(self) -> dict[str, Any]:
        """The function's reply; of very many failures the first are named, all are counted."""
        return {
            **self.counts(),
            "waiting": self.waiting,
            "catch_up": self.catch_up,
            "failures": self.failures[:_MOST_FAILURES],
        }

    def count_export(self, partition: Partition, rows: int, size: int) -> None:
        """Counts a partition once, also where it was asked for again."""
        known = partition.key in self._sizes
        rows_before, size_before = self._sizes.get(partition.key, (0, 0))
        self._sizes[partition.key] = rows, size
        self.rows += rows - rows_before
        self.bytes += size - size_before
        if not known:
            self.exported += 1
            self.by_organization[partition.organization, "Exported"] += 1

    def count_failure(
        self,
        table: str,
        organization: str | None,
        environment: str | None,
        day: date,
        error: InsightsError,
        reason: str = "",
    ) -> None:
        """Counts and names a failure; `reason` may say more than the error does."""
        self.failed += 1
        self.failures.append(
            {
                "table": table,
                "organization": organization,
                "environment": environment,
                "day": day.isoformat(),
                "reason": reason or str(error),
            }
        )
        whose = organization or _EVERY
        self.by_organization[whose, "Failed"] += 1
        self.failed_tables[table, whose] += 1
        if isinstance(error, NEEDS_PERSON):
            self.needs_person += 1
            self.by_organization[whose, "NeedsPerson"] += 1
        else:
            self.retriable += 1
