"""The status for a reader and for a machine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from choreo_insights.dataset.partitions import day_end
from choreo_insights_cli.called import as_called, called
from choreo_insights_cli.commands.status.coverage import (
    FailedPartition,
    Standing,
    TablePlace,
    by_table,
    stale,
    together,
)
from choreo_insights_cli.commands.status.reading import Checks, Status
from choreo_insights_cli.console import Console

_ERRORS = 10
_LEFT = ("table", "organization", "environment", "oldest", "newest")
_STYLES = {"missing": "yellow", "failed": "red"}
_WELL = "All is well: "


def is_whole(status: Status) -> bool:
    """Whether nothing is missing, nothing failed and nothing is stale."""
    return not [*_needs(status)]


def verdict(status: Status) -> str:
    """All of it in a line; the exit code follows it."""
    needs = [*_needs(status)]
    day = status.selection.day
    if needs:
        return f"{f'{day} needs' if day else 'Needs'} attention: {', '.join(needs)}."
    said = _without_checks(status)
    if mismatches := len(status.checks.mismatches) if status.checks else 0:
        found = _many(mismatches, "mismatch", "mismatches")
        said = f"{said.removeprefix(_WELL).removesuffix('.')}, but the checks found {found}."
    return said[0].upper() + said[1:]


def _without_checks(status: Status) -> str:
    day = status.selection.day
    total = together(status.standings.values())
    if day:
        return _of_day(day, total, status.settings.settle_hours)
    if not status.standings:
        states = " or ".join(status.selection.states)
        return f"No day is {states}." if states else "Nothing is there that is looked for."
    if status.ends:
        return f"{_WELL}the dataset is complete, and ended on {status.ends}."
    reaches = f"up to {age(status.now, total.reaches)} ago" if total.reaches else "so far"
    return f"{_WELL}complete {reaches}."


def _of_day(day: date, total: Standing, settle_hours: float) -> str:
    if not total.open:
        return f"{day} is complete and final."
    at = f"{day_end(day) + timedelta(hours=settle_hours):%Y-%m-%d %H:%M} UTC"
    return f"{day} is complete so far; it becomes final with the first run after {at}."


def _needs(status: Status) -> Iterator[str]:
    """All that needs attention, in a few words each."""
    total = together(status.standings.values())
    for name in ("failed", "missing"):
        if count := getattr(total, name):
            yield f"{count:,} {name}"
    for organization in status.unknown:
        yield f"{organization} not exported yet"
    if status.selection.day is None:
        late = stale(status.standings, status.settings, status.now)
        for organization, duration in late.items():
            yield f"{organization} stale for {age(status.now, status.now - duration)}"


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def as_dict(status: Status) -> dict[str, Any]:
    """The status for JSON: every table, with every environment of it."""
    tables = []
    for table, standing in by_table(status.standings).items():
        places = [
            {"organization": place.organization, "environment": place.environment}
            | _figures(found, status.now)
            for place, found in status.standings.items()
            if place.table == table
        ]
        tables.append({"table": table, **_figures(standing, status.now), "places": places})
    total = together(status.standings.values())
    return {
        "stack": status.stack,
        "at": status.now.isoformat(),
        "since": status.since.isoformat(),
        "ends": status.ends.isoformat() if status.ends else None,
        "whole": is_whole(status),
        "verdict": verdict(status),
        "day": str(status.selection.day) if status.selection.day else None,
        "stale_seconds": {
            organization: round(late.total_seconds())
            for organization, late in stale(status.standings, status.settings, status.now).items()
        },
        **_figures(total, status.now),
        "organizations_without_data": list(status.unknown),
        "tables": tables,
        "errors": [_error(failure) for failure in _newest_first(total.failures)],
        "kept_days": [_error(kept) for kept in _newest_first(total.kept)],
        "unconfirmed_days": [_error(kept) for kept in _newest_first(total.unconfirmed)],
        "checks": _checks_as_dict(status.checks) if status.checks else None,
    }


def _figures(standing: Standing, now: datetime) -> dict[str, Any]:
    reaches = standing.reaches
    return {
        "oldest": standing.oldest.isoformat() if standing.oldest else None,
        "newest": standing.newest.isoformat() if standing.newest else None,
        "final": standing.final,
        "open": standing.open,
        "missing": standing.missing,
        "failed": standing.failed,
        "kept": len(standing.kept),
        "unconfirmed": len(standing.unconfirmed),
        "rows": standing.rows,
        "objects_without_known_rows": standing.rows_unknown,
        "reaches": reaches.isoformat() if reaches else None,
        "complete": not (standing.missing or standing.failed),
        "never_exported": standing.never,
        "age_seconds": round((now - reaches).total_seconds()) if reaches else None,
    }


def _error(failure: FailedPartition) -> dict[str, Any]:
    place = failure.place
    return {
        "table": place.table,
        "organization": place.organization,
        "environment": place.environment,
        "day": failure.day.isoformat(),
        "at": failure.at.isoformat(),
        "error": failure.error,
    }


def show(status: Status, console: Console, *, everything: bool) -> None:
    """Prints a line for each table, or with `everything` for each environment of each table."""
    width = console.width if console.is_terminal else None
    for line in lines(status, everything=everything, width=width):
        console.prose(line)


def lines(status: Status, *, everything: bool, width: int | None = None) -> Iterable[Text]:
    """What is printed, for a terminal of `width` columns; None: for a pipe."""
    when = f"{status.now:%Y-%m-%d %H:%M} UTC"
    what = status.selection.day or f"the dataset since {status.since}"
    yield Text(f"{status.stack}, {when}: {what}", style="bold")
    if status.ends:
        text = f"frozen: the dataset ends on {status.ends}, its last day; nothing exports any more"
        yield Text(text, style="yellow")
    rows: list[tuple[Sequence[str], Standing]] = [
        (named if everything else named[:1], found)
        for place, found in _grouped(status.standings, everything=everything)
        for named in [(place.table, place.organization, place.environment or "")]
    ]
    total = together(status.standings.values())
    if rows or status.unknown:
        yield Text()
    if rows:
        yield from _table([*rows, (("together",), total)], status, width)
    for organization in status.unknown:
        text = f"{organization}: nothing was exported yet, so what is missing is not counted"
        yield Text(text, style="yellow")
    for heading, found in (
        ("last errors", total.failures),
        ("kept, as Choreo gives less than is stored", total.kept),
        ("closed as unconfirmed, as Choreo never gave as much again", total.unconfirmed),
    ):
        yield from _errors(heading, found, status.now, most=None if everything else _ERRORS)
    if status.checks:
        yield Text()
        yield _checks(status.checks, whole=is_whole(status))
    yield Text()
    advice = _next(status, total)
    verdict_line = Text(verdict(status), style="green" if is_whole(status) else "red")
    yield verdict_line.append(f" {advice}", style="default") if advice else verdict_line


def _grouped(
    standings: Mapping[TablePlace, Standing], *, everything: bool
) -> Iterable[tuple[TablePlace, Standing]]:
    if everything:
        return standings.items()
    return [
        (TablePlace(table, "", None, ""), standing)
        for table, standing in by_table(standings).items()
    ]


# Columns from the right to the left in the order in which a narrow terminal loses them.
_SPARE = ("oldest", "newest", "rows", "final")


def _table(
    rows: Sequence[tuple[Sequence[str], Standing]], status: Status, width: int | None
) -> Iterable[Text]:
    """Columns as wide as they need: a narrow terminal gets fewer, and no name is cut off."""
    names = ("table", "organization", "environment")[: max(len(named) for named, _ in rows)]
    of_day = status.selection.day is not None
    columns = [*names, *(("complete",) if of_day else ("oldest", "newest"))]
    columns += ["final", "open", "missing", "failed", "rows", *(() if of_day else ("age",))]
    cells = [
        {**dict.fromkeys(columns, ""), **dict(zip(names, named, strict=False))}
        | _cells(found, status.now, of_day=of_day)
        for named, found in rows
    ]
    widths = {name: max(len(name), *(cell_len(row[name]) for row in cells)) for name in columns}
    for spare in _SPARE:
        if width is not None and sum(widths[name] + 2 for name in columns) - 2 > width:
            columns = [name for name in columns if name != spare or (of_day and name == "final")]
    if width is not None and sum(widths[name] + 2 for name in columns) - 2 > width:
        yield from _stacked(columns, names, cells, widths)
        return
    yield Text("  ".join(_aligned(name, name, widths[name]) for name in columns), style="bold")
    for row in cells:
        yield _row(columns, row, widths)


def _stacked(
    columns: Sequence[str],
    names: Sequence[str],
    cells: Sequence[Mapping[str, str]],
    widths: Mapping[str, int],
) -> Iterable[Text]:
    """The names in a line of their own, and the figures below them."""
    figures = [name for name in columns if name not in names]
    yield Text("  ".join(("", *(_aligned(name, name, widths[name]) for name in figures))), "bold")
    for row in cells:
        yield Text(" ".join(filter(None, (row[name] for name in names))))
        yield Text("  ") + _row(figures, row, widths)


def _row(columns: Sequence[str], row: Mapping[str, str], widths: Mapping[str, int]) -> Text:
    line = Text()
    for name in columns:
        style = _STYLES.get(name, "") if row[name] != "0" else "dim"
        line.append(_aligned(name, row[name], widths[name]) + "  ", style)
    line.rstrip()
    return line


def _aligned(name: str, text: str, width: int) -> str:
    blanks = " " * (width - cell_len(text))
    return text + blanks if name in _LEFT else blanks + text


def _cells(standing: Standing, now: datetime, *, of_day: bool) -> dict[str, str]:
    counts = {name: str(getattr(standing, name)) for name in ("final", "open", "missing", "failed")}
    complete = not (standing.missing or standing.failed)
    if of_day:
        counts["complete"] = "yes" if complete else "no"
        counts["final"] = "yes" if complete and not standing.open else "no"
    return counts | {
        "oldest": str(standing.oldest or "-"),
        "newest": str(standing.newest or "-"),
        # The ledger may have been deleted: then there are at least so many.
        "rows": f"{'≥' if standing.rows_unknown else ''}{standing.rows:,}",
        "age": "never" if standing.never else age(now, standing.reaches),
    }


def age(now: datetime, then: datetime | None) -> str:
    """How long ago an instant is, roughly."""
    if then is None:
        return "-"
    minutes = max(0, round((now - then).total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def _newest_first(failures: Iterable[FailedPartition]) -> list[FailedPartition]:
    return sorted(failures, key=lambda failure: (failure.at, failure.day), reverse=True)


def _errors(
    heading: str, failures: Sequence[FailedPartition], now: datetime, most: int | None
) -> Iterable[Text]:
    """The last error of each kind, with how many partitions it stands for."""
    kinds: dict[tuple[str, str, str], list[FailedPartition]] = {}
    for failure in _newest_first(failures):
        kind = (failure.place.table, failure.place.organization, failure.error)
        kinds.setdefault(kind, []).append(failure)
    if not kinds:
        return
    yield Text()
    yield Text(heading, style="bold")
    for (table, organization, error), alike in list(kinds.items())[:most]:
        newest = alike[0]
        where = " ".join(filter(None, (table, organization, newest.place.environment)))
        others = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        head = f"{age(now, newest.at)} ago, {where} {newest.day}{others}: "
        yield Text.assemble((head, "red"), as_called(error))
    if most is not None and len(kinds) > most:
        yield Text(f"and {len(kinds) - most} other kinds: --all shows them")


def _next(status: Status, total: Standing) -> str:
    """The command that helps, where one is obvious."""
    if total.failures:
        failed = dict.fromkeys(failure.place.organization for failure in total.failures)
        return f"Next: {called('logs --errors')}, or {called(f'doctor --org {next(iter(failed))}')}"
    if status.unknown:
        return f"Next: {called(f'doctor --org {status.unknown[0]}')}"
    if total.missing:
        return f"Next: {called('export')}"
    if not is_whole(status):
        return f"Next: {called('logs --errors')}"
    return ""


def _checks_as_dict(checks: Checks) -> dict[str, Any]:
    return {
        "since": checks.since.isoformat(),
        "verdicts": dict(checks.verdicts),
        "mismatches": [dict(mismatch) for mismatch in checks.mismatches],
    }


def _checks(checks: Checks, *, whole: bool) -> Text:
    head = f"checks since {checks.since}: {sum(checks.verdicts.values()):,} made, "
    if not checks.mismatches:
        # What is not there is not compared: that is no good sign.
        return Text(f"{head}no mismatch" if whole else f"{head}of what is there")
    newest = checks.mismatches[0]
    where = " ".join(filter(None, (newest["organization"], newest["environment"], newest["day"])))
    found = f"{newest['what']}: found {newest['found']}, expected {newest['expected']}"
    count = f"{len(checks.mismatches):,} mismatch{'es' if len(checks.mismatches) > 1 else ''}"
    return Text(f"{head}{count}. {where}, {found}", style="red")
