"""What a run did: the function's reply, and what its metrics count."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from choreo_insights.errors import NEEDS_PERSON, InsightsError

# Bytes of failures in a reply. The smallest limit on its way is that of Step Functions, 256 KB.
_MOST_FAILURES = 150_000

_COUNTS = (
    "exported",
    "settled",
    "failed",
    "remaining",
    "kept",
    "unconfirmed",
    "rows",
    "bytes",
    "requests",
    "retriable",
    "needs_person",
    "mismatches",
)


@dataclass
class Report:
    """What a run did, in the words of the contract.

    `retriable` counts failures that the next run may not have, `needs_person` the others.
    """

    exported: int = 0
    settled: int = 0
    failed: int = 0
    remaining: int = 0
    rows: int = 0
    bytes: int = 0
    requests: int = 0
    # The first failures; the count `failed` has all of them.
    failures: list[dict[str, str | None]] = field(default_factory=list)
    # Partitions of which the source now gives less than is stored.
    kept: int = 0
    # Of those, the ones that were closed in this run without a confirmation.
    unconfirmed: int = 0
    # Answers with fields that the document does not select: the service has changed.
    unknown_fields: int = 0
    retriable: int = 0
    needs_person: int = 0
    # Checks of which the two sides do not agree.
    mismatches: int = 0
    # Whether other runs have the request budget, so that this one did less than it had time for.
    waiting: bool = False
    # The execution of the state machine that goes on with what remains.
    catch_up: str | None = None
    # How much was exported of each organisation that the run was for.
    exported_of: Counter[str] = field(default_factory=Counter)
    _size: int = 0

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in _COUNTS}

    def reply(self) -> dict[str, Any]:
        more = {"waiting": self.waiting, "catch_up": self.catch_up}
        organizations = {
            organization: {"exported": self.exported_of[organization]}
            for organization in sorted(self.exported_of.keys())
        }
        return {
            **self.counts(),
            **more,
            "organizations": organizations,
            "failures": self.failures,
        }

    def count_export(self, organization: str, rows: int, size: int) -> None:
        """Counts a partition that was written."""
        self.exported += 1
        self.exported_of[organization] += 1
        self.rows += rows
        self.bytes += size

    def count_failure(
        self,
        table: str,
        organization: str | None,
        environment: str | None,
        day: date,
        error: InsightsError,
        reason: str = "",
    ) -> None:
        """Counts a failure, and names it where not too many are named; `reason` may say more."""
        self.failed += 1
        failure = {
            "table": table,
            "organization": organization,
            "environment": environment,
            "day": day.isoformat(),
            "reason": reason or str(error),
        }
        if organization:
            # Names the organisation with 0: nothing was exported is not the same as not being in
            # the run.
            self.exported_of[organization] += 0
        self._size += len(json.dumps(failure))
        if self._size <= _MOST_FAILURES:
            self.failures.append(failure)
        if isinstance(error, NEEDS_PERSON):
            self.needs_person += 1
        else:
            self.retriable += 1
