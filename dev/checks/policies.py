"""Parliament on the templates' policies as AWS would get them: `python -m dev.checks.policies`."""

# ruff: noqa: T201 - a command for a terminal: it prints.

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from choreo_insights_cli.template import Policy, Template

_TEMPLATES = ("template.yaml", "generated/quicksight.yaml")
# Findings that are left: the property that holds the policy, the finding and the reason.
_ACCEPTED = {
    ("AssumeRolePolicyDocument", "MALFORMED"): "a trust policy has no resource: it is the role's",
    ("KeyPolicy", "RESOURCE_STAR"): "in a key's policy the resource * is that key alone",
}
# parliament knows only some resources of these actions: express executions, and map runs.
_KNOWN_IN_PART = {"states:DescribeExecution", "states:ListExecutions"}


def findings(policy: Policy) -> list[str]:
    """parliament's findings about a policy, without the accepted ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It imports its resources in a deprecated way.
        import parliament  # type: ignore[import-not-found]  # noqa: PLC0415
    analyzed = parliament.analyze_policy_string(json.dumps(policy.document))
    return [
        f"{policy.resource}.{policy.kind}: {found.issue}: {found.detail or found.location}"
        for found in analyzed.findings
        if (policy.kind, found.issue) not in _ACCEPTED and not _half_known(found)
    ]


def _half_known(found: Any) -> bool:
    if found.issue != "RESOURCE_MISMATCH":
        return False
    return {each["action"] for each in found.detail} <= _KNOWN_IN_PART


def main() -> int:
    """Prints the findings; 1 where there are any."""
    templates = [Template(Path(name)) for name in _TEMPLATES]
    policies = [policy for template in templates for policy in template.policies()]
    reported = [finding for policy in policies for finding in findings(policy)]
    print("\n".join(reported) or f"parliament: no findings in {len(policies)} policies")
    return 1 if reported or not policies else 0


if __name__ == "__main__":
    sys.exit(main())
