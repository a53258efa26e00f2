"""The token function on the deployed stack, with the rights that the template gives it."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from choreo_insights_cli.errors import CommandError
from tests.integration.conftest import Deployment


def parameter(deployment: Deployment, handle: str) -> dict[str, Any]:
    name = f"{deployment.stack.outputs['TokenParameterPrefix']}/{handle}"
    found = deployment.stack.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert found["Type"] == "SecureString"
    content: dict[str, Any] = json.loads(found["Value"])
    return content


def test_ensure_mints_once_for_every_organisation(deployment: Deployment) -> None:
    deployment.token("revoke")

    first = deployment.token("ensure")
    second = deployment.token("ensure")

    assert first.keys() == deployment.world.organizations.keys()
    assert {entry["status"] for entry in first.values()} == {"minted"}
    assert {entry["status"] for entry in second.values()} == {"cached"}
    for handle, entry in first.items():
        assert second[handle]["fingerprint"] == entry["fingerprint"]


def test_the_token_lies_in_the_parameter_store_as_agreed(deployment: Deployment) -> None:
    entry = deployment.token("ensure", "acme")["acme"]

    content = parameter(deployment, "acme")

    assert content.keys() == {
        *("access_token", "token_type", "scope", "expires_at", "minted_at", "fingerprint"),
    }
    assert content["fingerprint"] == entry["fingerprint"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["expires_at"])
    assert datetime.fromisoformat(entry["expires_at"]) > datetime.now(UTC)


def test_renew_replaces_a_valid_token(deployment: Deployment) -> None:
    before = deployment.token("ensure", "acme")["acme"]
    after = deployment.token("renew", "acme")["acme"]

    assert after["status"] == "minted"
    assert after["fingerprint"] != before["fingerprint"]
    assert deployment.token("ensure", "acme")["acme"]["fingerprint"] == after["fingerprint"]


def test_only_the_rejected_token_is_replaced(deployment: Deployment) -> None:
    current = deployment.token("ensure", "acme")["acme"]["fingerprint"]

    other = deployment.token("ensure", "acme", rejected="0123456789abcdef")["acme"]
    same = deployment.token("ensure", "acme", rejected=current)["acme"]

    assert (other["status"], other["fingerprint"]) == ("cached", current)
    assert same["status"] == "minted"
    assert same["fingerprint"] != current


def test_revoke_then_status_then_a_new_one(deployment: Deployment) -> None:
    old = deployment.token("ensure", "acme")["acme"]["fingerprint"]

    assert deployment.token("status", "acme")["acme"]["status"] == "cached"
    assert deployment.token("revoke", "acme")["acme"]["status"] == "revoked"
    assert deployment.token("status", "acme")["acme"]["status"] == "absent"

    new = deployment.token("ensure", "acme")["acme"]
    assert new["status"] == "minted"
    assert new["fingerprint"] != old


def test_an_organisation_that_fails_leaves_the_others_alone(deployment: Deployment) -> None:
    deployment.token("revoke")
    deployment.sandbox.faults.add("invalid_client", where="token", times=None, organization="lotus")

    try:
        reply = deployment.token("ensure")
    finally:
        # Otherwise the failure would be remembered for a minute.
        deployment.stack.ssm.delete_parameter(Name=f"/{deployment.stack.name}/mint/lotus")

    assert reply["acme"]["status"] == "minted"
    assert reply["lotus"]["status"] == "failed"
    assert "make secret ORG=lotus" in reply["lotus"]["error"]


@pytest.mark.parametrize("event", [{}, {"action": "mint"}, {"action": "ensure", "who": "acme"}])
def test_an_event_that_is_none_is_refused(deployment: Deployment, event: dict[str, str]) -> None:
    with pytest.raises(CommandError, match=r"action|who"):
        deployment.stack.call("TokenFunctionName", event)
