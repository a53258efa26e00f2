"""The sandbox without its sockets: requests in, replies out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from threading import Event, Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from dev.sandbox import corrupt, engine, replies
from dev.sandbox.changes import share_names
from dev.sandbox.faults import ON_BODY, ON_DATA, Fault, Faults
from dev.sandbox.filters import QueryContext
from dev.sandbox.grouping import Groups
from dev.sandbox.oauth import IssuedToken, SandboxTokenService
from dev.sandbox.paging import Pages
from dev.sandbox.refusals import BadRequestError
from dev.sandbox.replies import SandboxReply
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.tally import Statistics
from dev.sandbox.traffic import Traffic
from dev.sandbox.world import Organization, SandboxEnvironment, World

if TYPE_CHECKING:
    from dev.sandbox.lapses import Lapse

TOKEN_PATH = "/oauth2/token"  # noqa: S105 a path
REVOKE_PATH = "/oauth2/revoke"
INSIGHTS_PATH = "/93tu/insights/1.0.0/query-api"

Headers = Mapping[str, str]


class BrokenConnectionError(Exception):
    """The connection is to be reset (or, after a hang, just closed) without a reply."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("no reply")
        self.reset = reset


@dataclass(frozen=True)
class Caller:
    """Who a request to the query endpoint comes from."""

    organization: Organization
    on_prem: SandboxEnvironment | None = None
    scope: str | None = None


@dataclass
class ParsedQuery:
    """A query, as far as it could be read."""

    roots: dict[str, str]
    document: Any = None
    variables: dict[str, Any] | None = None
    operation: str | None = None
    refusal: SandboxReply | None = None


