"""The permissions of people, as docs/operations.md lists them, and which of them were tried.

UNSEEN are those that the local AWS does not ask for on the way that the test takes.
"""

import re

from choreo_insights_cli.paths import ROOT

_ROW = re.compile(r"^\| `(?P<command>[a-z]+)` \| (?P<permissions>`[a-z0-9]+:.*`) \|$", re.MULTILINE)
_ALSO = re.compile(r"those of `(?P<command>[a-z]+)`")

UNSEEN: dict[str, dict[str, str]] = {
    "secret": {
        "secretsmanager:PutSecretValue": "A new secret is created; this replaces one.",
    },
    "doctor": {
        "secretsmanager:GetSecretValue": "Without it the doctor reports that and goes no further.",
    },
    "query": {
        "athena:*": "The local AWS is asked through a copy: its Athena speaks another dialect.",
        "glue:*": "Athena reads the catalogue as who asks it.",
        "s3:GetBucketLocation": "Athena looks the bucket of results up.",
        "s3:PutObject": "Athena writes the results.",
    },
    "compact": {
        "athena:*": "A dry run of tables that were never compacted asks Athena nothing.",
        "glue:CreateTable": "Athena makes and changes tables as who asks it.",
        "glue:UpdateTable": "As for `glue:CreateTable`.",
        "glue:GetDatabase": "As for `query`.",
        "glue:GetTables": "As for `query`.",
        "glue:GetPartitions": "As for `query`.",
        "s3:GetBucketLocation": "As for `query`.",
        "s3:PutObject": "Athena writes, and a dry run nothing.",
        "s3:DeleteObject": "As for `s3:PutObject`.",
    },
    "report": {"s3:*": "Not tried: a month's report needs a month's data."},
    "access": {"s3:*": "Not tried: it stores rules."},
    "backfill": {
        "states:*": "Only the listing is tried: a backfill's parts take minutes.",
        "s3:*": "Only a start reads the dataset.",
    },
    "migrate": {
        "s3:PutObject": "A dry run writes nothing.",
        "s3:DeleteObject": "A dry run deletes nothing.",
        "states:*": "A dry run disturbs no backfill.",
    },
    "restore": {
        "s3:PutObject": "A dry run writes nothing.",
        "s3:GetObject": "Of what changed alone the content is read.",
        "s3:GetObjectVersion": "Of what changed alone the content is read.",
        "s3:ListBucket": "Only the registry's listing needs it.",
        "states:*": "A dry run disturbs no backfill.",
    },
    "cost": {
        "cloudwatch:*": "What may not be counted is modelled.",
        "athena:*": "What may not be counted is modelled, and the local AWS answers no queries.",
        "glue:*": "As for `query`.",
        "s3:GetBucketLocation": "As for `query`.",
        "s3:PutObject": "As for `query`.",
    },
}


def permissions() -> dict[str, list[str]]:
    """The permissions of each command."""
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    rows = {row["command"]: row["permissions"] for row in _ROW.finditer(text)}
    named = {name: re.findall(r"`([a-z0-9]+:\w+)`", row) for name, row in rows.items()}
    return {
        name: named[name] + [each for also in _ALSO.findall(row) for each in named[also]]
        for name, row in rows.items()
    }


def is_unseen(command: str, action: str) -> bool:
    """Whether the local AWS does not ask for it there."""
    service = action.partition(":")[0]
    return bool(UNSEEN.get(command, {}).keys() & {action, f"{service}:*"})
