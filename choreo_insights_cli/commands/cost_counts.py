"""What AWS has counted of a stack in the last whole days, for `insights cost`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from botocore.exceptions import ClientError

from choreo_insights.dataset.partitions import ROOT
from choreo_insights.metrics import NAMESPACE
from choreo_insights_cli.commands.query import ask
from choreo_insights_cli.costs import Counts
from choreo_insights_cli.costs.counting import COUNTS_SQL, counts_of
from choreo_insights_cli.stack import Stack

_DAY = 86_400
# Athena keeps 45 days of executions; so many of the newest are looked at.
_MOST_QUERIES = 2_000
_AT_A_TIME = 50


def counted(
    stack: Stack, today: date, say: Callable[[str], None] = lambda _: None
) -> Counts | None:
    """The counts of the days in the ledger; None before there is a whole one."""
    ledger = ask(stack, COUNTS_SQL, say).records()
    counts = counts_of(ledger[0]) if ledger else None
    if counts is None:
        return None
    end = datetime.combine(today, time(), UTC)
    return replace(counts, **of_aws(stack, end - timedelta(days=counts.days), end, say))


def of_aws(
    stack: Stack, start: datetime, end: datetime, say: Callable[[str], None] = lambda _: None
) -> dict[str, float]:
    """What AWS has counted from `start` to `end`, by the name of the count.

    What this terminal may not ask for, or the local AWS does not count, is left to the model.
    """
    found: dict[str, float] = {}
    kinds: dict[str, Callable[[], dict[str, float]]] = {
        "metrics": lambda: _metrics(stack, start, end),
        "objects": lambda: {"objects": float(_objects(stack))},
        "queries": lambda: _queries(stack, start, end),
    }
    for text, count in kinds.items():
        say(f"counting {text}")
        try:
            found |= count()
        except ClientError as error:
            say(f"not counted: {text} ({error})")
    return found


def _metrics(stack: Stack, start: datetime, end: datetime) -> dict[str, float]:
    """Sums of CloudWatch's metrics by the name of the count; none for a metric without values."""
    outputs = stack.outputs
    export = {"FunctionName": outputs["ExportFunctionName"]}
    ours = {"StackName": stack.name}
    bucket = {"BucketName": outputs["DatasetBucketName"], "StorageType": "StandardStorage"}
    metrics = {
        "invocations": ("AWS/Lambda", "Invocations", export, "Sum"),
        "seconds": ("AWS/Lambda", "Duration", export, "Sum"),
        "token_invocations": (
            "AWS/Lambda",
            "Invocations",
            {"FunctionName": outputs["TokenFunctionName"]},
            "Sum",
        ),
        "written": (NAMESPACE, "Exported", ours, "Sum"),
        "stored_bytes": ("AWS/S3", "BucketSizeBytes", bucket, "Average"),
    }
    queries: list[Any] = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": metric,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
                },
                "Period": _DAY,
                "Stat": statistic,
            },
        }
        for name, (namespace, metric, dimensions, statistic) in metrics.items()
    ]
    by_name: dict[str, list[float]] = {}
    for page in stack.cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampDescending"
    ):
        for result in page["MetricDataResults"]:
            by_name.setdefault(result["Id"], []).extend(result["Values"])
    sums = {name: sum(values) for name, values in by_name.items() if values}
    if "seconds" in sums:
        sums["seconds"] /= 1000
    if "stored_bytes" in sums:
        sums["stored_bytes"] = by_name["stored_bytes"][0]
    return sums


def _objects(stack: Stack) -> int:
    pages = stack.s3.get_paginator("list_objects_v2").paginate(
        Bucket=stack.outputs["DatasetBucketName"], Prefix=f"{ROOT}/"
    )
    return sum(page["KeyCount"] for page in pages)


def _queries(stack: Stack, start: datetime, end: datetime) -> dict[str, float]:
    """Athena's queries in the stack's workgroup, and the bytes that they read."""
    queries = scanned = 0
    for names in _executions(stack):
        described = stack.athena.batch_get_query_execution(QueryExecutionIds=names)
        within = [
            execution
            for execution in described["QueryExecutions"]
            if start <= execution["Status"]["SubmissionDateTime"] < end
        ]
        queries += len(within)
        scanned += sum(e.get("Statistics", {}).get("DataScannedInBytes", 0) for e in within)
        # The newest come first.
        if described["QueryExecutions"][-1]["Status"]["SubmissionDateTime"] < start:
            break
    return {"queries": float(queries), "scanned_bytes": float(scanned)}


def _executions(stack: Stack) -> Iterator[list[str]]:
    pages = stack.athena.get_paginator("list_query_executions").paginate(
        WorkGroup=stack.outputs["WorkGroupName"],
        PaginationConfig={"MaxItems": _MOST_QUERIES, "PageSize": _AT_A_TIME},
    )
    for page in pages:
        if names := page["QueryExecutionIds"]:
            yield names
