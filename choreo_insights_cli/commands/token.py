"""`insights token`: calls the token function and shows what it says."""

from collections.abc import Mapping
from typing import Any

import click

from choreo_insights_cli import options, output, spinner
from choreo_insights_cli.called import called
from choreo_insights_cli.errors import INTERRUPTED, BadNews
from choreo_insights_cli.stack import Stack

ACTIONS = ("ensure", "renew", "revoke", "status")
_EXAMPLES = """\b
Examples:
  insights token                          how each organisation's token stands
  insights token renew --org acme         after its consumer secret was rotated
  insights token revoke --org acme        when a token leaked
  insights token revoke --yes             every organisation's, without being asked
"""
_SECRET = {
    "current": "minted with the stored secret",
    "other": "minted with an earlier version of the secret: `insights token renew --org {}` shows"
    " whether the stored one works",
    "unknown": "not known whether the stored secret minted it",
}


@click.command(epilog=_EXAMPLES)
@click.argument("action", type=click.Choice(ACTIONS), default="status")
@click.option("--org", metavar="HANDLE", help="One organisation; left out: all.")
@click.option("--yes", is_flag=True, help="Revoke the tokens of all organisations unasked.")
@options.as_json
@options.of_stack
def command(stack: Stack, action: str, org: str | None, yes: bool, as_json: bool) -> None:
    """Mint, renew, revoke or look at the cached tokens.

    \b
    ensure   mints where there is no valid one
    renew    mints in any case, with the secret as it is stored now
    revoke   asks Choreo to revoke the token, and forgets it
    status   shows the tokens, and whether the stored secrets minted them; nothing changes
    """
    if org:
        options.check_organizations([org], options.names(stack.parameters["Organizations"]))
    if action == "revoke" and not (org or yes):
        _confirm(stack)
    with spinner.shown(f"token function: {action}"):
        organizations = call(stack, action, org or "")
    failed = [name for name, entry in organizations.items() if entry["status"] == "failed"]
    following = following_command(action, organizations)
    if as_json:
        output.as_json(organizations)
    else:
        for line in lines(organizations, revoking=action == "revoke"):
            output.line(line, hanging=2)
        if following and not failed:
            output.line(f"Next: {called(following)}")
    if failed and action == "revoke":
        raise BadNews(
            f"NOT revoked: {', '.join(failed)}. Such a token stays cached and works until it"
            " expires, so remove the cause beside its name and revoke again. If it leaked and"
            " cannot be revoked, regenerate the consumer secret in Choreo's developer portal."
        )
    if failed:
        # A token that another secret minted, or an earlier time, stays where there is one.
        lack = "Not renewed" if action == "renew" else "No token"
        stays = " An earlier token stays, and works until it expires." if action == "renew" else ""
        raise BadNews(
            f"{lack}: {', '.join(failed)}. The reason stands beside each name.{stays}"
            f" Next: `insights {following}`"
        )


def following_command(action: str, organizations: Mapping[str, Mapping[str, Any]]) -> str:
    """The command that helps, where one is obvious."""
    for name, entry in organizations.items():
        if entry["status"] == "failed":
            # What to do about a token that lives on is more than a command.
            return "" if action == "revoke" else f"doctor --org {name}"
    for name, entry in organizations.items():
        if entry.get("secret") == "other":
            return f"token renew --org {name}"
        if action == "status" and entry["status"] == "absent":
            return f"token ensure --org {name}"
    return ""


def _confirm(stack: Stack) -> None:
    """Asks whether to revoke the tokens of all organisations. Raises click.Abort for a no."""
    with spinner.shown("token function: status"):
        status = call(stack, "status")
    output.line("This revokes the tokens of all organisations:", error=True)
    for line in lines(status):
        output.line(f"  {line}", error=True, hanging=2)
    if not click.confirm("Runs that use them get themselves new ones. Go on?", err=True):
        output.line("Nothing was revoked.", error=True)
        raise click.exceptions.Exit(INTERRUPTED)


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


def lines(organizations: dict[str, dict[str, Any]], *, revoking: bool = False) -> list[str]:
    """The reply for a reader: a line for each organisation."""
    width = max(map(len, organizations), default=0)

    def line(name: str, entry: dict[str, Any]) -> str:
        failed = revoking and entry["status"] == "failed"
        said = _not_revoked(entry) if failed else ", ".join(_parts(name, entry))
        return f"{name:{width}}  {said}"

    notes: dict[str, list[str]] = {}
    for name, entry in organizations.items():
        if entry.get("note"):
            notes.setdefault(entry["note"].removesuffix("."), []).append(name)
    # The same is often said of all.
    said = [
        f"{note}." if len(named) == len(organizations) else f"{', '.join(named)}: {note}."
        for note, named in notes.items()
    ]
    return [*(line(name, entry) for name, entry in organizations.items()), *said]


def _parts(name: str, entry: dict[str, Any]) -> list[str]:
    parts = [entry["status"]]
    if entry.get("expires_at"):
        parts.append(f"expires {entry['expires_at']}")
    if entry.get("fingerprint"):
        parts.append(f"fingerprint {entry['fingerprint']}")
    if entry.get("secret") in _SECRET:
        parts.append(_SECRET[entry["secret"]].format(name))
    # Which organisation it is stands before it.
    return [*parts, *([entry["error"].removeprefix(f"{name}: ")] if entry.get("error") else ())]


def _not_revoked(entry: dict[str, Any]) -> str:
    error = entry.get("error", "no reason given")
    if "fingerprint" not in entry:
        return f"NOT revoked: {error}"
    which = f"fingerprint {entry['fingerprint']}, valid until {entry['expires_at']}"
    return f"NOT revoked: {which}: {error}"
