"""`insights backfill`: starts a backfill, follows it, stops it, goes on with it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import click

from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.store import Dataset
from choreo_insights.export import parts
from choreo_insights.export.catchup import places
from choreo_insights.export.parts import Backfill, TooManyParts
from choreo_insights_cli import options, output
from choreo_insights_cli.called import called
from choreo_insights_cli.commands.backfill import report, screen
from choreo_insights_cli.commands.backfill.machine import (
    PARTS_FAILED,
    Execution,
    FailedPart,
    Machine,
)
from choreo_insights_cli.errors import DONE, INTERRUPTED, BadNews, CommandError, WrongUsage
from choreo_insights_cli.stack import Stack

_START = "`insights backfill --from DAY --to DAY` starts one."
_EXAMPLES = """\b
Examples:
  insights backfill --from 2025-01-01 --to 2025-12-31
  insights backfill --from 2025-01-01 --to 2025-12-31 --org acme --span 14
  insights backfill --from 2025-01-01 --to 2025-12-31 --tables latency --again
  insights backfill --list                the newest ones, and how they ended
  insights backfill --attach              shows the one that runs, else the last one
  insights backfill --stop NAME
  insights backfill --resume              goes on with what is missing of the last one
"""


@dataclass(frozen=True)
class BackfillOptions:
    """What is to be exported, as the user says it. `span` is None for the usual one.

    `again` asks for what is final too, and replaces nothing by less.
    """

    first: date
    last: date
    tables: tuple[str, ...] | None = None
    organizations: tuple[str, ...] | None = None
    span: int | None = None
    again: bool = False

    @classmethod
    def read(
        cls,
        first: date | None,
        last: date | None,
        today: date,
        *,
        tables: str | None = None,
        organizations: str | None = None,
        span: int | None = None,
        again: bool = False,
    ) -> "BackfillOptions":
        """Reads the options. Raises WrongUsage for days that are none or all to come."""
        if first is None or last is None:
            raise WrongUsage(
                "Say from which day to which, in UTC:"
                f" {called('backfill --from 2026-01-01 --to 2026-01-31')}"
            )
        options.check_span(first, last, today)
        chosen = options.names(tables or "")
        return cls(
            first,
            min(last, today),
            None if chosen in ((), ("all",)) else chosen,
            options.names(organizations or "") or None,
            span,
            again,
        )


def _named(name: str, help_text: str) -> Callable[[options.Command], options.Command]:
    """An option that names a backfill; without a value, the one that runs or the last one."""
    return click.option(f"--{name}", metavar="[NAME]", is_flag=False, flag_value="", help=help_text)


@click.command(epilog=_EXAMPLES)
@click.option("--from", "first", type=options.DAY, help="The first day, in UTC.")
@click.option("--to", "last", type=options.DAY, help="The last day, included.")
@click.option("--tables", metavar="NAMES", help="Tables, with commas; left out: the stack's.")
@click.option("--org", metavar="HANDLES", help="Organisations, with commas; left out: all.")
@click.option(
    "--span",
    type=options.CountType(1, 9999),
    metavar="DAYS",
    help=f"Days of a part; left out: {parts.USUAL_SPAN}, more for very long histories.",
)
@click.option("--again", is_flag=True, help="Ask for final days too; less replaces none.")
@click.option("--list", "lists", is_flag=True, help="List the newest backfills.")
@_named("attach", "Show a backfill that runs.")
@_named("stop", "Stop a backfill. Exports under way get to their end.")
@_named("resume", "Go on with what is missing of a backfill.")
@options.as_json
@options.of_stack
def command(
    stack: Stack,
    first: date | None,
    last: date | None,
    tables: str | None,
    org: str | None,
    span: int | None,
    again: bool,
    lists: bool,
    as_json: bool,
    **which: str | None,
) -> int:
    """Export a history, part by part, by Step Functions.

    A bar shows how far it is. Ctrl-C leaves it running, and says how to attach again.
    """
    started = {name: value for name, value in which.items() if value is not None}
    news = {"from": first, "to": last, "tables": tables, "org": org, "span": span, "again": again}
    _check_alone(
        [*started, *(["list"] if lists else [])], [n for n, value in news.items() if value]
    )
    if lists:
        return _Command(stack, as_json=as_json).listed()
    if not started:
        today = datetime.now(UTC).date()
        wish = BackfillOptions.read(
            first, last, today, tables=tables, organizations=org, span=span, again=again
        )
        return _Command(stack, as_json=as_json).start(wish)
    handling = _Command(stack, as_json=as_json)
    does = {"attach": handling.follow, "stop": handling.stop, "resume": handling.resume}
    ((name, value),) = started.items()
    return does[name](value)


def _check_alone(started: Sequence[str], news: Sequence[str]) -> None:
    """Raises WrongUsage where options of a new backfill stand beside one for those there are."""
    named, more = (" and ".join(f"--{name}" for name in names) for names in (started, news))
    if len(started) > 1:
        raise WrongUsage(f"{named}: give one of these, or --from and --to.")
    if started and news:
        raise WrongUsage(f"{more} cannot be given beside {named}: it is for a new backfill.")


class _Command:
    def __init__(self, stack: Stack, *, as_json: bool) -> None:
        self._stack = stack
        self._as_json = as_json
        # What a program reads stands alone in the output.
        self._console = output.console(error=as_json)
        self._machine = Machine.of(stack)
        self._dataset = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
        self._registry = Registry(self._dataset, "backfill", lambda: datetime.now(UTC))

    def _chosen(self, name: str) -> Execution:
        return self._machine.execution(name) if name else self._machine.last()

    def listed(self) -> int:
        """Prints the newest backfills, one a line."""
        newest = self._machine.newest()
        if self._as_json:
            output.as_json(
                [
                    {
                        "backfill": each.name,
                        "status": each.status,
                        "started": each.started.isoformat(),
                        "parts": _parts(each),
                    }
                    for each in newest
                ]
            )
            return DONE
        width = max((len(each.name) for each in newest), default=0)
        for each in newest:
            started = f"{each.started:%Y-%m-%d %H:%M} UTC"
            output.line(
                f"{each.name:{width}}  {each.status.lower():<9}  {started}  {_parts(each)} parts"
            )
        if not newest:
            self._say(f"No backfill was started so far. {_START}")
        return DONE

    def start(self, wish: BackfillOptions) -> int:
        parameters = self._stack.parameters
        execution = self._machine.start(divided(wish, parameters, self._registry))
        self._say(f"Backfill {execution.name}: {wish.first} to {wish.last}.")
        if wish.first < (since := date.fromisoformat(parameters["ExportSince"])):
            self._say(
                f"SQL sees the days from ExportSince ({since}) on. To see earlier ones too, deploy"
                f' with PARAMETERS="ExportSince={wish.first}".'
            )
        return self._follow(execution)

    def stop(self, name: str) -> int:
        execution = self._machine.execution(name) if name else self._machine.running()
        if not execution.under_way:
            raise CommandError(f"The backfill {execution.name} has ended already.")
        self._machine.stop(execution)
        self._say(
            f"Stopped {execution.name}. The parts that are being exported this moment get to an"
            f" end.\nTo go on: {called(f'backfill --resume {execution.name}')}"
        )
        self._print_json(self._machine.execution(execution.arn))
        return DONE

    def resume(self, name: str) -> int:
        execution = self._chosen(name)
        if execution.status == "SUCCEEDED":
            self._say(f"The backfill {execution.name} is whole: there is nothing to resume.")
            self._print_json(execution)
            return DONE
        already = 0
        if not execution.under_way:
            before = execution
            execution = self._machine.resume(before)
            self._say(f"Backfill {execution.name} goes on with what is missing.")
            if execution.arn != before.arn:
                already = max(0, _parts(before) - _parts(execution))
        return self._follow(execution, already)

    def follow(self, name: str) -> int:
        return self._follow(self._chosen(name))

    def _follow(self, execution: Execution, already: int = 0) -> int:
        """Follows it to its end. Ctrl-C leaves it alone: it runs in AWS."""
        try:
            ended = screen.follow(self._machine, execution, self._console, already=already)
        except KeyboardInterrupt:
            self._say(
                "Detached; the backfill goes on.\n"
                f"To watch it: {called(f'backfill --attach {execution.name}')}\n"
                f"To stop it:  {called(f'backfill --stop {execution.name}')}"
            )
            self._print_json(self._machine.execution(execution.arn))
            return INTERRUPTED
        return self._conclude(ended)

    def _conclude(self, ended: Execution) -> int:
        failures = list(self._machine.failures(ended))
        self._print_json(ended, failures)
        if ended.status == "SUCCEEDED":
            self._say("All parts are done.")
            return DONE
        self._report(failures, ended)
        again = f"To try again what is missing: {called(f'backfill --resume {ended.name}')}"
        if ended.error == PARTS_FAILED or failures:
            raise BadNews(f"{len(failures)} parts failed; the others are done. {again}")
        how = "was stopped" if ended.status == "ABORTED" else f"ended as {ended.status}"
        raise BadNews(f"The backfill {how}{f' ({ended.error})' * bool(ended.error)}. {again}")

    def _report(self, failures: Sequence[FailedPart], ended: Execution) -> None:
        ledger = report.tried(self._dataset, failures, ended.started, datetime.now(UTC))
        for line in report.lines(failures, ledger, self._names(failures)):
            self._say(line)

    def _names(self, failures: Sequence[FailedPart]) -> dict[str, str]:
        """The names of environments by id, for people."""
        organizations = {failure.part.place.organization for failure in failures}
        known = (each for handle in organizations for each in self._registry.known(handle))
        return {each.id: each.name for each in known}

    def _print_json(self, execution: Execution, failures: Sequence[FailedPart] = ()) -> None:
        """Prints the backfill as JSON where that is wanted."""
        if not self._as_json:
            return
        progress = self._machine.progress(execution)
        values = {
            "backfill": execution.name,
            "status": execution.status,
            "started": execution.started.isoformat(),
            "parts": progress.parts,
            "done": progress.done,
            "failed": progress.failed,
            "failures": [
                {**failure.part.as_dict(), "reason": report.reason_of(failure)}
                for failure in failures
            ],
        }
        output.as_json(values)

    def _say(self, text: str) -> None:
        output.line(text, error=self._as_json)


def _parts(execution: Execution) -> int:
    """How many parts a backfill was started for."""
    return len(json.loads(execution.input or "{}").get("parts", []))


def divided(wish: BackfillOptions, parameters: Mapping[str, str], registry: Registry) -> Backfill:
    """The parts of a wish.

    Raises WrongUsage for an organisation or a table that there is not, CommandError for too many.
    """
    known = tuple(part.strip() for part in parameters["Organizations"].split(","))
    options.check_organizations(wish.organizations or (), known)
    options.check_tables(wish.tables or ())
    try:
        return parts.divide(
            places(registry, wish.organizations or known),
            wish.first,
            wish.last,
            span=wish.span,
            tables=wish.tables,
            again=wish.again,
        )
    except TooManyParts as error:
        raise CommandError(
            f"{error}. Give a larger --span, fewer organisations (--org), or fewer days."
        ) from error
