"""Secrets: read when needed, checked, never shown."""

import traceback
from collections.abc import Iterator

import pytest

from choreo_insights.credentials import Credentials, Secrets
from choreo_insights.errors import ConfigurationError, PersonMustAct, Retriable
from tests.fakes import aws as fake_aws
from tests.fakes.aws import FakeAws, Refused
from tests.fakes.clock import Clock

GOOD = {
    "consumer_key": "synthetic-key",
    "consumer_secret": " synthetic-secret\n",
    "org_handle": "acme",
    "org_id": "00000000-0000-4000-8000-000000000000",
}


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with fake_aws.running() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets(aws: FakeAws, clock: Clock) -> Secrets:
    return Secrets(aws.secretsmanager(), "choreo-insights", clock)


def test_what_a_secret_holds(aws: FakeAws, secrets: Secrets) -> None:
    aws.put_secret("choreo-insights/acme", {**GOOD, "on_prem_key": "synthetic-on-prem"})
    credentials = secrets.get("acme")
    assert credentials == Credentials(
        org_handle="acme",
        org_id="00000000-0000-4000-8000-000000000000",
        consumer_key="synthetic-key",
        consumer_secret="synthetic-secret",
        on_prem_key="synthetic-on-prem",
    )
    for secret in credentials.secrets:
        assert secret not in repr(credentials)
        assert secret not in str(credentials)


@pytest.mark.parametrize("on_prem", [{}, {"on_prem_key": ""}, {"on_prem_key": None}])
def test_the_on_prem_key_is_optional(
    aws: FakeAws, secrets: Secrets, on_prem: dict[str, object]
) -> None:
    aws.put_secret("choreo-insights/acme", {**GOOD, **on_prem})
    assert secrets.get("acme").on_prem_key is None


def test_it_is_kept_for_five_minutes(aws: FakeAws, secrets: Secrets, clock: Clock) -> None:
    aws.put_secret("choreo-insights/acme", GOOD)
    secrets.get("acme")
    clock.advance(299)
    secrets.get("acme")
    assert aws.total_calls() == 1
    clock.advance(2)
    secrets.get("acme")
    secrets.get("acme", fresh=True)
    assert aws.total_calls() == 3


@pytest.mark.parametrize("key", ["consumer_key", "consumer_secret", "org_handle", "org_id"])
@pytest.mark.parametrize("value", [None, "", "  ", 7])
def test_a_secret_without_a_key(aws: FakeAws, secrets: Secrets, key: str, value: object) -> None:
    aws.put_secret("choreo-insights/acme", {**GOOD, key: value})
    with pytest.raises(ConfigurationError, match=f"'choreo-insights/acme'.*{key!r}.*make secret"):
        secrets.get("acme")


@pytest.mark.parametrize("text", ["synthetic-secret", '["synthetic-secret"]', "{", '"x"', ""])
def test_a_secret_that_is_no_object_is_not_quoted(
    aws: FakeAws, secrets: Secrets, text: str
) -> None:
    aws.put_secret("choreo-insights/acme", text)
    with pytest.raises(ConfigurationError, match="not a JSON object") as raised:
        secrets.get("acme")
    shown = "".join(traceback.format_exception(raised.value))
    assert "synthetic-secret" not in shown


def test_another_organisations_secret(aws: FakeAws, secrets: Secrets) -> None:
    aws.put_secret("choreo-insights/acme", {**GOOD, "org_handle": "globex"})
    with pytest.raises(ConfigurationError, match="another organisation, 'globex'"):
        secrets.get("acme")


def test_a_missing_secret(secrets: Secrets) -> None:
    with pytest.raises(ConfigurationError, match=r"no secret 'choreo-insights/acme'.*make secret"):
        secrets.get("acme")


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refused("ThrottlingException"), Retriable),
        (Refused("InternalServiceError", status=500), Retriable),
        (Refused("AccessDeniedException", "not allowed"), PersonMustAct),
        (Refused("InvalidRequestException", "marked for deletion"), ConfigurationError),
    ],
)
def test_a_secret_that_cannot_be_read(
    aws: FakeAws, secrets: Secrets, refusal: Refused, error: type[Exception]
) -> None:
    def refuse(_: dict[str, object]) -> None:
        raise refusal

    aws.faults["GetSecretValue"] = refuse
    with pytest.raises(error, match="choreo-insights/acme"):
        secrets.get("acme")


def test_a_service_that_is_away(aws: FakeAws) -> None:
    aws.url = "http://127.0.0.1:9"
    with pytest.raises(Retriable, match="reading secret 'choreo-insights/acme' failed"):
        Secrets(aws.secretsmanager(), "choreo-insights").get("acme")
