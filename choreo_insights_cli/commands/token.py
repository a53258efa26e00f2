"""`insights token`: calls the token function and shows what it says."""

import json
from typing import Any

import click

from choreo_insights_cli import options, spinner
from choreo_insights_cli.errors import BadNews
from choreo_insights_cli.stack import Stack

ACTIONS = ("ensure", "renew", "revoke", "status")
_EXAMPLES = """\b
Examples:
  insights token                          how each organisation's token stands
  insights token renew --org acme         after its consumer secret was rotated
  insights token revoke --org acme        when a token leaked
"""


@click.command(epilog=_EXAMPLES)
@click.argument("action", type=click.Choice(ACTIONS), default="status")
@click.option("--org", metavar="HANDLE", help="One organisation; left out: all.")
@options.as_json
@options.of_stack
def command(stack: Stack, action: str, org: str | None, as_json: bool) -> None:
    """Mint, renew, revoke or look at the cached tokens.

    \b
    ensure   mints where there is no valid one
    renew    mints in any case
    revoke   asks Choreo to revoke the token, and forgets it
    status   tells how the tokens stand; nothing changes
    """
    with spinner.shown(f"token function: {action}"):
        organizations = call(stack, action, org or "")
    if as_json:
        click.echo(json.dumps(organizations, indent=2, ensure_ascii=False))
    else:
        for line in lines(organizations):
            click.echo(line)
    failed = [name for name, entry in organizations.items() if entry["status"] == "failed"]
    if failed:
        raise BadNews(f"No token for {', '.join(failed)}: the reason stands beside each name.")


def call(stack: Stack, action: str, organization: str = "") -> dict[str, dict[str, Any]]:
    """What the token function says of each organisation, or of one.

    Raises CommandError when the function failed.
    """
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
