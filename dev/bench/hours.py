"""Two days of hourly runs on a simulated clock: requests to Insights and to S3, counted.

The real export runs against the sandbox, which refuses requests of more than 40 query fields, and
against an S3 in memory. Time passes between the runs alone.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from choreo_insights.catalogue import load
from choreo_insights.config import ExportConfig
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.ledger import RUNS
from choreo_insights.dataset.store import Dataset
from choreo_insights.export.event import Bounds
from choreo_insights.export.insights_api import Choreo
from choreo_insights.export.run import Export
from choreo_insights.http import Http
from dev.bench.errors import BenchError
from dev.bench.jobs.backfill import OneToken, SandboxAccess, settings_of
from dev.bench.memory_s3 import MemoryS3
from dev.bench.world import HANDLE
from dev.sandbox import EnvironmentSpec, OrganizationSpec, SandboxServer, SandboxSettings, World

ENVIRONMENTS, APIS, APPLICATIONS = 3, 100, 20
MOST_QUERIES = 40
_DAYS = 2
_HOURS = 24
# Of an hour later than midnight, so that no run meets a day's end.
_FIRST = datetime(2026, 3, 28, 0, 5, tzinfo=UTC)
# Tables that are not of the API.
_OWN = {RUNS, CHECKS, "registry_environments", "registry_names"}


@dataclass(frozen=True)
class HourlyRuns:
    """What a day of hourly runs took, in the mean of two days."""

    requests: float
    queries: float
    data_writes: float
    writes: float
    reads: float
    listings: float
    # Objects of the ledger of a day that is closed.
    ledger_objects: int


def measure() -> HourlyRuns:
    """Runs three days, of which the last two count. Raises BenchError where a run fails."""
    environments = tuple(EnvironmentSpec(f"Environment {n}") for n in range(ENVIRONMENTS))
    organization = OrganizationSpec(
        HANDLE, apis=APIS, applications=APPLICATIONS, environments=environments
    )
    settings = SandboxSettings(now=_FIRST, token_lifetime=_DAYS * 48 * 3600)
    with SandboxServer(World(organizations=[organization]), settings) as sandbox:
        sandbox.faults.add("complexity", times=None, size=MOST_QUERIES)
        return _measured(sandbox)


def _measured(sandbox: SandboxServer) -> HourlyRuns:
    s3: Any = MemoryS3(_FIRST)
    access = SandboxAccess(sandbox.url)
    config = settings_of(sandbox.url, "bench", _FIRST.date() - timedelta(days=1), "all")
    hours = [_FIRST + timedelta(hours=n) for n in range((_DAYS + 1) * _HOURS)]
    for number, now in enumerate(hours):
        if number == _HOURS:
            sandbox.statistics.reset()
            s3.requests.clear()
        s3.now = now
        sandbox.settings.update({"now": now.isoformat()})
        _run(config, s3, access, now)
    data = sum(
        n
        for (op, place), n in s3.requests.items()
        if op == "PutObject" and place not in {*_OWN, "state"}
    )
    first = f"insights/{RUNS}/day={(_FIRST.date() - timedelta(days=1)).isoformat()}/"
    return HourlyRuns(
        requests=sandbox.statistics.queries / _DAYS,
        queries=sum(sandbox.statistics.root_fields.values()) / _DAYS,
        data_writes=data / _DAYS,
        writes=s3.count("PutObject") / _DAYS,
        reads=s3.count("GetObject") / _DAYS,
        listings=s3.count("ListObjectsV2") / _DAYS,
        ledger_objects=sum(key.startswith(first) for key in s3.objects),
    )


def _run(config: ExportConfig, s3: Any, access: SandboxAccess, now: datetime) -> None:
    tokens: Any = OneToken(access)
    secrets: Any = access
    catalogue = load()
    run = Export(
        config,
        catalogue,
        Bounds.from_event({}, config, catalogue, now.date()),
        dataset=Dataset(s3, "bench"),
        choreo=Choreo(Http(), config.insights_url, tokens, secrets),
        secrets=secrets,
        run_id=f"{now:%Y%m%dT%H%M}",
        ends=time.monotonic() + 3600,
        now=lambda: now,
    )
    report = run.export()
    run.check()
    if report.failures or report.remaining:
        raise BenchError(f"the run of {now} failed: {report.counts()} {report.failures[:3]}")
