"""`make backfill`: starts a backfill, follows it, stops it, goes on with it."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from rich.console import Console

from insights.catalogue import Catalogue, load
from insights.dataset import Dataset
from insights.errors import ConfigurationError, InsightsError
from insights.parquet import decode
from insights.partitions import safe_name
from local.backfill import plan, report, screen
from local.backfill.machine import PARTS_FAILED, Execution, Failure, Machine
from local.backfill.plan import Place, Plan
from local.errors import CommandError
from local.places import ROOT
from local.stack import Stack

_ENVIRONMENTS = "environments"
_BEGINNING = date(2000, 1, 1)
_DETACHED = 130


@dataclass(frozen=True)
class Wish:
    """What is to be exported, as the user says it. `span` is None for the usual one."""

    first: date
    last: date
    tables: tuple[str, ...] | None
    organizations: tuple[str, ...] | None
    span: int | None

    @classmethod
    def read(cls, given: Mapping[str, str], today: date) -> "Wish":
        """Reads FROM, TO, TABLES, ORG and SPAN. Raises CommandError for what is wrong."""
        first, last = _day(given, "FROM"), _day(given, "TO")
        if first > last:
            raise CommandError(f"FROM={first} lies after TO={last}.")
        if first > today:
            raise CommandError(f"FROM={first} lies in the future.")
        span = given.get("SPAN", "")
        if span and not re.fullmatch(r"[1-9][0-9]{0,3}", span, re.ASCII):
            raise CommandError(f"SPAN={span} is no number of days, as in SPAN=7.")
        tables = _names(given, "TABLES")
        return cls(
            first,
            min(last, today),
            None if tables == ("all",) else tables,
            _names(given, "ORG"),
            int(span) if span else None,
        )


def _day(given: Mapping[str, str], name: str) -> date:
    text = given.get(name, "")
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise CommandError(
        f"{name}={text} is no day. Say from which day to which, in UTC:"
        " make backfill FROM=2026-01-01 TO=2026-01-31"
    )


def _names(given: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    parts = (part.strip() for part in given.get(name, "").split(","))
    return tuple(dict.fromkeys(filter(None, parts))) or None


def main() -> int:
    """Does what FROM and TO, ATTACH, STOP or RESUME ask for; the exit status.

    Raises CommandError where that is nothing that can be done, or where the backfill failed.
    """
    stack, console = Stack.of_terminal(), Console(highlight=False)
    try:
        return _Command(stack, console).run(os.environ)
    except InsightsError as error:
        raise CommandError(str(error)) from error


class _Command:
    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._console = console
        self._machine = Machine.of(stack)
        self._dataset = Dataset(stack.s3, stack.outputs["DatasetBucketName"])

    def run(self, given: Mapping[str, str]) -> int:
        attach, stop, resume = (given.get(name, "") for name in ("ATTACH", "STOP", "RESUME"))
        if stop not in ("", "0"):
            return self._stop(attach or ("" if stop == "1" else stop))
        if resume not in ("", "0"):
            return self._resume(self._chosen(resume))
        if attach:
            return self._follow(self._chosen(attach))
        return self._start(Wish.read(given, datetime.now(UTC).date()))

    def _chosen(self, name: str) -> Execution:
        return self._machine.running() if name in ("", "1") else self._machine.execution(name)

    def _start(self, wish: Wish) -> int:
        parameters = self._stack.parameters
        execution = self._machine.start(
            planned(wish, parameters, self._dataset, self._machine.workers())
        )
        self._say(f"Backfill {execution.name}: {wish.first} to {wish.last}.")
        if wish.first < (since := date.fromisoformat(parameters["ExportSince"])):
            self._say(
                f"SQL sees the days from ExportSince ({since}) on. To see earlier ones too, deploy"
                f' with PARAMETERS="ExportSince={wish.first}".'
            )
        return self._follow(execution)

    def _stop(self, name: str) -> int:
        execution = self._chosen(name)
        if not execution.under_way:
            raise CommandError(f"The backfill {execution.name} has ended already.")
        self._machine.stop(execution)
        self._say(
            f"Stopped {execution.name}. The parts that are being exported this moment get to an"
            f" end. To go on: make backfill RESUME={execution.name}"
        )
        return 0

    def _resume(self, execution: Execution) -> int:
        if execution.status == "SUCCEEDED":
            self._say(f"The backfill {execution.name} is whole: there is nothing to resume.")
            return 0
        if not execution.under_way:
            execution = self._machine.resume(execution)
            self._say(f"Backfill {execution.name} goes on with what is missing.")
        return self._follow(execution)

    def _follow(self, execution: Execution) -> int:
        """Follows it to its end. Ctrl-C leaves it alone: it runs in AWS."""
        try:
            ended = screen.follow(self._machine, execution, self._console)
        except KeyboardInterrupt:
            self._say(
                f"Detached; the backfill goes on. To watch: make backfill ATTACH={execution.name}."
                f" To stop it: make backfill STOP={execution.name}"
            )
            return _DETACHED
        return self._conclude(ended)

    def _conclude(self, ended: Execution) -> int:
        if ended.status == "SUCCEEDED":
            self._say("All parts are done.")
            return 0
        failures = list(self._machine.failures(ended))
        self._report(failures, ended)
        again = f"To try again what is missing: make backfill RESUME={ended.name}"
        if ended.error == PARTS_FAILED or failures:
            raise CommandError(f"{len(failures)} parts failed; the others are done. {again}")
        how = "was stopped" if ended.status == "ABORTED" else f"ended as {ended.status}"
        raise CommandError(f"The backfill {how}{f' ({ended.error})' * bool(ended.error)}. {again}")

    def _report(self, failures: Sequence[Failure], ended: Execution) -> None:
        ledger = report.tried(self._dataset, failures, ended.started, datetime.now(UTC))
        for line in report.lines(failures, ledger):
            self._say(line)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def planned(wish: Wish, parameters: Mapping[str, str], dataset: Dataset, workers: int) -> Plan:
    """The plan for a wish. Raises CommandError for an organisation or a table that there is not."""
    known = tuple(part.strip() for part in parameters["Organizations"].split(","))
    for handle in wish.organizations or ():
        if handle not in known:
            raise CommandError(f"ORG={handle} is not exported. Those are: {', '.join(known)}.")
    if wish.tables:
        _check_tables(wish.tables)
    return plan.plan(
        places(dataset, wish.organizations or known),
        wish.first,
        wish.last,
        span=wish.span,
        tables=wish.tables,
        requests_per_minute=int(parameters["RequestsPerMinute"]),
        workers=workers,
    )


def _check_tables(names: tuple[str, ...]) -> None:
    catalogue = Catalogue((*load().tables, *load(ROOT / "custom").tables))
    try:
        catalogue.chosen(names)
    except ConfigurationError as error:
        raise CommandError(f"TABLES: {error}") from error


def places(dataset: Dataset, organizations: Sequence[str]) -> list[Place]:
    """The environments of each organisation, as the newest list in the dataset has them.

    An organisation without a list, or with an environment that has no name, is one place.
    """
    listed = dataset.listing(_ENVIRONMENTS, _BEGINNING, date.max)
    found = []
    for organization in organizations:
        end = f"/{safe_name(organization)}.parquet"
        keys = [key for key in listed if key.endswith(end)]
        names = _environments(dataset, max(keys)) if keys else []
        if names and all(names):
            found += [Place(organization, name) for name in names]
        else:
            found.append(Place(organization, None))
    return found


def _environments(dataset: Dataset, key: str) -> list[str | None]:
    kept = dataset.read(key)
    try:
        columns = decode(kept.body, ("environment_name",)) if kept else {}
    except ValueError as error:
        raise CommandError(f"{key} cannot be read: {error}") from error
    return list(dict.fromkeys(columns.get("environment_name", ())))
