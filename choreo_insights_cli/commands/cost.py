"""`insights cost`: what the stack costs in a month, by what was counted there, and how it grows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click
from rich.text import Text

from choreo_insights.catalogue import Catalogue
from choreo_insights_cli import costs, options, output, paths, spinner
from choreo_insights_cli.commands.cost_counts import counted
from choreo_insights_cli.commands.query import QueryResult, as_table, ask
from choreo_insights_cli.console import Console
from choreo_insights_cli.costs.counting import SIZES_SQL, inputs_of, sized
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.stack import Stack

_EXAMPLES = """\b
Examples:
  insights cost                           by what was counted of the stack
  insights cost --growth                  and with more APIs, organisations and years
  insights cost --model --apis 100 --organizations 2     before anything is deployed

The model, its limits and its assumptions are in docs/scaling.md, the prices with their date and
sources in choreo_insights_cli/costs/prices.toml.
"""
# The sizes that may be given: a number that is None is the stack's own.
_SIZES = {
    "organizations": "Organisations.",
    "environments": "Environments of an organisation.",
    "apis": "APIs of an environment.",
    "applications": "Applications of an environment.",
    "history_days": "Days since the first that is exported.",
    "queries_a_day": "Athena queries a day.",
    "authors": "Authors in QuickSight.",
    "readers": "Readers in QuickSight.",
}
_USUAL_REGION = "eu-central-1"
_CENT = 0.005


def _sizes(command: options.Command) -> options.Command:
    for name, text in reversed(_SIZES.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, type=options.CountType(min=0), help=text)(command)
    return command


@click.command(epilog=_EXAMPLES)
@click.option("--growth", is_flag=True, help="Show larger stacks too, and the limits they meet.")
@click.option("--model", is_flag=True, help="Ask no stack: sizes are those given, or usual ones.")
@_sizes
@options.as_json
@options.of_stack
def command(stack: Stack, growth: bool, model: bool, as_json: bool, **sizes: float | None) -> None:
    """Estimate what a month costs, and how that grows."""
    given: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    prices, catalogue = costs.load(), paths.catalogue()
    try:
        with spinner.shown("counting") as say:
            inputs, counts = _modelled(stack) if model else _of_stack(stack, say)
            # What was counted is of the stack as it is.
            inputs, counts = (replace(inputs, **given), None) if given else (inputs, counts)
            inputs = _priced(inputs, prices)
            bill = costs.estimate(inputs, counts, prices, catalogue=catalogue)
        backfill = costs.backfill(inputs, prices, catalogue=catalogue)
        grown = list(_grown(inputs, prices, catalogue)) if growth else []
        limits = costs.limits(inputs, catalogue=catalogue) if growth else []
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    if as_json:
        values = {"month": bill.as_dict(), "backfill": backfill.as_dict()}
        more = {"growth": [g.as_dict() for g in grown], "limits": [m.as_dict() for m in limits]}
        output.as_json(values | (more if growth else {}))
        return
    console = output.console(width=None if output.is_terminal() else 140)
    for line in _said(bill, backfill):
        console.prose(line)
    console.print(as_table(_bill_rows(bill)))
    for limit in costs.beyond(inputs, catalogue=catalogue):
        text = Text.assemble(("Beyond a limit:", "yellow"), f" {limit.name}. {limit.after}")
        console.prose(text)
    if growth:
        _show_growth(console, grown, limits)


def _modelled(stack: Stack) -> tuple[costs.Inputs, None]:
    return costs.Inputs(region=stack.region or _USUAL_REGION), None


def _of_stack(stack: Stack, say: Callable[[str], None]) -> tuple[costs.Inputs, costs.Counts | None]:
    """The stack's settings and sizes, and what was counted of it."""
    today = datetime.now(UTC).date()
    inputs = inputs_of(stack.parameters, stack.region or _USUAL_REGION, today)
    sizes = ask(stack, SIZES_SQL, say).records()
    return sized(inputs, sizes[0]), counted(stack, today, say)


