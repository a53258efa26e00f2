"""The sandbox as a server on a port of 127.0.0.1."""

import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

from dev.sandbox import admin, replies
from dev.sandbox.faults import Faults
from dev.sandbox.replies import SandboxReply
from dev.sandbox.service import (
    INSIGHTS_PATH,
    REVOKE_PATH,
    TOKEN_PATH,
    BrokenConnectionError,
    Service,
)
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.tally import Statistics
from dev.sandbox.world import World

# The gateway takes 10 MB.
_MOST_BYTES = 10 * 1024 * 1024
_DRIPS = 20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "synthetic"
    sys_version = ""
    # One write for head and body, and no waiting for acknowledgements between them.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: "_Server"

    def do_POST(self) -> None:
        """Both sides."""
        self._handle("POST")

    def do_GET(self) -> None:
        """The operator's side only."""
        self._handle("GET")

    def _handle(self, method: str) -> None:
        service = self.server.service
        body = self._body()
        if body is None:
            return
        try:
            if self.path.startswith(admin.PREFIX):
                reply = admin.administer(service, method, self.path, body)
            elif method != "POST":
                reply = replies.gateway_error(405, service.settings.error_shape)
            else:
                # HTTP names are case-insensitive, and the service looks them up in one spelling.
                headers = {name.title(): value for name, value in self.headers.items()}
                reply = service.answer(self.path, headers, body)
        except BrokenConnectionError as broken:
            self._break(reset=broken.reset)
            return
        self._send(reply)

    def _body(self) -> bytes | None:
        # Clients of the export send no chunked bodies.
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _MOST_BYTES:
            self.close_connection = True
            shape = self.server.service.settings.error_shape
            self._send(replies.gateway_error(413, shape))
            return None
        return self.rfile.read(int(length))

    def _send(self, reply: SandboxReply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.cut:
            self.wfile.write(reply.body[: len(reply.body) // 2])
            self.wfile.flush()
            self._break(reset=False)
        elif reply.drip:
            self._drip(reply.body, reply.drip)
        else:
            self.wfile.write(reply.body)

    def _drip(self, body: bytes, seconds: float) -> None:
        size = max(len(body) // _DRIPS, 1)
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()
            self.server.service.stopping.wait(seconds / len(pieces))

    def _break(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # Lingering for zero seconds makes the kernel send RST in place of FIN.
            now = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base's name
        """Says nothing: requests hold secrets, and statistics count them."""


class _Server(ThreadingHTTPServer):
    # A test that fails must not wait for requests that hang on purpose.
    daemon_threads = True
    block_on_close = False
    # Tests connect hundreds of clients at once; the default backlog of 5 would refuse some.
    request_queue_size = 1024

    def __init__(self, port: int, service: Service) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.service = service
        self._open: set[socket.socket] = set()
        self._open_lock = Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports everything but a client that went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close_all(self) -> None:
        """Ends connections that are kept alive."""
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class SandboxServer:
    """A running sandbox: `with SandboxServer() as sandbox: sandbox.token_url ...`.

    Without a port a free one is taken. Settings and faults may change while it runs.
    """

    def __init__(
        self, world: World | None = None, settings: SandboxSettings | None = None, port: int = 0
    ) -> None:
        self.service = Service(world or World(), settings or SandboxSettings())
        self._server = _Server(port, self.service)
        # 0.05 s: `shutdown` waits for the next poll, and tests stop many servers.
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def world(self) -> World:
        """The organisations."""
        return self.service.world

    @property
    def settings(self) -> SandboxSettings:
        """The switches."""
        return self.service.settings

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self.service.faults

    @property
    def statistics(self) -> Statistics:
        """The counts of requests."""
        return self.service.statistics

    @property
    def url(self) -> str:
        """Address without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def token_url(self) -> str:
        return self.url + TOKEN_PATH

    @property
    def revoke_url(self) -> str:
        return self.url + REVOKE_PATH

    @property
    def insights_url(self) -> str:
        return self.url + INSIGHTS_PATH

    def start(self) -> None:
        """Begins to serve, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ends all connections and the server; hanging requests end too."""
        self.service.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_all()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
