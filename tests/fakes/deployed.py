"""A deployed stack whose bucket and state machine are fakes."""

from typing import TYPE_CHECKING

from choreo_insights_cli.stack import Stack
from tests.fakes import s3, states

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient


class DeployedStack(Stack):
    """Outputs, parameters and clients without CloudFormation."""

    def __init__(self, bucket: s3.FakeS3, machine: states.FakeStates, **parameters: str) -> None:
        super().__init__("synthetic-stack", {})
        self.outputs = {
            "DatasetBucketName": s3.BUCKET,
            "BackfillStateMachineArn": states.ARN,
        }
        self.parameters = {
            "Organizations": "acme",
            "Tables": "all",
            "ExportSince": "2026-01-01",
            "SettleHours": "24",
            "StaleAfterHours": "3",
            **parameters,
        }
        self.s3: S3Client = bucket.client()
        self.states: SFNClient = machine.client()
