"""Small texts beside the dataset: the prices and targets that every report uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def stored_text(s3: S3Client, bucket: str, key: str) -> str | None:
    """The text of an object, or None where there is none. Raises what `aws_failure` gives."""
    stored = _read(s3, bucket, key)
    return None if stored is None else stored[1].decode("utf-8-sig")


def stored_metadata(s3: S3Client, bucket: str, key: str) -> dict[str, str] | None:
    """An object's own metadata, or None where there is none. Raises as `stored_text`."""
    stored = _read(s3, bucket, key)
    return None if stored is None else stored[0]


def _read(s3: S3Client, bucket: str, key: str) -> tuple[dict[str, str], bytes] | None:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
        return answer["Metadata"], answer["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    except (ClientError, BotoCoreError) as error:
        raise aws_failure(error, f"reading {key}") from error


def store_text(
    s3: S3Client, bucket: str, key: str, text: str, kind: str = "text/plain", **metadata: str
) -> None:
    """Stores a text as UTF-8, with metadata. Raises what `aws_failure` gives."""
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=text.encode(),
            ContentType=f"{kind}; charset=utf-8",
            ChecksumAlgorithm="CRC32",
            Metadata=metadata,
        )
    except (ClientError, BotoCoreError) as error:
        raise aws_failure(error, f"writing {key}") from error
