"""The sandbox, and the doctor who asks it as the command does."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from choreo_insights.http import Http, Timeouts
from choreo_insights_cli.catalogue.compiler import compile_document
from choreo_insights_cli.commands.doctor import documents
from choreo_insights_cli.commands.doctor.command import diagnose
from choreo_insights_cli.commands.doctor.findings import DoctorReport, Finding
from choreo_insights_cli.commands.doctor.settings import DoctorOptions
from choreo_insights_cli.stack import Stack
from dev.sandbox import SandboxServer, SandboxSettings

NOW = datetime(2026, 3, 11, 12, 30, tzinfo=UTC)

Doctor = Callable[..., DoctorReport]


@pytest.fixture(scope="package", autouse=True)
def compiled_once() -> Iterator[None]:
    """Each document is compiled once, and not again by every doctor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "compile_document", cache(compile_document))
        patch.setattr(documents, "_as_sent", cache(documents._as_sent))
        yield


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(settings=SandboxSettings(now=NOW)) as running:
        yield running


@pytest.fixture
def http() -> Http:
    """A client that does not wait before it tries again."""
    return Http(Timeouts(connect=5.0, read=30.0, total=30.0), retries=1, sleep=lambda _: None)


@pytest.fixture
def doctor(sandbox: SandboxServer, http: Http, tmp_path: Path) -> Doctor:
    """Asks the sandbox for acme; keywords change the options, `secret` the secret."""

    def ask(secret: Mapping[str, Any] | None = None, **options: Any) -> DoctorReport:
        file = tmp_path / "secret.json"
        file.write_text(json.dumps({**sandbox.world.secret("acme"), **(secret or {})}), "utf-8")
        wish = DoctorOptions(
            token_url=sandbox.token_url,
            insights_url=sandbox.insights_url,
            secret_file=str(file),
        )
        return diagnose(replace(wish, **options), Stack("synthetic", {}), file.read_text, http)

    return ask


@pytest.fixture
def checks() -> Callable[[DoctorReport], dict[str, Finding]]:
    """The checks of a report's only organisation, by name."""

    def by_name(report: DoctorReport) -> dict[str, Finding]:
        (diagnosis,) = report.diagnoses
        return {finding.what: finding for finding in diagnosis.checks}

    return by_name
