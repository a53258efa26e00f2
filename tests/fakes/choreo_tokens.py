"""A fake token service: the documented endpoints, and whatever fault a test wants first."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

from tests.fakes.server import Answer, Behaviour, Received, Server

KEY = "synthetic_key_4711_abcdefgh"
SECRET = "synthetic_secret_0815_ijklmnop"  # pragma: allowlist secret


class FakeTokens:
    """Mints `mints` tokens. `script` holds answers that are given first, in order.

    `gate`, when cleared, holds answers back until it is set; `asked` is released once for each
    request; `most_at_once` tells how many were under way together.
    """

    def __init__(self) -> None:
        self.clients = {KEY: SECRET}
        self.expires_in: object = 900
        self.extra: dict[str, object] = {}
        self.padding = 0
        self.mints: list[str] = []
        self.revoked: list[str] = []
        self.script: list[Answer | Behaviour] = []
        self.requests: list[Received] = []
        self.forms: list[list[tuple[str, str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Semaphore(0)
        self.most_at_once = 0
        self.token_url = ""
        self.revoke_url = ""
        self._now = 0
        self._lock = threading.Lock()

    def respond(self, received: Received) -> Answer | Behaviour:
        """Answers one request."""
        form = parse_qsl(received.body.decode(), strict_parsing=True)
        with self._lock:
            self.requests.append(received)
            self.forms.append(form)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            scripted = self.script.pop(0) if self.script else None
        self.asked.release()
        try:
            self.gate.wait()
            if scripted is not None:
                return scripted
            return self._answer(received, dict(form))
        finally:
            with self._lock:
                self._now -= 1

    def _answer(self, received: Received, form: dict[str, str]) -> Answer:
        basic = received.headers.get("Authorization", "").removeprefix("Basic ")
        key, _, secret = base64.b64decode(basic).decode().partition(":")
        if self.clients.get(key) != secret:
            text = f"A valid OAuth client could not be found for client_id: {key}"
            return Answer.of({"error": "invalid_client", "error_description": text}, 401)
        if received.path == "/oauth2/revoke":
            self.revoked.append(form["token"])
            return Answer()
        with self._lock:
            token = self._token()
            self.mints.append(token)
        answer = {"access_token": token, "token_type": "Bearer", "scope": form["scope"]}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in  # type: ignore[assignment]
        return Answer.of({**answer, **self.extra})

    def _token(self) -> str:
        claims = {"jti": len(self.mints), "pad": "x" * self.padding}
        parts = ({"alg": "RS256"}, claims, "synthetic signature")
        return ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in parts
        )


@contextmanager
def running() -> Iterator[FakeTokens]:
    """A fake token service that listens until the block ends."""
    tokens = FakeTokens()
    with Server(tokens.respond) as server:
        tokens.token_url = f"{server.url}/oauth2/token"
        tokens.revoke_url = f"{server.url}/oauth2/revoke"
        yield tokens
        tokens.gate.set()
