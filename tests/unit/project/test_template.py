"""The stack as the template declares it: what the emulator does not show, or drops silently."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from choreo_insights.config import ExportConfig, ReportConfig, TokenConfig
from choreo_insights.dataset.store import VERSION_KEY
from choreo_insights.export.slots import PREFIX
from choreo_insights.metrics import NAMESPACE
from choreo_insights_cli.template import Policy, Template
from tests import alarms

ROOT = Path(__file__).parents[3]
TEMPLATE = Template(ROOT / "template.yaml")
POLICIES = list(TEMPLATE.policies())
ALARMS = TEMPLATE.of_type("AWS::CloudWatch::Alarm")
CONTRACT_DEFAULTS: dict[str, Any] = {
    "TokenUrl": "https://sts.choreo.dev/oauth2/token",
    "RevokeUrl": "https://sts.choreo.dev/oauth2/revoke",
    "InsightsUrl": "https://choreocontrolplane.choreo.dev/93tu/insights/1.0.0/query-api",
    "Scope": "apim:api_manage",
    "Tenant": "carbon.super",
    "SecretPrefix": "choreo-insights",
    "SettleHours": 24,
    "ExportSchedule": "rate(1 hour)",
    "Tables": "all",
    "AlarmEmail": "",
}
WITHOUT_DEFAULT = {"Organizations", "ExportSince"}
LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}
PLAIN_HTTP = {"Bool": {"aws:SecureTransport": "false"}}
# Services are let in by statements of their own, each for this account alone.
OTHER_ACCOUNTS = {
    "StringNotEquals": {"aws:PrincipalAccount": "111122223333"},
    "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
}

# What holds a policy, and by which property, for each kind of resource that can have one.
GUARDED = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
    "AWS::KMS::Key": ("AWS::KMS::Key", ""),
}
GUARDS = {guarding for guarding, _ in GUARDED.values()}
# All that the policy of a topic can speak of.
SNS_ACTIONS = {
    *("sns:AddPermission", "sns:DeleteTopic", "sns:GetTopicAttributes", "sns:Publish"),
    *("sns:ListSubscriptionsByTopic", "sns:RemovePermission", "sns:SetTopicAttributes"),
    "sns:Subscribe",
}


def properties(resource: str) -> dict[str, Any]:
    """The properties of a resource, as written."""
    found: dict[str, Any] = TEMPLATE.resources[resource]["Properties"]
    return found


def policy(resource: str) -> Policy:
    """The one policy of a resource."""
    (found,) = (policy for policy in POLICIES if policy.resource == resource)
    return found


def listed(value: Any) -> list[Any]:
    """What IAM allows to be one or a list, as a list."""
    return value if isinstance(value, list) else [value]


def of_logs(statement: dict[str, Any]) -> bool:
    """Whether a statement lets Step Functions set up its log, by actions without a resource."""
    return set(listed(statement["Action"])) == LOG_DELIVERY


def of_secrets(statement: dict[str, Any]) -> bool:
    """Whether a statement is about reading secrets: three of them together name a few."""
    return bool(statement["Action"] == "secretsmanager:GetSecretValue")


def decision(statements: list[dict[str, Any]], arn: str) -> bool:
    """What IAM decides: a refusal goes before what is allowed."""

    def applies(statement: dict[str, Any]) -> bool:
        named = listed(statement.get("Resource") or statement["NotResource"])
        return any(fnmatchcase(arn, each) for each in named) == ("Resource" in statement)

    effects = {each["Effect"] for each in statements if applies(each)}
    return effects == {"Allow"}


class TestParameters:
    def test_are_those_of_the_contract_with_its_defaults(self) -> None:
        assert TEMPLATE.parameters.keys() >= CONTRACT_DEFAULTS.keys() | WITHOUT_DEFAULT
        for name, default in CONTRACT_DEFAULTS.items():
            assert TEMPLATE.parameters[name]["Default"] == default

    @pytest.mark.parametrize("name", TEMPLATE.parameters)
    def test_each_is_described_and_bounded(self, name: str) -> None:
        parameter = TEMPLATE.parameters[name]
        assert parameter["Description"].endswith(".")
        assert ("Default" in parameter) == (name not in WITHOUT_DEFAULT)
        assert parameter.keys() & {"AllowedPattern", "AllowedValues", "MinValue"}
        if "AllowedPattern" in parameter:
            assert parameter["ConstraintDescription"].startswith(f"{name}:")
            assert re.fullmatch(parameter["AllowedPattern"], parameter.get("Default", "2026-01-31"))

    def test_each_is_shown_in_one_group(self) -> None:
        interface = TEMPLATE.body["Metadata"]["AWS::CloudFormation::Interface"]
        shown = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
        assert sorted(shown) == sorted(TEMPLATE.parameters)

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            ("Organizations", ["acme", "acme,globex", "a.b-c_d, e"], ["", "a,,b", "a/b", "a b"]),
            (
                "ExportSince",
                ["2026-01-31"],
                ["", "2026-1-31", "31-01-2026", "2026-13-01", "2026-01-32", "2026-01-31T00:00"],
            ),
            ("Tables", ["all", "apis,runs", "apis, error_summary"], ["", "APIs", "a;b", "apis,"]),
            (
                "TokenUrl",
                [
                    "https://a.example/x?y=z",
                    "http://127.0.0.1:8080/t",
                    "http://localhost",
                    "http://[::1]:1/",
                ],
                [
                    "",
                    "http://a.example/",
                    "http://127.0.0.1.a.example/",
                    "http://localhost@a.example/",
                ],
            ),
            (
                "ExportSchedule",
                [
                    "rate(1 hour)",
                    "rate(15 minutes)",
                    "cron(5 * * * ? *)",
                    "at(2026-01-31T12:00:00)",
                ],
                ["", "1 hour", "rate(0 hours)", "rate(1 week)"],
            ),
            (
                "ReportSchedule",
                ["", "cron(0 6 * * ? *)", "rate(1 day)"],
                ["daily", "rate(0 days)", "cron()"],
            ),
            ("SecretPrefix", ["choreo-insights", "team/choreo"], ["", "/a", "a/", "a*", "*"]),
            ("AlarmEmail", ["", "a@b.example"], ["a", "a@b", "a@b.example,c@d.example"]),
            (
                "QuickSightPrincipalArn",
                [
                    "",
                    "arn:aws:quicksight:eu-central-1:111122223333:user/default/jane@a.example",
                    "arn:aws-us-gov:quicksight:us-gov-west-1:111122223333:group/default/analysts",
                ],
                [
                    "jane",
                    "arn:aws:iam::111122223333:user/jane",
                    "arn:aws:quicksight:eu-central-1:111122223333:namespace/default",
                    "arn:aws:quicksight:eu-central-1:111122223333:user/jane",
                ],
            ),
            ("Scope", ["apim:api_manage", "a b"], ["", "a  b", ' "', "a\\b"]),
            ("Tenant", ["carbon.super", "carbon.super, b.example"], ["", "a b", "${x}", "a,"]),
            (
                "Projects",
                ["", f"A b={'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}"],
                ["a", "a=1", f"={'0' * 36}", f"a={'0' * 36},"],
            ),
            (
                "ExtraEnvironmentIds",
                ["", "Production=a", "Production=a+b,d1=c", "My place=a"],
                ["a", "a=", "=b", "a=b+", "a=b,", "a=b=c", "a=b,,c=d"],
            ),
        ],
    )
    def test_wrong_values_are_refused_before_anything_is_deployed(
        self, name: str, good: list[str], bad: list[str]
    ) -> None:
        pattern = re.compile(TEMPLATE.parameters[name]["AllowedPattern"], re.ASCII)
        assert [value for value in good if not pattern.fullmatch(value)] == []
        assert [value for value in bad if pattern.fullmatch(value)] == []

    def test_the_endpoints_take_the_same_addresses(self) -> None:
        patterns = {
            TEMPLATE.parameters[name]["AllowedPattern"]
            for name in ("TokenUrl", "RevokeUrl", "InsightsUrl")
        }
        assert len(patterns) == 1


class TestOutputs:
    def test_are_those_of_the_contract(self) -> None:
        assert TEMPLATE.body["Outputs"].keys() >= {
            "TokenFunctionName",
            "ExportFunctionName",
            "BackfillStateMachineArn",
            "DatasetBucketName",
            "DatabaseName",
            "WorkGroupName",
            "TokenParameterPrefix",
            "FailuresQueueUrl",
            "AlarmTopicArn",
        }

    def test_the_database_has_a_name_that_sql_takes_without_quotes(self) -> None:
        name = properties("Database")["DatabaseInput"]["Name"]
        stack = {"Fn::Split": ["-", {"Ref": "AWS::StackName"}]}
        assert name == {"Fn::Join": ["_", stack]}


class TestFunctions:
    @pytest.fixture(params=["TokenFunction", "ExportFunction", "ReportFunction"])
    def function(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return properties(request.param)

    def environment(self, function: str) -> dict[str, str]:
        shared = TEMPLATE.body["Globals"]["Function"]["Environment"]["Variables"]
        own = properties(function)["Environment"]["Variables"]
        rendered: dict[str, str] = TEMPLATE.rendered({**shared, **own})
        return {name: str(value) for name, value in rendered.items()}

    def test_the_token_function_takes_its_environment(self) -> None:
        environment = self.environment("TokenFunction") | {"ORGANIZATIONS": "acme,globex"}
        config = TokenConfig.from_environment(environment)
        assert config.organizations == ("acme", "globex")
        assert config.token_parameter_prefix == "/choreo-insights/token"
        assert config.mint_state_prefix == "/choreo-insights/mint"

    def test_the_export_function_takes_its_environment(self) -> None:
        given = {"ORGANIZATIONS": "acme", "EXPORT_SINCE": "2026-01-31"}
        config = ExportConfig.from_environment(self.environment("ExportFunction") | given)
        assert config.tables is None
        assert config.token_function_name == "choreo-insights-tokenfunction"
        assert config.dataset_bucket == "choreo-insights-dataset"

    def test_the_report_function_takes_its_environment(self) -> None:
        given = {"ORGANIZATIONS": "acme", "EXPORT_SINCE": "2026-01-31"}
        config = ReportConfig.from_environment(self.environment("ReportFunction") | given)
        assert (config.organizations, config.tables, config.settle_hours) == (("acme",), None, 24)
        assert config.alarm_topic_arn.endswith(":choreo-insights-alarmtopic")

    def test_run_a_current_python_on_arm(self) -> None:
        shared = TEMPLATE.body["Globals"]["Function"]
        assert TEMPLATE.rendered(shared["Architectures"]) == ["arm64"]
        assert TEMPLATE.rendered(shared["Runtime"]) == "python3.13"

    def test_a_call_that_fails_for_good_is_kept(self, function: dict[str, Any]) -> None:
        config = function["EventInvokeConfig"]
        destination = config["DestinationConfig"]["OnFailure"]
        assert destination == {"Type": "SQS", "Destination": {"Fn::GetAtt": ["Failures", "Arn"]}}
        # A run that completes is a success, so that a retry of the export is for one that did not.
        again = function is properties("ExportFunction")
        assert config["MaximumRetryAttempts"] == (1 if again else 2)

    def test_reserve_no_concurrency(self, function: dict[str, Any]) -> None:
        assert "ReservedConcurrentExecutions" not in function

    def test_write_to_a_log_that_is_not_kept_for_ever(self, function: dict[str, Any]) -> None:
        group = properties(function["LoggingConfig"]["LogGroup"]["Ref"])
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}

    def test_have_the_time_that_they_need(self) -> None:
        assert properties("ExportFunction")["Timeout"] == 900
        assert properties("TokenFunction")["Timeout"] >= 60

    def test_come_after_their_rights(self) -> None:
        for name in ("Token", "Export", "Report"):
            assert TEMPLATE.resources[f"{name}Function"]["DependsOn"] == f"{name}Policy"


class TestPolicies:
    @pytest.mark.parametrize(
        ("resource", "actions"),
        [
            (
                "TokenPolicy",
                {
                    "logs:CreateLogStream",
                    "logs:PutLogEvents",
                    "secretsmanager:GetSecretValue",
                    "ssm:GetParameter",
                    "ssm:PutParameter",
                    "ssm:DeleteParameter",
                    "kms:Encrypt",
                    "kms:GenerateDataKey",
                    "kms:Decrypt",
                    "sqs:SendMessage",
                },
            ),
            (
                "ExportPolicy",
                {
                    "logs:CreateLogStream",
                    "logs:PutLogEvents",
                    "secretsmanager:GetSecretValue",
                    "ssm:GetParameter",
                    "kms:Decrypt",
                    "lambda:InvokeFunction",
                    "s3:ListBucket",
                    "s3:GetObject",
                    "s3:PutObject",
                    "sqs:SendMessage",
                    "states:StartExecution",
                    "states:ListExecutions",
                },
            ),
            (
                "ReportPolicy",
                {
                    *("logs:CreateLogStream", "logs:PutLogEvents", "s3:ListBucket"),
                    *("s3:GetObject", "s3:PutObject", "sns:Publish", "sqs:SendMessage"),
                },
            ),
            ("SchedulePolicy", {"lambda:InvokeFunction", "sqs:SendMessage"}),
            ("ReportSchedulePolicy", {"lambda:InvokeFunction"}),
            (
                "BackfillPolicy",
                {
                    "lambda:InvokeFunction",
                    "states:StartExecution",
                    "states:DescribeExecution",
                    "states:StopExecution",
                    "states:ListMapRuns",
                    "states:RedriveExecution",
                    "states:DescribeMapRun",
                    *LOG_DELIVERY,
                },
            ),
        ],
    )
    def test_grant_what_is_needed_and_no_more(self, resource: str, actions: set[str]) -> None:
        statements = policy(resource).statements
        assert {action for each in statements for action in listed(each["Action"])} == actions

    @pytest.mark.parametrize("each", POLICIES, ids=lambda each: each.resource)
    def test_name_their_actions_and_resources(self, each: Policy) -> None:
        assert each.document["Version"] == "2012-10-17"
        for statement in each.statements:
            if statement["Effect"] == "Deny":
                continue
            assert not any("*" in action for action in listed(statement["Action"]))
            assert statement.get("Principal") not in ("*", {"AWS": "*"})
            if each.kind == "PolicyDocument":
                assert "*" not in listed(statement["Resource"]) or of_logs(statement)
                assert not {"NotAction", "NotResource"} & statement.keys()

    def test_a_wildcard_stands_at_the_end_of_a_name_alone(self) -> None:
        for each in POLICIES:
            if each.kind != "PolicyDocument":
                continue
            for statement in each.statements:
                if of_logs(statement) or of_secrets(statement):
                    continue
                for resource in listed(statement["Resource"]):
                    assert re.fullmatch(r"arn:[^*]+([/:]\*)?", resource)

    @pytest.mark.parametrize("role", ["Token", "Export"])
    @pytest.mark.parametrize("written", ["acme,globex", "acme, globex", "acme  ,  globex"])
    def test_a_function_reads_the_secrets_of_its_organisations_alone(
        self, role: str, written: str
    ) -> None:
        template = Template(ROOT / "template.yaml", Organizations=written, SecretPrefix="team/c")
        (found,) = (each for each in template.policies() if each.resource == f"{role}Policy")
        statements = [each for each in found.statements if of_secrets(each)]

        def may_read(name: str, place: str = "eu-central-1:111122223333") -> bool:
            arn = f"arn:aws:secretsmanager:{place}:secret:{name}-A1b2C3"
            return decision(statements, arn)

        assert may_read("team/c/acme")
        assert may_read("team/c/globex")
        for name in ("team/c/hooli", "other/acme", "team/c/x/acme", "team/c/acme-east", "acme"):
            assert not may_read(name)
        assert not may_read("team/c/acme", "us-east-1:111122223333")
        assert not may_read("team/c/acme", "eu-central-1:222233334444")

    def test_as_many_organisations_fit_as_the_parameter_takes(self) -> None:
        """A role's inline policies have 10,240 characters, without white space."""
        parameter = TEMPLATE.parameters["Organizations"]
        handles = ["a" * (parameter["MaxLength"] // 60 - 1)] * 60
        most = ",".join(handles)
        assert re.fullmatch(parameter["AllowedPattern"], most)
        assert not re.fullmatch(parameter["AllowedPattern"], f"{most},b")
        template = Template(ROOT / "template.yaml", Organizations=most, SecretPrefix="p" * 100)
        for each in template.policies():
            if each.kind == "PolicyDocument":
                assert len(json.dumps(each.document, separators=(",", ":"))) < 10_240 - 500

    def test_a_wildcard_resource_has_its_reason_beside_it(self) -> None:
        lines = [line for line in TEMPLATE.text.splitlines() if re.search(r'Resource: "?\*"', line)]
        assert lines
        assert all(re.search(r" # \w+ \w+", line) for line in lines)

    def test_the_export_touches_nothing_but_the_dataset(self) -> None:
        statements = {each["Sid"]: each for each in policy("ExportPolicy").statements}
        assert statements["ReadAndReplaceObjects"]["Resource"] == (
            "arn:aws:s3:::choreo-insights-dataset/insights/*"
        )
        assert statements["KnowTheVersion"]["Resource"] == (
            f"arn:aws:s3:::choreo-insights-dataset/{VERSION_KEY}"
        )
        assert statements["ShareRequestBudget"]["Resource"] == (
            f"arn:aws:s3:::choreo-insights-dataset/{PREFIX}*"
        )
        assert statements["ListDataset"]["Condition"] == {
            "StringLikeIfExists": {"s3:prefix": "insights/*"}
        }

    def test_the_report_writes_reports_alone(self) -> None:
        statements = {each["Sid"]: each for each in policy("ReportPolicy").statements}
        bucket = "arn:aws:s3:::choreo-insights-dataset"
        assert {sid: s["Resource"] for sid, s in statements.items() if "s3:" in str(s)} == {
            "ListDataset": bucket,
            "ReadDataset": f"{bucket}/insights/*",
            "ReadPrices": f"{bucket}/config/*",
            "WriteReports": f"{bucket}/reports/*",
        }
        writing = [sid for sid, s in statements.items() if "s3:PutObject" in listed(s["Action"])]
        assert writing == ["WriteReports"]
        held = TEMPLATE.of_type("AWS::IAM::Policy").items()
        assert [name for name, each in held if {"Ref": "ReportRole"} in each["Roles"]] == [
            "ReportPolicy"
        ]

    def test_the_export_calls_the_token_function_and_starts_the_backfill_alone(self) -> None:
        """A function that invokes itself could multiply without end."""
        statements = {each["Sid"]: each for each in policy("ExportPolicy").statements}
        held = TEMPLATE.of_type("AWS::IAM::Policy").items()
        assert [name for name, each in held if {"Ref": "ExportRole"} in each["Roles"]] == [
            "ExportPolicy"
        ]
        assert statements["AskForTokens"]["Resource"].endswith(":choreo-insights-tokenfunction")
        machine = TEMPLATE.rendered(properties("Backfill")["Name"])
        assert statements["HandOverWork"]["Resource"].endswith(f":stateMachine:{machine}")
        assert (
            self.environment_of_export()["STATE_MACHINE_ARN"]
            == (statements["HandOverWork"]["Resource"])
        )

    def environment_of_export(self) -> dict[str, str]:
        variables = properties("ExportFunction")["Environment"]["Variables"]
        rendered: dict[str, str] = TEMPLATE.rendered(variables)
        return rendered

    def test_only_the_functions_decrypt_a_token_and_only_through_parameter_store(self) -> None:
        for statement in policy("TokenKey").statements:
            used = set(listed(statement["Action"])) & {"kms:Decrypt", "kms:Encrypt"}
            assert "kms:CreateGrant" not in statement["Action"]
            if not used:
                continue
            condition = statement["Condition"]
            assert condition["StringEquals"]["kms:ViaService"] == "ssm.eu-central-1.amazonaws.com"
            assert condition["StringLike"]["kms:EncryptionContext:PARAMETER_ARN"].endswith(
                ":parameter/choreo-insights/token/*"
            )
            roles = {"kms:Decrypt": ["tokenrole", "exportrole"], "kms:Encrypt": ["tokenrole"]}
            assert listed(condition["ArnEquals"]["aws:PrincipalArn"]) == [
                f"arn:aws:iam::111122223333:role/choreo-insights-{role}"
                for role in roles[used.pop()]
            ]

    def test_the_keys_are_rotated(self) -> None:
        keys = TEMPLATE.of_type("AWS::KMS::Key")
        assert keys
        assert all(key["EnableKeyRotation"] for key in keys.values())

    def test_the_schedules_role_is_for_this_accounts_schedules_alone(self) -> None:
        (statement,) = policy("ScheduleRole").statements
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "111122223333"},
            "ArnEquals": {
                "aws:SourceArn": "arn:aws:scheduler:eu-central-1:111122223333:"
                "schedule-group/choreo-insights-schedules"
            },
        }


