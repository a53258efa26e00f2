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
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from insights import parts
from insights.aws import aws_failure, error_code
from insights.errors import InsightsError
from insights.parquet import decode
from insights.partitions import safe_name
from insights.parts import Place, Plan, TooManyParts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_stepfunctions import SFNClient

    from insights.bounds import Bounds
    from insights.dataset import Dataset

log = logging.getLogger(__name__)

_PREFIX = "catchup-"
_ENVIRONMENTS = "environments"
_BEGINNING = date(2000, 1, 1)


def places(dataset: Dataset, organizations: Sequence[str]) -> list[Place]:
    """The environments of each organisation, as the newest list in the dataset has them.

    An organisation without a list, or with an environment that has no id, is one place.
    Raises InsightsError for a list that cannot be read, and what `dataset` does.
    """
    listed = dataset.listing(_ENVIRONMENTS, _BEGINNING, date.max)
    found: list[Place] = []
    for organization in organizations:
        end = f"/{safe_name(organization)}.parquet"
        newest = max((key for key in listed if key.endswith(end)), default=None)
        ids = _environment_ids(dataset, newest) if newest else []
        if not ids or not all(ids):
            ids = [None]
        found += [Place(organization, each) for each in ids]
    return found


def _environment_ids(dataset: Dataset, key: str) -> list[str | None]:
    kept = dataset.read(key)
    try:
        columns = decode(kept.body, ("environment_id",)) if kept else {}
    except ValueError as error:
        raise InsightsError(f"{key} cannot be read: {error}") from error
    return list(dict.fromkeys(columns.get("environment_id", ())))


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
            names = [found["name"] for page in pages for found in page["executions"]]
        except (ClientError, BotoCoreError) as error:
            raise aws_failure(error, "listing the executions of the state machine") from error
        ours = (name for name in names if name.startswith(_PREFIX) and name.endswith(end))
        return next(ours, None)

    def start(self, bounds: Bounds, dataset: Dataset, *, since: datetime, today: date) -> str:
        """Starts the catch-up of these bounds, unless there was one today or one is running.

        Gives its name. Raises what `aws_failure` gives, and what `places` does.
        """
        if running := self.running(bounds):
            log.info("%s goes on with what remains", running)
            return running
        name = f"{_PREFIX}{today.isoformat()}-{key(bounds)}"
        text = _planned(bounds, dataset, since).input
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
    given = [
        sorted(bounds.organizations),
        sorted(table.name for table in bounds.tables),
        bounds.first.isoformat(),
        bounds.force,
        bounds.again,
        sorted(bounds.environments or ()),
    ]
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:16]


def _planned(bounds: Bounds, dataset: Dataset, since: datetime) -> Plan:
    chosen = [None] if bounds.environments is None else sorted(bounds.environments)
    whole = [Place(handle, each) for handle in bounds.organizations for each in chosen]
    plan = partial(
        parts.plan,
        first=bounds.first,
        last=bounds.last,
        tables=bounds.named_tables,
        again=bounds.again,
        force=bounds.force,
        since=bounds.since or since,
    )
    if bounds.environments is None:
        with suppress(TooManyParts):
            return plan(places(dataset, bounds.organizations))
    return plan(whole)
