"""The stack's schedule: firing it once, now, and following the run that it starts."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from choreo_insights_cli.commands import logs
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_scheduler.type_defs import GetScheduleOutputTypeDef

_RUN_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """The log of an invocation of the export function that ended."""

    lines: tuple[str, ...]


def of_export(stack: Stack) -> "GetScheduleOutputTypeDef":
    """The schedule that calls the export function. Raises CommandError where there is none."""
    function = stack.outputs["ExportFunctionName"]
    for entry in stack.scheduler.list_schedules()["Schedules"]:
        schedule = stack.scheduler.get_schedule(Name=entry["Name"], GroupName=entry["GroupName"])
        if function in schedule["Target"]["Arn"]:
            return schedule
    raise CommandError(f"No schedule calls {function}.")


def fire_once(stack: Stack) -> str:
    """Makes a one-time schedule for now with the stack's own target, role and retries.

    Gives its name. Raises CommandError where the stack has no schedule of the export function.
    """
    schedule = of_export(stack)
    at = datetime.now(UTC) + timedelta(seconds=1)
    name = f"{schedule['Name']}-once-{at:%H%M%S}"
    stack.scheduler.create_schedule(
        Name=name,
        GroupName=schedule["GroupName"],
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        Target=schedule["Target"],
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
    )
    return name


def ended_runs(stack: Stack) -> dict[str, Run]:
    """The export function's invocations so far that have ended, by request id."""
    runs: dict[str, list[str]] = {}
    ended = set()
    current = ""
    for line in log_lines(stack, "ExportFunctionName"):
        if line.startswith("START RequestId: "):
            current = line.split()[2]
        runs.setdefault(current, []).append(line)
        if line.startswith("REPORT RequestId: "):
            ended.add(line.split()[2])
    return {run: Run(tuple(lines)) for run, lines in runs.items() if run in ended}


def wait_for_run(stack: Stack, before: set[str], progress: Callable[[], None]) -> Run:
    """Waits for an invocation that is not among those before, and for its end.

    Raises CommandError when none has ended after ten minutes.
    """
    end = time.monotonic() + _RUN_SECONDS
    while time.monotonic() < end:
        for run, found in ended_runs(stack).items():
            if run not in before:
                return found
        progress()
        time.sleep(0.5)
    raise CommandError(f"The schedule's run did not end within {_RUN_SECONDS} seconds.")


def log_lines(stack: Stack, output: str) -> Iterator[str]:
    """The lines that the function which an output names has logged so far."""
    for event in logs.read(stack, logs.group_of(stack, output)):
        yield event["message"].rstrip("\n")
