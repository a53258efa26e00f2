"""Settings: typed where they are right, a message with setting, value and remedy where not."""

from datetime import date

import pytest

from choreo_insights.config import ExportConfig, TokenConfig
from choreo_insights.errors import ConfigurationError

BOTH = {
    "ORGANIZATIONS": "acme, globex",
    "SECRET_PREFIX": "choreo-insights",
    "TOKEN_PARAMETER_PREFIX": "/stack/token",
    "STACK_NAME": "stack",
}
TOKEN = {
    **BOTH,
    "TOKEN_URL": "https://sts.choreo.dev/oauth2/token",
    "REVOKE_URL": "https://sts.choreo.dev/oauth2/revoke",
    "SCOPE": "apim:api_manage",
    "TOKEN_KEY_ID": "key",
    "MINT_STATE_PREFIX": "/stack/mint/",
}
EXPORT = {
    **BOTH,
    "INSIGHTS_URL": "https://choreocontrolplane.choreo.dev/93tu/insights/1.0.0/query-api",
    "TENANT": "carbon.super",
    "TOKEN_FUNCTION_NAME": "stack-token",
    "DATASET_BUCKET": "bucket",
    "EXPORT_SINCE": "2026-01-31",
    "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:111122223333:stateMachine:stack-backfill",
}


def test_token_settings() -> None:
    config = TokenConfig.from_environment(TOKEN)
    assert config.organizations == ("acme", "globex")
    assert config.token_url == "https://sts.choreo.dev/oauth2/token"
    assert config.mint_state_prefix == "/stack/mint"


def test_export_settings_and_their_defaults() -> None:
    config = ExportConfig.from_environment(EXPORT)
    assert config.export_since == date(2026, 1, 31)
    assert config.tables is None
    assert (config.settle_hours, config.concurrency) == (24, 4)
    assert (config.requests_per_minute, config.batch_size) == (120, 20)
    assert config.request_seconds == 65


def test_tables_are_listed() -> None:
    config = ExportConfig.from_environment({**EXPORT, "TABLES": "apis, environments,apis"})
    assert config.tables == ("apis", "environments")
    config = ExportConfig.from_environment({**EXPORT, "TABLES": "all, top_hits_by_user_agent"})
    assert config.tables == ("all", "top_hits_by_user_agent")


def test_several_tenants_and_extra_ids() -> None:
    env = {"TENANT": "carbon.super, unknown", "EXTRA_ENVIRONMENT_IDS": "Prod=a+b, d1=c,Prod=e"}
    config = ExportConfig.from_environment({**EXPORT, **env})
    assert config.tenants == ("carbon.super", "unknown")
    assert config.extra_environment_ids == {"Prod": ("a", "b", "e"), "d1": ("c",)}
    assert ExportConfig.from_environment(EXPORT).extra_environment_ids == {}


@pytest.mark.parametrize("value", ["Prod", "Prod=", "=a", "Prod=a+", "Prod=a=b"])
def test_wrong_extra_ids(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ExtraEnvironmentIds .*contains .*: write"):
        ExportConfig.from_environment({**EXPORT, "EXTRA_ENVIRONMENT_IDS": value})


def test_projects() -> None:
    ids = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(2)]
    env = {**EXPORT, "PROJECTS": f"Payments={ids[0]}, Our logistics={ids[1]}"}
    assert ExportConfig.from_environment(env).projects == {
        "Payments": ids[0],
        "Our logistics": ids[1],
    }
    for value in ("Payments", "Payments=1", f"={ids[0]}", f"a={ids[0]},b={ids[0]}"):
        with pytest.raises(ConfigurationError, match=r"^Projects .*contains"):
            ExportConfig.from_environment({**EXPORT, "PROJECTS": value})


def test_wrong_tenants() -> None:
    with pytest.raises(ConfigurationError, match=r"^Tenant .*'a b', which is not a tenant"):
        ExportConfig.from_environment({**EXPORT, "TENANT": "carbon.super,a b"})


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/token",
        "https://example.com:8443",
        "http://127.0.0.1:8080/token",
        "http://127.9.9.9/",
        "http://localhost:1/x",
        "http://[::1]:8080/x",
    ],
)
def test_safe_addresses(url: str) -> None:
    assert TokenConfig.from_environment({**TOKEN, "TOKEN_URL": url}).token_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/token",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "http://10.0.0.1/",
        "ftp://example.com",
        "file:///etc/passwd",
        "sts.choreo.dev/oauth2/token",
        "https://",
        "https:///token",
        "https://example.com:port/",
        "https://[::1/",
        "https://exa mple.com/",
        "https://example.com/#part",
        "https://user@example.com/",
        "",
    ],
)
def test_unsafe_addresses(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TokenUrl .*TOKEN_URL.*: (give|take) "):
        TokenConfig.from_environment({**TOKEN, "TOKEN_URL": url})


def test_a_password_in_an_address_is_not_shown() -> None:
    password = "not-shown"
    url = f"https://user:{password}@example.com/"
    with pytest.raises(ConfigurationError, match="has a user name or password") as raised:
        TokenConfig.from_environment({**TOKEN, "TOKEN_URL": url})
    assert password not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("EXPORT_SINCE", "2026-02-30", "ExportSince.*'2026-02-30'.*2026-01-31"),
        ("EXPORT_SINCE", "20260131", "ExportSince.*'20260131'"),
        ("EXPORT_SINCE", "2026-W05-6", "ExportSince"),
        ("EXPORT_SINCE", "yesterday", "ExportSince.*not a date"),
        ("EXPORT_SINCE", "", "ExportSince.*not set"),
        ("SETTLE_HOURS", "-1", "SettleHours.*'-1'.*from 0"),
        ("SETTLE_HOURS", "nan", "SettleHours"),
        ("SETTLE_HOURS", "soon", "SettleHours.*'soon'"),
        ("CONCURRENCY", "0", "Concurrency.*from 1 to 64"),
        ("CONCURRENCY", "4.5", "Concurrency"),
        ("REQUESTS_PER_MINUTE", "many", "RequestsPerMinute.*'many'"),
        ("BATCH_SIZE", "+3", "BatchSize"),
        ("REQUEST_SECONDS", "301", "RequestSeconds.*from 1 to 300"),
        ("TABLES", "apis, No Table", "Tables.*'No Table'"),
        ("TABLES", ",", "Tables.*names no table"),
        ("ORGANIZATIONS", "acme,a b", "Organizations.*'a b'"),
        ("ORGANIZATIONS", "../acme", "Organizations"),
        ("ORGANIZATIONS", " , ", "Organizations.*no organisation"),
        ("SECRET_PREFIX", "a b", "SecretPrefix.*'a b'"),
        ("TOKEN_PARAMETER_PREFIX", "//x", "TOKEN_PARAMETER_PREFIX"),
        ("TENANT", "", "Tenant.*not set"),
        ("INSIGHTS_URL", "http://example.com", "InsightsUrl.*neither https nor loopback"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ExportConfig.from_environment({**EXPORT, name: value})


@pytest.mark.parametrize("name", sorted(TOKEN))
def test_every_setting_is_needed(name: str) -> None:
    env = {key: value for key, value in TOKEN.items() if key != name}
    with pytest.raises(ConfigurationError, match=name):
        TokenConfig.from_environment(env)
