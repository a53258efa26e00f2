"""`insights secret`: stores an organisation's credentials, outside every template."""

import getpass
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click
from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.config import is_handle
from choreo_insights.credentials import Secrets
from choreo_insights.errors import ConfigurationError
from choreo_insights_cli import options, output
from choreo_insights_cli.called import called
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.names import nearest
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
FIELDS = tuple(_QUESTIONS)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# Shorter than any that is made today, and longer than what slips into a prompt by mistake.
_SHORTEST, _LONGEST = 8, 4_000

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
    if not is_handle(org):
        raise WrongUsage(
            f"{org} is not a handle: it has letters, digits, dots, hyphens and underscores, as"
            " the console's settings show it."
        )
    parameters = {} if prefix else _parameters(stack)
    _warn_of_handle(org, parameters, stack.name)
    under = prefix or parameters.get("SecretPrefix", PREFIX)
    if is_asked():
        name = _stored_patiently(lambda values: store(stack, under, org, values), ask())
    else:
        values = read(options.piped_text())
        for problem in problems(values):
            output.line(f"Warning: {problem}", error=True)
        name = store(stack, under, org, values)
    if as_json:
        output.as_json({"secret": name}, indent=None)
    else:
        output.line(f"Stored as {name}.\nNext: {called(f'doctor --org {org}')}")


def is_asked() -> bool:
    """Whether a person types the values."""
    return sys.stdin.isatty()


def ask(prompt: Callable[[str], str] = getpass.getpass) -> dict[str, str]:
    """Asks for each value without showing what is typed, again until it can be one."""
    answers = {name: _answer(name, prompt) for name in _QUESTIONS}
    return {name: answer for name, answer in answers.items() if answer}


def _answer(name: str, prompt: Callable[[str], str]) -> str:
    while problem := _problem(name, answer := prompt(f"{_QUESTIONS[name]}: ").strip()):
        output.line(f"{problem} Once more:", error=True)
    return answer


def problems(given: Mapping[str, Any]) -> Iterator[str]:
    """What looks wrong with the values that are there. None of them is part of a message."""
    for name, question in _QUESTIONS.items():
        value = given.get(name)
        if isinstance(value, str) and value and (problem := _problem(name, value.strip())):
            yield f"{name} ({question.partition(' (')[0]}): {problem}"


def _problem(name: str, value: str) -> str:
    """Why a value cannot be what it is given for, empty where it can be."""
    if not value:
        return "" if name == "on_prem_key" else "It cannot be empty."
    if any(not "!" <= character <= "~" for character in value):
        return "It has spaces or characters that no credential has: copy it again."
    if name == "org_id":
        return "" if _UUID.fullmatch(value) else "It is not a UUID (8-4-4-4-12 hex digits)."
    if not _SHORTEST <= len(value) <= _LONGEST:
        few = "few" if len(value) < _SHORTEST else "many"
        return f"It has {_characters(len(value))}, too {few} for a credential."
    return ""


def _characters(count: int) -> str:
    return f"{count:,} character{'' if count == 1 else 's'}"


def _stored_patiently(attempt: Callable[[Mapping[str, Any]], str], given: Mapping[str, Any]) -> str:
    """Stores what a person typed. Where AWS refuses it, they can try again without typing."""
    while True:
        try:
            return attempt(given)
        except (ClientError, BotoCoreError) as error:
            output.line(f"Not stored. AWS refused: {error}", error=True)
            click.confirm("Try again with the same values?", default=True, abort=True, err=True)


def read(text: str) -> dict[str, Any]:
    """The values in a JSON object. Raises WrongUsage; no message holds any of the text."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise WrongUsage(
            "Give a JSON object with consumer_key, consumer_secret and org_id, and with on_prem_key"
            " where there is one."
        )
    return parsed


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


def _parameters(stack: Stack) -> Mapping[str, str]:
    """The stack's parameters, none of one that is not deployed yet."""
    try:
        return stack.parameters
    except CommandError:
        output.line(
            f"Warning: the stack {stack.name} cannot be read, so whether it looks under"
            f" {PREFIX}/ and exports this organisation is not known.",
            error=True,
        )
        return {}


def _warn_of_handle(handle: str, parameters: Mapping[str, str], stack: str) -> None:
    """Warns where the stack does not export the organisation: it never reads the secret."""
    exported = options.names(parameters.get("Organizations", handle))
    if handle not in exported:
        near = nearest(handle, exported)
        output.line(
            f"Warning: the stack {stack} does not export {handle}, only {', '.join(exported)}."
            f" {near or 'Add it to the parameter Organizations, and deploy.'}",
            error=True,
        )
