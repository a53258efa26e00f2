"""An HTTP proxy before the local AWS (and the sandbox) that injects faults by rule.

The emulator has no errors and throttles of its own. Requests pass with their headers untouched,
so that signatures stay right and policies are enforced behind it.
"""

import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from tests.fakes.server import Received
from tests.fakes.states import FakeStates

Does = Literal["error", "reset", "lost", "cut", "garbage", "hang", "kill", "killed_late", "hold"]
# Before the path of a request to the sandbox: the name of the container that asks.
AS = "/as/"
# Headers of a connection, not of the message.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}


@dataclass(frozen=True)
class Rule:
    """One fault: for which requests, how often, and what goes wrong.

    `service` and `operation` are AWS's names (`s3`, `PutObject`); None is any. `has` must stand
    in the path or the body. `who` is the name of the container that asks.

    | does | what |
    | --- | --- |
    | error | an error of AWS in place of the answer: `status`, `code` |
    | reset | the connection is reset before the request arrives |
    | lost | the request is carried out, then the connection is reset in place of the answer |
    | cut | the answer breaks off in its middle |
    | garbage | HTML in place of the answer, with `status` |
    | hang | no answer for `seconds`, then the connection is closed |
    | kill, killed_late | `act` is called before or after the request is carried out; no answer |
    | hold | `act` is called (it may wait) before the request is carried out |
    """

    does: Does
    service: str | None = None
    operation: str | None = None
    has: str = ""
    who: str | None = None
    times: int | None = 1
    skip: int = 0
    status: int = 400
    code: str = ""
    message: str = "injected by a test"
    seconds: float = 0.0
    act: Callable[[], None] | None = None


# An object in a listing.
_LISTED = re.compile(
    r"<LastModified>(?P<modified>[^<]+)</LastModified>"
    r"<ETag>(?:\"|&quot;)(?P<etag>[^<&\"]+)"
)


@dataclass(frozen=True)
class Seen:
    """A request as the rules see it."""

    service: str
    operation: str
    path: str
    body: bytes
    who: str | None

    @property
    def name(self) -> str:
        """Service and operation."""
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True)
class Stored:
    """An object that S3 took."""

    key: str
    body: bytes
    who: str | None


