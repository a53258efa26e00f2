"""What the doctor finds, and the exit code that follows from it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from choreo_insights.redaction import hide
from choreo_insights_cli.called import as_called
from choreo_insights_cli.errors import BAD_NEWS, DONE, NOT_DONE, WRONG_USAGE

# `note` is worth reading and harms nothing. `skipped` was not queried, for a harmless reason.
Status = Literal["ok", "note", "skipped", "differs", "failed"]
_FAULTS = ("differs", "failed")


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what a person should change."""

    what: str
    status: Status
    says: str = ""
    change: str = ""


@dataclass
class Diagnosis:
    """All findings about one organisation. What is in `hidden` is in none of them.

    `documents` are compared with the live schema, `probes` were asked for, `seen` is how the
    service behaves, and `behaviour` the same as settings of the sandbox. `asked`: whether
    the Insights API gave any answer, a refusal included. Where a parameter's value comes from an
    option, `options` has that, for what to change.
    """

    organization: str
    options: Mapping[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    checks: list[Finding] = field(default_factory=list)
    documents: list[Finding] = field(default_factory=list)
    probes: list[Finding] = field(default_factory=list)
    new: list[Finding] = field(default_factory=list)
    seen: list[Finding] = field(default_factory=list)
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    asked: bool = False

    def check(self, what: str, status: Status, says: str = "", change: str = "") -> None:
        """Adds a check's finding."""
        self.checks.append(self._safe(Finding(what, status, says, change)))

    def add(self, part: list[Finding], found: Iterable[Finding]) -> None:
        """Adds findings to one of the lists above."""
        part += map(self._safe, found)

    @property
    def is_well(self) -> bool:
        """Whether nothing differs and nothing failed."""
        found = (*self.checks, *self.documents, *self.probes, *self.new)
        return self.asked and not any(finding.status in _FAULTS for finding in found)

    def _safe(self, finding: Finding) -> Finding:
        """One line each, without what a terminal would obey, and without secrets."""
        return Finding(
            self._hide(finding.what),
            finding.status,
            as_called(self._hide(finding.says)),
            as_called(self._hide(self._by_option(finding.change))),
        )

    def _by_option(self, text: str) -> str:
        for parameter, option in self.options.items():
            text = re.sub(rf"\b{parameter}\b", option, text)
        return text

    def _hide(self, text: str) -> str:
        text = hide(text, self.hidden)
        return "".join(c if c.isprintable() else " " for c in text)


@dataclass
class DoctorReport:
    """What was asked where, and the diagnosis of each organisation.

    `settings` holds name, value and where the value comes from. `failure` is why nothing could be
    asked of anyone; with `refused` it is a wrong value of the user's.
    """

    settings: Sequence[tuple[str, str, str]] = ()
    diagnoses: list[Diagnosis] = field(default_factory=list)
    failure: str = ""
    refused: bool = False

    @property
    def exit_code(self) -> int:
        """0 where all is well, 1 where something is not, 3 where nobody could be asked.

        2 is for a value that cannot be.
        """
        if self.refused:
            return WRONG_USAGE
        if not any(diagnosis.asked for diagnosis in self.diagnoses):
            return NOT_DONE
        return DONE if all(d.is_well for d in self.diagnoses) else BAD_NEWS

    def as_dict(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        shown: dict[str, Any] = {
            "exit_code": self.exit_code,
            "settings": {
                name: {"value": value, "from": source} for name, value, source in self.settings
            },
            "organizations": {d.organization: _described(d) for d in self.diagnoses},
        }
        return shown | ({"failure": self.failure} if self.failure else {})


def _described(diagnosis: Diagnosis) -> dict[str, Any]:
    parts = {
        "checks": diagnosis.checks,
        "documents": diagnosis.documents,
        "probes": diagnosis.probes,
        "new": diagnosis.new,
        "behaviour": diagnosis.seen,
    }
    shown = {part: [_fields(finding) for finding in found] for part, found in parts.items()}
    return {"asked": diagnosis.asked, "well": diagnosis.is_well, **shown}


def _fields(finding: Finding) -> dict[str, str]:
    fields = {"what": finding.what, "status": finding.status, "says": finding.says}
    return fields | ({"change": finding.change} if finding.change else {})
