"""`insights export`: calls the export function and shows what it did."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import click

from choreo_insights_cli import options, spinner
from choreo_insights_cli.errors import BadNews, WrongUsage
from choreo_insights_cli.stack import Stack

_COUNTS = ("exported", "settled", "failed", "remaining", "rows", "bytes", "requests")
_SHOWN_FAILURES = 20
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
    with spinner.shown("the export function runs, for 15 minutes at the most"):
        reply = stack.call("ExportFunctionName", event(text) if text else chosen)
    if as_json:
        click.echo(json.dumps(reply, indent=2, ensure_ascii=False))
    else:
        for line in lines(reply):
            click.echo(line)
    if reply["failed"]:
        raise BadNews(f"{reply['failed']} partitions failed; the others are written.")
    if reply.get("waiting"):
        raise BadNews("Not everything was exported: other runs have the request budget.")


def event(text: str) -> dict[str, Any]:
    """The event that the user gave. Raises WrongUsage."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise WrongUsage(f"--event {text} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise WrongUsage(f"--event {text} is not a JSON object, such as {{}}.")
    return found


def lines(reply: dict[str, Any]) -> Iterator[str]:
    """The reply for a reader: the counts, then the failures, alike ones together."""
    yield ", ".join(f"{name} {reply[name]:,}" for name in _COUNTS)
    kinds: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for failure in reply["failures"]:
        kind = (failure["table"], failure["organization"] or "", failure["reason"])
        kinds.setdefault(kind, []).append(failure)
    for (table, organization, reason), alike in list(kinds.items())[:_SHOWN_FAILURES]:
        where = " ".join(filter(None, (table, organization, alike[0]["environment"])))
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        yield f"{where} {alike[0]['day']}{more}: {reason}"
    if len(kinds) > _SHOWN_FAILURES:
        yield f"and {len(kinds) - _SHOWN_FAILURES} other kinds: --json shows them"
    # A function that is not deployed anew yet replies without these.
    if retriable := reply.get("retriable"):
        yield f"{retriable:,} of the failures may pass by themselves: the next run tries again."
    if catch_up := reply.get("catch_up"):
        yield (
            f"What remains is left to the backfill {catch_up} (insights backfill --attach"
            f" {catch_up}), or where that has ended, to the next runs of the schedule."
        )
    elif reply.get("waiting"):
        yield (
            "Other runs have the request budget (RequestsPerMinute). What remains is exported by"
            " the next runs of the schedule, or by this command when they have ended."
        )
    elif reply["remaining"]:
        yield "What remains is exported by the next runs of the schedule."
