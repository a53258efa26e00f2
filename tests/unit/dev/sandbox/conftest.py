"""A running sandbox with its clock stopped, and a client that speaks as a user would."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from dev.sandbox import SandboxServer, SandboxSettings, World
from dev.sandbox.world import SandboxEnvironment

NOW = datetime(2026, 3, 11, 12, 30, tzinfo=UTC)
DAY = {"from": "2026-03-09T00:00:00Z", "to": "2026-03-10T00:00:00Z"}


@dataclass
class Client:
    """Asks a sandbox for one organisation."""

    sandbox: SandboxServer
    handle: str = "acme"
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    @property
    def secret(self) -> dict[str, str]:
        return self.sandbox.world.secret(self.handle)

    @property
    def basic(self) -> tuple[str, str]:
        return self.secret["consumer_key"], self.secret["consumer_secret"]

    def ask_token(self, **changed: str | None) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "orgHandle": self.handle,
            "scope": "apim:api_manage",
        }
        form = {k: v for k, v in (form | changed).items() if v is not None}
        return self.session.post(self.sandbox.token_url, data=form, auth=self.basic, timeout=300)

    def mint(self) -> str:
        self.token = self.ask_token().json()["access_token"]
        return self.token

    def revoke(self, token: str) -> requests.Response:
        form = {"token": token, "token_type_hint": "access_token"}
        return self.session.post(self.sandbox.revoke_url, data=form, auth=self.basic, timeout=300)

    def post(self, query: str, **variables: Any) -> requests.Response:
        """The raw answer; `data` and `time` are there to be used as $data and $time."""
        if not self.token:
            self.mint()
        headers = {"Authorization": f"Bearer {self.token}"}
        body = {"query": query, "variables": variables}
        url = self.sandbox.insights_url
        return self.session.post(url, json=body, headers=headers, timeout=300)

    def query(
        self, root: str, place: SandboxEnvironment | str = "Production", **variables: Any
    ) -> Any:
        """The value of one query field, which is given what it declares of the usual variables."""
        reply = self.reply(root, place, **variables)
        assert "errors" not in reply, reply["errors"]
        return reply["data"]["it"]

    def reply(
        self, root: str, place: SandboxEnvironment | str = "Production", **variables: Any
    ) -> Any:
        return self.raw(root, place, **variables).json()

    def raw(
        self, root: str, place: SandboxEnvironment | str = "Production", **variables: Any
    ) -> requests.Response:
        usual = {"data": self.data(place), "time": DAY} | variables
        kinds = {"data": "DataFilter!", "time": "TimeFilter!", "org": "OrgFilter!",
                 "tenants": "TenantDataFilter!", "apiId": "ID!", "apiIds": "[String]",
                 "apiNames": "[String]",
                 "page": "PaginationFilter", "type": "ErrorType!"}  # fmt: skip
        used = {name: value for name, value in usual.items() if f"${name}" in root}
        declared = ", ".join(f"${name}: {kinds[name]}" for name in used)
        text = f"query ({declared}) {{ it: {root} }}" if used else f"{{ it: {root} }}"
        return self.post(text, **used)

    def data(self, place: SandboxEnvironment | str) -> dict[str, Any]:
        environment = self.environment(place) if isinstance(place, str) else place
        ids = list(environment.ids)
        return {"orgId": self.secret["org_id"], "environmentIds": ids, "tenant": "carbon.super"}

    def environment(self, name: str) -> SandboxEnvironment:
        return self.sandbox.world.organization(self.handle).environment(name)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def sandbox(world: World) -> Iterator[SandboxServer]:
    with SandboxServer(world, SandboxSettings(now=NOW)) as running:
        yield running


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[Client]:
    one = Client(sandbox)
    yield one
    one.session.close()
