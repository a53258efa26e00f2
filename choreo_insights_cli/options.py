"""Options that several commands have, so that each is named and explained once."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import click

from choreo_insights.errors import ConfigurationError
from choreo_insights.report.month import Month
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.names import check
from choreo_insights_cli.paths import STACK_NAME, catalogue
from choreo_insights_cli.stack import Stack

Command = Callable[..., Any]


def of_stack(command: Command) -> Command:
    """Adds `--stack`, `--region` and `--profile`; the command gets their `stack`."""

    @click.option(
        "--stack",
        "stack_name",
        metavar="NAME",
        envvar="STACK_NAME",
        default=STACK_NAME,
        show_default=True,
        help="The deployed stack.",
    )
    @click.option("--region", metavar="NAME", help="The AWS region that it is in.")
    @click.option("--profile", metavar="NAME", help="The profile of your AWS configuration.")
    @wraps(command)
    def with_stack(stack_name: str, region: str | None, profile: str | None, **given: Any) -> Any:
        stack = Stack(stack_name or STACK_NAME, os.environ, region=region, profile=profile)
        return command(stack=stack, **given)

    return with_stack


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


_TABLES = "`insights tables` lists them."
_UTF_8 = "save it as UTF-8, which a spreadsheet calls CSV UTF-8"
_WORDS = {"today": timedelta(), "yesterday": timedelta(days=1)}


class DayType(click.ParamType[date]):
    """A UTC day, YYYY-MM-DD, or `today` or `yesterday`."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day. Raises click.BadParameter, which names the option and the value."""
        if isinstance(value, date):
            return value
        if value in _WORDS:
            return datetime.now(UTC).date() - _WORDS[value]
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            with suppress(ValueError):
                return date.fromisoformat(value)
        return self.fail(f"{value!r} is not a date; use YYYY-MM-DD (UTC).", param, ctx)


DAY = DayType()


class InstantType(click.ParamType[datetime]):
    """An instant in ISO 8601; without a zone it is in UTC, a day alone is its first instant."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The instant in UTC. Raises click.BadParameter, which names the option and the value."""
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
            return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return self.fail(f"{value!r} is not a time; use 2026-01-31T18:30 (UTC).", param, ctx)


INSTANT = InstantType()


class CountType(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"


class MonthType(click.ParamType[Month]):
    """A month, YYYY-MM."""

    name = "month"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Month:
        """The month. Raises click.BadParameter."""
        if isinstance(value, Month):
            return value
        try:
            return Month.parse(value)
        except ValueError as error:
            return self.fail(f"{error}.", param, ctx)


def text_of(path: Path, option: str) -> str:
    """The text of a file that a person names, without a byte order mark. Raises WrongUsage."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise WrongUsage(f"{option} {path} is not UTF-8 text: {_UTF_8}.") from None


def piped_text() -> str:
    """All of the standard input. Raises WrongUsage where it is not UTF-8."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise WrongUsage(f"The standard input is not UTF-8 text: {_UTF_8}.") from None


def names(text: str) -> tuple[str, ...]:
    """The names in a list with commas, each once."""
    return tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))


def check_tables(given: Sequence[str]) -> None:
    """Raises WrongUsage for an unknown table, or one that is switched off."""
    every = catalogue()
    known = [table.name for table in every.tables]
    check("--tables", (n for n in given if n != "all"), known, "table", _TABLES)
    try:
        every.chosen(tuple(name for name in given if name != "all") or None)
    except ConfigurationError as error:
        raise WrongUsage(f"--tables: {error}") from error


def check_organizations(given: Sequence[str], exported: Sequence[str]) -> None:
    """Raises WrongUsage for a handle that the stack does not export, with the nearest ones."""
    check("--org", given, exported, "organisation", f"The stack exports {', '.join(exported)}.")


def check_span(first: date | None, last: date | None, today: date) -> None:
    """Raises WrongUsage where the days from `first` to `last` are none, or all to come."""
    if first and last and first > last:
        raise WrongUsage(f"--from {first} lies after --to {last}.")
    if first and first > today:
        raise WrongUsage(f"--from {first} lies in the future: today is {today} (UTC).")
