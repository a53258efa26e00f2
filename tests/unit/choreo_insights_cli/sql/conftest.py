"""A dataset of whole runs of the export against the sandbox, with all views in DuckDB."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from choreo_insights.catalogue import load
from choreo_insights.dataset.registry_tables import REGISTRY_ENVIRONMENTS
from choreo_insights.export.report import Report
from choreo_insights_cli.sql.duckdb import connect
from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.expected import expected_rows
from dev.sandbox.world import Api, SandboxEnvironment
from tests.unit.choreo_insights.export.test_run import NOW, TODAY, Place
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights_cli.sql.literal import Literal

Row = dict[str, Any]
DAYS = tuple(TODAY - timedelta(days=n) for n in (2, 1, 0))


@dataclass(frozen=True)
class Spot:
    """An organisation, an environment and a day."""

    organization: str
    environment: SandboxEnvironment
    day: date

    @property
    def end(self) -> datetime:
        """The end of the day."""
        return datetime.combine(self.day, time(), UTC) + timedelta(days=1)

    @property
    def key(self) -> tuple[date, str, str]:
        """As views name it."""
        return self.day, self.organization, self.environment.name


@dataclass
class Views:
    """A dataset in DuckDB, and the sandbox's own figures."""

    world: World
    database: duckdb.DuckDBPyConnection
    report: Report
    _expected: dict[tuple[str, Spot], list[Row]] = field(default_factory=dict)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query in DuckDB's SQL gives."""
        return self.database.execute(sql).fetchall()

    def records(self, view: str) -> list[Row]:
        """The rows of a view."""
        result = self.database.execute(f'SELECT * FROM "{view}"')
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    @property
    def spots(self) -> Iterator[Spot]:
        """Every day of every environment."""
        for handle, organization in self.world.organizations.items():
            for environment in organization.environments:
                for day in DAYS:
                    yield Spot(handle, environment, day)

    def expected(self, table: str, spot: Spot) -> list[Row]:
        """The rows of a table of the sandbox's generator."""
        key = (table, spot)
        kinds = load().table(table).environment_types
        if kinds and spot.environment.type not in kinds:
            return []
        if key not in self._expected:
            self._expected[key] = expected_rows(
                self.world, table, spot.organization, spot.environment.name, spot.day, NOW
            )
        return self._expected[key]

    def api(self, spot: Spot, shown: str | None) -> tuple[str | None, str | None, str | None]:
        """What views call an API that answers name so: id, name and version."""
        for api in spot.environment.apis:
            if shown in (api.id, api.shown) and not api.deleted:
                return _named(api)
        return shown, shown, None


def _named(api: Api) -> tuple[str, str, str]:
    return api.id, api.name, api.version


def written(dataset: MemoryDataset, folder: Path) -> list[Path]:
    """The objects of a dataset as files."""
    paths = []
    for key, found in dataset.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.body)
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(World(seed=11), SandboxSettings()) as server:
        yield server


@pytest.fixture(scope="session")
def exported(
    sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Report, list[Path]]:
    """The files of three days, all of them exported."""
    place = Place(sandbox)
    named = (table.name for table in load().tables if table.only_named)
    projects = sandbox.world.projects("acme")
    place.config = replace(place.config, tables=("all", *named), projects=projects)
    report = place.run()
    assert report.failures == []
    return report, written(place.dataset, tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def views(sandbox: SandboxServer, exported: tuple[Report, list[Path]]) -> Views:
    """The views over them."""
    report, files = exported
    return Views(sandbox.world, connect(files, NOW), report)


@pytest.fixture(scope="session")
def renamed(
    sandbox: SandboxServer,
    exported: tuple[Report, list[Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Views:
    """The same, after all environments were renamed."""
    report, files = exported
    kept = [path for path in files if path.parent.name != REGISTRY_ENVIRONMENTS]
    assert len(kept) < len(files)
    registry = Literal(tmp_path_factory.mktemp("renamed"))
    for handle, organization in sandbox.world.organizations.items():
        for each in organization.environments:
            registry.environments(
                {
                    "organization": handle,
                    "environment_id": each.id,
                    "type": each.type,
                    "name": f"New {each.id}",
                }
            )
    return Views(sandbox.world, connect([*kept, *registry.files], NOW), report)


@pytest.fixture
def troubled(sandbox: SandboxServer, tmp_path: Path) -> Iterator[tuple[Place, Path]]:
    """A place whose runs are yet to come, and the folder for its files."""
    yield Place(sandbox), tmp_path
    sandbox.faults.clear()
