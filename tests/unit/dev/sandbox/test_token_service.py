"""The token service: the documented call, its refusals, expiry and revocation."""

import base64
import json
import shlex
import shutil
import subprocess
from typing import Any

import pytest
import requests

from dev.sandbox import SandboxSettings, World
from dev.sandbox.oauth import SandboxTokenService

# The two calls of the documentation, as they are printed there.
MINT = r"""
curl --location --request POST 'https://sts.choreo.dev/oauth2/token' \
--header 'Authorization: Basic <BASE64_ENCODED_CONSUMER_KEY_AND_CONSUMER_SECRET_OF_YOUR_APP_HERE>' \
--header 'Content-Type: application/x-www-form-urlencoded' \
--data-urlencode 'grant_type=client_credentials' \
--data-urlencode 'orgHandle=<YOUR_ORG_HANDLE_HERE>' \
--data-urlencode 'scope=apim:api_manage'
"""
QUERY = r"""
curl --location --request POST 'https://choreocontrolplane.choreo.dev/93tu/insights/1.0.0/query-api' \
--header 'Content-Type: application/json' \
--header 'Authorization: Bearer <TOKEN_HERE>' \
--data-raw '{"query":"query ($org: OrgFilter!) {listEnvironments(org: $org){id\n name}}","variables":{"org":{"orgId":"<ORG_UUID_HERE>"}}}'
"""  # noqa: E501
CREDENTIALS = "<BASE64_ENCODED_CONSUMER_KEY_AND_CONSUMER_SECRET_OF_YOUR_APP_HERE>"


def run_curl(text: str) -> Any:
    """Runs the call with curl, or does what it says where there is no curl."""
    words = shlex.split(text.replace("\\\n", " "))
    if shutil.which("curl"):
        done = subprocess.run([*words, "--silent"], check=True, capture_output=True)
        return json.loads(done.stdout)
    url, headers, form, raw = words[4], {}, [], None
    for option, value in zip(words[5::2], words[6::2], strict=True):
        if option == "--header":
            name, _, content = value.partition(": ")
            headers[name] = content
        elif option == "--data-urlencode":
            form.append(tuple(value.split("=", 1)))
        else:
            raw = value.encode()
    return requests.post(url, headers=headers, data=raw or form, timeout=300).json()


def test_the_documented_calls_work_but_for_the_host(client: Any) -> None:
    secret, sandbox = client.secret, client.sandbox
    pair = f"{secret['consumer_key']}:{secret['consumer_secret']}"
    encoded = base64.b64encode(pair.encode()).decode()
    mint = MINT.replace("https://sts.choreo.dev", sandbox.url).replace(CREDENTIALS, encoded)
    query = QUERY.replace("https://choreocontrolplane.choreo.dev", sandbox.url)

    token = run_curl(mint.replace("<YOUR_ORG_HANDLE_HERE>", "acme"))
    answer = run_curl(
        query.replace("<TOKEN_HERE>", token["access_token"]).replace(
            "<ORG_UUID_HERE>", secret["org_id"]
        )
    )

    assert token["expires_in"] == 900
    assert token["scope"] == "apim:api_manage"
    names = [environment["name"] for environment in answer["data"]["listEnvironments"]]
    assert names == ["Development", "Production", "Headquarters, Zürich"]


def test_an_unknown_client_is_refused_as_the_service_does(client: Any) -> None:
    answer = requests.post(
        client.sandbox.token_url,
        data={"grant_type": "client_credentials", "orgHandle": "acme"},
        auth=("nobody", "x"),
        timeout=300,
    )

    assert answer.status_code == 401
    text = "A valid OAuth client could not be found for client_id: nobody"
    assert answer.json() == {"error": "invalid_client", "error_description": text}


