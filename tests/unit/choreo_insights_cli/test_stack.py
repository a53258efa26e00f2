"""How a stack is reached: credentials, and a connection that waits for a long run."""

import socket
from typing import Any

import pytest

from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.stack import Stack
from tests.fakes.server import Answer, Received, Server, Wire

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"}


def stack_at(server: Server) -> Stack:
    stack = Stack("synthetic", {**KEYS, "AWS_ENDPOINT_URL": server.url})
    stack.outputs = {"ExportFunctionName": "export"}
    return stack


def test_the_connection_of_a_long_run_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    plain = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        plain(self, address)
        alive = self.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        seen.append((alive, self.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)))

    monkeypatch.setattr(socket.socket, "connect", connect)
    with Server(lambda _: Answer(200, b"{}")) as server:
        assert stack_at(server).call("ExportFunctionName", {}) == {}
    # NAT gateways forget a connection that is idle for 350 seconds.
    assert seen == [(1, 60)]


def test_a_lost_connection_says_that_the_run_may_continue() -> None:
    def cut(received: Received) -> Any:
        def send(wire: Wire) -> None:
            wire.send(b"")

        return send

    with Server(cut) as server, pytest.raises(CommandError) as lost:
        stack_at(server).call("ExportFunctionName", {})
    assert "The connection was lost while export was running" in str(lost.value)
    assert "may continue on AWS: `insights status`" in str(lost.value)


def test_a_session_token_without_keys_is_left_aside(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "credentials"
    config.write_text(
        "[own]\naws_access_key_id = of-the-profile\naws_secret_access_key = s\n", "utf-8"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(config))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    stale = {"AWS_SESSION_TOKEN": "stale", "AWS_REGION": "eu-west-1"}
    monkeypatch.setenv("AWS_SESSION_TOKEN", "stale")
    named = Stack("synthetic", stale, profile="own")
    monkeypatch.setenv("AWS_PROFILE", "own")
    for stack in (named, Stack("synthetic", stale)):
        credentials = stack._session.get_credentials()
        assert credentials
        assert (credentials.access_key, credentials.token) == ("of-the-profile", None)
    assert Stack("synthetic", {**KEYS, **stale})._session.get_credentials().token == "stale"