class Proxy:
    """`with Proxy(aws, choreo) as proxy`: a port of 127.0.0.1 that leads to both.

    `invoke` is called for each invocation of a function: its name, the event, whether it is
    waited for, and who asks. It gives the reply's payload and the error's kind (or None).
    Executions of the state machine begin in `states`, where tests carry them out. `ages` makes
    S3 say that objects with these ETags are so many seconds older; in listings they are from
    `written`.
    """

    def __init__(
        self,
        aws: str,
        choreo: str,
        invoke: Callable[[str, bytes, bool, str | None], tuple[bytes, str | None]],
    ) -> None:
        self._targets = {"aws": urlsplit(aws).netloc, "choreo": urlsplit(choreo).netloc}
        self._invoke = invoke
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self.who: dict[str, str] = {}
        self.states = FakeStates()
        self.ages: dict[str, float] = {}
        self.written: dict[str, datetime] = {}
        self.taken = 0
        self.seen: list[Seen] = []
        self.stored: list[Stored] = []
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def replace(self, rules: Iterable[Rule] = ()) -> None:
        """Puts these rules in place of all."""
        with self._lock:
            self._rules = list(rules)

    def forget(self) -> None:
        """Forgets what it has seen."""
        with self._lock:
            self.seen, self.stored, self.taken = [], [], 0

    def take(self, seen: Seen) -> Rule | None:
        """The rule that this request meets, which counts as used."""
        with self._lock:
            self.seen.append(seen)
            for number, rule in enumerate(self._rules):
                if not _fits(rule, seen):
                    continue
                if rule.skip:
                    self._rules[number] = replace(rule, skip=rule.skip - 1)
                    continue
                self.taken += 1
                if rule.times is not None:
                    left = replace(rule, times=rule.times - 1)
                    self._rules[number : number + 1] = [left] if left.times else []
                return rule
        return None

    def note(self, stored: Stored) -> None:
        """Remembers an object that was written."""
        with self._lock:
            self.stored.append(stored)

    def forward(
        self, place: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> "Answer":
        """Carries a request out."""
        connection = http.client.HTTPConnection(self._targets[place], timeout=120)
        try:
            sent = {k: v for k, v in headers.items() if k.lower() not in _HOP_BY_HOP}
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {**sent, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            reply = connection.getresponse()
            kept = {k: v for k, v in reply.getheaders() if k.lower() not in _HOP_BY_HOP}
            if method == "HEAD":
                # Of what GET would give.
                kept["Content-Length"] = reply.headers.get("Content-Length", "0")
            return Answer(reply.status, kept, reply.read())
        finally:
            connection.close()

    def call(self, seen: Seen, headers: Mapping[str, str]) -> "Answer":
        """Carries out an invocation of a function."""
        name = unquote(seen.path.split("/")[3]).rpartition(":")[2]
        waits = headers.get("X-Amz-Invocation-Type", "RequestResponse") == "RequestResponse"
        payload, kind = self._invoke(name, seen.body, waits, seen.who)
        sent = {"Content-Type": "application/json"}
        if kind:
            sent["X-Amz-Function-Error"] = kind
        return Answer(200 if waits else 202, sent, payload)

    def execute(self, seen: Seen, headers: Mapping[str, str]) -> "Answer":
        """Carries out a request to the state machine."""
        kept = Message()
        for name, value in headers.items():
            kept[name] = value
        answer = self.states.respond(Received("POST", seen.path, kept, seen.body))
        return Answer(answer.status, answer.headers, answer.body)

    def aged(self, answer: "Answer") -> "Answer":
        """The answer with a later Date, where `ages` has the object."""
        found = {name.lower(): value for name, value in answer.headers.items()}
        seconds = self.ages.get(found.get("etag", ""))
        if not seconds:
            return answer
        later = parsedate_to_datetime(found["date"]) + timedelta(seconds=seconds)
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
        return replace(answer, headers=headers | {"Date": format_datetime(later, usegmt=True)})

    def listed(self, answer: "Answer") -> "Answer":
        """A listing in which the objects of `written` have that LastModified."""

        def older(found: re.Match[str]) -> str:
            moment = self.written.get(found["etag"])
            if moment is None:
                return found[0]
            text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return found[0].replace(found["modified"], text)

        return replace(answer, body=_LISTED.sub(older, answer.body.decode()).encode())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are killed in the middle here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Says nothing."""

    def handle_expect_100(self) -> bool:
        """Says at once that the body may come."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def do_GET(self) -> None:
        """Any request."""
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        seen = _seen(self.command, self.path, dict(self.headers.items()), body, proxy.who)
        rule = proxy.take(seen)
        answer = self._early(rule, seen) if rule else None
        if answer is None and (rule is None or rule.does in ("lost", "cut", "killed_late", "hold")):
            answer = self._carried_out(seen)
            if rule and rule.does == "killed_late" and rule.act:
                rule.act()
        if answer is None or (rule and rule.does in ("lost", "killed_late")):
            self._break()
            return
        self._send(answer, cut=rule is not None and rule.does == "cut")

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the base's names

    def _early(self, rule: Rule, seen: Seen) -> Answer | None:
        """What a rule does before the request is carried out; an answer where it gives one."""
        if rule.does in ("kill", "hold") and rule.act:
            rule.act()
        if rule.does == "hang":
            self.server.proxy.stopping.wait(rule.seconds)
        if rule.does == "garbage":
            return Answer(rule.status, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")
        return _error(rule, seen) if rule.does == "error" else None

    def _carried_out(self, seen: Seen) -> Answer | None:
        proxy = self.server.proxy
        headers = dict(self.headers.items())
        if seen.name == "lambda:Invoke" and seen.who:
            return proxy.call(seen, headers)
        if seen.service == "states":
            return proxy.execute(seen, headers)
        place = "choreo" if seen.service == "choreo" else "aws"
        try:
            answer = proxy.forward(place, self.command, seen.path, headers, seen.body)
        except (OSError, http.client.HTTPException):
            return None  # it broke off behind, so it breaks off here
        if seen.name == "s3:PutObject" and answer.status == 200:
            key = unquote(seen.path.partition("?")[0]).split("/", 2)[2]
            proxy.note(Stored(key, seen.body, seen.who))
        if seen.name == "s3:ListObjectsV2":
            return proxy.listed(answer)
        return proxy.aged(answer) if seen.name == "s3:GetObject" else answer

    def _send(self, answer: Answer, *, cut: bool) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if cut:
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.wfile.flush()
            self._break()
            return
        self.wfile.write(answer.body)

    def _break(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # a client that was killed has gone
            # Lingering for zero seconds makes the kernel send RST in place of FIN.
            now = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            self.connection.shutdown(socket.SHUT_RD)
            self.connection.close()


def _fits(rule: Rule, seen: Seen) -> bool:
    return (
        rule.service in (None, seen.service)
        and rule.operation in (None, seen.operation)
        and rule.who in (None, seen.who)
        and (rule.has in unquote(seen.path) or rule.has.encode() in seen.body)
    )


def _seen(
    method: str, path: str, headers: Mapping[str, str], body: bytes, who: Mapping[str, str]
) -> Seen:
    scope = headers.get("Authorization", "").partition("Credential=")[2].partition(",")[0]
    if not scope:
        name, _, rest = path.removeprefix(AS).partition("/")
        operation = {"oauth2/token": "Token", "oauth2/revoke": "Revoke"}.get(rest, "Query")
        return Seen("choreo", operation, f"/{rest}", body, name)
    key, _, _, service, _ = scope.split("/")
    target = headers.get("X-Amz-Target", "").rpartition(".")[2]
    if service == "lambda":
        target = "Invoke" if path.endswith("/invocations") else method
    elif service == "s3":
        listing = "list-type=2" in path
        target = {"PUT": "PutObject", "GET": "ListObjectsV2" if listing else "GetObject"}.get(
            method, method
        )
    return Seen(service, target, path, body, who.get(key))


def _error(rule: Rule, seen: Seen) -> Answer:
    """An error as the service words it."""
    if seen.service == "s3":
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{rule.code}</Code><Message>{rule.message}</Message>"
            "<RequestId>synthetic</RequestId></Error>"
        )
        return Answer(rule.status, {"Content-Type": "application/xml"}, text.encode())
    said = json.dumps({"__type": rule.code, "message": rule.message, "Message": rule.message})
    kind = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": rule.code}
    return Answer(rule.status, kind, said.encode())
