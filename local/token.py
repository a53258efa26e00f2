"""`make token`: calls the token function and shows what it says."""

import os
from typing import Any

from local.errors import CommandError
from local.stack import Stack

ACTIONS = ("ensure", "renew", "revoke", "status")


def main() -> None:
    """Calls the token function as ACTION and ORG say. Raises CommandError where it failed."""
    action, organization = os.environ.get("ACTION", ""), os.environ.get("ORG", "")
    organizations = call(Stack.of_terminal(), action, organization)
    for line in lines(organizations):
        print(line)
    failed = [name for name, entry in organizations.items() if entry["status"] == "failed"]
    if failed:
        raise CommandError(f"No token for {', '.join(failed)}: the reason stands beside each name.")


def call(stack: Stack, action: str, organization: str = "") -> dict[str, dict[str, Any]]:
    """What the token function says of each organisation, or of one.

    Raises CommandError for an action that there is none of, or when the function failed.
    """
    if action not in ACTIONS:
        raise CommandError(f"ACTION={action} is none. Say one of: {', '.join(ACTIONS)}.")
    event = {"action": action}
    if organization:
        event["organization"] = organization
    organizations: dict[str, dict[str, Any]] = stack.call("TokenFunctionName", event)[
        "organizations"
    ]
    return organizations


def lines(organizations: dict[str, dict[str, Any]]) -> list[str]:
    """The reply for a reader: a line for each organisation."""
    width = max(map(len, organizations), default=0)
    shown = []
    for name, entry in organizations.items():
        parts = [entry["status"]]
        if entry.get("expires_at"):
            parts.append(f"expires {entry['expires_at']}")
        if entry.get("fingerprint"):
            parts.append(f"fingerprint {entry['fingerprint']}")
        if entry.get("error"):
            parts.append(entry["error"])
        shown.append(f"{name:{width}}  {', '.join(parts)}")
    return shown
