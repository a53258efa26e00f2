"""The server: many at once, the operator's side, and the command."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import requests

from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.__main__ import main
from dev.sandbox.tally import Statistics

ROOT = Path(__file__).parents[4]
ASK = {"query": "{ listOrganizations { handle } }"}


def test_two_hundred_at_once(client: Any) -> None:
    client.mint()
    url, headers = client.sandbox.insights_url, {"Authorization": f"Bearer {client.token}"}
    gate = Barrier(200)

    def ask(_: int) -> int:
        gate.wait()
        return requests.post(url, json=ASK, headers=headers, timeout=300).status_code

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(ask, range(200))) == {200}
    assert client.sandbox.statistics.queries == 200


def test_queries_under_way_are_counted() -> None:
    statistics = Statistics()
    with statistics.query(), statistics.query():
        pass
    with statistics.query():
        assert statistics.most_in_flight == 2


def test_a_connection_is_kept(client: Any) -> None:
    client.mint()
    for _ in range(5):
        client.session.post(client.sandbox.insights_url, json=ASK, timeout=300)
    (pool,) = client.session.get_adapter("http://").poolmanager.pools._container.values()

    assert pool.num_connections == 1


def test_a_stopped_server_is_gone(world: World) -> None:
    session = requests.Session()
    with SandboxServer(world) as sandbox:
        session.post(sandbox.token_url, timeout=300)

    with pytest.raises(requests.ConnectionError):
        session.post(sandbox.token_url, timeout=300)


def test_a_body_that_is_too_large(client: Any) -> None:
    headers = {"Content-Length": str(11 * 2**20)}
    answer = requests.post(client.sandbox.insights_url, data=b"", headers=headers, timeout=300)

    assert answer.status_code == 413


class TestOperator:
    def get(self, client: Any, path: str) -> Any:
        return requests.get(f"{client.sandbox.url}/sandbox/{path}", timeout=300).json()

    def post(self, client: Any, path: str, value: Any) -> requests.Response:
        return requests.post(f"{client.sandbox.url}/sandbox/{path}", json=value, timeout=300)

    def test_settings(self, client: Any) -> None:
        assert self.get(client, "settings")["page_limit_default"] == 5
        changed = self.post(client, "settings", {"one_token": False, "rate_limit": 7}).json()
        assert (changed["one_token"], changed["rate_limit"]) == (False, 7)
        assert client.sandbox.settings.rate_limit == 7

    @pytest.mark.parametrize(
        "wrong",
        [{"colour": 1}, {"ids_max": "5"}, {"one_token": 1}, {"now": "x"}, {"error_shape": "x"}],
    )
    def test_wrong_settings(self, client: Any, wrong: dict[str, Any]) -> None:
        answer = self.post(client, "settings", wrong)
        assert answer.status_code == 400
        assert answer.json()["error"]

    def test_now(self, client: Any) -> None:
        assert self.get(client, "now") == {"now": "2026-03-11T12:30:00+00:00"}
        self.post(client, "now", {"now": "2026-01-01"})
        assert client.sandbox.settings.now == datetime(2026, 1, 1, tzinfo=UTC)
        self.post(client, "now", {"now": None})
        assert client.sandbox.settings.now is None

    def test_statistics(self, client: Any) -> None:
        client.mint()
        assert self.get(client, "statistics")["mints"] == 1
        self.post(client, "statistics", {})
        assert self.get(client, "statistics")["mints"] == 0

    def test_tokens_end(self, client: Any) -> None:
        client.mint()
        assert self.post(client, "tokens", {"organization": "lotus"}).json() == {"ended": 0}
        assert self.post(client, "tokens", {}).json() == {"ended": 1}
        assert client.post(ASK["query"]).status_code == 401

    def test_secrets_and_world(self, client: Any) -> None:
        assert self.get(client, "secrets")["acme"] == client.secret
        assert "on_prem_key" not in self.get(client, "secrets")["lotus"]
        assert self.get(client, "world")["acme"]["environments"][0]["apis"] == 6

    def test_expected(self, client: Any) -> None:
        found = self.get(
            client,
            "expected?table=success_summary&organization=lotus&environment=Development"
            "&day=2026-03-09",
        )
        assert found["rows"][0]["time_span"] == "2026-03-09T00:00:00+00:00"
        wrong = requests.get(
            client.sandbox.url + "/sandbox/expected?table=none&organization=acme&day=2026-03-09",
            timeout=300,
        )
        assert wrong.status_code == 400

    def test_unknown(self, client: Any) -> None:
        assert self.post(client, "coffee", {}).status_code == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_and_stops(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "dev.sandbox", "--port", "0", "--organizations", "solo,acme"]
    command += ["--apis", "3", "--set", "now=2026-03-01", "--set", "one_token=false"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8") as running:
        assert running.stdout
        url = running.stdout.readline().strip()
        secrets = requests.get(f"{url}/sandbox/secrets", timeout=300).json()
        settings = requests.get(f"{url}/sandbox/settings", timeout=300).json()
        running.send_signal(number)
        rest = running.stdout.read()

    assert running.returncode == 0
    assert rest == ""
    assert list(secrets) == ["solo", "acme"]
    assert settings["now"] == "2026-03-01T00:00:00+00:00"
    assert settings["one_token"] is False


def test_the_command_refuses_a_wrong_setting(capsys: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        assert main(["--set", "colour=blue"]) == 2
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(number, handler)
    assert "colour" in capsys.readouterr().err


def test_settings_travel_as_json() -> None:
    assert json.loads(json.dumps(SandboxSettings(now=datetime(2026, 1, 1, tzinfo=UTC)).as_dict()))
