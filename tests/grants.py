"""Every right that the template grants, and how it is known to be needed.

SEEN are the rights without which a path of the integration tests breaks: there each is taken away
once. UNSEEN are those of which the emulator does not ask, each with what needs it on AWS.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from choreo_insights_cli.template import Template


class Grant(NamedTuple):
    """One action of one statement; `holder` is the resource that holds the policy."""

    holder: str
    sid: str
    action: str

    def __str__(self) -> str:
        return " ".join(self)


class Unseen(NamedTuple):
    """Actions of a statement that the emulator does not ask for."""

    holder: str
    sid: str
    actions: tuple[str, ...]
    reason: str


# By the path that breaks.
SEEN: dict[str, tuple[Grant, ...]] = {
    "token": (
        Grant("TokenPolicy", "ReadCredentials", "secretsmanager:GetSecretValue"),
        Grant("TokenPolicy", "CacheTokens", "ssm:GetParameter"),
        Grant("TokenPolicy", "CacheTokens", "ssm:PutParameter"),
        Grant("TokenPolicy", "CacheTokens", "ssm:DeleteParameter"),
        Grant("TokenPolicy", "MintOneAtATime", "ssm:GetParameter"),
        Grant("TokenPolicy", "MintOneAtATime", "ssm:PutParameter"),
    ),
    "export": (
        Grant("ExportPolicy", "ReadOrganisationIds", "secretsmanager:GetSecretValue"),
        Grant("ExportPolicy", "ReadTokens", "ssm:GetParameter"),
        Grant("ExportPolicy", "AskForTokens", "lambda:InvokeFunction"),
        Grant("ExportPolicy", "ListDataset", "s3:ListBucket"),
        Grant("ExportPolicy", "ReadAndReplaceObjects", "s3:GetObject"),
        Grant("ExportPolicy", "ReadAndReplaceObjects", "s3:PutObject"),
        Grant("ExportPolicy", "ShareRequestBudget", "s3:GetObject"),
        Grant("ExportPolicy", "ShareRequestBudget", "s3:PutObject"),
    ),
    "report": (
        Grant("ReportPolicy", "ListDataset", "s3:ListBucket"),
        Grant("ReportPolicy", "ReadDataset", "s3:GetObject"),
        Grant("ReportPolicy", "ReadPrices", "s3:GetObject"),
        Grant("ReportPolicy", "WriteReports", "s3:GetObject"),
        Grant("ReportPolicy", "WriteReports", "s3:PutObject"),
        Grant("ReportPolicy", "PublishLocation", "sns:Publish"),
    ),
    "claim": (
        Grant("ExportPolicy", "KnowTheVersion", "s3:GetObject"),
        Grant("ExportPolicy", "KnowTheVersion", "s3:PutObject"),
    ),
    "quarantine": (Grant("ExportPolicy", "KeepUnreadableReplies", "s3:PutObject"),),
    "hand over": (
        Grant("ExportPolicy", "HandOverWork", "states:StartExecution"),
        Grant("ExportPolicy", "HandOverWork", "states:ListExecutions"),
    ),
}

_LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
_LOGS_REASON = "Lambda writes a function's log as its role; the emulator writes it by itself."
_KMS_REASON = (
    "Parameter Store asks KMS as the caller: Encrypt for a token of up to 4 KB, GenerateDataKey "
    "for a larger one, Decrypt for reading. The emulator's encrypts nothing."
)
_QUEUE_REASON = (
    "Lambda sends what failed for good to the queue as the function's role; the emulator does so "
    "by itself."
)
_SCHEDULE_REASON = "The scheduler takes on this role; the emulator's calls targets by itself."
_STATES_REASON = "Step Functions takes on this role; the emulator's runs states by itself."
_TRUST_REASON = "Without it the service cannot take on the role; the emulator does not ask."
_MANAGED = (
    *("kms:CancelKeyDeletion", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation"),
    *("kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus"),
    *("kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy"),
    *("kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource"),
    "kms:UpdateKeyDescription",
)
_MANAGED_REASON = (
    "CloudFormation makes, changes and deletes the key as whoever deploys. Nobody may use it by "
    "this, and without it nobody could ever manage the key again."
)
_DELIVERY = (
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery"),
    *("logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy"),
    *("logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
)

UNSEEN: tuple[Unseen, ...] = (
    Unseen("TokenPolicy", "WriteLogs", _LOGS, _LOGS_REASON),
    Unseen("ExportPolicy", "WriteLogs", _LOGS, _LOGS_REASON),
    Unseen("ReportPolicy", "WriteLogs", _LOGS, _LOGS_REASON),
    Unseen("ReportPolicy", "ReportFailures", ("sqs:SendMessage",), _QUEUE_REASON),
    Unseen("ReportSchedulePolicy", "StartReport", ("lambda:InvokeFunction",), _SCHEDULE_REASON),
    Unseen("ReportRole", "", ("sts:AssumeRole",), _TRUST_REASON),
    Unseen(
        "TokenPolicy",
        "EncryptTokens",
        ("kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"),
        _KMS_REASON,
    ),
    Unseen(
        "TokenKey", "TokenFunctionEncrypts", ("kms:Encrypt", "kms:GenerateDataKey"), _KMS_REASON
    ),
    Unseen("TokenKey", "FunctionsDecrypt", ("kms:Decrypt",), _KMS_REASON),
    Unseen("ExportPolicy", "DecryptTokens", ("kms:Decrypt",), _KMS_REASON),
    Unseen("TokenPolicy", "ReportFailures", ("sqs:SendMessage",), _QUEUE_REASON),
    Unseen("ExportPolicy", "ReportFailures", ("sqs:SendMessage",), _QUEUE_REASON),
    Unseen("SchedulePolicy", "StartExport", ("lambda:InvokeFunction",), _SCHEDULE_REASON),
    Unseen("SchedulePolicy", "ReportFailures", ("sqs:SendMessage",), _SCHEDULE_REASON),
    Unseen("BackfillPolicy", "StartExport", ("lambda:InvokeFunction",), _STATES_REASON),
    Unseen(
        "BackfillPolicy",
        "StartParts",
        ("states:StartExecution",),
        f"{_STATES_REASON} A distributed map starts an execution for each part.",
    ),
    Unseen(
        "BackfillPolicy",
        "FollowParts",
        ("states:DescribeExecution", "states:StopExecution", "states:ListMapRuns"),
        f"{_STATES_REASON} A distributed map follows and stops its executions, and the report "
        "at the end looks its run up.",
    ),
    Unseen(
        "BackfillPolicy",
        "RedriveParts",
        ("states:RedriveExecution",),
        f"{_STATES_REASON} A redrive starts the failed executions of the map anew.",
    ),
    Unseen(
        "BackfillPolicy",
        "CountParts",
        ("states:DescribeMapRun",),
        f"{_STATES_REASON} The report at the end counts what the map's run did.",
    ),
    Unseen(
        "BackfillPolicy",
        "DeliverLogs",
        _DELIVERY,
        f"{_STATES_REASON} These set up its log, as its documentation lists them.",
    ),
    Unseen("TokenKey", "AccountAdministersWithoutUsing", _MANAGED, _MANAGED_REASON),
    Unseen(
        "AlarmTopicPolicy",
        "AlarmsPublish",
        ("sns:Publish",),
        "CloudWatch sends alarms to the topic; alarms of the emulator never go off.",
    ),
    Unseen("TokenRole", "", ("sts:AssumeRole",), _TRUST_REASON),
    Unseen("ExportRole", "", ("sts:AssumeRole",), _TRUST_REASON),
    Unseen("ScheduleRole", "", ("sts:AssumeRole",), _TRUST_REASON),
    Unseen("BackfillRole", "", ("sts:AssumeRole",), _TRUST_REASON),
)


def granted(template: Template) -> Iterator[Grant]:
    """All that the template's policies allow."""
    for policy in template.policies():
        for statement in policy.statements:
            if statement["Effect"] == "Allow":
                for action in actions(statement):
                    yield Grant(policy.resource, statement.get("Sid", ""), action)


def actions(statement: dict[str, Any]) -> list[str]:
    """A statement's actions, of which there may be one."""
    found = statement["Action"]
    return list(found) if isinstance(found, list) else [found]
