"""`docs/scaling.md`: the model in words, and what it and the simulation say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from string import Template

from costs import scenarios
from costs.bill import Estimate, estimate
from costs.growth import Grown, growth
from costs.inputs import Inputs
from costs.limits import END, START, Met, limits
from costs.prices import Prices, load
from costs.scenarios import Told
from costs.usage import INVOCATION_SECONDS, KEPT_SECONDS, Usage
from insights.catalogue import load as load_catalogue

_TEXT = Path(__file__).with_name("page.md")
_TOOK = ("requests", "invocations", "minutes", "partitions left over", "keeps up")
SIMULATED = ("organisations", "APIs", "questions", *_TOOK)
_BILL = ("service", "USD", "after what is free")
_GROWN = (
    *("organisations", "APIs", "requests a run", "minutes a run", "keeps up"),
    *("objects after 3 years", "GB after 3 years", "days to backfill them"),
    *("USD a month, first year", "USD a month after 3 years"),
)
_MET = ("limit", "may be", "at first", "at last", "met first with", "what takes over")
_YEARS = 3
_FIRST_DAYS = 180


def render() -> str:
    """The page, from the model and from what was simulated last."""
    inputs, prices, told = Inputs(), load(), scenarios.saved()
    bill = estimate(inputs, None, prices)
    dashboards = replace(inputs, history_days=365, authors=1, readers=5)
    usage = Usage(inputs, load_catalogue())
    return Template(_TEXT.read_text("utf-8")).substitute(
        date=prices.date,
        region=inputs.region,
        days=inputs.history_days,
        environments=inputs.environments,
        apis=inputs.apis,
        usd=_usd(bill.usd),
        after_free=_usd(bill.usd_after_free),
        bill=table(_BILL, _services(bill)),
        dashboards=table(_BILL, _services(estimate(dashboards, None, prices))),
        growth=table(_GROWN, _growth(inputs, prices)),
        reports=_share_of_reports(usage),
        checked=usage.checked["environment"],
        seconds=f"{INVOCATION_SECONDS - KEPT_SECONDS:.0f}",
        most_apis=_number(_most_apis(usage)),
        start=_size(START),
        end=_size(END),
        limits=table(_MET, map(_met, limits(inputs)), last_texts=2),
        simulated=table(SIMULATED, (simulated_row(t) for t in told if t.scenario.grown)),
        levers=table(("", *_TOOK), (_lever(t) for t in told if not t.scenario.grown)),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], last_texts: int = 0) -> str:
    """A table of Markdown: the first column and the last ones are texts, the others numbers."""
    return "\n".join((*header(head, last_texts), *map(line, rows)))


def header(head: Sequence[str], last_texts: int = 0) -> Iterator[str]:
    """The first lines of a table."""
    numbers = len(head) - 1 - last_texts
    yield line(head)
    yield line(["---", *["---:"] * numbers, *["---"] * last_texts])


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def simulated_row(told: Told) -> Sequence[str]:
    """What was simulated of a size."""
    inputs = told.scenario.inputs
    sizes = (str(inputs.organizations), _number(inputs.apis))
    return (*sizes, _number(told.simulated.questions), *_took(told))


def _took(told: Told) -> Sequence[str]:
    found = told.simulated
    return (
        _number(found.requests),
        str(found.rounds),
        f"{found.seconds / 60:.1f}",
        _number(found.remaining),
        _yes(told.keeps_up),
    )


def _usd(amount: float) -> str:
    return f"{amount:,.2f}"


def _number(amount: float) -> str:
    """With as many digits as matter."""
    if amount and abs(amount) < 10 and amount != int(amount):
        return f"{amount:.2g}"
    return f"{amount:,.0f}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "**no**"


def _services(bill: Estimate) -> Iterator[Sequence[str]]:
    services = dict.fromkeys(item.service for item in bill.items)
    for service in services:
        items = [item for item in bill.items if item.service == service]
        usd, after_free = sum(i.usd for i in items), sum(i.usd_after_free for i in items)
        if round(usd, 2):
            yield service, _usd(usd), _usd(after_free)
    yield "**all**", f"**{_usd(bill.usd)}**", f"**{_usd(bill.usd_after_free)}**"


def _growth(inputs: Inputs, prices: Prices) -> Iterator[Sequence[str]]:
    """A row for each two sizes that differ in their history alone."""
    days = (_FIRST_DAYS, _YEARS * 365)
    found = iter(growth(inputs, prices, history_days=days))
    return (_grown(young, old) for young, old in zip(found, found, strict=True))


def _grown(young: Grown, old: Grown) -> Sequence[str]:
    return (
        str(old.organizations),
        _number(old.apis),
        _number(old.requests),
        f"{old.seconds / 60:.1f}",
        _yes(old.keeps_up),
        _number(old.objects),
        f"{old.stored_bytes / 1e9:.1f}",
        f"{old.backfill_days:.1f}",
        _usd(young.usd),
        _usd(old.usd),
    )


def _share_of_reports(usage: Usage) -> str:
    """How much of all questions custom reports ask, in percent."""
    others = tuple(t.name for t in usage.tables if not any(f.over == "groups" for f in t.fan_out))
    rest = Usage(replace(usage.inputs, tables=others), load_catalogue())
    return f"{100 * (1 - rest.questions / usage.questions):.0f}"


def _most_apis(usage: Usage) -> float:
    """How many APIs one organisation can have until its runs do not keep up, in hundreds."""
    few, many = 1, 64
    while many - few > 1:
        half = (few + many) // 2
        inputs = replace(usage.inputs, apis=100 * half)
        keeps_up = Usage(inputs, load_catalogue()).run.keeps_up
        few, many = (half, many) if keeps_up else (few, half)
    return 100 * few


def _size(sizes: dict[str, int]) -> str:
    years = sizes["history_days"] / 365
    handles = sizes["organizations"]
    return (
        f"{sizes['apis']:,} APIs, {handles} organisation{'s' if handles > 1 else ''}"
        f" and {years:.0f} year{'s' if years > 1 else ''}"
    )


def _met(met: Met) -> Sequence[str]:
    first = "not met"
    if met.apis and met.history_days:
        years = met.history_days / 365
        first = f"{met.organizations} organisations of {met.apis:,} APIs, {years:.1f} years"
    used = (_number(met.bound), _number(met.at_start), _number(met.at_end))
    return (f"{met.name} ({met.unit})", *used, first, met.after)


def _lever(told: Told) -> Sequence[str]:
    return (told.scenario.name, *_took(told))
