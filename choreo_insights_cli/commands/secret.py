"""`insights secret`: stores an organisation's credentials, outside every template."""

import getpass
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click
from botocore.exceptions import ClientError

from choreo_insights.credentials import Secrets
from choreo_insights.errors import ConfigurationError
from choreo_insights_cli import options, output
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

PREFIX = "choreo-insights"
_QUESTIONS = {
    "consumer_key": "Consumer key of the application",
    "consumer_secret": "Consumer secret of the application",
    "org_id": "UUID of the organisation",
    "on_prem_key": "On-prem key (empty: none)",
}


_EXAMPLES = """\b
Examples:
  insights secret acme                    asks for each value, without showing it
  insights secret acme < acme.json        takes them as a JSON object

\b
The values:
  consumer_key, consumer_secret   of the application, in the developer portal
  org_id                          the organisation's UUID, in the console's settings
  on_prem_key                     if there is one
"""


@click.command(epilog=_EXAMPLES)
@click.argument("org", metavar="HANDLE")
@click.option(
    "--prefix",
    metavar="PREFIX",
    help="SecretPrefix of a stack that is not deployed yet; left out: the stack's own.",
)
@options.as_json
@options.of_stack
def command(stack: Stack, org: str, prefix: str | None, as_json: bool) -> None:
    """Store an organisation's credentials in Secrets Manager.

    They take the place of earlier ones. No template and no log sees them.
    """
    given = ask() if sys.stdin.isatty() else read(sys.stdin.read())
    name = store(stack, prefix or _prefix(stack), org, given)
    output.line(json.dumps({"secret": name}) if as_json else f"Stored as {name}.")


def ask() -> dict[str, str]:
    """Asks for each value without showing what is typed."""
    answers = {name: getpass.getpass(f"{text}: ").strip() for name, text in _QUESTIONS.items()}
    return {name: answer for name, answer in answers.items() if answer}


def read(text: str) -> dict[str, Any]:
    """The values in a JSON object. Raises WrongUsage; no message holds any of the text."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise WrongUsage(f"Give a JSON object with {', '.join(_QUESTIONS)}.")
    return found


def store(stack: Stack, prefix: str, handle: str, given: Mapping[str, Any]) -> str:
    """Stores an organisation's credentials, in place of earlier ones; gives the secret's name.

    Raises WrongUsage where they lack something or are of another organisation.
    """
    prefix = prefix.rstrip("/")
    name, content = f"{prefix}/{handle}", json.dumps({"org_handle": handle, **given})
    _check(prefix, handle, content)
    try:
        stack.secrets.create_secret(Name=name, SecretString=content)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceExistsException":
            raise
        stack.secrets.put_secret_value(SecretId=name, SecretString=content)
    return name


def _check(prefix: str, handle: str, content: str) -> None:
    """Refuses what the functions would refuse, before it takes the place of a good secret."""
    if unknown := json.loads(content).keys() - {"org_handle", *_QUESTIONS}:
        raise WrongUsage(
            f"{', '.join(sorted(unknown))}: no such key. The keys are {', '.join(_QUESTIONS)}."
        )
    try:
        Secrets(cast("SecretsManagerClient", _Draft(content)), prefix).get(handle)
    except ConfigurationError as error:
        raise WrongUsage(str(error)) from None


@dataclass(frozen=True)
class _Draft:
    """Gives a secret that is not stored yet to who reads stored ones."""

    content: str

    def get_secret_value(self, **_: str) -> dict[str, str]:
        return {"SecretString": self.content}


def _prefix(stack: Stack) -> str:
    """The prefix that the stack looks under; of a stack to come, the default."""
    try:
        return stack.parameters["SecretPrefix"]
    except CommandError:
        return PREFIX
