"""Small texts beside the dataset: the prices and targets that every report uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def stored_text(s3: S3Client, bucket: str, key: str) -> str | None:
    """The text of an object, or None where there is none. Raises what `aws_failure` gives."""
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8")
    except s3.exceptions.NoSuchKey:
        return None
    except (ClientError, BotoCoreError) as error:
        raise aws_failure(error, f"reading {key}") from error


def store_text(s3: S3Client, bucket: str, key: str, text: str, kind: str = "text/plain") -> None:
    """Stores a text as UTF-8. Raises what `aws_failure` gives."""
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=text.encode(),
            ContentType=f"{kind}; charset=utf-8",
            ChecksumAlgorithm="CRC32",
        )
    except (ClientError, BotoCoreError) as error:
        raise aws_failure(error, f"writing {key}") from error
