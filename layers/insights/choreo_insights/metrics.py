"""Metrics, as log lines that CloudWatch extracts (embedded metric format).

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Written by hand: a library for it costs more at a cold start than all of the rest of this file.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

NAMESPACE = "ChoreoInsights"
_UNITS = {"Bytes": "Bytes", "Seconds": "Seconds"}


def emit(
    stack_name: str,
    values: Mapping[str, float],
    *,
    dimensions: Mapping[str, str] | None = None,
    alone: bool = False,
    out: TextIO | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Writes one line with these metrics under the dimension StackName, which the alarms watch.

    Given `dimensions`, the same values are kept for StackName together with them too, or only so
    with `alone`. `Bytes`
    and `Seconds` have these units, everything else is a count.
    """
    if not values:
        return
    extra = dict(dimensions or {})
    sets = [] if alone else [["StackName"]]
    if extra:
        sets.append(["StackName", *extra])
    line = {
        "_aws": {
            "Timestamp": int(clock() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": sets,
                    "Metrics": [{"Name": n, "Unit": _UNITS.get(n, "Count")} for n in values],
                }
            ],
        },
        "StackName": stack_name,
        **extra,
        **values,
    }
    # One write: a line that another thread breaks into is no metric.
    stream = out or sys.stdout
    stream.write(json.dumps(line, separators=(",", ":")) + "\n")
    stream.flush()
