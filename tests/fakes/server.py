"""A small real HTTP server on a free port of 127.0.0.1, which answers as a test tells it to."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: "Message[str, str]"
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A well-formed answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, status: int = 200, **headers: str) -> "Answer":
        """An answer in JSON."""
        sent = {"Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value).encode(), sent)


class Wire:
    """The bare connection, for answers that are not well-formed."""

    def __init__(self, stream: BufferedIOBase, stopped: threading.Event) -> None:
        self._stream = stream
        self._stopped = stopped

    def send(self, piece: bytes) -> None:
        """Sends at once."""
        self._stream.write(piece)
        self._stream.flush()

    def drip(self, piece: bytes) -> None:
        """Sends the piece again and again until the client goes or the server stops."""
        while not self._stopped.wait(0.02):
            self.send(piece)

    def hang(self) -> None:
        """Sends nothing more until the server stops."""
        self._stopped.wait()


Behaviour = Callable[[Wire], None]


class Server:
    """Answers each request by calling `respond`; counts them in `requests`."""

    def __init__(self, respond: Callable[[Received], Answer | Behaviour]) -> None:
        self.requests: list[Received] = []
        self.stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                """Says nothing."""

            def _respond(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                received = Received(self.command, self.path, self.headers, body)
                outer.requests.append(received)
                answer = respond(received)
                if isinstance(answer, Answer):
                    self._send(answer)
                else:
                    self.close_connection = True
                    with suppress(OSError):  # when the client has gone
                        answer(Wire(self.wfile, outer.stopped))

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, text in answer.headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            def handle_expect_100(self) -> bool:
                super().handle_expect_100()
                # S3's client waits for it before it sends the body.
                self.wfile.flush()
                return True

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815 - the names that are called

        class Threads(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that goes in the middle is no news."""

        self._server = Threads(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
