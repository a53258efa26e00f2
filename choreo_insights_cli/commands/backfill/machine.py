"""The stack's state machine for backfills: its executions, how far they are, what failed."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from choreo_insights.export.parts import Backfill, Part
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeMapRunOutputTypeDef

# What the state machine fails with when some of its parts did.
PARTS_FAILED = "PartsFailed"
_UNDER_WAY = ("RUNNING", "PENDING_REDRIVE")
# An execution that cannot be redriven, and an AWS that knows no redrive.
_NO_REDRIVE = ("ExecutionNotRedrivable", "InvalidAction", "UnknownOperationException")
_ATTEMPTS = 20
# A name cannot be used again for 90 days.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_MOST_NAMES = 100


@dataclass(frozen=True)
class Execution:
    """A backfill that was started. `error` says why it failed."""

    arn: str
    status: str
    started: datetime
    input: str
    error: str | None
    redrives: int

    @property
    def name(self) -> str:
        """Its name, by which a person calls it."""
        return self.arn.rpartition(":")[2]

    @property
    def under_way(self) -> bool:
        """Whether it still runs."""
        return self.status in _UNDER_WAY


@dataclass(frozen=True)
class Progress:
    """How many parts there are, and how many of them are done, failed and under way.

    `began` is when the first of them could begin.
    """

    parts: int
    done: int = 0
    failed: int = 0
    running: int = 0
    began: datetime | None = None

    @property
    def ended(self) -> int:
        """The parts that are not to come any more."""
        return self.done + self.failed


@dataclass(frozen=True)
class FailedPart:
    """A part that failed: the error that the state machine saw, which may be a long text."""

    part: Part
    error: str
    cause: str


class Machine:
    """The state machine: starts, finds, stops and resumes its executions.

    `sleep` waits for AWS to know of what was just done.
    """

    def __init__(
        self, states: "SFNClient", arn: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._states = states
        self._sleep = sleep
        self.arn = arn

    @classmethod
    def of(cls, stack: Stack) -> "Machine":
        """That of a deployed stack. Raises CommandError where the stack has none."""
        try:
            return cls(stack.states, stack.outputs["BackfillStateMachineArn"])
        except KeyError:
            raise CommandError(
                f"The stack {stack.name} has no state machine for backfills yet: deploy it anew."
            ) from None

    def start(self, backfill: Backfill) -> Execution:
        """Starts a backfill, or finds the one that does the same already."""
        for number in range(1, _MOST_NAMES):
            name = backfill.name if number == 1 else f"{backfill.name}_{number}"
            try:
                started = self._states.start_execution(
                    stateMachineArn=self.arn, name=name, input=backfill.input
                )
            except self._states.exceptions.ExecutionAlreadyExists:
                if (earlier := self.execution(name)).under_way:
                    return earlier
            else:
                return self._appeared(started["executionArn"])
        raise CommandError(
            f"There were {_MOST_NAMES} backfills named {backfill.name}: give another --span."
        )

    def _appeared(self, arn: str) -> Execution:
        """What was just started; AWS may take a moment to know of it."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._described(arn)
            except self._states.exceptions.ExecutionDoesNotExist:
                if attempt + 1 == _ATTEMPTS:
                    raise
                self._sleep(0.5)
        raise AssertionError

    def execution(self, name: str) -> Execution:
        """The backfill of this name or ARN. Raises CommandError where there is none."""
        arn = name
        if not name.startswith("arn:"):
            arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            return self._described(arn)
        except (
            self._states.exceptions.ExecutionDoesNotExist,
            self._states.exceptions.InvalidArn,
        ) as error:
            raise CommandError(f"There is no backfill {name}. {self._known()}") from error

    def running(self) -> Execution:
        """The one backfill that runs. Raises CommandError where it is not one."""
        names = [
            each["name"]
            for each in self._states.list_executions(
                stateMachineArn=self.arn, statusFilter="RUNNING"
            )["executions"]
        ]
        if len(names) != 1:
            problem = f"These run: {', '.join(names)}. Name one" if names else "No backfill runs"
            raise CommandError(f"{problem}. `insights backfill --list` shows the newest.")
        return self.execution(names[0])

    def last(self) -> Execution:
        """The one that runs, else the one that was started last. Raises CommandError."""
        listed = self.newest(1)
        if not listed:
            raise CommandError("No backfill was started so far.")
        running = [each for each in self.newest() if each.under_way]
        return running[0] if len(running) == 1 else listed[0]

    def newest(self, most: int = 20) -> list[Execution]:
        """The executions that were started last, the newest first."""
        listed = self._states.list_executions(stateMachineArn=self.arn, maxResults=most)
        return [self._described(each["executionArn"]) for each in listed["executions"]]

    def refuse_while_repeating(self, command: str) -> None:
        """Raises CommandError where an execution runs that exports closed days again.

        To such a one what was written since it began is done: it would take the objects that
        `command` rewrites for its own.
        """
        listed = self._states.get_paginator("list_executions").paginate(
            stateMachineArn=self.arn, statusFilter="RUNNING"
        )
        for running in (execution for page in listed for execution in page["executions"]):
            event = json.loads(self._described(running["executionArn"]).input or "{}")
            if event.get("again") or event.get("force"):
                raise CommandError(
                    f"The backfill {running['name']} exports closed days again and would take what"
                    f" `insights {command}` writes for its own work: wait for its end, or stop it"
                    f" with `insights backfill --stop {running['name']}`."
                )

    def _known(self) -> str:
        listed = self._states.list_executions(stateMachineArn=self.arn, maxResults=10)
        names = [f"{each['name']} ({each['status'].lower()})" for each in listed["executions"]]
        return f"The newest are: {', '.join(names)}." if names else "None was started so far."

    def _described(self, arn: str) -> Execution:
        described = self._states.describe_execution(executionArn=arn)
        return Execution(
            arn,
            described["status"],
            described["startDate"].astimezone(UTC),
            described.get("input", ""),
            described.get("error"),
            described.get("redriveCount", 0),
        )

    def progress(self, execution: Execution) -> Progress:
        if (run := self._map_run(execution)) is None:
            return Progress(len(json.loads(execution.input)["parts"]))
        # A part that was stopped or timed out is as missing as one that failed.
        counts = run["itemCounts"]
        failed = counts["failed"] + counts["timedOut"] + counts["aborted"]
        began = run["startDate"].astimezone(UTC)
        return Progress(counts["total"], counts["succeeded"], failed, counts["running"], began)

    def _map_run(self, execution: Execution) -> "DescribeMapRunOutputTypeDef | None":
        runs = self._states.list_map_runs(executionArn=execution.arn)["mapRuns"]
        return self._states.describe_map_run(mapRunArn=runs[0]["mapRunArn"]) if runs else None

    def failures(self, execution: Execution) -> Iterator[FailedPart]:
        """The parts that failed so far, the latest first."""
        if (run := self._map_run(execution)) is None:
            return
        for status in ("FAILED", "TIMED_OUT"):
            pages = self._states.get_paginator("list_executions").paginate(
                mapRunArn=run["mapRunArn"], statusFilter=status
            )
            for page in pages:
                for listed in page["executions"]:
                    yield self._failure(listed["executionArn"])

    def _failure(self, arn: str) -> FailedPart:
        described = self._states.describe_execution(executionArn=arn)
        part = Part.of_event(json.loads(described["input"])["event"])
        return FailedPart(part, described.get("error", ""), described.get("cause", ""))

    def stop(self, execution: Execution) -> None:
        """Stops it. What is being exported this moment still gets to its end."""
        self._states.stop_execution(
            executionArn=execution.arn, cause="It was stopped by `insights backfill --stop`."
        )

    def resume(self, execution: Execution) -> Execution:
        """Goes on with what is missing of one that ended without being whole.

        By a redrive where AWS can; else by a new execution, of the failed parts alone where the
        others are known to be done. Gives the execution that is under way then.
        """
        if execution.error != PARTS_FAILED and (redriven := self._redriven(execution)):
            return redriven
        event: dict[str, Any] = json.loads(execution.input)
        if execution.error == PARTS_FAILED:
            failed = [failure.part for failure in self.failures(execution)]
            parts = tuple(sorted(failed, key=lambda part: part.span.last, reverse=True))
        else:
            parts = tuple(
                Part.of_event({**part, "organizations": [part["organization"]]})
                for part in event["parts"]
            )
        return self.start(_as_before(event, parts, execution.started))

    def _redriven(self, execution: Execution) -> Execution | None:
        """The execution under way again, or None where it cannot be redriven."""
        try:
            self._states.redrive_execution(executionArn=execution.arn)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NO_REDRIVE:
                return None
            raise
        for _ in range(_ATTEMPTS):
            now = self._described(execution.arn)
            # A short execution may have ended again before it is looked at: its count of redrives
            # shows it.
            if now.under_way or now.redrives > execution.redrives:
                return now
            self._sleep(0.5)
        return self._described(execution.arn)


def _as_before(event: Mapping[str, Any], parts: tuple[Part, ...], started: datetime) -> Backfill:
    """What an execution with this input did, for these parts: what it has written is done."""
    since = event.get("since")
    return Backfill(
        parts,
        None if event.get("tables") is None else tuple(event["tables"]),
        event.get("again", False),
        event.get("force", False),
        datetime.fromisoformat(since) if since else started,
    )
