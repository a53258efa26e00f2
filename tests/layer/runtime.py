"""The real Lambda runtime client, fed by a small Runtime API server on 127.0.0.1.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECONDS = 120


class Runtime(AbstractContextManager["Runtime"]):
    """A handler in a process of its own, as Lambda runs it: only the layer and the runtime."""

    def __init__(
        self, python: Path, layer: Path, task: Path, environment: Mapping[str, str]
    ) -> None:
        self._events: queue.Queue[Any] = queue.Queue()
        self._replies: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        # -I: neither the folder it runs in nor PYTHONPATH; what Lambda adds is added by hand.
        code = (
            f"import sys; sys.path[:0] = [{str(task)!r}, {str(layer)!r}];"
            "sys.argv = ['awslambdaric', 'app.handler'];"
            "from awslambdaric.__main__ import main; main(sys.argv)"
        )
        self.process = subprocess.Popen(
            [python, "-I", "-c", code],
            cwd=task,
            env={
                "PATH": "/usr/bin:/bin",
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
                "AWS_LAMBDA_FUNCTION_NAME": "probe",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "LAMBDA_TASK_ROOT": str(task),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.log = ""

    def invoke(self, event: Any) -> Any:
        """The reply to an event. Raises RuntimeError with the error's type and text."""
        self._events.put(event)
        while True:
            try:
                kind, reply = self._replies.get(timeout=0.1)
                break
            except queue.Empty:
                if self.process.poll() is not None:
                    raise RuntimeError(f"the runtime ended: {self._output()}") from None
        if kind != "response":
            msg = f"{reply.get('errorType')}: {reply.get('errorMessage')}"
            raise RuntimeError(msg)
        return reply

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self._output()
        self._server.shutdown()
        self._server.server_close()

    def _output(self) -> str:
        if self.process.stdout and not self.process.stdout.closed:
            self.log += self.process.communicate()[0]
        return self.log

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        runtime = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                event = runtime._events.get()
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header(
                    "Lambda-Runtime-Aws-Request-Id", "11111111-2222-3333-4444-555555555555"
                )
                deadline = int((time.time() + SECONDS) * 1000)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
                arn = "arn:aws:lambda:eu-central-1:123456789012:function:probe"
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
                # The client crashes where one of these is missing.
                self.send_header(
                    "Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"
                )
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.path.rpartition("/")[2]
                runtime._replies.put((kind, json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