def _priced(inputs: costs.Inputs, prices: costs.Prices) -> costs.Inputs:
    if inputs.region in prices.regions:
        return inputs
    output.line(
        f"No prices are known for {inputs.region}: those of {_USUAL_REGION} count.", error=True
    )
    return replace(inputs, region=_USUAL_REGION)


def _grown(
    inputs: costs.Inputs, prices: costs.Prices, catalogue: Catalogue
) -> Iterator[costs.Grown]:
    return costs.growth(inputs, prices, catalogue=catalogue)


def _said(bill: costs.Estimate, backfill: costs.Estimate) -> Iterator[str | Text]:
    inputs = bill.inputs
    yield Text.assemble(
        (f"{bill.usd:,.2f} USD a month", "bold"),
        f", {bill.usd_after_free:,.2f} where nothing else in the account takes what is free",
    )
    yield (
        f"{_many(inputs.organizations, 'organisation')} of"
        f" {_many(inputs.environments, 'environment')} of {_many(inputs.apis, 'API')},"
        f" {_many(inputs.history_days, 'day')} of history, {_many(inputs.runs_a_day, 'run')} a day;"
        f" prices of {inputs.region}, {bill.prices_of}"
    )
    if bill.counted:
        names = ", ".join(name for name in bill.counted if name != "days")
        yield f"counted over {bill.counted.get('days', 0):g} days: {names}; the rest is modelled"
    else:
        yield "nothing was counted: all of it is modelled"
    yield f"exporting the whole history once: {backfill.usd:,.2f} USD\n"


def _many(count: float, what: str) -> str:
    return f"{count:,g} {what}{'' if count == 1 else 's'}"


def _bill_rows(bill: costs.Estimate) -> QueryResult:
    """The lines that cost a cent at least; the others together."""
    names = ("service", "what", "quantity", "unit", "USD", "after free")
    shown = [item for item in bill.items if item.usd >= _CENT]
    rows: list[Sequence[Any]] = [
        (i.service, i.what, _quantity(i.quantity), i.unit, i.usd, i.usd_after_free) for i in shown
    ]
    rest = [item for item in bill.items if item not in shown]
    others = (sum(i.usd for i in rest), sum(i.usd_after_free for i in rest))
    rows.append((f"{len(rest)} others", "", None, "", *others))
    rows.append(("all", "", None, "", bill.usd, bill.usd_after_free))
    return QueryResult(names, [(*row[:4], round(row[4], 2), round(row[5], 2)) for row in rows])


def _quantity(number: float) -> float:
    """As exact as anybody wants to know it."""
    return round(number) if number >= 100 else float(f"{number:.2g}")


def _show_growth(
    console: Console, grown: Sequence[costs.Grown], limits: Sequence[costs.LimitReached]
) -> None:
    names = ("orgs", "APIs", "days", "requests", "minutes", "keeps up")
    rows = [
        (
            *(g.organizations, g.apis, g.history_days, round(g.requests)),
            *(round(g.seconds / 60, 1), "yes" if g.keeps_up else "no", round(g.objects)),
            *(round(g.stored_bytes / 1e9, 1), round(g.usd, 2)),
        )
        for g in grown
    ]
    title = "\nGrowth: requests and minutes of a run, USD of a month"
    console.print(Text(title, style="bold"))
    console.print(as_table(QueryResult((*names, "objects", "GB", "USD"), rows)))
    title = "\nLimits, in the order in which a growing stack meets them"
    console.print(Text(title, style="bold"))
    met = [
        (m.name, m.bound, m.unit, m.organizations, m.apis, m.history_days)
        for m in limits
        if m.step is not None
    ]
    names = ("limit", "may be", "unit", "orgs", "APIs", "days")
    console.print(as_table(QueryResult(names, met)))
