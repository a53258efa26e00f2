"""Checks template parameters before anything is built: sam learns of a wrong one after a minute."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.names import nearest
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.template import Template

_NOTHING = "Nothing was deployed."


def check(values: Mapping[str, str]) -> None:
    """Raises WrongUsage for a parameter that the template has not, and for a value it refuses."""
    known: Mapping[str, Any] = Template(ROOT / "template.yaml").body["Parameters"]
    for name, value in values.items():
        if name not in known:
            more = nearest(name, known) or f"Those are: {', '.join(known)}."
            raise WrongUsage(f"PARAMETERS: unknown parameter {name}. {more} {_NOTHING}")
        for reason in _refusals(known[name], value):
            said = known[name].get("ConstraintDescription") or f"{name}: {reason}."
            raise WrongUsage(f"PARAMETERS: {name}={value} is refused. {said} {_NOTHING}")
    if since := values.get("ExportSince"):
        _check_day(since)


def _refusals(definition: Mapping[str, Any], value: str) -> Iterator[str]:
    """The template's own rules, as CloudFormation applies them."""
    allowed = [str(each) for each in definition.get("AllowedValues", [])]
    if allowed and value not in allowed:
        yield f"one of {', '.join(allowed)}"
    pattern = definition.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        yield f"text like {pattern}"
    if definition["Type"] == "Number":
        lowest, highest = definition.get("MinValue"), definition.get("MaxValue")
        number = None
        with suppress(ValueError):
            number = float(value)
        if (
            number is None
            or (lowest is not None and number < lowest)
            or (highest is not None and number > highest)
        ):
            yield f"a number{_bounds(lowest, highest)}"


def _bounds(lowest: float | None, highest: float | None) -> str:
    parts = [] if lowest is None else [f"{lowest} at the least"]
    parts += [] if highest is None else [f"{highest} at the most"]
    return f", {', '.join(parts)}" if parts else ""


def _check_day(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(
            f"PARAMETERS: ExportSince={text} is refused. {str(error).capitalize()}. {_NOTHING}"
        ) from error
