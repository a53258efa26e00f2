"""The report at the terminal: tables with colours there, plain lines anywhere else."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.table import Table
from rich.text import Text

from choreo_insights_cli.commands.doctor.findings import Diagnosis, DoctorReport, Finding, Status
from choreo_insights_cli.console import Console, fitted
from choreo_insights_cli.errors import DONE

_STYLES: dict[Status, str] = {
    "ok": "green",
    "note": "cyan",
    "skipped": "dim",
    "differs": "yellow",
    "failed": "red",
}


def show(report: DoctorReport, console: Console) -> None:
    for name, value, source in report.settings:
        console.prose(f"{name:<12} {value}  ({source})", hanging=13)
    for diagnosis in report.diagnoses:
        console.print()
        console.print(Text(diagnosis.organization, style="bold"))
        for title, findings in _parts(diagnosis):
            _show_part(title, findings, console)
    if report.diagnoses:
        console.print()
    console.prose(_verdict(report))


def _parts(diagnosis: Diagnosis) -> Iterator[tuple[str, Sequence[Finding]]]:
    yield "check", diagnosis.checks
    yield "document", list(_grouped(diagnosis.documents))
    yield "asked", list(_grouped(diagnosis.probes))
    yield "new", diagnosis.new
    yield "behaviour", diagnosis.seen


def _grouped(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Documents of which the same is said, as one; those that are well by their number alone."""
    groups: dict[Finding, list[str]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, what=""), []).append(finding.what)
    for alike, paths in groups.items():
        if alike.status == "ok":
            yield replace(alike, what=f"{len(paths)} documents", says="as the service has them")
        elif len(paths) > 1:
            names = ", ".join(path.rpartition("/")[2] for path in paths)
            says = ": ".join(filter(None, (alike.says, names)))
            yield replace(alike, what=f"{len(paths)} documents", says=says)
        else:
            yield replace(alike, what=paths[0].rpartition("/")[2])


def _show_part(title: str, findings: Sequence[Finding], console: Console) -> None:
    if not findings:
        return
    if not console.is_terminal:
        for finding in findings:
            console.print(Text(_line(finding)), soft_wrap=True)
        return
    statuses, names = (max(map(len, words)) for words in zip(*map(_names, findings), strict=True))
    longest = max(len(word) for finding in findings for word in _said(finding).split())
    # No name and no path is cut off or broken: long ones stand one below the other.
    apart = names <= console.width // 3 and longest <= console.width - statuses - names - 4
    meaning = "what it says, and what to change"
    table = Table("", *((title, meaning) if apart else (f"{title}: {meaning}",)), box=None)
    table.pad_edge = False
    # Broken here, between words alone: Rich would break commands.
    room = console.width - statuses - (names + 4 if apart else 2)
    for column in table.columns:
        column.overflow = "fold"
    for finding in findings:
        said = Text("" if apart or not finding.says else ": ").append(finding.says)
        if finding.change:
            begins = "\n" if finding.says or not apart else ""
            said.append(f"{begins}→ {finding.change}", style="bold")
        status = Text(finding.status, style=_STYLES[finding.status])
        what = Text(finding.what)
        last = fitted(said if apart else what + said, room)
        table.add_row(status, *((what, last) if apart else (last,)))
    console.print(table)


def _names(finding: Finding) -> tuple[str, str]:
    return finding.status, finding.what


def _said(finding: Finding) -> str:
    return f"{finding.says} {finding.change or '-'}"


def _line(finding: Finding) -> str:
    parts = [f"{finding.status:<8}{finding.what}"]
    parts += [part for part in (finding.says, finding.change) if part]
    return " | ".join(parts)


def _verdict(report: DoctorReport) -> str:
    if report.failure:
        return f"Nothing could be asked: {report.failure}"
    if report.exit_code == DONE:
        return "All is well."
    unasked = [d.organization for d in report.diagnoses if not d.asked]
    faulty = [d.organization for d in report.diagnoses if d.asked and not d.is_well]
    parts = []
    if faulty:
        parts.append(f"Not all is well with {', '.join(faulty)}.")
    if unasked:
        parts.append(f"The Insights API could not be asked for {', '.join(unasked)}.")
    return " ".join(parts)