class Service:
    """A world, its settings, faults and counts, and the endpoints over them."""

    def __init__(
        self, world: World, settings: SandboxSettings, clock: Callable[[], float] = monotonic
    ) -> None:
        if settings.shared_names:
            share_names(world)
        self.world = world
        self.settings = settings
        self.faults = Faults()
        self.lapses: tuple[Lapse, ...] = ()
        self.statistics = Statistics()
        self.traffic = Traffic()
        self.pages = Pages()
        self.groups = Groups()
        self.tokens = SandboxTokenService(world, clock)
        self.stopping = Event()
        self._window = (0, 0)
        self._window_lock = Lock()
        # Built here, so that the first query does not pay for it.
        engine.schema()

    def answer(self, path: str, headers: Headers, body: bytes) -> SandboxReply:
        """The reply to a POST. Raises BrokenConnectionError for a fault without a reply."""
        path = path.partition("?")[0]
        if path == TOKEN_PATH:
            reply, place = self._token(headers, body), "token"
        elif path == REVOKE_PATH:
            reply, place = self._revoke(headers, body), "revoke"
        elif path == INSIGHTS_PATH:
            with self.statistics.query():
                reply, place = self._query(headers, body), "query"
        else:
            return replies.gateway_error(404, self.settings.error_shape)
        self.statistics.count_status(place, reply.status)
        return reply

    def _token(self, headers: Headers, body: bytes) -> SandboxReply:
        self.statistics.count("token_requests")
        handle = _form_value(body, "orgHandle")
        faults = self.faults.take("token", handle)
        early = self._early(faults)
        if early:
            return early
        size = next((f.size for f in faults if f.fault == "token_size"), 0)
        reply = self.tokens.mint(headers, body, replace(self.settings), size)
        if reply.status == HTTPStatus.OK and handle:
            self.statistics.count_mint(handle)
            _spoil_token(reply, faults)
        return _late(reply, faults)

    def _revoke(self, headers: Headers, body: bytes) -> SandboxReply:
        self.statistics.count("revokes")
        issued = self.tokens.find(_form_value(body, "token") or "")
        faults = self.faults.take("revoke", issued.organization.handle if issued else None)
        return self._early(faults) or _late(self.tokens.revoke(headers, body), faults)

    def _query(self, headers: Headers, body: bytes) -> SandboxReply:
        # A copy: the settings may change while the request is answered.
        settings = replace(self.settings)
        question = self._question(body, settings)
        self.statistics.count_roots(list(question.roots.values()))
        caller = self._caller(headers, settings)
        handle = caller.organization.handle if isinstance(caller, Caller) else None
        faults = self.faults.take("query", handle, question.roots.values())
        early = self._early(faults)
        if early:
            return early
        # The fault has ended this very token: look again.
        if any(f.fault == "kill_tokens" for f in faults):
            caller = self._caller(headers, settings)
        if isinstance(caller, SandboxReply):
            return caller
        if caller.scope not in (None, settings.scope):
            text = "The access token does not allow you to access the requested resource"
            return replies.gateway_error(403, settings.error_shape, "900910", text)
        if not settings.subscribed:
            text = (
                "User is NOT authorized to access the Resource. API Subscription validation failed."
            )
            return replies.gateway_error(403, settings.error_shape, "900908", text)
        refusal = self._limited(settings) or question.refusal or _too_much(question, settings)
        if refusal:
            return refusal
        return _late(self._executed(question, caller, settings, faults), faults)

    def _question(self, body: bytes, settings: SandboxSettings) -> ParsedQuery:
        try:
            request = json.loads(body)
            text, variables = request["query"], request.get("variables")
            operation = request.get("operationName")
        except (ValueError, KeyError, TypeError, AttributeError):
            text = 'The body must be JSON: {"query": "...", "variables": {...}}'
            refusal = replies.gateway_error(400, settings.error_shape, None, text)
            return ParsedQuery({}, refusal=refusal)
        try:
            document = engine.prepared(
                str(text),
                engine.Shown.by(settings),
                introspection=settings.introspection,
            )
        except engine.InvalidDocumentError as error:
            hidden = set() if settings.error_locations else {"locations"}
            errors = [{k: v for k, v in e.items() if k not in hidden} for e in error.errors]
            return ParsedQuery({}, refusal=replies.of_json(400, {"errors": errors}))
        return ParsedQuery(engine.root_fields(document), document, variables, operation)

    def _caller(self, headers: Headers, settings: SandboxSettings) -> Caller | SandboxReply:
        """The organisation that the token is for, or the gateway's refusal."""
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            text = "Make sure your request has an Authorization: Bearer header"
            return replies.gateway_error(401, settings.error_shape, "900902", text)
        issued: IssuedToken | None
        issued = self.tokens.find(token.strip(), revoked_work=settings.revoked_tokens_work)
        if issued:
            # The token is of the organisation, whatever has changed in it since.
            return Caller(self.world.organization(issued.organization.handle), scope=issued.scope)
        for organization in self.world.organizations.values():
            if organization.on_prem_key == token.strip():
                return Caller(organization, on_prem=organization.on_prem)
        return replies.gateway_error(401, settings.error_shape)

    def _limited(self, settings: SandboxSettings) -> SandboxReply | None:
        """A 429 where there were more queries in this minute than the limit."""
        if settings.rate_limit is None:
            return None
        minute = int(time()) // 60
        with self._window_lock:
            started, count = self._window
            count = count + 1 if started == minute else 1
            self._window = (minute, count)
        if count <= settings.rate_limit:
            return None
        if settings.throttled_in_200:
            return replies.throttled_in_200()
        # A fixed window, the simplest of the gateway's policies: at its end all is allowed again.
        return replies.throttled(settings.error_shape, 60 - time() % 60, "next")

    def _executed(
        self, question: ParsedQuery, caller: Caller, settings: SandboxSettings, faults: list[Fault]
    ) -> SandboxReply:
        context = QueryContext(
            self.world,
            self.traffic,
            settings,
            settings.clock(),
            caller.organization,
            caller.on_prem,
            self.pages,
            self.groups,
            self.lapses,
        )
        reply, raised = engine.run(
            question.document, context, question.variables, question.operation
        )
        refused = next((e for e in raised if isinstance(e, BadRequestError)), None)
        if refused:
            return replies.gateway_error(400, settings.error_shape, None, str(refused))
        for fault in faults:
            if fault.fault in ON_DATA:
                corrupt.spoil(reply, question.roots, fault)
        return replies.of_json(200, reply)

    def _early(self, faults: list[Fault]) -> SandboxReply | None:
        """What faults do before there is an answer. Raises BrokenConnectionError."""
        for fault in faults:
            if fault.fault == "slow":
                self.stopping.wait(fault.seconds)
            elif fault.fault == "hang":
                self.stopping.wait(fault.seconds or None)
                raise BrokenConnectionError(reset=False)
            elif fault.fault == "reset":
                raise BrokenConnectionError(reset=True)
            elif fault.fault == "kill_tokens":
                self.tokens.kill_all(fault.organization)
            elif reply := replies.of_fault(fault, self.settings.error_shape):
                return reply
        return None


def _too_much(question: ParsedQuery, settings: SandboxSettings) -> SandboxReply | None:
    """The gateway's refusal of aliases, or of too many query fields."""
    if not settings.aliases and engine.has_aliases(question.document):
        return replies.gateway_error(422, settings.error_shape)
    most = settings.root_fields_max
    if most is not None and len(question.roots) > most:
        return replies.too_complex(most, settings.error_shape)
    return None


def _form_value(body: bytes, name: str) -> str | None:
    return parse_qs(body.decode("utf-8", "replace")).get(name, [None])[0]


def _spoil_token(reply: SandboxReply, faults: list[Fault]) -> None:
    for fault in faults:
        value = json.loads(reply.body)
        if fault.fault == "no_expires_in":
            del value["expires_in"]
        elif fault.fault == "wrong_expires_in":
            value["expires_in"] = "soon"
        reply.body = json.dumps(value).encode()


def _late(reply: SandboxReply, faults: list[Fault]) -> SandboxReply:
    """What faults do to the bytes of an answer."""
    for fault in faults:
        if fault.fault in ON_BODY:
            reply.body = corrupt.garble(reply.body, reply.headers, fault)
            reply.drip = fault.seconds if fault.fault == "drip" else reply.drip
            reply.cut = reply.cut or fault.fault == "cut"
    return reply
