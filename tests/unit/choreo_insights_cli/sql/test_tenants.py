"""What the views make of several tenants: counts add up, percentiles do not."""

from pathlib import Path

import pytest

from tests.unit.choreo_insights.export.test_run import TODAY
from tests.unit.choreo_insights_cli.sql.literal import Literal
from tests.unit.choreo_insights_cli.sql.test_gaps import HOUR


@pytest.fixture
def dataset(tmp_path: Path) -> Literal:
    return Literal(tmp_path)


def of_two(**figures: tuple) -> list[dict]:
    """A row of each of two tenants."""
    return [
        {"tenant": tenant, "time_span": HOUR, **{k: v[i] for k, v in figures.items()}}
        for i, tenant in enumerate(("carbon.super", "b.example"))
    ]


@pytest.mark.parametrize(
    ("table", "view", "figures", "columns", "expected"),
    [
        ("latency_summary", "latency_hourly", {"latency_time": (7.0, 9.0)}, "p95_ms", (9.0,)),
        ("total_traffic", "traffic_daily", {"total_traffic": (7, 9)}, "requests", (16,)),
        ("overall_latency", "traffic_daily", {"overall_latency": (7.0, 9.0)}, "p95_ms", (9.0,)),
        (
            "latency",
            "api_latency_hourly",
            {"api_id": ("a1", "a1"), "response": (7.0, 9.0), "backend_median": (3.0, 2.0)},
            "response_p95_ms, backend_median_ms",
            (9.0, 3.0),
        ),
        (
            "top_slowest_apis",
            "slowest_apis_daily",
            {"api_id": ("a1", "a1"), "latency": (7.0, 9.0)},
            "place, p95_ms",
            (1, 9.0),
        ),
        (
            "cache_hits_and_misses",
            "cache_hourly",
            {"hits": (1, 2), "misses": (1, 0), "hit_percentage": (50.0, 100.0)},
            "hits, misses, hit_percent",
            (3, 1, 75.0),
        ),
        (
            "proxy_target_errors_over_time",
            "errors_proxy_target_hourly",
            {"proxy_4xx": (1, 2)},
            "sum(errors) FILTER (WHERE side = 'proxy' AND status_class = '4xx')",
            (3,),
        ),
    ],
)
def test_counts_add_up_and_percentiles_do_not(
    dataset: Literal, table: str, view: str, figures: dict, columns: str, expected: tuple
):
    dataset.table(table, TODAY, *of_two(**figures))
    assert dataset.rows(f"SELECT {columns} FROM {view}") == [expected]
