"""Metrics, as log lines that CloudWatch extracts (embedded metric format).

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Powertools Metrics would cost no import time, but it writes each value as a list, which Logs
Insights cannot sum, and adds the dimension `service` from POWERTOOLS_SERVICE_NAME, under which the
alarms would find nothing.
"""

import json
import sys
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, TextIO

NAMESPACE = "ChoreoInsights"


def emit(
    stack_name: str,
    values: Mapping[str, float],
    metrics: Collection[str],
    *,
    out: TextIO | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Writes a line with these values. Those named in `metrics` are counts of the stack's.

    The others are in the log alone: each metric costs by the month, whatever its dimensions.
    """
    line: dict[str, Any] = {"StackName": stack_name, **values}
    if metrics:
        extracted = {
            "Namespace": NAMESPACE,
            "Dimensions": [["StackName"]],
            "Metrics": [{"Name": name, "Unit": "Count"} for name in values if name in metrics],
        }
        line["_aws"] = {"Timestamp": int(clock() * 1000), "CloudWatchMetrics": [extracted]}
    # One write: a line that another thread breaks into is not parsed as a metric.
    stream = out or sys.stdout
    stream.write(json.dumps(line, separators=(",", ":")) + "\n")
    stream.flush()
