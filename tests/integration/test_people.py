"""With the permissions of docs/operations.md a command works, and without one it does not."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from choreo_insights_cli import main
from choreo_insights_cli.commands import dashboard, query
from choreo_insights_cli.errors import BAD_NEWS, DONE
from tests.integration.conftest import Deployment
from tests.integration.test_stack import client
from tests.people import is_unseen, permissions

PERMISSIONS = permissions()
BASE = "cloudformation:DescribeStacks"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
# What is called, where it writes or waits for nothing that others need.
CALLS: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "token": ("token", "status"),
    "export": ("export", "--tables", "environments", "--org", "acme"),
    "secret": ("secret", "acme", "--prefix", "of-a-stack-to-come"),
    "doctor": ("doctor", "--org", "acme"),
    "logs": ("logs",),
    "dashboard": ("dashboard", "--days", "1"),
    "query": ("query", "SELECT count(*) FROM environment_names"),
    "migrate": ("migrate", "--dry-run"),
    "restore": ("restore", "--dry-run", "--before", f"{YESTERDAY:%Y-%m-%dT%H:%M}"),
    "compact": ("compact", "--dry-run", "--before", f"{YESTERDAY:%Y-%m}"),
    "cost": ("cost",),
}


class Person:
    """A user of IAM, whose terminal the test has."""

    def __init__(self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        self._iam = client(deployment, "iam")
        self._iam.create_user(UserName="operator")
        key = self._iam.create_access_key(UserName="operator")["AccessKey"]
        assert deployment.state.aws
        for name, value in deployment.state.aws.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        monkeypatch.setenv("STACK_NAME", deployment.stack.name)
        self._key = key["AccessKeyId"]

    def may(self, actions: list[str]) -> None:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        self._iam.put_user_policy(
            UserName="operator", PolicyName="all", PolicyDocument=json.dumps(document)
        )

    def leave(self) -> None:
        self._iam.delete_access_key(UserName="operator", AccessKeyId=self._key)
        self._iam.delete_user_policy(UserName="operator", PolicyName="all")
        self._iam.delete_user(UserName="operator")


@pytest.fixture(scope="module")
def person(deployed: Deployment) -> Iterator[Person]:
    deployed.complete()
    with pytest.MonkeyPatch.context() as patch:
        found = Person(deployed, patch)
        yield found
        found.leave()


@pytest.fixture
def does(
    person: Person,
    deployed: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[str, list[str]], bool]:
    """Whether a command works for who may do this much."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))

    def does(command: str, actions: list[str]) -> bool:
        person.may([BASE, *actions])
        secrets = client(deployed, "secretsmanager")
        given = json.dumps(deployed.world.secret("acme"))
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        # What was copied before would not be read again.
        cache = tmp_path_factory.mktemp("cache")
        monkeypatch.setattr(query, "CACHE", cache)
        monkeypatch.setattr(dashboard, "CACHE", cache)
        code = main.main(CALLS[command])
        output, said = capsys.readouterr()
        # What the functions have logged is theirs: other tests take rights away from them.
        said += "" if command == "logs" else output
        if command == "secret" and code == DONE:
            secrets.delete_secret(
                SecretId="of-a-stack-to-come/acme", ForceDeleteWithoutRecovery=True
            )
        return code in (DONE, BAD_NEWS) and "AccessDenied" not in said

    return does


@pytest.mark.parametrize("command", CALLS)
def test_a_command_needs_what_is_listed_and_no_more(
    does: Callable[[str, list[str]], bool], command: str
) -> None:
    listed = PERMISSIONS[command]
    assert does(command, listed)
    tried = [action for action in listed if not is_unseen(command, action)]
    needless = [
        action for action in tried if does(command, [each for each in listed if each != action])
    ]
    assert needless == []
