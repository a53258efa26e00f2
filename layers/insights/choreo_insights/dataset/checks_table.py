"""The table `checks`: its columns, and a day's object. `cross_checks` says what is compared."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from choreo_insights.catalogue import Column
from choreo_insights.dataset.parquet import Constant, decode, encode
from choreo_insights.dataset.partitions import Environment, day_prefix
from choreo_insights.times import microseconds

Verdict = Literal["ok", "lower", "open", "mismatch", "skipped", "warning"]
CHECKS = "checks"
CHECKS_DESCRIPTION = (
    "Whether the tables of a day have the same numbers, as far as they should. A row for each "
    "comparison, of the last time that the day was exported."
)
CHECKS_COLUMNS: tuple[Column, ...] = (
    Column("what", "string", "What was compared; <= where the left side may be lower."),
    Column("organization", "string", "Handle of the organisation."),
    Column("environment", "string", "Name of the environment; null for tables of an organisation."),
    Column("environment_id", "string", "Id of the environment."),
    Column("expected", "bigint", "What there should be; null where it was not compared."),
    Column("found", "bigint", "What there is; null where it was not compared."),
    Column(
        "verdict",
        "string",
        "ok; lower (allowed, the explanation says why); open (a small difference on a day that "
        "still fills); mismatch; skipped (a table is not there); warning (a setting leaves data "
        "out).",
    ),
    Column("explanation", "string", "Why the figures differ, or were not compared."),
    Column("tables", "string", "The tables that were compared, with commas."),
    Column("exported_at", "timestamp", "When the row was written (UTC)."),
)
_INT64 = 2**63 - 1


class Check(msgspec.Struct, frozen=True):
    """The outcome of one comparison. `tables` are all that it looked at."""

    what: str
    tables: tuple[str, ...]
    verdict: Verdict
    expected: int | None = None
    found: int | None = None
    explanation: str | None = None


def key(day: date, place: str) -> str:
    """The key of a day's checks; `place` as in the key of a partition."""
    return f"{day_prefix(CHECKS, day)}{place}.parquet"


def file(
    checks: Sequence[Check],
    *,
    organization: str,
    environment: Environment | None,
    now: datetime,
) -> bytes:
    """The checks of a day as Parquet. The day is in the object's key alone."""
    values: dict[str, Sequence[Any] | Constant] = {
        "what": [check.what for check in checks],
        "organization": Constant(organization),
        "environment": Constant(environment.name if environment else None),
        "environment_id": Constant(environment.id if environment else None),
        "expected": [_bounded(check.expected) for check in checks],
        "found": [_bounded(check.found) for check in checks],
        "verdict": [check.verdict for check in checks],
        "explanation": [check.explanation for check in checks],
        "tables": [",".join(check.tables) for check in checks],
        "exported_at": Constant(microseconds(now)),
    }
    return encode(CHECKS_COLUMNS, values, len(checks))


def mismatches(checks: Iterable[Check]) -> list[Check]:
    """The checks that need attention."""
    return [check for check in checks if check.verdict == "mismatch"]


def doubted_tables(body: bytes) -> frozenset[str]:
    """The tables of a day whose figures did not agree, from the object that `day_checks` writes.

    Raises ValueError where it is not Parquet, and KeyError for a file without these columns.
    """
    columns = decode(body, ("verdict", "tables"))
    rows = zip(columns["verdict"], columns["tables"], strict=True)
    return frozenset(
        name for verdict, tables in rows if verdict == "mismatch" for name in tables.split(",")
    )


def _bounded(value: int | None) -> int | None:
    # A sum of 64-bit numbers can be beyond them.
    return None if value is None else max(-_INT64, min(value, _INT64))