def test_a_wrong_secret_is_refused(client: Any) -> None:
    key = client.secret["consumer_key"]
    form = {"grant_type": "client_credentials", "orgHandle": "acme"}
    answer = requests.post(client.sandbox.token_url, data=form, auth=(key, "x"), timeout=300)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"orgHandle": None}, "invalid_request"),
        ({"orgHandle": "nobody"}, "invalid_request"),
        ({"orgHandle": "lotus"}, "invalid_request"),
    ],
)
def test_a_wrong_form_is_refused(client: Any, changed: dict[str, str], error: str) -> None:
    answer = client.ask_token(**changed)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert client.sandbox.statistics.mints == 0


def test_a_body_that_is_no_form_is_refused(client: Any) -> None:
    answer = requests.post(client.sandbox.token_url, json={}, auth=client.basic, timeout=300)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_without_the_scope_the_token_opens_nothing(client: Any) -> None:
    client.token = client.ask_token(scope="openid").json()["access_token"]

    answer = client.post("{ listOrganizations { handle } }")

    assert (answer.status_code, answer.json()["code"]) == (403, "900910")


def test_a_new_token_kills_the_old_one_or_not(client: Any) -> None:
    old = client.mint()
    client.mint()
    client.token = old
    assert client.post("{ listOrganizations { handle } }").status_code == 401

    client.sandbox.settings.one_token = False
    old = client.mint()
    client.mint()
    client.token = old
    assert client.post("{ listOrganizations { handle } }").status_code == 200


def test_a_token_of_one_organisation_leaves_the_others_alone(client: Any) -> None:
    client.mint()
    first = client.token
    client.handle = "lotus"
    client.mint()
    client.handle, client.token = "acme", first

    assert client.query("listOrganizations { handle }") == [{"handle": "acme"}]


def test_revoking(client: Any) -> None:
    token = client.mint()

    for each in ("unknown", token):
        answer = client.revoke(each)
        assert (answer.status_code, answer.content) == (200, b"")

    assert client.post("{ listOrganizations { handle } }").status_code == 401
    client.sandbox.settings.revoked_tokens_work = True
    assert client.post("{ listOrganizations { handle } }").status_code == 200
    assert client.sandbox.statistics.revokes == 2


def test_revoking_needs_a_client_and_a_token(client: Any) -> None:
    url = client.sandbox.revoke_url
    assert requests.post(url, data={"token": "x"}, timeout=300).status_code == 401
    assert requests.post(url, data={"a": "b"}, auth=client.basic, timeout=300).status_code == 400


def test_a_token_expires() -> None:
    now = 0.0
    world = World()
    service = SandboxTokenService(world, clock=lambda: now)
    secret = world.secret("acme")
    pair = base64.b64encode(f"{secret['consumer_key']}:{secret['consumer_secret']}".encode())
    headers = {
        "Authorization": f"Basic {pair.decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = b"grant_type=client_credentials&orgHandle=acme&scope=apim%3Aapi_manage"
    reply = service.mint(headers, body, SandboxSettings(token_lifetime=60))
    token = json.loads(reply.body)["access_token"]

    now = 59.0
    assert service.find(token)
    now = 60.0
    assert not service.find(token)


def test_the_consumer_secret_can_be_rotated(client: Any) -> None:
    old = client.basic
    form = {"grant_type": "client_credentials", "orgHandle": "acme"}

    requests.post(
        client.sandbox.url + "/sandbox/rotate", json={"organization": "acme"}, timeout=300
    )

    refused = requests.post(client.sandbox.token_url, data=form, auth=old, timeout=300)
    assert refused.json()["error"] == "invalid_client"
    assert client.basic != old
    assert client.ask_token().status_code == 200


@pytest.mark.parametrize("size", [5 * 1024, 9 * 1024])
def test_tokens_can_be_large(client: Any, size: int) -> None:
    client.sandbox.settings.token_size = size

    assert len(client.mint()) == size
    assert client.query("listOrganizations { handle }") == [{"handle": "acme"}]


def test_credentials_do_not_show(world: World) -> None:
    text = repr(world.organization("acme"))

    assert not [value for value in ("key", "sec", "opk") if f"='{value}" in text]
