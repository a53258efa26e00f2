"""Runs jobs, each in a new process, against a local AWS and a sandbox Choreo."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import pyarrow.parquet

from choreo_insights_cli.paths import ROOT
from dev.bench.errors import BenchError
from dev.local import aws
from dev.local.aws import REGION, LocalAws
from dev.local.paths import Folder


@dataclass(frozen=True)
class Timing:
    """Time and memory of a job; memory is the peak above the start."""

    rows: int
    seconds: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


def middle(several: Sequence[Timing]) -> Timing:
    """The median of each figure of the same work."""
    return Timing(
        several[0].rows,
        median(timing.seconds for timing in several),
        median(timing.peak_mib for timing in several),
    )


@dataclass(frozen=True)
class StoredObjects:
    """The objects that a job wrote."""

    rows: int
    bytes: int
    objects: int
    requests: int


@dataclass
class BenchPlace:
    """A running local AWS, and a folder for files."""

    folder: Path
    local: LocalAws
    _buckets: int = field(default=0)

    def s3(self) -> Any:
        """A client of the local S3."""
        environment = self.local.environment
        return boto3.client(
            "s3",
            endpoint_url=self.local.endpoint,
            region_name=REGION,
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def new_bucket(self) -> str:
        self._buckets += 1
        name = f"bench-{self._buckets}"
        where: Any = {"LocationConstraint": REGION}
        self.s3().create_bucket(Bucket=name, CreateBucketConfiguration=where)
        return name

    def run(self, job: str, *words: str) -> Timing:
        """Runs `dev.bench.jobs.JOB` in a new process. Raises BenchError where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", f"dev.bench.jobs.{job}", *words],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise BenchError(f"{job} failed:\n{done.stderr[-4000:]}")
        return Timing(**json.loads(done.stdout.splitlines()[-1]))

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        # The tools' own settings and telemetry are switched off.
        home = {"HOME": str(self.folder), "RUNTIME__DLTHUB_TELEMETRY": "false"}
        path = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "insights")))
        return kept | home | self.local.environment | {"PYTHONPATH": path}

    def stored(self, bucket: str, column: str) -> StoredObjects:
        """Reads a bucket's Parquet; `requests` is the sum of a column."""
        client = self.s3()
        rows = size = objects = requests = 0
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                if not item["Key"].endswith(".parquet"):
                    continue
                body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                values = pyarrow.parquet.read_table(BytesIO(body), columns=[column])
                rows += values.num_rows
                requests += sum(values.column(column).to_pylist())
                size += len(body)
                objects += 1
        return StoredObjects(rows, size, objects, requests)


@contextmanager
def place() -> Iterator[BenchPlace]:
    """A place that is removed with all its files at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        local = aws.start(Folder(folder), iam=False)
        try:
            yield BenchPlace(folder, local)
        finally:
            local.process.stop()
