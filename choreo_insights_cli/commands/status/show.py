"""The status for a reader and for a machine."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from choreo_insights_cli.commands.status.coverage import (
    FailedPartition,
    Standing,
    TablePlace,
    by_table,
    together,
)
from choreo_insights_cli.commands.status.reading import Checks, Status

_ERRORS = 10
_LEFT = ("table", "organization", "environment", "oldest", "newest")
_STYLES = {"missing": "yellow", "failed": "red"}


def is_whole(status: Status) -> bool:
    """Whether nothing is missing and nothing failed."""
    total = together(status.standings.values())
    return not (total.missing or total.failed or status.unknown)


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
    for line in lines(status, everything=everything):
        console.print(line, soft_wrap=True, highlight=False)


def lines(status: Status, *, everything: bool) -> Iterable[Text]:
    when = f"{status.now:%Y-%m-%d %H:%M} UTC"
    yield Text(f"{status.stack}, {when}: the dataset since {status.since}", style="bold")
    if status.ends:
        text = f"frozen: the dataset ends on {status.ends}, its last day; nothing exports any more"
        yield Text(text, style="yellow")
    yield Text()
    names = _LEFT if everything else ("table", *_LEFT[3:])
    shown: list[tuple[Mapping[str, str], Standing]] = [
        (_names(place) if everything else {"table": place.table}, standing)
        for place, standing in _grouped(status.standings, everything=everything)
    ]
    total = together(status.standings.values())
    yield from _table(names, [*shown, ({"table": "together"}, total)], status.now)
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
        yield _checks(status.checks)


def _grouped(
    standings: Mapping[TablePlace, Standing], *, everything: bool
) -> Iterable[tuple[TablePlace, Standing]]:
    if everything:
        return standings.items()
    return [
        (TablePlace(table, "", None, ""), standing)
        for table, standing in by_table(standings).items()
    ]


def _names(place: TablePlace) -> dict[str, str]:
    return {
        "table": place.table,
        "organization": place.organization,
        "environment": place.environment or "",
    }


def _table(
    names: Sequence[str], rows: Sequence[tuple[Mapping[str, str], Standing]], now: datetime
) -> Iterable[Text]:
    """Columns as wide as they need, whatever the terminal: a cut-off name helps nobody."""
    columns = (*names, "final", "open", "missing", "failed", "rows", "age")
    cells = [{**dict.fromkeys(columns, ""), **named, **_cells(found, now)} for named, found in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in columns}
    yield Text("  ".join(_aligned(name, name, widths[name]) for name in columns), style="bold")
    for row in cells:
        line = Text()
        for name in columns:
            style = _STYLES.get(name, "") if row[name] != "0" else "dim"
            line.append(_aligned(name, row[name], widths[name]) + "  ", style)
        line.rstrip()
        yield line


def _aligned(name: str, text: str, width: int) -> str:
    return text.ljust(width) if name in _LEFT else text.rjust(width)


def _cells(standing: Standing, now: datetime) -> dict[str, str]:
    counts = {name: str(getattr(standing, name)) for name in ("final", "open", "missing", "failed")}
    return counts | {
        "oldest": str(standing.oldest or "-"),
        "newest": str(standing.newest or "-"),
        # The ledger may have been deleted: then there are at least so many.
        "rows": f"{'≥' if standing.rows_unknown else ''}{standing.rows:,}",
        "age": age(now, standing.reaches),
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
        yield Text.assemble((head, "red"), error)
    if most is not None and len(kinds) > most:
        yield Text(f"and {len(kinds) - most} other kinds: --all shows them")


def _checks_as_dict(checks: Checks) -> dict[str, Any]:
    return {
        "since": checks.since.isoformat(),
        "verdicts": dict(checks.verdicts),
        "mismatches": [dict(mismatch) for mismatch in checks.mismatches],
    }


def _checks(checks: Checks) -> Text:
    head = f"checks since {checks.since}: {sum(checks.verdicts.values()):,} made, "
    if not checks.mismatches:
        return Text(f"{head}no mismatch")
    newest = checks.mismatches[0]
    where = " ".join(filter(None, (newest["organization"], newest["environment"], newest["day"])))
    found = f"{newest['what']}: found {newest['found']}, expected {newest['expected']}"
    count = f"{len(checks.mismatches):,} mismatch{'es' if len(checks.mismatches) > 1 else ''}"
    return Text(f"{head}{count}. {where}, {found}", style="red")
