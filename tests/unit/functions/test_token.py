"""The token function as it is deployed: its events, replies, log and metrics."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.errors import PersonMustAct
from choreo_insights.tokens.events import Request
from choreo_insights.tokens.minting import Minter, TokenOutcome
from tests.fakes import stack as stacks
from tests.fakes.choreo_tokens import KEY, SECRET
from tests.fakes.clock import RealClock
from tests.fakes.server import Answer
from tests.fakes.stack import PREFIX, SECONDS, STATES, Stack

ROOT = Path(__file__).parents[3]
EVENTS = sorted((ROOT / "events").glob("token-*.json"))


@pytest.fixture
def stack() -> Iterator[Stack]:
    with stacks.running(RealClock()) as running:
        yield running


class Deployed:
    """The function's file, run with an environment like the template's."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.log = ""
        self.env = {
            "PYTHONPATH": f"{ROOT}/layers/insights",
            "AWS_ENDPOINT_URL": stack.aws.url,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "synthetic",
            "AWS_SECRET_ACCESS_KEY": "synthetic",
            "AWS_EC2_METADATA_DISABLED": "true",
            "POWERTOOLS_SERVICE_NAME": "token",
            "POWERTOOLS_LOG_LEVEL": "DEBUG",
            "ORGANIZATIONS": ",".join(stack.organizations),
            "SECRET_PREFIX": "choreo-insights",
            "TOKEN_PARAMETER_PREFIX": PREFIX,
            "MINT_STATE_PREFIX": STATES,
            "STACK_NAME": "synthetic",
            "TOKEN_URL": stack.choreo.token_url,
            "REVOKE_URL": stack.choreo.revoke_url,
            "SCOPE": "apim:api_manage",
            "TOKEN_KEY_ID": "synthetic-key-id",
        }
        self._replies = folder / "replies.json"

    def __call__(self, *events: object) -> list[dict[str, Any]]:
        """Replies and errors, one for each event, from one container."""
        runtime = ROOT / "tests" / "fakes" / "runtime.py"
        app = ROOT / "functions" / "token" / "app.py"
        done = subprocess.run(
            [sys.executable, str(runtime), str(app), str(self._replies)],
            input=json.dumps(events),
            env=self.env,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        self.log = done.stdout + done.stderr
        assert done.returncode == 0, self.log
        answers: list[dict[str, Any]] = json.loads(self._replies.read_text("utf-8"))
        return answers


@pytest.fixture
def function(stack: Stack, tmp_path: Path) -> Deployed:
    return Deployed(stack, tmp_path)


def test_a_tokens_life(stack: Stack, function: Deployed) -> None:
    actions = ("status", "ensure", "ensure", "status", "renew", "revoke", "revoke", "ensure")
    answers = function(*({"action": action, "organization": "acme"} for action in actions))

    outcomes = [answer["reply"]["organizations"]["acme"] for answer in answers]
    assert [outcome["status"] for outcome in outcomes] == [
        "absent",
        "minted",
        "cached",
        "cached",
        "minted",
        "revoked",
        "absent",
        "minted",
    ]
    assert outcomes[1]["fingerprint"] == outcomes[2]["fingerprint"] == outcomes[3]["fingerprint"]
    assert outcomes[4]["fingerprint"] != outcomes[3]["fingerprint"]
    assert outcomes[1]["expires_at"].endswith("Z")
    assert "may go on working" in outcomes[5]["note"]
    for secret in (KEY, SECRET, *stack.choreo.mints):
        assert secret not in function.log + json.dumps(answers)


def test_one_organisations_failure_leaves_the_others_alone(
    stack: Stack, function: Deployed
) -> None:
    stack.put_secret("globex", consumer_secret="wrong-synthetic-secret")
    (answer,) = function({"action": "ensure"})

    outcomes = answer["reply"]["organizations"]
    assert outcomes["acme"]["status"] == "minted"
    assert outcomes["globex"]["status"] == "failed"
    assert "make secret ORG=globex" in outcomes["globex"]["error"]
    assert outcomes["globex"]["retriable"] is False
    assert "make secret ORG=globex" in function.log
    for secret in (KEY, SECRET, "wrong-synthetic-secret", *stack.choreo.mints):
        assert secret not in function.log + json.dumps(answer)


def test_a_failed_revoke_names_the_token_that_lives_on(stack: Stack, function: Deployed) -> None:
    stack.choreo.script = [Answer(200, b'{"access_token": "synthetic-1"}')]
    stack.choreo.script += [Answer(500, b"{}")] * 3
    minted, failed, status = function(
        *({"action": each, "organization": "acme"} for each in ("ensure", "revoke", "status"))
    )
    minted, failed, status = (
        answer["reply"]["organizations"]["acme"] for answer in (minted, failed, status)
    )
    assert failed["status"] == "failed"
    for key in ("fingerprint", "expires_at"):
        assert minted[key] == failed[key] == status[key]
    assert failed["error"]
    assert failed["retriable"] is True
    assert status["secret"] == "current"


def test_an_unknown_organisation(function: Deployed) -> None:
    (answer,) = function({"action": "ensure", "organization": "umbrella"})
    outcome = answer["reply"]["organizations"]["umbrella"]
    assert outcome["status"] == "failed"
    assert "(acme, globex): add it to the setting Organizations" in outcome["error"]


def test_a_wrong_setting_is_said_at_every_call(function: Deployed) -> None:
    function.env["TOKEN_URL"] = "http://example.com/token"
    answers = function({"action": "status"}, {"action": "status"})
    for answer in answers:
        assert answer["error"].startswith("ConfigurationError: TokenUrl")


def test_a_defect_leaves_the_others_alone_and_shows_nothing(stack: Stack) -> None:
    class Defective(Minter):
        def ensure(self, organization: str, seconds: float, rejected: str = "") -> TokenOutcome:
            if organization == "globex":
                raise ValueError(SECRET)
            return super().ensure(organization, seconds, rejected)

    parts = stack.vault(), stack.lease(), stack.secrets(), stack.service()
    answers = stack.events(Defective(*parts)).answer(Request("ensure"), SECONDS)
    assert answers["acme"]["status"] == "minted"
    assert answers["globex"]["status"] == "failed"
    assert "ValueError in test_token.py" in answers["globex"]["error"]
    assert SECRET not in str(answers)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_the_example_events_are_taken(path: Path) -> None:
    event = json.loads(path.read_text("utf-8"))
    request = Request.read(event)
    assert (request.action, request.organization) == (event["action"], event.get("organization"))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ([], "not an object"),
        (None, "not an object"),
        ({}, "action is not one of ensure, renew, revoke, status"),
        ({"action": "mint"}, "action is not one of"),
        ({"action": ["ensure"]}, "action is not one of"),
        ({"action": "ensure", "organisation": "acme"}, "unknown keys, organisation"),
        ({"action": "ensure", "organization": 7}, "'organization' is not a text"),
        ({"action": "ensure", "organization": ""}, "'organization' is not a text"),
        ({"action": "ensure", "rejected": {}}, "'rejected' is not a text"),
        ({"source": "aws.scheduler", "detail": {}}, "unknown keys"),
    ],
)
def test_events_that_are_not_the_contracts(event: object, said: str) -> None:
    with pytest.raises(PersonMustAct, match=said):
        Request.read(event)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_other_event_is_refused_in_words(event: object) -> None:
    with pytest.raises(PersonMustAct, match="the event"):
        Request.read(event)