class TestBackfill:
    ARN = "arn:aws:states:eu-central-1:111122223333"

    def test_is_made_after_its_rights_which_name_it(self) -> None:
        assert TEMPLATE.resources["Backfill"]["DependsOn"] == "BackfillPolicy"
        assert properties("Backfill")["Name"] == {"Fn::Sub": "${AWS::StackName}-backfill"}
        statements = {each["Sid"]: each for each in policy("BackfillPolicy").statements}
        name = "choreo-insights-backfill"
        assert {sid: statements[sid]["Resource"] for sid in statements if "Parts" in sid} == {
            "StartParts": f"{self.ARN}:stateMachine:{name}",
            "FollowParts": f"{self.ARN}:execution:{name}:*",
            "RedriveParts": f"{self.ARN}:execution:{name}/Parts:*",
            "CountParts": f"{self.ARN}:mapRun:{name}/Parts:*",
        }
        assert statements["StartExport"]["Resource"].endswith(
            ":function:choreo-insights-exportfunction"
        )

    def test_its_role_is_for_this_state_machine_alone(self) -> None:
        (statement,) = policy("BackfillRole").statements
        machine = f"{self.ARN}:stateMachine:choreo-insights-backfill"
        assert statement["Principal"] == {"Service": "states.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "111122223333"},
            "ArnLike": {"aws:SourceArn": [machine, f"{machine}/*"]},
        }

    def test_its_failures_are_logged_but_not_for_ever(self) -> None:
        assert properties("Backfill")["Type"] == "STANDARD"
        assert properties("Backfill")["Logging"]["Level"] == "ERROR"
        assert properties("BackfillLogs")["RetentionInDays"] == {"Ref": "LogRetentionDays"}


