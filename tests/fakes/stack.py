"""The token function's parts on a fake AWS and a fake token service, as the stack wires them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from choreo_insights.credentials import Secrets
from choreo_insights.http import Http, Timeouts
from choreo_insights.tokens.events import Request, TokenEvents
from choreo_insights.tokens.lease import Lease
from choreo_insights.tokens.minting import Minter
from choreo_insights.tokens.reader import Token, Tokens
from choreo_insights.tokens.token_service import TokenService
from choreo_insights.tokens.vault import TokenVault
from tests.fakes import aws as fake_aws
from tests.fakes import choreo_tokens
from tests.fakes.clock import Clock

PREFIX = "/synthetic/token"
STATES = "/synthetic/mint"
SCOPE = "apim:api_manage"
SECONDS = 85.0


@dataclass
class Stack:
    """Everything a test of tokens needs. Each `minter()` is a container of its own."""

    aws: fake_aws.FakeAws
    choreo: choreo_tokens.FakeTokens
    clock: Clock = field(default_factory=Clock)
    organizations: tuple[str, ...] = ("acme", "globex")

    def __post_init__(self) -> None:
        self.ssm = self.aws.ssm()
        self.secrets_client = self.aws.secretsmanager()
        self.lambda_client = self.aws.lambda_()
        for handle in self.organizations:
            self.put_secret(handle)

    def put_secret(self, handle: str, **changes: object) -> None:
        """Stores the organisation's secret, with changes to it."""
        secret = {
            "consumer_key": choreo_tokens.KEY,
            "consumer_secret": choreo_tokens.SECRET,
            "org_handle": handle,
            "org_id": "00000000-0000-4000-8000-000000000000",
        }
        self.aws.put_secret(f"choreo-insights/{handle}", {**secret, **changes})

    def service(self) -> TokenService:
        """The client of the token service."""
        http = Http(Timeouts(5.0, 5.0, 10.0), retries=2, sleep=self.clock.sleep)
        return TokenService(
            http, self.choreo.token_url, self.choreo.revoke_url, SCOPE, clock=self.clock
        )

    def vault(self) -> TokenVault:
        """The writer's view of the cache."""
        return TokenVault(self.ssm, PREFIX, "synthetic-key-id")

    def lease(self, clock: Clock | None = None) -> Lease:
        """The leases."""
        return Lease(self.ssm, STATES, clock or self.clock)

    def secrets(self) -> Secrets:
        """The secrets, nothing kept."""
        return Secrets(self.secrets_client, "choreo-insights", self.clock)

    def minter(self, **parts: Any) -> Minter:
        """A container of the token function."""
        return Minter(
            self.vault(),
            parts.get("lease") or self.lease(),
            parts.get("secrets") or self.secrets(),
            parts.get("service") or self.service(),
            clock=self.clock,
            sleep=parts.get("sleep") or self.clock.sleep,
        )

    def events(self, minter: Minter | None = None) -> TokenEvents:
        """The token function's answers."""
        return TokenEvents(minter or self.minter(), self.organizations)

    def function(self, event: dict[str, Any]) -> dict[str, Any]:
        """The token function in a new container."""
        return {"organizations": self.events().answer(Request.read(event), SECONDS)}

    def reader(self, **parts: Any) -> Tokens:
        """A reader that knows nothing yet."""
        return Tokens(
            self.ssm,
            self.lambda_client,
            "token-function",
            PREFIX,
            clock=parts.get("clock") or self.clock,
            sleep=self.clock.sleep,
        )

    def stored(self, handle: str = "acme") -> Token | None:
        """The token that lies in the cache."""
        text = self.aws.value(f"{PREFIX}/{handle}")
        return None if text is None else Token.from_json(text)


@contextmanager
def running(clock: Clock | None = None) -> Iterator[Stack]:
    """The fakes, listening until the block ends, with the token function deployed."""
    with fake_aws.running() as aws, choreo_tokens.running() as choreo:
        stack = Stack(aws, choreo, clock or Clock())
        aws.functions["token-function"] = stack.function
        yield stack
