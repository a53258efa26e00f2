"""Whom the doctor asks: from variables, the deployed stack, or the template's defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError

from checks.template import Template
from insights.config import ExportConfig, TokenConfig
from local.doctor.secret import read_file
from local.errors import CommandError
from local.places import ROOT, STACK_NAME
from local.stack import Stack

_PARAMETERS = {
    "TOKEN_URL": "TokenUrl",
    "INSIGHTS_URL": "InsightsUrl",
    "SCOPE": "Scope",
    "TENANT": "Tenant",
    "SECRET_PREFIX": "SecretPrefix",
}
# Settings of the functions that the doctor has no use for.
_UNUSED = {
    "TOKEN_PARAMETER_PREFIX": "/doctor",
    "MINT_STATE_PREFIX": "/doctor",
    "TOKEN_KEY_ID": "doctor",
    "STACK_NAME": "doctor",
    "TOKEN_FUNCTION_NAME": "doctor",
    "DATASET_BUCKET": "doctor",
    "EXPORT_SINCE": "2026-01-01",
}


@dataclass(frozen=True)
class Settings:
    """Checked settings.

    `stack` is there where AWS was looked at, `deployed` are its parameters (empty: there is none).
    `note` says why there is none, `given` is the content of SECRET_FILE.
    """

    organizations: tuple[str, ...]
    token_url: str
    insights_url: str
    scope: str
    tenant: str
    secret_prefix: str
    sources: Mapping[str, str]
    stack: Stack | None
    deployed: Mapping[str, str]
    note: str
    given: Mapping[str, Any] | None

    def uses_token_function(self, organization: str) -> bool:
        """Whether the deployed token function gives just the token that these settings ask for."""
        ours = {
            "TokenUrl": self.token_url,
            "Scope": self.scope,
            "SecretPrefix": self.secret_prefix,
        }
        handles = [handle.strip() for handle in self.deployed.get("Organizations", "").split(",")]
        same = all(self.deployed.get(name) == value for name, value in ours.items())
        return self.given is None and same and organization in handles

    def shown(self) -> list[tuple[str, str, str]]:
        """Name, value and source of each, for the report."""
        values = {
            "TokenUrl": self.token_url,
            "InsightsUrl": self.insights_url,
            "Scope": self.scope,
            "Tenant": self.tenant,
        }
        shown = [(name, value, self.sources[name]) for name, value in values.items()]
        return [
            *shown,
            ("Stack", self.stack.name if self.deployed and self.stack else "none", self.note),
        ]


def resolve(environment: Mapping[str, str], read_stdin: Callable[[], str]) -> Settings:
    """The settings. AWS is not asked where SECRET_FILE and both addresses are given.

    Raises CommandError, and ConfigurationError for a value that cannot be.
    """
    place = environment.get("SECRET_FILE", "")
    given = read_file(place, read_stdin) if place else None
    stack: Stack | None = None
    deployed: Mapping[str, str] = {}
    note = "not looked for: SECRET_FILE and both addresses are given"
    if not (place and environment.get("TOKEN_URL") and environment.get("INSIGHTS_URL")):
        stack, deployed, note = _deployed(environment)
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    defaults = Template(ROOT / "template.yaml").parameters
    for variable, name in _PARAMETERS.items():
        if value := environment.get(variable, ""):
            sources[name] = f"variable {variable}"
        elif value := deployed.get(name, ""):
            sources[name] = f"stack {stack.name}" if stack else "stack"
        else:
            value = str(defaults[name]["Default"])
            sources[name] = "the template's default"
        values[variable] = value
    values["ORGANIZATIONS"] = _organizations(environment, given, deployed, note)
    return _checked(values, sources, stack, deployed, note, given)


def _checked(
    values: Mapping[str, str],
    sources: Mapping[str, str],
    stack: Stack | None,
    deployed: Mapping[str, str],
    note: str,
    given: Mapping[str, Any] | None,
) -> Settings:
    complete = {**_UNUSED, **values, "REVOKE_URL": values["TOKEN_URL"]}
    token = TokenConfig.from_environment(complete)
    export = ExportConfig.from_environment(complete)
    if given is not None and len(token.organizations) > 1:
        raise CommandError("SECRET_FILE holds one organisation: name it alone, ORG=handle.")
    return Settings(
        token.organizations,
        token.token_url,
        export.insights_url,
        token.scope,
        export.tenant,
        token.secret_prefix,
        sources,
        stack,
        deployed,
        note,
        given,
    )


def _deployed(environment: Mapping[str, str]) -> tuple[Stack | None, Mapping[str, str], str]:
    """The stack of the terminal, its parameters, and why there are none."""
    name = environment.get("STACK_NAME") or STACK_NAME
    try:
        stack = Stack(name, environment)
    except BotoCoreError as error:
        return None, {}, f"{name} cannot be read: {error}"
    try:
        return stack, stack.parameters, "deployed"
    except CommandError as error:
        return stack, {}, f"{name} cannot be read: {error.__cause__ or error}"


def _organizations(
    environment: Mapping[str, str],
    given: Mapping[str, Any] | None,
    deployed: Mapping[str, str],
    note: str,
) -> str:
    if named := environment.get("ORG", ""):
        return named
    if given is not None:
        if isinstance(handle := given.get("org_handle"), str) and handle:
            return handle
        raise CommandError("ORG is not given, and SECRET_FILE has no org_handle: say ORG=handle.")
    if named := deployed.get("Organizations", ""):
        return named
    raise CommandError(
        f"ORG is not given, and no stack names the organisations ({note}). Say ORG=handle, and"
        " SECRET_FILE=file with the credentials in JSON where none are stored yet."
    )
