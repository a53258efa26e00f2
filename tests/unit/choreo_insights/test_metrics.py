"""Metrics: one line each, in the format that CloudWatch extracts."""

import io
import json

import pytest

from choreo_insights.metrics import emit
from tests.fakes.clock import Clock


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_embedded_metric_format() -> None:
    out = io.StringIO()
    emit("stack", {"Exported": 3, "Bytes": 1024}, ["Exported"], out=out, clock=Clock(1.8e9 + 0.25))
    assert lines(out) == [
        {
            "_aws": {
                "Timestamp": 1_800_000_000_250,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "ChoreoInsights",
                        "Dimensions": [["StackName"]],
                        "Metrics": [{"Name": "Exported", "Unit": "Count"}],
                    }
                ],
            },
            "StackName": "stack",
            "Exported": 3,
            "Bytes": 1024,
        }
    ]


def test_values_without_a_metric_are_in_the_log_alone() -> None:
    out = io.StringIO()
    emit("stack", {"Failed": 1}, [], out=out)
    assert lines(out) == [{"StackName": "stack", "Failed": 1}]


def test_it_goes_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    emit("stack", {"Exported": 1}, ["Exported"])
    assert json.loads(capsys.readouterr().out)["Exported"] == 1
