"""Every table of small and large organisations equals what the sandbox made."""

import os
from collections.abc import Iterator
from datetime import timedelta
from math import ceil

import pytest

from choreo_insights.export.queries import PAGE_SIZE
from dev.sandbox import EnvironmentSpec, OrganizationSpec, SandboxServer, SandboxSettings, World
from tests.unit.choreo_insights.export.test_run import (
    CATALOGUE,
    TODAY,
    Place,
    bodies,
    canonical,
    made,
)

DAY = TODAY - timedelta(days=1)
# A request of more root fields is refused: batches are halved until they pass.
MOST_FIELDS = 11
DAILY = [
    table
    for table in CATALOGUE.chosen(None)
    if table.covers in ("day", "past_day") and not table.environment_types
]
# A large one takes as long as hundreds of other tests.
SIZES = (3, 40, 500) if os.environ.get("SOAK") else (3, 40)
OTHERS = [
    table
    for table in CATALOGUE.chosen(None)
    if table not in DAILY and table.covers != "month" and not table.per_project
]


@pytest.fixture(params=SIZES)
def sized(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A place whose organisation has so many APIs."""
    spec = OrganizationSpec(
        "acme",
        apis=request.param,
        applications=2,
        environments=(EnvironmentSpec("Production"), EnvironmentSpec("Own", "ON_PREM")),
    )
    with SandboxServer(World(seed=5, organizations=[spec]), SandboxSettings()) as sandbox:
        yield Place(sandbox, organizations=("acme",))


def test_every_table_equals_the_generator(sized: Place):
    sized.sandbox.faults.add("complexity", size=MOST_FIELDS, times=None)
    reports = [
        # A day of one environment; and what is there for today alone, or on premise alone.
        sized.run({"from": str(DAY), "to": str(DAY), "environments": ["Production"]}),
        sized.run({"tables": [t.name for t in OTHERS], "from": str(TODAY)}),
    ]
    for report in reports:
        assert report.failures == []
        assert report.mismatches == 0
    expected = {
        key: rows
        for tables, day, places in ((DAILY, DAY, ("Production",)), (OTHERS, TODAY, None))
        for table in tables
        for key, rows in made(sized, table, [day], places).items()
    }
    assert bodies(sized).keys() == expected.keys()
    for key, rows in expected.items():
        assert canonical(sized.dataset.rows(key)) == canonical(rows), key

    apis = len(sized.sandbox.world.organization("acme").environments[0].listed)
    asked = sized.sandbox.statistics
    assert asked.statuses["query 400"] > 0
    # Few queries of few APIs do not fill requests.
    assert sum(asked.root_fields.values()) > (5 if apis > 10 else 2) * asked.queries
    assert asked.root_fields["getAPIUsageOverTime"] >= apis
    usage = expected[f"insights/resource_usage/day={DAY}/acme.Production.parquet"]
    assert asked.root_fields["getResourceUsage"] >= ceil(len(usage) / PAGE_SIZE)
