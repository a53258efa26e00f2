"""A whole export against the sandbox Choreo: `URL BUCKET FIRST LAST [--tables]`.

The settings of the export have their defaults.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import date
from typing import Any

import boto3
import requests

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.credentials import Credentials
from choreo_insights.dataset.store import Dataset
from choreo_insights.export.event import Bounds
from choreo_insights.export.insights_api import Choreo
from choreo_insights.export.run import Export
from choreo_insights.http import Http
from dev.bench.jobs import measure
from dev.bench.world import HANDLE, NOW
from dev.sandbox.service import INSIGHTS_PATH, TOKEN_PATH

_SECONDS = 3600


@dataclass(frozen=True)
class _Token:
    access_token: str


class SandboxAccess:
    """The sandbox's secrets and its token, in place of those in AWS."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        reply = self._session.get(f"{url}/sandbox/secrets", timeout=60)
        reply.raise_for_status()
        self._secret = reply.json()[HANDLE]

    def get(self, handle: str) -> Credentials:
        """As Secrets does."""
        return Credentials(**self._secret)

    def new_token(self) -> _Token:
        reply = self._session.post(
            self._url + TOKEN_PATH,
            data={
                "grant_type": "client_credentials",
                "orgHandle": HANDLE,
                "scope": "apim:api_manage",
            },
            auth=(self._secret["consumer_key"], self._secret["consumer_secret"]),
            timeout=60,
        )
        reply.raise_for_status()
        return _Token(reply.json()["access_token"])


class OneToken:
    """One token, in place of those that the token function mints."""

    def __init__(self, sandbox: SandboxAccess) -> None:
        self._token = sandbox.new_token()

    def get(self, organization: str) -> _Token:
        """As Tokens does."""
        return self._token


def settings_of(url: str, bucket: str, first: date, tables: str, most: str = "") -> ExportConfig:
    """The settings of an export from the sandbox at `url`: what shapes it has its default.

    `most` queries are in a request, where it is given.
    """
    return ExportConfig.from_environment(
        {
            "ORGANIZATIONS": HANDLE,
            "SECRET_PREFIX": "bench",
            "TOKEN_PARAMETER_PREFIX": "/bench/token",
            "STACK_NAME": "bench",
            "INSIGHTS_URL": url + INSIGHTS_PATH,
            "TENANT": "carbon.super",
            "TOKEN_FUNCTION_NAME": "bench",
            "DATASET_BUCKET": bucket,
            "STATE_MACHINE_ARN": "bench",
            "EXPORT_SINCE": first.isoformat(),
            "TABLES": tables,
            "MAX_BATCH_SIZE": most,
        }
    )


class _BackfillJob:
    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._config = settings_of(args.url, args.bucket, args.first, args.tables, args.most)
        self._dataset = Dataset(boto3.client("s3"), args.bucket)
        self._sandbox = SandboxAccess(args.url)

    def run(self) -> int:
        """Returns the number of rows."""
        tokens: Any = OneToken(self._sandbox)
        secrets: Any = self._sandbox
        catalogue = load()
        event = {"from": self._args.first.isoformat(), "to": self._args.last.isoformat()}
        run = Export(
            self._config,
            catalogue,
            Bounds.from_event(event, self._config, catalogue, NOW.date()),
            dataset=self._dataset,
            choreo=Choreo(Http(), self._config.insights_url, tokens, secrets),
            secrets=secrets,
            run_id="bench",
            ends=time.monotonic() + _SECONDS,
            now=lambda: NOW,
        )
        report = run.export()
        run.check()
        if report.failures or report.remaining:
            sys.exit(f"the export failed: {report.counts()} {report.failures[:3]}")
        return report.rows


def main() -> None:
    """Measures one export."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("bucket")
    parser.add_argument("first", type=date.fromisoformat)
    parser.add_argument("last", type=date.fromisoformat)
    parser.add_argument("--tables", default="all")
    parser.add_argument("--most", default="", help="queries in a request (default: the usual)")
    measure.run(_BackfillJob(parser.parse_args()).run)


if __name__ == "__main__":
    main()
