"""`insights export`: calls the export function and shows what it did."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import click

from choreo_insights_cli import names, options, output, spinner
from choreo_insights_cli.called import called
from choreo_insights_cli.commands.export_progress import watched
from choreo_insights_cli.errors import BadNews, WrongUsage
from choreo_insights_cli.stack import Stack

_COUNTS = ("exported", "settled", "failed", "remaining", "kept", "rows", "bytes", "requests")
_OUTCOMES = ("exported", "settled", "failed", "remaining", "kept")
_SHOWN_FAILURES = 20
# Reasons that a later run may not meet, as they begin.
_PASSING = re.compile(r"HTTP (?:429|5\d\d)|could not be reached|took longer")
_EVENT_KEYS = ("tables", "organizations", "environments", "from", "to", "again", "force", "since")
_EXAMPLES = """\b
Examples:
  insights export                                  all that is missing or not final
  insights export --tables apis,latency --org acme
  insights export --from 2026-01-05 --to 2026-01-05 --force
"""


@click.command(epilog=_EXAMPLES)
@click.option("--tables", metavar="NAMES", help="Tables, with commas; left out: the stack's.")
@click.option("--org", metavar="HANDLES", help="Organisations, with commas; left out: all.")
@click.option("--from", "first", type=options.DAY, help="The first day; left out: ExportSince.")
@click.option("--to", "last", type=options.DAY, help="The last day, included; left out: today.")
@click.option("--again", is_flag=True, help="Ask for final days too; less replaces none.")
@click.option("--force", is_flag=True, help="Ask for final days too, and let less replace more.")
@click.option("--event", "text", metavar="JSON", help="The function's event, in place of these.")
@options.as_json
@options.of_stack
def command(
    stack: Stack,
    tables: str | None,
    org: str | None,
    first: date | None,
    last: date | None,
    again: bool,
    force: bool,
    text: str | None,
    as_json: bool,
) -> None:
    """Export now, without waiting for the schedule.

    Long histories are for `insights backfill`.
    """
    options.check_span(first, last, datetime.now(UTC).date())
    chosen: dict[str, Any] = {
        "tables": options.names(tables) if tables else None,
        "organizations": options.names(org) if org else None,
        "from": first.isoformat() if first else None,
        "to": last.isoformat() if last else None,
        "again": again or None,
        "force": force or None,
    }
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if text and chosen:
        raise WrongUsage(f"--event is the whole event: {', '.join(chosen)} cannot be given too.")
    payload = event(text) if text else chosen
    check(payload, stack.parameters)
    reply = _run(stack, payload, first)
    if as_json:
        output.as_json(reply)
    else:
        for line in lines(reply):
            output.line(line, hanging=2)
    if reply["failed"]:
        raise BadNews(failed(reply))
    if reply.get("waiting"):
        raise BadNews("Not everything was exported: other runs have the request budget.")


def _run(stack: Stack, given: Mapping[str, Any], first: date | None) -> dict[str, Any]:
    """The reply of the function, with what it does meanwhile on a terminal."""
    text = "the export function runs, for 15 minutes at the most"
    with spinner.shown(text) as say:
        if not output.is_watched():
            return stack.call("ExportFunctionName", given)
        with watched(stack, first, lambda more: say(f"{text}: {more}")):
            try:
                return stack.call("ExportFunctionName", given)
            except KeyboardInterrupt:
                output.line(
                    "The run goes on on AWS, for 15 minutes at the most: `insights status` and"
                    " `insights logs` show what it does.",
                    error=True,
                )
                raise


def event(text: str) -> dict[str, Any]:
    """The event that the user gave. Raises WrongUsage."""
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise WrongUsage(f"--event {text} is not JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise WrongUsage(f"--event {text} is not a JSON object, such as {{}}.")
    more = f"There are {', '.join(_EVENT_KEYS)}."
    names.check("--event", parsed, _EVENT_KEYS, "key of an event", more)
    return parsed


@dataclass
class _Kind:
    """Failures of one organisation for one reason. `nothing`: nothing of it was exported."""

    organization: str
    reason: str
    nothing: bool
    tables: dict[str, None] = field(default_factory=dict)
    environments: dict[str, None] = field(default_factory=dict)
    days: set[str] = field(default_factory=set)
    kept: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.nothing:
            return f"{self.organization}: nothing exported ({self.reason}){self._kept()}"
        return f"{self.what()}: {self.reason}{self._kept()}"

    def what(self) -> str:
        """What failed, in words."""
        tables = ", ".join(self.tables) if len(self.tables) <= 3 else f"{len(self.tables)} tables"
        where = [", ".join(self.environments)] if len(self.environments) <= 2 else []
        where += [f"{len(self.environments)} environments"] if not where else []
        between = ", " if len(self.environments) > 2 else " "
        place = between.join(filter(None, (self.organization, *where)))
        days = sorted(self.days)
        when = days[0] if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
        return f"{place + ': ' if place else ''}{tables} failed for {when}"

    def _kept(self) -> str:
        if not self.kept:
            return ""
        more = f" and {len(self.kept) - 1} more" if len(self.kept) > 1 else ""
        return f". The response is kept under {self.kept[0]}{more}"


def _kinds(reply: Mapping[str, Any]) -> Iterable[_Kind]:
    """The failures by organisation and reason: a reason may name each its own quarantined file."""
    # A function that is not deployed anew yet does not say what it exported of whom.
    counts = reply.get("organizations", {})
    kinds: dict[tuple[str, str], _Kind] = {}
    for failure in reply["failures"]:
        organization = failure["organization"] or ""
        reason, _, kept = failure["reason"].partition(". The response is kept under ")
        nothing = counts.get(organization, {}).get("exported") == 0
        kind = kinds.setdefault(
            (organization, reason), _Kind(organization, reason, nothing and bool(organization))
        )
        kind.tables[failure["table"]] = None
        if failure["environment"]:
            kind.environments[failure["environment"]] = None
        kind.days.add(failure["day"])
        kind.kept += [kept] if kept else []
    for kind in kinds.values():
        # One reason that stops all of it; others may have failed beside what was final already.
        kind.nothing &= sum(other == kind.organization for other, _ in kinds) == 1
    return kinds.values()


def failed(reply: Mapping[str, Any]) -> str:
    """All that failed in a sentence."""
    kinds = [*_kinds(reply)]
    nothing = list(dict.fromkeys(kind.organization for kind in kinds if kind.nothing))
    parts = [f"Nothing was exported of {', '.join(nothing)}"] if nothing else []
    others = [kind for kind in kinds if not kind.nothing]
    parts += [kind.what() for kind in others] if len(others) <= 2 else []
    if len(others) > 2:
        tables = {table for kind in others for table in kind.tables}
        whose = ", ".join(dict.fromkeys(kind.organization or "all" for kind in others))
        days = "days" if parts else "Days"
        parts.append(f"{days} of {len(tables)} tables failed ({whose})")
    text = "; ".join(parts) or f"{reply['failed']:,} failed"
    rest = [] if nothing and not others else ["Nothing else was exported."]
    if reply["exported"]:
        left = reply.get("remaining") or reply.get("kept")
        rest = [] if left else ["Everything else is exported."]
    return " ".join([f"{text}.", *rest, *_remedy(reply, kinds)])


def _remedy(reply: Mapping[str, Any], kinds: Sequence[_Kind]) -> Iterator[str]:
    """The command that finds out more about what does not pass by itself."""
    known = [kind for kind in kinds if kind.organization]
    lasting = [kind for kind in known if not _PASSING.search(kind.reason)]
    # Of whom nothing came, the doctor is to be asked in any case: the address may be another's.
    if reply.get("retriable") != reply["failed"] or any(kind.nothing for kind in lasting):
        for kind in (*lasting, *known)[:1]:
            yield f"Next: `insights doctor --org {kind.organization}`"


def check(chosen: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
    """Raises WrongUsage for a table or an organisation that there is not."""
    exported = options.names(parameters["Organizations"])
    options.check_organizations(chosen.get("organizations") or (), exported)
    options.check_tables(chosen.get("tables") or ())


def lines(reply: dict[str, Any]) -> Iterator[str]:
    """The reply for a reader: the counts, then the failures, alike ones together."""
    # A function that is not deployed anew yet does not count all of them.
    yield ", ".join(f"{name} {reply[name]:,}" for name in _COUNTS if name in reply)
    kinds = [*_kinds(reply)]
    for kind in kinds[:_SHOWN_FAILURES]:
        yield str(kind)
    if len(kinds) > _SHOWN_FAILURES:
        yield f"and {len(kinds) - _SHOWN_FAILURES} other kinds: --json shows them"
    if not any(reply.get(name) for name in _OUTCOMES):
        yield (
            "Nothing was due: no day of these tables is among those that were asked for. A list,"
            " such as apis, is of today alone, and a day is exported once it has begun."
        )
    if kept := reply.get("kept"):
        stay = "partition stays as it is" if kept == 1 else "partitions stay as they are"
        yield f"{kept:,} {stay} stored, as Choreo gives less now. Next: `insights status`"
    # A function that is not deployed anew yet replies without these.
    if retriable := reply.get("retriable"):
        passing = "may pass by itself" if retriable == 1 else "may pass by themselves"
        yield f"{retriable:,} of the failures {passing}: the next run tries again."
    if catch_up := reply.get("catch_up"):
        attach = called(f"backfill --attach {catch_up}")
        yield (
            f"What remains is left to the backfill {catch_up} ({attach}), or where that has ended,"
            " to the next runs of the schedule."
        )
    elif reply.get("waiting"):
        yield (
            "Other runs have the request budget (RequestsPerMinute). What remains is exported by"
            " the next runs of the schedule, or by this command when they have ended."
        )
    elif reply["remaining"]:
        yield "What remains is exported by the next runs of the schedule."
