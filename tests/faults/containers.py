"""Containers of the functions: processes that each run one real handler, as Lambda's do.

`python -m tests.faults.containers` imports everything once, and forks a process for each container
that a line of JSON on stdin asks for. A container connects back and gets events as lines. Its
process is ended on request alone, and is waited for then: no process gets its number before.
"""

import faulthandler
import importlib.util
import json
import os
import signal
import socket
import sys
import time
import traceback
from typing import Any, NoReturn

import aws_lambda_powertools  # noqa: F401 - as all of these, for the containers
import boto3

import choreo_insights.export.budget
import choreo_insights.export.catchup
import choreo_insights.export.run
import choreo_insights.export.throttle
import choreo_insights.http
import choreo_insights.metrics
import choreo_insights.tokens.events  # noqa: F401
from tests.faults import clock


class Context:
    """What a handler may ask of its invocation."""

    memory_limit_in_mb = 512

    def __init__(self, function: str, request: str, seconds: float) -> None:
        self.function_name = function
        self.invoked_function_arn = f"arn:aws:lambda:eu-central-1:000000000000:function:{function}"
        self.aws_request_id = request
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """What is left of it."""
        return max(0, int((self._end - time.monotonic()) * 1000))


def main() -> None:
    """Answers each line of stdin: `start` with the process's number, `end` with how it ended."""
    _warm_up()
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _end(**asked["end"]) if "end" in asked else _start(asked["start"])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _start(given: dict[str, Any]) -> int:
    pid = os.fork()
    if not pid:
        os.close(0)
        _contain(given)
    return pid


def _end(pid: int, patience: float) -> int:
    """Kills a process that does not end within `patience` seconds.

    Returns its exit status, or the negative number of the signal that ended it.
    """
    end = time.monotonic() + patience
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _warm_up() -> None:
    """What both functions read from files, so that a container starts in no time."""
    for service in ("s3", "ssm", "secretsmanager", "lambda", "stepfunctions"):
        boto3.client(
            service,
            region_name="eu-central-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )


def _contain(given: dict[str, Any]) -> NoReturn:
    """A container's life."""
    code = 0
    try:
        os.environ.clear()
        os.environ.update(given["environment"])
        time.tzset()
        log = os.open(given["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.enable()
        if seconds := given["clock"]:
            clock.shift(seconds, tuple(given["wrong_for"]))
        with socket.create_connection(("127.0.0.1", given["port"])) as connection:
            _serve(connection, given)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _serve(connection: socket.socket, given: dict[str, Any]) -> None:
    stream = connection.makefile("rw", encoding="utf-8")

    def say(**values: Any) -> None:
        stream.write(json.dumps(values) + "\n")
        stream.flush()

    say(name=given["name"])
    handler = _handler(given["app"])
    for number, line in enumerate(stream):
        call = json.loads(line)
        request = f"{os.getpid():08x}-{number:04d}-4000-8000-000000000000"
        context = Context(given["function"], request, call["seconds"])
        try:
            reply = handler(call["event"], context)
            sys.stdout.flush()
            say(reply=reply)
        except Exception as error:
            traceback.print_exc()
            say(error=type(error).__name__, message=str(error))


def _handler(app: str) -> Any:
    spec = importlib.util.spec_from_file_location("app", app)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


if __name__ == "__main__":
    main()
