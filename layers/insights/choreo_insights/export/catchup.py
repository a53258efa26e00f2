"""Hands what a run had no time for to the state machine: a catch-up.

An execution's name can be used once in 90 days, so the name is the lock: it holds the UTC day and
a hash of what is exported, and of all runs of a day that have work left only the first one starts
an execution.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure, error_code
from choreo_insights.export import parts
from choreo_insights.export.parts import Backfill, Place, TooManyParts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from mypy_boto3_stepfunctions import SFNClient

    from choreo_insights.dataset.registry import Registry
    from choreo_insights.export.event import Bounds

log = logging.getLogger(__name__)

_PREFIX = "catchup-"


def places(registry: Registry, organizations: Sequence[str]) -> list[Place]:
    """The environments of each organisation that its newest list has, by id.

    An organisation of which none is known is one place. Raises what `Registry.known` does.
    """
    chosen: list[Place] = []
    for organization in organizations:
        known = registry.known(organization)
        ids = [each.id for each in known if each.listed and not each.unmerged_keys]
        chosen += [Place(organization, each) for each in ids or (None,)]
    return chosen


class CatchUps:
    """The catch-ups of a stack: executions of its state machine that runs have started."""

    def __init__(self, states: SFNClient, machine: str) -> None:
        self._states = states
        self._machine = machine

    def running(self, bounds: Bounds) -> str | None:
        """The name of the catch-up of these bounds that is running, of whatever day.

        Raises what `aws_failure` gives.
        """
        end = f"-{key(bounds)}"
        try:
            pages = self._states.get_paginator("list_executions").paginate(
                stateMachineArn=self._machine, statusFilter="RUNNING"
            )
            names = [execution["name"] for page in pages for execution in page["executions"]]
        except (ClientError, BotoCoreError) as error:
            raise aws_failure(error, "listing the executions of the state machine") from error
        ours = (name for name in names if name.startswith(_PREFIX) and name.endswith(end))
        return next(ours, None)

    def start(self, bounds: Bounds, registry: Registry, *, since: datetime, today: date) -> str:
        """Starts the catch-up of these bounds, unless there was one today or one is running.

        Gives its name. Raises what `aws_failure` gives, and what `places` does.
        """
        if running := self.running(bounds):
            log.info("%s goes on with what remains", running)
            return running
        # At most one a day: what fails for a lasting reason must not start executions all day.
        name = f"{_PREFIX}{today.isoformat()}-{key(bounds)}"
        text = _divided(bounds, registry, since).input
        try:
            self._states.start_execution(stateMachineArn=self._machine, name=name, input=text)
        except (ClientError, BotoCoreError) as error:
            if not isinstance(error, ClientError) or error_code(error) != "ExecutionAlreadyExists":
                raise aws_failure(error, f"starting the execution {name}") from error
            # It runs, or it has ended: stopped, failed or done, it is not started again today.
            log.info("%s exists", name)
        else:
            log.info("%s is started for what remains", name)
        return name


def key(bounds: Bounds) -> str:
    """A hash of what is exported. Not of the last day, which is another one every day."""
    content = [
        sorted(bounds.organizations),
        sorted(table.name for table in bounds.tables),
        bounds.first.isoformat(),
        bounds.force,
        bounds.again,
        sorted(bounds.environments or ()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _divided(bounds: Bounds, registry: Registry, since: datetime) -> Backfill:
    chosen = [None] if bounds.environments is None else sorted(bounds.environments)
    whole = [Place(handle, each) for handle in bounds.organizations for each in chosen]
    divide = partial(
        parts.divide,
        first=bounds.first,
        last=bounds.last,
        tables=bounds.named_tables,
        again=bounds.again,
        force=bounds.force,
        since=bounds.since or since,
    )
    if bounds.environments is None:
        with suppress(TooManyParts):
            return divide(places(registry, bounds.organizations))
    return divide(whole)
