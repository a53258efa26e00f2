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
    emit("stack", {"Exported": 3, "Bytes": 1024}, out=out, clock=Clock(1_800_000_000.25))
    assert lines(out) == [
        {
            "_aws": {
                "Timestamp": 1_800_000_000_250,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "ChoreoInsights",
                        "Dimensions": [["StackName"]],
                        "Metrics": [
                            {"Name": "Exported", "Unit": "Count"},
                            {"Name": "Bytes", "Unit": "Bytes"},
                        ],
                    }
                ],
            },
            "StackName": "stack",
            "Exported": 3,
            "Bytes": 1024,
        }
    ]


def test_further_dimensions_come_beside_the_stack() -> None:
    out = io.StringIO()
    emit("stack", {"Failed": 1}, dimensions={"Table": "apis"}, out=out)
    line = lines(out)[0]
    assert line["Table"] == "apis"
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [  # type: ignore[index]
        ["StackName"],
        ["StackName", "Table"],
    ]


def test_nothing_is_no_line() -> None:
    out = io.StringIO()
    emit("stack", {}, out=out)
    assert out.getvalue() == ""


def test_it_goes_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    emit("stack", {"Minted": 1})
    assert json.loads(capsys.readouterr().out)["Minted"] == 1