class TestBuckets:
    @pytest.fixture(params=["Dataset", "Results"])
    def bucket(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_are_all_looked_at_here(self) -> None:
        assert TEMPLATE.of_type("AWS::S3::Bucket").keys() == {"Dataset", "Results"}

    def test_outlive_their_stack_but_not_a_first_deployment_that_failed(self, bucket: str) -> None:
        assert TEMPLATE.resources[bucket]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert TEMPLATE.resources[bucket]["UpdateReplacePolicy"] == "Retain"

    def test_are_encrypted_and_private(self, bucket: str) -> None:
        written = properties(bucket)
        (rule,) = written["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        blocked = written["PublicAccessBlockConfiguration"]
        assert len(blocked) == 4
        assert all(blocked.values())
        (owner,) = written["OwnershipControls"]["Rules"]
        assert owner == {"ObjectOwnership": "BucketOwnerEnforced"}

    def test_refuse_plain_http_and_other_accounts(self, bucket: str) -> None:
        arn = f"arn:aws:s3:::choreo-insights-{bucket.lower()}"
        assert properties(f"{bucket}Policy")["Bucket"] == {"Ref": bucket}
        assert policy(f"{bucket}Policy").statements == [
            {
                "Sid": sid,
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": condition,
            }
            for sid, condition in (
                ("RefuseOtherAccounts", OTHER_ACCOUNTS),
                ("RefusePlainHttp", PLAIN_HTTP),
            )
        ]

    def test_the_dataset_keeps_its_history_but_not_for_ever(self) -> None:
        assert properties("Dataset")["VersioningConfiguration"] == {"Status": "Enabled"}
        assert TEMPLATE.resources["Dataset"]["UpdateReplacePolicy"] == "Retain"
        rules = properties("Dataset")["LifecycleConfiguration"]["Rules"]
        versions, uploads, quarantine, budget = rules
        assert versions["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
        assert {versions["Status"], uploads["Status"]} == {"Enabled"}
        # A rule that expires current objects would empty the dataset.
        assert "ExpirationInDays" not in {**versions, **uploads}
        assert quarantine["Prefix"] == "quarantine/"
        assert budget["Prefix"] == PREFIX
        assert "ExpirationInDays" not in budget

    def test_results_of_queries_are_thrown_away(self) -> None:
        rules = properties("Results")["LifecycleConfiguration"]["Rules"]
        assert [rule.get("ExpirationInDays") for rule in rules] == [7, None]


class TestResourcePolicies:
    """Of buckets, queues, topics and keys: who may come near, and how."""

    EACH = tuple(each for each in POLICIES if TEMPLATE.resources[each.resource]["Type"] in GUARDS)

    def test_everything_that_can_have_one_has_one(self) -> None:
        for kind, (guarding, named) in GUARDED.items():
            guards = TEMPLATE.of_type(guarding)
            if guarding == kind:
                assert all("KeyPolicy" in guard for guard in guards.values())
                continue
            guarded = [ref["Ref"] for guard in guards.values() for ref in listed(guard[named])]
            assert sorted(guarded) == sorted(TEMPLATE.of_type(kind))

    @pytest.mark.parametrize("each", EACH, ids=lambda each: each.resource)
    def test_plain_http_is_refused_to_everyone(self, each: Policy) -> None:
        (refusal,) = (s for s in each.statements if s.get("Condition") == PLAIN_HTTP)
        assert (refusal["Effect"], refusal["Principal"]) == ("Deny", "*")
        actions = listed(refusal["Action"])
        assert actions[0].endswith(":*") or set(actions) == {"sns:Publish", "sns:Subscribe"}

    @pytest.mark.parametrize("each", EACH, ids=lambda each: each.resource)
    def test_no_other_account_is_let_in(self, each: Policy) -> None:
        for statement in each.statements:
            if statement["Effect"] == "Deny":
                continue
            ((kind, principal),) = statement["Principal"].items()
            if kind == "AWS":
                assert principal == "arn:aws:iam::111122223333:root"
            else:
                assert kind == "Service"
                condition = statement["Condition"]["StringEquals"]
                assert condition == {"aws:SourceAccount": "111122223333"}

    @pytest.mark.parametrize("each", EACH, ids=lambda each: each.resource)
    def test_other_accounts_are_refused_whoever_lets_them_in(self, each: Policy) -> None:
        if each.kind == "KeyPolicy":
            # Nobody uses a key whom its policy does not let in: what is not allowed is refused.
            assert not any("CreateGrant" in str(s["Action"]) for s in each.statements)
            return
        (refusal,) = (s for s in each.statements if s.get("Condition") == OTHER_ACCOUNTS)
        assert (refusal["Effect"], refusal["Principal"]) == ("Deny", "*")
        actions = listed(refusal["Action"])
        assert actions[0].endswith(":*") or len(actions) == len(SNS_ACTIONS)
        assert set(actions) <= {"s3:*", "sqs:*"} | SNS_ACTIONS

    @pytest.mark.parametrize("each", POLICIES, ids=lambda each: each.resource)
    def test_who_takes_on_a_role_is_a_service(self, each: Policy) -> None:
        for statement in each.statements:
            if each.kind == "AssumeRolePolicyDocument":
                assert statement["Principal"].keys() == {"Service"}
                assert statement["Action"] == "sts:AssumeRole"


class TestTables:
    @pytest.mark.parametrize("stack", TEMPLATE.of_type("AWS::CloudFormation::Stack"))
    def test_the_nested_stacks_get_the_parameters_that_they_declare(self, stack: str) -> None:
        nested = Template(ROOT / properties(stack)["TemplateURL"])
        assert properties(stack)["Parameters"].keys() == nested.parameters.keys()

    def test_the_workgroup_bounds_and_encrypts_every_query(self) -> None:
        settings = properties("WorkGroup")["WorkGroupConfiguration"]
        assert settings["EnforceWorkGroupConfiguration"] is True
        assert settings["BytesScannedCutoffPerQuery"] == {"Ref": "ScanLimitBytes"}
        result = settings["ResultConfiguration"]
        assert result["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
        assert result["OutputLocation"] == {"Fn::Sub": "s3://${Results}/"}


class TestSchedule:
    def test_retries_and_keeps_what_it_cannot_deliver(self) -> None:
        schedules = TEMPLATE.of_type("AWS::Scheduler::Schedule")
        assert schedules
        for schedule in schedules.values():
            target = schedule["Target"]
            assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["Failures", "Arn"]}}
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
            assert schedule["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"

    def test_sends_the_contracts_event(self) -> None:
        schedule = properties("ExportHourly")
        assert schedule["Target"]["Arn"] == {"Fn::GetAtt": ["ExportFunction", "Arn"]}
        assert schedule["Target"]["Input"] == "{}"
        assert schedule["ScheduleExpression"] == {"Ref": "ExportSchedule"}


class TestFailuresAndAlarms:
    def test_the_queue_is_encrypted_and_keeps_for_two_weeks(self) -> None:
        queue = properties("Failures")
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600

    def test_what_is_watched(self) -> None:
        """That they send the right mails is tried in tests/unit/functions/test_alarms.py."""
        watched = {
            (metric["Namespace"], metric["MetricName"])
            for alarm in ALARMS.values()
            for metric in alarms.metrics(alarm)
        }
        assert watched == {
            ("AWS/Lambda", "Errors"),
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
            ("AWS/States", "ExecutionsFailed"),
            *((NAMESPACE, name) for name in alarms.custom_metrics(TEMPLATE)),
        }

    def test_no_metric_has_a_dimension_that_grows(self) -> None:
        """Each organisation would be a metric to pay for."""
        names = {"FunctionName", "QueueName", "StateMachineArn", "StackName"}
        for alarm in ALARMS.values():
            for metric in alarms.metrics(alarm):
                assert {each["Name"] for each in metric["Dimensions"]} <= names

    @pytest.mark.parametrize("name", ALARMS)
    def test_each_alarm_says_what_to_do_and_is_heard(self, name: str) -> None:
        alarm = properties(name)
        assert 60 < len(alarm["AlarmDescription"]["Fn::Sub"]) < 800  # CloudWatch takes 1024.
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]

    def test_the_topic_has_no_key_to_pay_for(self) -> None:
        assert TEMPLATE.of_type("AWS::KMS::Key").keys() == {"TokenKey"}
        (skip,) = TEMPLATE.resources["AlarmTopic"]["Metadata"]["checkov"]["skip"]
        assert skip["id"] == "CKV_AWS_26"

    def test_an_address_is_subscribed_where_one_is_given(self) -> None:
        assert TEMPLATE.resources["AlarmSubscription"]["Condition"] == "HasAlarmEmail"


class TestEmulator:
    """`Emulated` leaves out the refusal of plain http, on the emulator and nowhere else."""

    def holds(self, condition: Any, values: dict[str, str]) -> bool:
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self.holds(TEMPLATE.body["Conditions"][argument], values)
        if function == "Fn::Not":
            return not self.holds(argument[0], values)
        if function == "Fn::Equals":
            left, right = argument
            return bool(values[left["Ref"]] == right)
        every = {"Fn::And": all, "Fn::Or": any}[function]
        return every(self.holds(each, values) for each in argument)

    @pytest.mark.parametrize(
        ("emulated", "account", "encrypted"),
        [
            ("false", "111122223333", True),
            ("true", "111122223333", True),
            ("false", "000000000000", True),
            ("true", "000000000000", False),
            ("true", "AWS::AccountId", False),
        ],
    )
    def test_has_no_effect_in_a_real_account(
        self, emulated: str, account: str, encrypted: bool
    ) -> None:
        values = {"Emulated": emulated, "AWS::AccountId": account}
        assert self.holds({"Condition": "EncryptedTransport"}, values) is encrypted

    def test_touches_nothing_but_the_refusal_of_plain_http(self) -> None:
        assert TEMPLATE.text.count("!Ref Emulated\n") + TEMPLATE.text.count("!Ref Emulated,") == 1
        conditions = [resource.get("Condition") for resource in TEMPLATE.resources.values()]
        named = {
            *("HasAlarmEmail", "HasQuickSight", "HasReport", "EncryptedTransport"),
            *("Active", "ActiveOnAws"),
        }
        assert set(conditions) == {None, *named}
        left_out = [
            branches[1]["Sid"] for branches in branched(TEMPLATE.body, "EncryptedTransport")
        ]
        assert set(left_out) == {"RefusePlainHttp"}
        assert len(left_out) == 5


def branched(node: Any, condition: str) -> Iterator[list[Any]]:
    """Every `Fn::If` on a condition."""
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for value in values:
        yield from branched(value, condition)
    if isinstance(node, dict) and node.get("Fn::If", [None])[0] == condition:
        yield node["Fn::If"]


class TestSuppressions:
    def test_each_of_checkovs_has_a_comment(self) -> None:
        skipped = [
            skip
            for resource in TEMPLATE.resources.values()
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", ())
        ]
        assert skipped
        assert all(len(skip["comment"]) > 30 for skip in skipped)

    def test_each_of_cfn_lints_has_a_comment(self) -> None:
        lines = re.findall(r"^ +- [EWI]S?\d{4}\b.*$", TEMPLATE.text, re.MULTILINE)
        assert lines
        assert all(re.search(r" # .{20,}", line) for line in lines)
