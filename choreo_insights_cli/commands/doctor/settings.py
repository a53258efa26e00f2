"""Whom the doctor asks: from options, the deployed stack, or the template's defaults."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from choreo_insights.config import ExportConfig, TokenConfig
from choreo_insights.errors import ConfigurationError
from choreo_insights_cli.commands.doctor.secret import read_file
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import shipped
from choreo_insights_cli.stack import Stack
from choreo_insights_cli.template import Template

_PARAMETERS = {
    "token_url": "TokenUrl",
    "insights_url": "InsightsUrl",
    "scope": "Scope",
    "tenant": "Tenant",
    "secret_prefix": "SecretPrefix",
}
# Settings of the functions that the doctor has no use for.
_UNUSED = {
    "TOKEN_PARAMETER_PREFIX": "/doctor",
    "MINT_STATE_PREFIX": "/doctor",
    "TOKEN_KEY_ID": "doctor",
    "STACK_NAME": "doctor",
    "TOKEN_FUNCTION_NAME": "doctor",
    "DATASET_BUCKET": "doctor",
    "STATE_MACHINE_ARN": "doctor",
    "EXPORT_SINCE": "2026-01-01",
}


@dataclass(frozen=True)
class DoctorOptions:
    """What the user says; what is empty is for the stack to say.

    `secret_file` names a file with the credentials in JSON, `-` being what is piped in. `probe`
    asks for every document although the service's schema can be read, and looks twice, so many
    minutes apart as `wait` says. The service's schema is written to the file `schema`. With `mint`
    a second token is minted.
    """

    organization: str = ""
    secret_file: str = ""
    token_url: str = ""
    insights_url: str = ""
    scope: str = ""
    tenant: str = ""
    secret_prefix: str = ""
    probe: bool = False
    schema: str = ""
    wait: int = 0
    mint: bool = False


@dataclass(frozen=True)
class DoctorSettings:
    """Checked settings.

    `stack` is there where AWS was looked at, `deployed` are its parameters (empty: there is none).
    `note` says why there is none, `given` is the content of the secret's file.
    """

    organizations: tuple[str, ...]
    token_url: str
    insights_url: str
    scope: str
    tenants: tuple[str, ...]
    secret_prefix: str
    sources: Mapping[str, str]
    stack: Stack | None
    deployed: Mapping[str, str]
    note: str
    given: Mapping[str, Any] | None
    extra_environment_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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

    def from_options(self) -> dict[str, str]:
        """The options that the addresses come from, by the parameters that they stand for."""
        addresses = {"TokenUrl": "--token-url", "InsightsUrl": "--insights-url"}
        return {
            name: option
            for name, option in addresses.items()
            if self.sources[name].startswith("option")
        }

    def shown(self) -> list[tuple[str, str, str]]:
        """Name, value and source of each, for the report."""
        values = {
            "TokenUrl": self.token_url,
            "InsightsUrl": self.insights_url,
            "Scope": self.scope,
            "Tenant": ",".join(self.tenants),
        }
        shown = [(name, value, self.sources[name]) for name, value in values.items()]
        return [
            *shown,
            ("Stack", self.stack.name if self.deployed and self.stack else "none", self.note),
        ]


def resolve(wish: DoctorOptions, stack: Stack, read_stdin: Callable[[], str]) -> DoctorSettings:
    """The settings. AWS is not asked where the secret's file and both addresses are given.

    Raises CommandError, and ConfigurationError for a value that cannot be.
    """
    given = read_file(wish.secret_file, read_stdin) if wish.secret_file else None
    asked: Stack | None = None
    deployed: Mapping[str, str] = {}
    note = "not looked for: --secret-file and both addresses are given"
    if not (wish.secret_file and wish.token_url and wish.insights_url):
        asked, (deployed, note) = stack, _deployed(stack)
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    defaults = Template(shipped("template.yaml")).parameters
    for option, name in _PARAMETERS.items():
        if value := getattr(wish, option):
            sources[name] = f"option --{option.replace('_', '-')}"
        elif value := deployed.get(name, ""):
            sources[name] = f"stack {stack.name}"
        else:
            value = str(defaults[name]["Default"])
            sources[name] = "the template's default"
        values[option.upper()] = value
    values["EXTRA_ENVIRONMENT_IDS"] = deployed.get("ExtraEnvironmentIds", "")
    values["ORGANIZATIONS"] = _organizations(wish, given, deployed, note)
    if wish.organization:
        sources["Organizations"] = "option --org"
    return _checked(values, sources, asked, deployed, note, given)


def _checked(
    values: Mapping[str, str],
    sources: Mapping[str, str],
    stack: Stack | None,
    deployed: Mapping[str, str],
    note: str,
    given: Mapping[str, Any] | None,
) -> DoctorSettings:
    complete = {**_UNUSED, **values, "REVOKE_URL": values["TOKEN_URL"]}
    try:
        token = TokenConfig.from_environment(complete)
        export = ExportConfig.from_environment(complete)
    except ConfigurationError as error:
        raise _blamed(error, sources) from None
    if given is not None and len(token.organizations) > 1:
        raise WrongUsage("--secret-file holds one organisation: name it alone, --org handle.")
    return DoctorSettings(
        token.organizations,
        token.token_url,
        export.insights_url,
        token.scope,
        export.tenants,
        token.secret_prefix,
        sources,
        stack,
        deployed,
        note,
        given,
        export.extra_environment_ids,
    )


def _blamed(error: ConfigurationError, sources: Mapping[str, str]) -> Exception:
    """The error with where the value comes from: here it is from no environment variable."""

    def named(found: re.Match[str]) -> str:
        source = sources.get(found[1])
        return f"{found[1]} ({source})" if source else found[1]

    said = re.sub(r"(\w+) \(environment variable \w+\)", named, str(error))
    return WrongUsage(said) if "(option --" in said else ConfigurationError(said)


def _deployed(stack: Stack) -> tuple[Mapping[str, str], str]:
    """The stack's parameters, and why there are none."""
    try:
        return stack.parameters, "deployed"
    except CommandError as error:
        return {}, f"{stack.name} cannot be read: {error.__cause__ or error}"


def _organizations(
    wish: DoctorOptions, given: Mapping[str, Any] | None, deployed: Mapping[str, str], note: str
) -> str:
    if wish.organization:
        return wish.organization
    if given is not None:
        if isinstance(handle := given.get("org_handle"), str) and handle:
            return handle
        raise WrongUsage("--org is not given, and the secret's file has no org_handle.")
    if named := deployed.get("Organizations", ""):
        return named
    raise CommandError(
        f"--org is not given, and no stack names the organisations ({note}). Say --org handle, and"
        " --secret-file file with the credentials in JSON where none are stored yet."
    )
