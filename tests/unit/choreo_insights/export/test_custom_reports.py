"""A user's own custom reports: every metric, every field, over time and as the largest."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from choreo_insights.catalogue import Catalogue
from choreo_insights_cli.catalogue.compiler import compile_document, schema
from dev.sandbox import EnvironmentSpec, OrganizationSpec, SandboxServer, SandboxSettings, World
from dev.sandbox.expectation.day import Day
from dev.sandbox.expectation.reports import ExpectedReport
from dev.sandbox.grouping import GROUP_BY
from dev.sandbox.traffic import Cell
from tests.unit.choreo_insights.export.test_run import CATALOGUE, TODAY, Place, canonical

DAY = TODAY - timedelta(days=1)
FIELDS = tuple(GROUP_BY)
# One to three fields for each metric, together all of them.
VALUES: dict[str, tuple[tuple[str, ...], Callable[[Cell, bool], int]]] = {
    "HIT_COUNT": (FIELDS[:1], lambda c, failed: c.errors if failed else c.ok),
    "RESPONSE_CACHE_HIT": (FIELDS[1:3], lambda c, failed: 0 if failed else c.hits),
    "API_ERRORS": (FIELDS[3:6], lambda c, failed: c.errors if failed and not c.kind.target else 0),
    "TARGET_ERRORS": (FIELDS[-1:], lambda c, failed: c.errors if failed and c.kind.target else 0),
    "TOTAL_LATENCY": (FIELDS[6:8], lambda c, _: c.latencies.response),
    "BACKEND_LATENCY": (FIELDS[7:10], lambda c, _: c.latencies.backend),
    "REQUEST_MEDIATION_LATENCY": (FIELDS[9:10], lambda c, _: c.latencies.request_mediation),
    "RESPONSE_MEDIATION_LATENCY": (FIELDS[8:10], lambda c, _: c.latencies.response_mediation),
}
DOCUMENT = """query q($time: TimeFilter!, $data: DataFilter!{declared}) {{
  {field}(dataFilter: $data, timeFilter: $time, metric: {metric}, groupByFields: [{fields}],
    groupByValues: {values}, granularity: "1h") {{ granularity usage {usage} }}
}}"""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    spec = OrganizationSpec("acme", environments=(EnvironmentSpec("Production"),))
    with SandboxServer(World(seed=11, organizations=[spec]), SandboxSettings()) as sandbox:
        yield Place(sandbox, ("acme",))


def own(place: Place, name: str, text: str) -> list[dict[str, object]]:
    """The rows of a table of one's own."""
    table = compile_document(Path(f"{name}.graphql"), text, schema())
    place.catalogue = Catalogue((*CATALOGUE.tables, table))
    report = place.run({"tables": [name], "from": str(DAY), "to": str(DAY)})
    assert report.failures == []
    return place.dataset.rows(f"insights/{name}/day={DAY}/acme.Production.parquet")


def expected(place: Place, metric: str, measure: str) -> tuple[ExpectedReport, Day]:
    fields, value = VALUES[metric]
    percent = 95 if metric.endswith("LATENCY") else None

    def key(cell: Cell, failed: bool) -> tuple[str, ...]:
        part = cell._replace(ok=0) if failed else cell._replace(errors=0)
        return tuple(GROUP_BY[field](part) for field in fields)

    acme = place.sandbox.world.organization("acme")
    day = Day(acme, acme.environment("Production"), DAY, place.now, SandboxSettings())
    names = tuple(field.lower() for field in fields)
    return ExpectedReport(names, measure, key, value, percent), day


def common(place: Place) -> dict[str, object]:
    environment = place.sandbox.world.organization("acme").environment("Production")
    place = {"environment": "Production", "environment_id": environment.id}
    return {"organization": "acme", **place, "tenant": None}


@pytest.mark.parametrize("metric", VALUES)
def test_a_report_over_time_is_every_group_by_hour(place: Place, metric: str):
    rows = own(
        place,
        f"by_{metric.lower()}",
        DOCUMENT.format(
            field="getCustomReportOvertime",
            metric=metric,
            fields=" ".join(VALUES[metric][0]),
            declared=" $groupByValues: [String]!",
            values="$groupByValues",
            usage="{ timeSpan figure: value }",
        ),
    )
    report, day = expected(place, metric, "figure")
    assert rows
    assert canonical(rows) == canonical([common(place) | row for row in report.whole(day)])


@pytest.mark.parametrize("metric", VALUES)
def test_a_top_report_is_the_ten_largest_by_hour(place: Place, metric: str):
    rows = own(
        place,
        f"top_{metric.lower()}",
        DOCUMENT.format(
            field="getCustomReportTopOvertime",
            metric=metric,
            fields=" ".join(VALUES[metric][0]),
            declared="",
            values="[]",
            usage="{ groupByValue usage { timeSpan value } }",
        ),
    )
    report, day = expected(place, metric, "value")
    assert rows
    assert canonical(rows) == canonical([common(place) | row for row in report.top(day)])


def test_all_metrics_and_fields_are_tried():
    assert VALUES.keys() == set(schema().type_map["Metric"].values)
    assert {field for fields, _ in VALUES.values() for field in fields} == GROUP_BY.keys()
    assert {len(fields) for fields, _ in VALUES.values()} == {1, 2, 3}
