"""The functions' settings, read once from the environment into typed objects.

A wrong value raises ConfigurationError with the template parameter, the value and the remedy.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from choreo_insights.errors import ConfigurationError

# Both stand in names of secrets and parameters, and a handle in names of S3 keys too.
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_PREFIX = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TABLE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
# `carbon.super` in every client of WSO2's; any tenant name else [Choreo].
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)

# Settings by the template's parameter: an error names what a person can change.
_PARAMETERS = {
    "ORGANIZATIONS": "Organizations",
    "SECRET_PREFIX": "SecretPrefix",
    "TOKEN_URL": "TokenUrl",
    "REVOKE_URL": "RevokeUrl",
    "SCOPE": "Scope",
    "INSIGHTS_URL": "InsightsUrl",
    "TENANT": "Tenant",
    "EXTRA_ENVIRONMENT_IDS": "ExtraEnvironmentIds",
    "PROJECTS": "Projects",
    "EXPORT_SINCE": "ExportSince",
    "SETTLE_HOURS": "SettleHours",
    "TABLES": "Tables",
    "CONCURRENCY": "Concurrency",
    "REQUESTS_PER_MINUTE": "RequestsPerMinute",
    "BATCH_SIZE": "BatchSize",
    "MAX_BATCH_SIZE": "MaxBatchSize",
    "REQUEST_SECONDS": "RequestSeconds",
}


@dataclass(frozen=True)
class TokenConfig:
    """The settings of the token function."""

    organizations: tuple[str, ...]
    secret_prefix: str
    token_parameter_prefix: str
    mint_state_prefix: str
    stack_name: str
    token_url: str
    revoke_url: str
    scope: str
    token_key_id: str

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "TokenConfig":
        """Reads and checks the settings. Raises ConfigurationError."""
        settings = _Settings(env)
        return cls(
            organizations=settings.organizations(),
            secret_prefix=settings.prefix("SECRET_PREFIX"),
            token_parameter_prefix=settings.prefix("TOKEN_PARAMETER_PREFIX"),
            mint_state_prefix=settings.prefix("MINT_STATE_PREFIX"),
            stack_name=settings.text("STACK_NAME"),
            token_url=settings.url("TOKEN_URL"),
            revoke_url=settings.url("REVOKE_URL"),
            scope=settings.text("SCOPE"),
            token_key_id=settings.text("TOKEN_KEY_ID"),
        )


@dataclass(frozen=True)
class ExportConfig:
    """The settings of the export function.

    `tables` is None for all that need not be named, and may contain `all` beside names; whether
    each name is a table, only the catalogue knows.
    `extra_environment_ids` are ids of environments that no list of environments contains, by the
    environment's id or name. `projects` are the ids of projects by their names.
    """

    organizations: tuple[str, ...]
    secret_prefix: str
    token_parameter_prefix: str
    stack_name: str
    insights_url: str
    tenants: tuple[str, ...]
    token_function_name: str
    dataset_bucket: str
    export_since: date
    settle_hours: float
    tables: tuple[str, ...] | None
    concurrency: int
    requests_per_minute: int
    batch_size: int
    max_batch_size: int = 100
    request_seconds: int = 65
    state_machine_arn: str = ""
    extra_environment_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    projects: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "ExportConfig":
        """Reads and checks the settings. Raises ConfigurationError."""
        settings = _Settings(env)
        return cls(
            organizations=settings.organizations(),
            secret_prefix=settings.prefix("SECRET_PREFIX"),
            token_parameter_prefix=settings.prefix("TOKEN_PARAMETER_PREFIX"),
            stack_name=settings.text("STACK_NAME"),
            insights_url=settings.url("INSIGHTS_URL"),
            tenants=settings.tenants("TENANT"),
            token_function_name=settings.text("TOKEN_FUNCTION_NAME"),
            dataset_bucket=settings.text("DATASET_BUCKET"),
            export_since=settings.day("EXPORT_SINCE"),
            settle_hours=settings.hours("SETTLE_HOURS", default="24"),
            tables=settings.tables("TABLES"),
            concurrency=settings.count("CONCURRENCY", default="4", most=64),
            requests_per_minute=settings.count("REQUESTS_PER_MINUTE", default="120", most=60_000),
            batch_size=settings.count("BATCH_SIZE", default="20", most=1_000),
            max_batch_size=settings.count("MAX_BATCH_SIZE", default="100", most=1_000),
            request_seconds=settings.count("REQUEST_SECONDS", default="65", most=300),
            state_machine_arn=settings.text("STATE_MACHINE_ARN"),
            extra_environment_ids=settings.environment_ids("EXTRA_ENVIRONMENT_IDS"),
            projects=settings.projects("PROJECTS"),
        )


@dataclass(frozen=True)
class ReportConfig:
    """The settings of the report function."""

    organizations: tuple[str, ...]
    dataset_bucket: str
    export_since: date
    settle_hours: float
    tables: tuple[str, ...] | None
    alarm_topic_arn: str

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "ReportConfig":
        """Reads and checks the settings. Raises ConfigurationError."""
        settings = _Settings(env)
        return cls(
            organizations=settings.organizations(),
            dataset_bucket=settings.text("DATASET_BUCKET"),
            export_since=settings.day("EXPORT_SINCE"),
            settle_hours=settings.hours("SETTLE_HOURS", default="24"),
            tables=settings.tables("TABLES"),
            alarm_topic_arn=settings.text("ALARM_TOPIC_ARN"),
        )


class _Settings:
    """Reads single settings, each with its own check."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str, default: str = "") -> str:
        value = self._env.get(name, "").strip() or default
        if not value:
            raise _wrong(name, "is empty or not set", "give it a value")
        return value

    def names(self, name: str, default: str = "") -> tuple[str, ...]:
        parts = (part.strip() for part in self.text(name, default).split(","))
        return tuple(dict.fromkeys(filter(None, parts)))

    def organizations(self) -> tuple[str, ...]:
        handles = self.names("ORGANIZATIONS")
        if not handles:
            raise _wrong("ORGANIZATIONS", "names no organisation", "list handles, e.g. acme,globex")
        for handle in handles:
            if not is_handle(handle):
                raise _wrong(
                    "ORGANIZATIONS",
                    f"holds {handle!r}, which is not an organisation handle",
                    "give handles (letters, digits, `.`, `_`, `-`), separated by commas, as the "
                    "console shows them under Settings > Organization > Copy Handle",
                )
        return handles

    def tenants(self, name: str) -> tuple[str, ...]:
        tenants = self.names(name)
        for tenant in tenants:
            if not _TENANT.fullmatch(tenant):
                remedy = "give tenants as `insights doctor` lists them, separated by commas"
                raise _wrong(name, f"contains {tenant!r}, which is not a tenant", remedy)
        if not tenants:
            raise _wrong(name, "names no tenant", "give carbon.super, or a list of tenants")
        return tenants

    def environment_ids(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """The ids by environment of `<environment>=<id>[+<id>…]`, separated by commas."""
        ids_by_environment: dict[str, tuple[str, ...]] = {}
        for entry, environment, ids in self._entries(name):
            parts = tuple(part.strip() for part in ids.split("+"))
            if not (environment and all(parts)) or "=" in ids:
                remedy = "write <environment id or name>=<id>+<id>, separated by commas"
                raise _wrong(name, f"contains {entry!r}", remedy)
            ids_by_environment[environment] = tuple(
                dict.fromkeys((*ids_by_environment.get(environment, ()), *parts))
            )
        return ids_by_environment

    def projects(self, name: str) -> Mapping[str, str]:
        """The projects' ids by their names, of `<name>=<uuid>`, separated by commas."""
        ids_by_name: dict[str, str] = {}
        for entry, project, own_id in self._entries(name):
            if not (project and _UUID.fullmatch(own_id)):
                remedy = "write <name>=<uuid>, separated by commas"
                raise _wrong(name, f"contains {entry!r}", remedy)
            if project in ids_by_name or own_id in ids_by_name.values():
                raise _wrong(name, f"contains {entry!r}, name or id a second time", "take one out")
            ids_by_name[project] = own_id
        return ids_by_name

    def _entries(self, name: str) -> Iterator[tuple[str, str, str]]:
        """The entries `<key>=<value>` of a list, each with its key and value."""
        for entry in filter(None, map(str.strip, self._env.get(name, "").split(","))):
            key, _, value = entry.partition("=")
            yield entry, key.strip(), value.strip()

    def prefix(self, name: str) -> str:
        value = self.text(name).rstrip("/")
        if not _PREFIX.fullmatch(value):
            remedy = "use letters, digits, `.`, `_`, `-`, and `/` between parts"
            raise _wrong(name, f"is {value!r}, which cannot begin a name", remedy)
        return value

    def url(self, name: str) -> str:
        value = self.text(name)
        remedy = "give an https address (plain http is taken for this machine alone)"
        try:
            parts = urlsplit(value)
            # urlsplit checks the port only when it is read.
            _ = parts.port
        except ValueError as error:
            raise _wrong(name, "is not an address", remedy) from error
        if parts.username is not None or parts.password is not None:
            # The value is not shown: a password stands in it.
            raise _wrong(name, "has a user name or password in it", "take that out of the address")
        if not _is_safe(parts) or re.search(r"\s", value):
            raise _wrong(name, f"is {value!r}, which is neither https nor loopback", remedy)
        if parts.fragment:
            raise _wrong(name, f"is {value!r}, with a `#` in it", "take that part off")
        return value

    def day(self, name: str) -> date:
        value = self.text(name)
        try:
            if _DAY.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise _wrong(name, f"is {value!r}, which is not a date", "write it as 2026-01-31")

    def hours(self, name: str, default: str) -> float:
        value = self.text(name, default)
        hours = _number(value)
        if not 0 <= hours <= 8_784:
            raise _wrong(name, f"is {value!r}", "give hours, from 0 to 8784 (a year)")
        return hours

    def count(self, name: str, default: str, most: int) -> int:
        value = self.text(name, default)
        # int() also takes signs, underscores and the digits of other scripts.
        if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= most:
            raise _wrong(name, f"is {value!r}", f"give a whole number from 1 to {most}")
        return int(value)

    def tables(self, name: str) -> tuple[str, ...] | None:
        names = self.names(name, default="all")
        if names == ("all",):
            return None
        for table in names:
            if not _TABLE.fullmatch(table):
                remedy = "write `all` or names of tables, or both, separated by commas"
                raise _wrong(name, f"holds {table!r}, which is not a table name", remedy)
        if not names:
            raise _wrong(name, "names no table", "write `all`, or names separated by commas")
        return names


def is_handle(text: str) -> bool:
    """Whether a text can be an organisation's handle."""
    return _HANDLE.fullmatch(text) is not None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _is_safe(parts: SplitResult) -> bool:
    """Whether credentials may go there: over TLS, or without leaving this machine."""
    host = parts.hostname or ""
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and (host == "localhost" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong(name: str, fault: str, remedy: str) -> ConfigurationError:
    parameter = _PARAMETERS.get(name)
    shown = f"{parameter} (environment variable {name})" if parameter else name
    return ConfigurationError(f"{shown} {fault}: {remedy}")
