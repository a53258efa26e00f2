"""A Trino server over a stack that is deployed locally and has exported, for `make test-trino`.

Without TRINO_HOME, where its libraries lie, nothing here is collected.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from choreo_insights_cli.sql.duckdb import connect
from tests.integration import conftest as integration
from tests.trino import page, server

HOME = os.environ.get("TRINO_HOME")
collect_ignore_glob = [] if HOME else ["test_*.py"]

built = integration.built
deployed = integration.deployed


@dataclass(frozen=True)
class Both:
    """The same dataset in Trino, as deployed, and in DuckDB, where the views are translated."""

    trino: server.Trino
    duck: duckdb.DuckDBPyConnection
    seen: page.Seen


@pytest.fixture(scope="session")
def seen() -> Iterator[page.Seen]:
    """What the tests saw, written to TRINO_REPORT at the end where that is set."""
    found = page.Seen(datetime.now(UTC))
    yield found
    if report := os.environ.get("TRINO_REPORT"):
        Path(report).write_text(page.render(found), "utf-8")


@pytest.fixture(scope="session")
def both(
    deployed: integration.Deployment, seen: page.Seen, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    """The dataset after an export of everything."""
    assert HOME
    assert deployed.export()["failed"] == 0
    files = []
    folder = tmp_path_factory.mktemp("dataset")
    for key, body in deployed.objects().items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        files.append(path)
    assert deployed.state.aws
    trino, process = server.start(
        Path(HOME).resolve(),
        tmp_path_factory.mktemp("trino"),
        deployed.state.aws,
        deployed.stack.outputs["DatabaseName"],
    )
    seen.now, seen.files = deployed.now, len(files)
    try:
        yield Both(trino, connect(files, datetime.now(UTC)), seen)
    finally:
        process.stop()
