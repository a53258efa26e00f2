"""Every table of small and large organisations equals what the sandbox made."""

import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from insights.partitions import safe_name
from sandbox import EnvironmentSpec, OrganizationSpec, SandboxServer, Settings, World
from tests.unit.export.test_export import CATALOGUE, TODAY, Place, bodies, canonical

DAY = TODAY - timedelta(days=1)
ENVIRONMENT = "Production"


# The largest takes minutes, most of them in the sandbox: `make soak` has it.
SIZES = (3, 40, 500) if os.environ.get("SOAK") else (3, 40)


@pytest.fixture(params=SIZES)
def sized(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A place whose organisation has so many APIs."""
    spec = OrganizationSpec(
        "acme", apis=request.param, applications=2, environments=(EnvironmentSpec(ENVIRONMENT),)
    )
    with SandboxServer(World(seed=5, organizations=[spec]), Settings()) as sandbox:
        yield Place(sandbox, organizations=("acme",))


def test_every_table_equals_the_generator(sized: Place):
    # Requests of more than eleven root fields are refused: batches are halved until they pass.
    sized.sandbox.faults.add("complexity", size=11, times=None)
    report = sized.run({"from": str(DAY), "to": str(DAY)})
    assert report.failures == []
    assert report.mismatches == 0
    daily = [t for t in CATALOGUE.chosen(None) if t.daily and t.scope == "environment"]
    wanted = [t for t in daily if not t.environment_types]
    assert len(bodies(sized)) == len(wanted)
    for table in wanted:
        key = f"insights/{table.name}/day={DAY}/acme.{safe_name(ENVIRONMENT)}.parquet"
        expected = sized.expected(table.name, "acme", ENVIRONMENT, DAY)
        assert canonical(sized.dataset.rows(key)) == canonical(expected), table.name
