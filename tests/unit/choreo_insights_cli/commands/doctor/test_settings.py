"""Whom the doctor asks, from options, a stack and the template; and what it refuses."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from choreo_insights.credentials import Secrets
from choreo_insights.errors import ConfigurationError
from choreo_insights.http import Http
from choreo_insights.tokens.events import Request, TokenEvents
from choreo_insights.tokens.lease import Lease
from choreo_insights.tokens.minting import Minter
from choreo_insights.tokens.reader import Token
from choreo_insights.tokens.token_service import TokenService
from choreo_insights.tokens.vault import TokenVault
from choreo_insights_cli.commands.doctor.command import diagnose
from choreo_insights_cli.commands.doctor.findings import DoctorReport, Finding
from choreo_insights_cli.commands.doctor.settings import DoctorOptions, resolve
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.stack import Stack
from dev.sandbox import SandboxServer
from tests.fakes import aws as fake_aws
from tests.fakes import cloudformation
from tests.fakes.aws import FakeAws
from tests.fakes.server import Answer, Behaviour, Received, Server

Checks = Callable[[DoctorReport], dict[str, Finding]]
TOKENS, STATES = "/synthetic/token", "/synthetic/mint"
SECRET = {"consumer_key": "key", "consumer_secret": "hush", "org_handle": "acme", "org_id": "1"}
HUSH = "hush"
NO_AWS = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-central-1"}
HERE = {"token_url": "http://127.0.0.1:1/token", "insights_url": "http://127.0.0.1:1/query"}
KEYS = {"AWS_ACCESS_KEY_ID": "synthetic", "AWS_SECRET_ACCESS_KEY": "synthetic"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret.json"
    path.write_text(json.dumps(SECRET), "utf-8")
    return path


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS is not asked again after a failure."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def never() -> str:
    raise AssertionError


# Options and defaults


def nowhere(name: str = "synthetic") -> Stack:
    """A stack of an AWS that nobody can reach."""
    return Stack(name, {**NO_AWS, **KEYS})


def test_the_documented_addresses_are_the_defaults(file: Path) -> None:
    found = resolve(DoctorOptions(secret_file=str(file)), nowhere("x"), never)
    assert found.token_url == "https://sts.choreo.dev/oauth2/token"
    assert found.scope == "apim:api_manage"
    assert found.organizations == ("acme",)
    shown = {name: (value, source) for name, value, source in found.shown()}
    assert shown["TokenUrl"][1] == "the template's default"
    assert shown["Stack"][0] == "none"
    assert "x cannot be read" in shown["Stack"][1]


def test_a_secret_from_a_pipe_and_a_handle_from_an_option() -> None:
    text = json.dumps({k: v for k, v in SECRET.items() if k != "org_handle"})
    wish = DoctorOptions(secret_file="-", organization="globex", scope="a b", **HERE)
    found = resolve(wish, nowhere(), lambda: text)
    assert (found.organizations, found.scope) == (("globex",), "a b")
    assert found.stack is None
    assert found.sources["Scope"] == "option --scope"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"token_url": "http://sts.example/token"},
            r"TokenUrl \(option --token-url\).*neither https nor loopback",
        ),
        (
            {"insights_url": f"https://user:{HUSH}@api.example/"},
            r"InsightsUrl \(option --insights-url\).*user name",
        ),
        ({"organization": "a b"}, r"Organizations \(option --org\)"),
        ({"organization": "acme,globex"}, "one organisation"),
        ({"secret_file": "/nowhere/secret.json"}, "/nowhere/secret.json cannot be read: No such"),
    ],
)
def test_what_is_refused(file: Path, options: Mapping[str, str], says: str) -> None:
    wish = DoctorOptions(**{"secret_file": str(file), **HERE, **options})
    with pytest.raises((CommandError, ConfigurationError), match=says) as refused:
        resolve(wish, nowhere(), never)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("text", ['{"consumer_secret": "hush"', "hush", '["hush"]', "{}"])
def test_a_secret_that_is_none_is_not_shown(http: Http, text: str) -> None:
    report = diagnose(DoctorOptions(secret_file="-", **HERE), nowhere(), lambda: text, http)
    assert report.exit_code == 2
    assert report.failure
    assert "hush" not in json.dumps(report.as_dict())


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"org_id": " "}, "no text under org_id"), ({"org_handle": "other"}, "'other', not 'acme'")],
)
def test_a_secret_that_lacks_something(
    http: Http, checks: Checks, changes: Mapping[str, str], says: str
) -> None:
    text = json.dumps(SECRET | dict(changes))
    wish = DoctorOptions(secret_file="-", organization="acme", **HERE)
    report = diagnose(wish, nowhere(), lambda: text, http)
    assert report.exit_code == 3
    assert says in checks(report)["secret"].says


def test_without_a_stack_and_a_file_there_is_nobody_to_ask(http: Http, checks: Checks) -> None:
    report = diagnose(DoctorOptions(), nowhere(), never, http)
    assert (report.exit_code, report.diagnoses) == (3, [])
    assert "Say --org handle" in report.failure
    report = diagnose(DoctorOptions("acme"), nowhere(), never, http)
    assert report.exit_code == 3
    assert "--secret-file" in checks(report)["secret"].change


# A deployed stack


class Deployed:
    """A fake AWS that has a stack whose token function asks the sandbox."""

    def __init__(self, aws: FakeAws, sandbox: SandboxServer, http: Http) -> None:
        self.aws = aws
        self.sandbox = sandbox
        self.outputs = {"TokenFunctionName": "token", "TokenParameterPrefix": TOKENS}
        self.parameters = {
            "Organizations": ",".join(sandbox.world.organizations),
            "TokenUrl": sandbox.token_url,
            "InsightsUrl": sandbox.insights_url,
            "Scope": "apim:api_manage",
            "Tenant": "carbon.super",
            "SecretPrefix": "synthetic",
        }
        for handle in sandbox.world.organizations:
            aws.put_secret(f"synthetic/{handle}", sandbox.world.secret(handle))
        aws.functions["token"] = self._token
        # Whether the function is at work, and not the terminal.
        self.minting = False
        ssm, secrets = aws.ssm(), Secrets(aws.secretsmanager(), "synthetic")
        service = TokenService(http, sandbox.token_url, sandbox.revoke_url, "apim:api_manage")
        vault = TokenVault(ssm, TOKENS, "synthetic-key-id")
        minter = Minter(vault, Lease(ssm, STATES), secrets, service)
        self._events = TokenEvents(minter, tuple(sandbox.world.organizations))

    def stored(self, handle: str) -> Token | None:
        return Token.from_json(self.aws.value(f"{TOKENS}/{handle}") or "")

    def respond(self, received: Received) -> Answer | Behaviour:
        if cloudformation.asks_for_stack(received):
            return cloudformation.described("synthetic", self.outputs, self.parameters)
        return self.aws.respond(received)

    def _token(self, event: dict[str, Any]) -> dict[str, Any]:
        self.minting = True
        try:
            return {"organizations": self._events.answer(Request.read(event), 30.0)}
        finally:
            self.minting = False


@pytest.fixture
def deployed(sandbox: SandboxServer, http: Http) -> Iterator[Deployed]:
    with fake_aws.running() as aws:
        yield Deployed(aws, sandbox, http)


@pytest.fixture
def stack(deployed: Deployed) -> Iterator[Stack]:
    with Server(deployed.respond) as server:
        aws = {"AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-central-1", **KEYS}
        yield Stack("synthetic", aws)


def test_the_stack_says_whom_to_ask_and_its_token_is_used(
    deployed: Deployed, stack: Stack, http: Http
) -> None:
    reports = [diagnose(DoctorOptions(), stack, never, http) for _ in range(2)]
    assert [report.exit_code for report in reports] == [0, 0]
    handles = [diagnosis.organization for diagnosis in reports[0].diagnoses]
    assert handles == [*deployed.sandbox.world.organizations]
    assert len(handles) > 1
    says = [report.diagnoses[0].checks[1].says for report in reports]
    assert says[0].startswith("minted by the token function")
    assert says[1].startswith("cached by the token function")
    assert deployed.sandbox.statistics.mints == len(handles)


def test_a_cached_token_that_the_api_refuses_is_replaced_by_the_function(
    deployed: Deployed, stack: Stack, http: Http
) -> None:
    assert diagnose(DoctorOptions("acme"), stack, never, http).exit_code == 0
    first = deployed.stored("acme")
    deployed.sandbox.faults.add("kill_tokens")
    assert diagnose(DoctorOptions("acme"), stack, never, http).exit_code == 0
    assert deployed.stored("acme") != first


def wrong(deployed: Deployed) -> None:
    """Stores a secret that Choreo refuses."""
    secret = deployed.sandbox.world.secret("acme") | {"consumer_secret": "synthetic"}
    deployed.aws.put_secret("synthetic/acme", secret)


def test_a_wrong_secret_beside_a_token_that_works(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks
) -> None:
    """What another version of the secret has minted says nothing of this one."""
    well = diagnose(DoctorOptions("acme"), stack, never, http)
    assert checks(well)["stored secret"].says == "minted the cached token"
    first = deployed.stored("acme")
    wrong(deployed)
    report = diagnose(DoctorOptions("acme"), stack, never, http)
    assert report.exit_code == 1
    found = checks(report)
    assert found["endpoint"].status == "ok"
    assert found["stored secret"].status == "failed"
    assert "refused the consumer key" in found["stored secret"].says
    assert "insights secret acme" in found["stored secret"].change
    assert deployed.stored("acme") == first


def test_another_secret_that_works_mints_at_once(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks
) -> None:
    diagnose(DoctorOptions("acme"), stack, never, http)
    first = deployed.stored("acme")
    deployed.aws.put_secret("synthetic/acme", deployed.sandbox.world.secret("acme"))
    report = diagnose(DoctorOptions("acme"), stack, never, http)
    assert report.exit_code == 0
    assert "it was renewed" in checks(report)["stored secret"].says
    assert deployed.stored("acme") != first


def test_a_refused_token_and_a_secret_that_mints_no_other(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks
) -> None:
    """A 401 is not all: the cause is that no other token is to be had."""
    diagnose(DoctorOptions("acme"), stack, never, http)
    wrong(deployed)
    deployed.sandbox.faults.add("kill_tokens")
    report = diagnose(DoctorOptions("acme"), stack, never, http)
    found = checks(report)
    assert "same region" not in found["endpoint"].change
    assert "refused the consumer key" in found["new token"].says
    assert "insights secret acme" in found["new token"].change


def test_the_stacks_key_decrypts_for_its_functions_alone(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks
) -> None:
    says = "User: arn:aws:iam::1:user/a is not authorized to perform: kms:Decrypt"
    diagnose(DoctorOptions("acme"), stack, never, http)
    first = deployed.stored("acme")

    def refuse(body: Mapping[str, Any]) -> None:
        if not deployed.minting and body["Name"] == f"{TOKENS}/acme":
            raise fake_aws.Refused("AccessDeniedException", says)

    deployed.aws.faults["GetParameter"] = refuse
    report = diagnose(DoctorOptions("acme"), stack, never, http)
    assert report.exit_code == 0
    assert "cached by the token function" in checks(report)["token"].says
    assert "stored nowhere" in checks(report)["token"].says
    assert deployed.stored("acme") == first


def test_a_file_is_asked_with_directly_and_the_cache_left_alone(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks, tmp_path: Path
) -> None:
    file = tmp_path / "secret.json"
    file.write_text(json.dumps(deployed.sandbox.world.secret("acme")), "utf-8")
    report = diagnose(DoctorOptions(secret_file=str(file)), stack, never, http)
    assert report.exit_code == 0
    assert "stored nowhere" in checks(report)["token"].says
    assert "may end an older one" in checks(report)["token"].says
    assert deployed.aws.calls.total() == 0
    assert not deployed.aws.parameters


def test_another_scope_than_the_stacks_is_asked_for_directly(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks
) -> None:
    report = diagnose(DoctorOptions("acme", scope="apim:other"), stack, never, http)
    assert checks(report)["scope"].status == "differs"
    assert deployed.stored("acme") is None


def test_one_organisation_without_a_secret(deployed: Deployed, stack: Stack, http: Http) -> None:
    handles = [*deployed.sandbox.world.organizations]
    del deployed.aws.secrets[f"synthetic/{handles[0]}"]
    report = diagnose(DoctorOptions(), stack, never, http)
    assert report.exit_code == 1
    assert [diagnosis.asked for diagnosis in report.diagnoses] == [False, True]
    assert "`insights secret" in report.diagnoses[0].checks[0].says


def test_the_token_function_says_why_there_is_no_token(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks
) -> None:
    secret = deployed.sandbox.world.secret("acme") | {"consumer_secret": "synthetic"}
    deployed.aws.put_secret("synthetic/acme", secret)
    report = diagnose(DoctorOptions("acme"), stack, never, http)
    assert report.exit_code == 3
    assert "refused the consumer key" in checks(report)["token"].says


@pytest.mark.parametrize("operation", ["Invoke", "GetParameter"])
def test_permissions_that_the_terminal_lacks(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks, operation: str
) -> None:
    def refuse(_: object) -> None:
        raise fake_aws.Refused("AccessDeniedException", "you may not")

    deployed.aws.faults[operation] = refuse
    report = diagnose(DoctorOptions("acme"), stack, never, http)
    assert report.exit_code == 3
    assert checks(report)["token"].status == "failed"


def test_a_stack_that_is_not_complete(
    deployed: Deployed, stack: Stack, http: Http, checks: Checks
) -> None:
    del deployed.outputs["TokenFunctionName"]
    report = diagnose(DoctorOptions("acme"), stack, never, http)
    assert report.exit_code == 3
    assert "no output TokenFunctionName" in checks(report)["token"].says
