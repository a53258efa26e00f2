"""Known vulnerabilities of the locked packages, by pip-audit: `python -m dev.checks.dependencies`.

What the layer ships must have none. Those of the tools are reported: other tools pin them. Where
the vulnerability service does not answer, nothing was audited, and the output says so; with
AUDIT=required that fails.
"""

# ruff: noqa: T201 - a command for a terminal: it prints.

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAYER = Path("layers/insights/requirements.txt")
TOOLS = Path("requirements")

# Ids of vulnerabilities of the layer that are left, each with its reason.
_ACCEPTED: dict[str, str] = {}


@dataclass(frozen=True)
class Audit:
    """What the vulnerability service said of some locks."""

    vulnerabilities: list[str]
    audited: int
    skipped: list[str]


def audit(locks: list[Path]) -> Audit:
    """Asks for the packages of the locks."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    command += ["--disable-pip", "--require-hashes"]
    for lock in locks:
        command += ["--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    try:
        return sorted_out(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        reason = (done.stderr.strip() or "no output").splitlines()[-1]
        return Audit([], 0, [reason])


def sorted_out(dependencies: list[dict[str, Any]]) -> Audit:
    """The packages that pip-audit lists, by what is known of them."""
    vulnerabilities = [
        f"{package['name']} {package['version']}: {known['id']}, mended in "
        f"{', '.join(known['fix_versions']) or 'no version yet'}"
        for package in dependencies
        for known in package.get("vulns", ())
        if known["id"] not in _ACCEPTED
    ]
    skipped = [package["skip_reason"] for package in dependencies if "skip_reason" in package]
    return Audit(vulnerabilities, len(dependencies) - len(skipped), skipped)


def main() -> int:
    """Prints what is known; 1 where the layer has a vulnerability or was audited in part."""
    layer = audit([LAYER])
    if not layer.audited:
        print("!" * 80)
        print("NOT AUDITED: the vulnerability service gave no answer for any package.")
        print(f"  {layer.skipped[0] if layer.skipped else 'The lock is empty.'}")
        print("  Run `make audit` where the internet is reached.")
        print("!" * 80)
        return 1 if os.environ.get("AUDIT") == "required" else 0
    for line in layer.skipped:
        print(f"layer, not audited: {line}")
    for line in layer.vulnerabilities:
        print(f"layer, vulnerable: {line}")
    tools = audit(sorted(TOOLS.glob("*.txt")))
    for line in tools.vulnerabilities:
        print(f"tools, vulnerable (reported only): {line}")
    print(f"pip-audit: {layer.audited} packages of the layer, {tools.audited} of the tools")
    return 1 if layer.skipped or layer.vulnerabilities else 0


if __name__ == "__main__":
    sys.exit(main())
