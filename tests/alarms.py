"""The template's alarms, evaluated over scripted points by the rules that CloudWatch documents.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from choreo_insights_cli.template import Template

# Windows that are retrieved beyond EvaluationPeriods, as in the documentation's example.
_MORE_WINDOWS = 2
_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}
_STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "SampleCount": len,
}


class Point(NamedTuple):
    """A data point of a metric, at a minute."""

    metric: str
    minute: int
    value: float


class Mail(NamedTuple):
    """What the topic sends when an alarm changes its state."""

    minute: int
    alarm: str
    state: str


def mails(
    template: Template,
    points: Iterable[Point],
    minutes: int,
    *,
    aligned: bool = False,
    parameters: Mapping[str, int] | None = None,
) -> list[Mail]:
    """All mails of all alarms until a minute.

    Windows slide by the minute, or are `aligned` to multiples of the period.
    """
    series: dict[str, dict[int, list[float]]] = {}
    for metric, minute, value in points:
        series.setdefault(metric, {}).setdefault(minute, []).append(value)
    found = []
    for name, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
        found += _Alarm(name, alarm, series, parameters or {}).mails(minutes, aligned=aligned)
    return sorted(found)


def metrics(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm looks at."""
    return [query["MetricStat"]["Metric"] for query in _queries(alarm) if "MetricStat" in query]


def custom_metrics(template: Template) -> set[str]:
    """The metrics of the project's own that alarms look at."""
    found = [
        metric
        for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
        for metric in metrics(alarm)
    ]
    return {metric["MetricName"] for metric in found if metric["Namespace"] == "ChoreoInsights"}


def _queries(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "Metrics" in alarm:
        return list(alarm["Metrics"])
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")}
    stat = {"Metric": metric, "Period": alarm["Period"], "Stat": alarm["Statistic"]}
    return [{"Id": "m", "MetricStat": stat, "ReturnData": True}]


def _name(metric: Mapping[str, Any]) -> str:
    """Of two metrics of the same name in different namespaces the function's is chosen."""
    if metric["MetricName"] == "Errors":
        return f"Errors of {metric['Dimensions'][0]['Value']['Ref']}"
    return str(metric["MetricName"])


class _Alarm:
    def __init__(
        self,
        name: str,
        alarm: Mapping[str, Any],
        series: Mapping[str, Mapping[int, Sequence[float]]],
        parameters: Mapping[str, int],
    ) -> None:
        self._name = name
        self._alarm = alarm
        self._series = series
        count = alarm["EvaluationPeriods"]
        self._count = parameters[count["Ref"]] if isinstance(count, dict) else count
        self._queries = _queries(alarm)
        (self._period,) = {
            query["MetricStat"]["Period"] // 60 for query in self._queries if "MetricStat" in query
        }

    def mails(self, minutes: int, *, aligned: bool) -> list[Mail]:
        state, sent = "INSUFFICIENT_DATA", []
        values = {end: self._value(end) for end in self._ends(minutes)}
        back = range(0, (self._count + _MORE_WINDOWS) * self._period, self._period)
        for now in range(0, minutes, self._period if aligned else 1):
            new = self._state(state, [values[max(now - ago, -self._period)] for ago in back])
            actions = self._alarm["AlarmActions"] if new == "ALARM" else self._alarm["OKActions"]
            if new != state and actions:
                sent.append(Mail(now, self._name, new))
            state = new
        return sent

    def _ends(self, minutes: int) -> range:
        """The ends of windows. What ends before the first minute is alike."""
        return range(-self._period, minutes)

    def _value(self, end: int) -> float | None:
        known: dict[str, float | None] = {}
        for query in self._queries:
            if "Expression" in query:
                known[query["Id"]] = _math(_parsed(query["Expression"]), known)
            else:
                known[query["Id"]] = self._statistic(query["MetricStat"], end)
        (shown,) = (query["Id"] for query in self._queries if query["ReturnData"])
        return known[shown]

    def _statistic(self, query: Mapping[str, Any], end: int) -> float | None:
        found = self._series.get(_name(query["Metric"]))
        if not found:
            return None
        window = range(end - self._period, end)
        values = [value for minute in window if minute in found for value in found[minute]]
        return _STATISTICS[query["Stat"]](values) if values else None

    def _state(self, state: str, values: Sequence[float | None]) -> str:
        real = [value for value in values if value is not None]
        compare = _COMPARISONS[self._alarm["ComparisonOperator"]]
        breaching = [compare(value, self._alarm["Threshold"]) for value in real[: self._count]]
        missing = self._count - len(breaching)
        treat = self._alarm["TreatMissingData"]
        if missing and treat == "ignore":
            return state
        if missing == self._count and treat == "missing":
            return "INSUFFICIENT_DATA"
        if treat in ("breaching", "notBreaching"):
            breaching += [treat == "breaching"] * missing
        return "ALARM" if sum(breaching) == self._count else "OK"


@cache
def _parsed(expression: str) -> ast.AST:
    return ast.parse(expression, mode="eval").body


def _math(node: ast.AST, known: Mapping[str, float | None]) -> float | None:
    """Metric math, as far as the template uses it. What is computed from nothing is nothing."""
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return known[name]
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, other]):
            value = _math(filled, known)
            return _math(other, known) if value is None else value
        case ast.Call(func=ast.Name(id="IF"), args=[condition, *branches]):
            return _if(_math(condition, known), branches, known)
        case ast.Compare(left=left, ops=[ast.Gt()], comparators=[right]):
            return _pair(left, right, known, operator.gt)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _pair(left, right, known, operator.mul)
    raise NotImplementedError(ast.dump(node))


def _if(
    holds: float | None, branches: Sequence[ast.AST], known: Mapping[str, float | None]
) -> float | None:
    if holds is None or (not holds and len(branches) == 1):
        return None
    return _math(branches[0 if holds else 1], known)


def _pair(
    left: ast.AST,
    right: ast.AST,
    known: Mapping[str, float | None],
    do: Callable[[float, float], float],
) -> float | None:
    one, other = _math(left, known), _math(right, known)
    return None if one is None or other is None else do(one, other)
