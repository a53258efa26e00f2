"""Whom an alarm on a query by organisation names, from the metrics that functions have logged."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from choreo_insights_cli.template import Template

# CloudWatch looks at metrics that have just these dimensions.
QUERY = re.compile(
    r"SELECT SUM\((?P<metric>\w+)\) FROM SCHEMA\((?P<namespace>\w+), (?P<dimensions>[\w, ]+)\) "
    r"WHERE StackName = '(?P<stack>[^']+)' GROUP BY (?P<by>\w+) ORDER BY SUM\(\) DESC"
)


def query(template: Template, alarm: str) -> re.Match[str]:
    """The query of an alarm, rendered."""
    (metric,) = template.rendered(template.resources[alarm]["Properties"]["Metrics"])
    assert metric["ReturnData"] is True
    assert metric["Period"] == 300
    found = QUERY.fullmatch(metric["Expression"])
    assert found, metric["Expression"]
    return found


def named(template: Template, alarm: str, log: Iterable[str]) -> Counter[str]:
    """What the alarm's query gives over all of a log: a sum for each organisation."""
    asked = query(template, alarm)
    dimensions = set(asked["dimensions"].split(", "))
    found: Counter[str] = Counter()
    for line, metrics in _metrics(log):
        if (
            metrics["Namespace"] == asked["namespace"]
            and line["StackName"] == asked["stack"]
            and asked["metric"] in [metric["Name"] for metric in metrics["Metrics"]]
            and dimensions in map(set, metrics["Dimensions"])
        ):
            found[line[asked["by"]]] += line[asked["metric"]]
    return found


def _metrics(log: Iterable[str]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for text in log:
        if text.startswith('{"_aws":'):
            line = json.loads(text)
            for metrics in line["_aws"]["CloudWatchMetrics"]:
                yield line, metrics
