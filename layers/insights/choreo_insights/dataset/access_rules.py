"""The table `access_rules`: which organisations and environments a reader may see.

QuickSight's row-level security reads it, and `insights dashboard --for`. A null organisation or
environment means all of them. Who is in no rule sees nothing.
"""

from collections.abc import Sequence

import msgspec

from choreo_insights.catalogue import Column
from choreo_insights.dataset.parquet import decode, encode

ACCESS_RULES = "access_rules"
ACCESS_RULES_KEY = f"insights/{ACCESS_RULES}/{ACCESS_RULES}.parquet"
ACCESS_RULES_DESCRIPTION = (
    "Who may see what in QuickSight, as `insights access` stored it: a row for each rule. One "
    "object, replaced whole."
)
# QuickSight wants these names for users and groups, with capitals; SQL folds them.
ACCESS_RULES_COLUMNS: tuple[Column, ...] = (
    Column("UserName", "string", "The user of QuickSight that the rule is for."),
    Column("GroupName", "string", "The group of QuickSight that the rule is for."),
    Column("organization", "string", "Handle of the organisation; null for all of them."),
    Column("environment_id", "string", "Id of the environment; null for all of them."),
)


class Rule(msgspec.Struct, frozen=True, order=True):
    """A user or a group, and what they may see; None stands for everything."""

    user: str | None
    group: str | None
    organization: str | None = None
    environment_id: str | None = None


def encode_rules(rules: Sequence[Rule]) -> bytes:
    """The rules as Parquet."""
    values = {
        "UserName": [rule.user for rule in rules],
        "GroupName": [rule.group for rule in rules],
        "organization": [rule.organization for rule in rules],
        "environment_id": [rule.environment_id for rule in rules],
    }
    return encode(ACCESS_RULES_COLUMNS, values, len(rules))


def decode_rules(body: bytes) -> list[Rule]:
    """The rules of a Parquet file. Raises ValueError where it is none, or lacks a column."""
    names = [column.name for column in ACCESS_RULES_COLUMNS]
    values = decode(body, names)
    if missing := [name for name in names if name not in values]:
        msg = f"columns are missing: {', '.join(missing)}"
        raise ValueError(msg)
    return [Rule(*row) for row in zip(*(values[name] for name in names), strict=True)]
