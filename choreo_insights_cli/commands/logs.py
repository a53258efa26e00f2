"""`insights logs`: what the functions logged, newest last.

`aws logs tail` shows the same lines as they are. This one finds the log group by the stack, shows
JSON as text, and leaves out metrics and Lambda's lines about invocations that succeeded.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.text import Text

from choreo_insights_cli import options, output, spinner
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.stack import Stack

# Fields that are shown as the exception's own line.
_TRACES = frozenset(
    ("exception", "exception_name", "stack_trace", "stackTrace", "errorMessage", "errorType")
)
_FUNCTIONS = {
    "export": "ExportFunctionName",
    "token": "TokenFunctionName",
    "report": "ReportFunctionName",
}
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
# Fields of every line, without news for a reader.
_USUAL = frozenset(
    (
        *("level", "location", "message", "timestamp", "service", "cold_start"),
        *("function_name", "function_memory_size", "function_arn", "function_request_id"),
        *("xray_trace_id", "sampling_rate"),
    )
)
# The longest retention that the template offers.
_MOST = timedelta(days=1827)
_FOLLOW_SECONDS = 2.0
# Late lines of another stream: so far back is read again while following.
_OVERLAP = timedelta(seconds=10)
_EXAMPLES = """\b
Examples:
  insights logs                           the export function's last hour
  insights logs token --since 2d
  insights logs --errors --since 1d
  insights logs report --since 31d        the monthly report's last run
  insights logs --follow                  until Ctrl-C
"""
# Lambda's own lines about each invocation, and those about a broken one.
_PLATFORM = ("START RequestId", "END RequestId", "REPORT RequestId", "INIT_START")
_TRACEBACK = "Traceback (most recent call last)"
_CHAINED = (_TRACEBACK, "The above exception", "During handling")
_BROKEN = re.compile(r"Task timed out|Runtime exited|Runtime\.|\[ERROR\]|Traceback")

Entry = Mapping[str, Any]


@click.command(epilog=_EXAMPLES)
@click.argument("function", type=click.Choice([*_FUNCTIONS]), default="export")
@click.option("--since", metavar="TIME", default="1h", show_default=True, help="As in 30m, 6h, 2d.")
@click.option("--errors", is_flag=True, help="Warnings and errors alone.")
@click.option("--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option("--json", "as_json", is_flag=True, help="Print each line as JSON, for programs.")
@options.of_stack
def command(
    stack: Stack, function: str, since: str, errors: bool, follow: bool, as_json: bool
) -> None:
    """Show what a function logged."""
    start = datetime.now(UTC) - ago(since)
    group = group_of(stack, _FUNCTIONS[function])
    seen: set[tuple[str, ...]] = set()
    shown = False
    while True:
        with spinner.shown(f"reading {group}"):
            events = [e for e in together(read(stack, group, start)) if _identity(e) not in seen]
        for event in events:
            seen.add(_identity(event))
            entry = parsed(event)
            if entry is None or (errors and entry["level"] not in _STYLES):
                continue
            shown = True
            if as_json:
                output.as_json(entry, indent=None)
            else:
                output.line(line(entry), hanging=2)
        if not follow:
            if not shown:
                output.line(
                    f"Nothing{' bad' if errors else ''} was logged in the last {since}."
                    " --since looks further back.",
                    error=True,
                )
            return
        start = datetime.now(UTC) - _OVERLAP
        time.sleep(_FOLLOW_SECONDS)


def ago(text: str) -> timedelta:
    """The time in words such as 30m, 6h or 2d. Raises WrongUsage."""
    if not (found := re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text, re.ASCII)):
        raise WrongUsage(f"--since {text} is not a time span; use 30m, 6h or 2d.")
    time_ago = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if time_ago > _MOST:
        raise WrongUsage(f"--since {text}: logs are kept for {_MOST.days} days at the most.")
    return time_ago


def group_of(stack: Stack, output: str) -> str:
    """The log group of the function which an output of the stack names."""
    if output == _FUNCTIONS["report"] and output not in stack.outputs:
        raise CommandError(
            f"The stack {stack.name} has no report function: the parameter ReportSchedule, which"
            " adds it, is empty."
        )
    name = stack.outputs[output]
    described = stack.functions.get_function_configuration(FunctionName=name)
    return described.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"


def read(stack: Stack, group: str, start: datetime | None = None) -> Iterator[Entry]:
    """The events of a log group, from then on if given, oldest first."""
    since = int(start.timestamp() * 1000) if start else 0
    pages = stack.logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=since
    )
    for page in pages:
        yield from page["events"]


def together(events: Iterable[Entry]) -> Iterator[Entry]:
    """The events, the lines of a traceback as one.

    On AWS they are one event; the local AWS gives each line an event of its own.
    """
    trace: dict[str, Any] | None = None
    for event in events:
        text = event["message"].rstrip()
        if trace and event.get("logStreamName") == trace.get("logStreamName"):
            trace["message"] += f"\n{text}"
            if text and not text.startswith((" ", *_CHAINED)):
                # The exception's own line. Another traceback may follow from it.
                yield trace
                trace = None
            continue
        if trace:
            yield trace
            trace = None
        if text.startswith(_TRACEBACK) and "\n" not in text:
            trace = {**event, "message": text}
        else:
            yield event
    if trace:
        yield trace


def _identity(event: Entry) -> tuple[str, ...]:
    return event.get("logStreamName", ""), str(event["timestamp"]), event["message"]


def parsed(event: Entry) -> dict[str, Any] | None:
    """A log line as its fields, with at least `level`, `timestamp` and `message`.

    None for what only machines read: metrics, and Lambda's own lines about an invocation that
    went well.
    """
    text = event["message"].strip()
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).isoformat(timespec="milliseconds")
    with suppress(ValueError):
        record = json.loads(text)
        if isinstance(record, dict):
            # What a run counts has no message; Lambda's own errors have another name for it.
            if "_aws" in record or not record.keys() & {"message", "errorMessage"}:
                return None
            level = str(record.get("level", "INFO"))
            return {**record, "level": level, "timestamp": at, "message": record.get("message", "")}
    if text.startswith(_PLATFORM) and "Task timed out" not in text:
        return None
    level = "ERROR" if _BROKEN.search(text) else "INFO"
    return {"level": level, "timestamp": at, "message": text}


def own_line(text: str) -> str:
    """The line of a traceback that names the exception; another text as it is."""
    lines = [each.strip() for each in re.split(r"[\r\n]+", text) if each.strip()]
    starts = [n for n, each in enumerate(lines) if each.startswith("Traceback (most recent")]
    if not starts:
        return text
    # Lambda puts the exception before its traceback, and Python after it.
    return lines[0] if starts[0] > 0 else lines[-1]


def line(entry: Entry) -> Text:
    """A log line for a reader: when, how bad, what, and the fields that belong to it.

    Of an exception its own line alone; --json has its traceback.
    """
    when = f"{entry['timestamp'][:19].replace('T', ' ')} "
    level = str(entry["level"])
    more = [f"{name}={value}" for name, value in entry.items() if name not in _USUAL | _TRACES]
    raised = [str(entry[name]) for name in ("exception", "errorMessage") if entry.get(name)]
    if entry.get("errorType"):
        raised = [f"{entry['errorType']}: {text}" for text in raised]
    said = " ".join(filter(None, [own_line(str(entry["message"])), *map(own_line, raised), *more]))
    # Here, as a newline in a name must not look like another entry.
    said = output.escaped(said)
    return Text.assemble((when, "dim"), (f"{level:<8}", _STYLES.get(level, "")), said)
