"""A person's terminal, or a pipe, in which commands of the program run one after the other.

One interpreter runs all of them: to start one takes longer than most commands. What a command
learns of the stack is recorded, so that another terminal can show the same without asking again.
"""

import base64
import fcntl
import io
import json
import os
import pickle
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import IO, Any
from unittest.mock import patch

from rich.cells import cell_len

_END = "\x1e"
_COMMANDS = "choreo_insights_cli.commands"
# Where a command learns what it then shows.
_LEARNS = {
    "cost": (f"{_COMMANDS}.cost:_of_stack",),
    "dashboard": (f"{_COMMANDS}.dashboard:draw",),
    "doctor": (f"{_COMMANDS}.doctor.command:diagnose",),
    "query": (f"{_COMMANDS}.query:ask",),
    "report": (f"{_COMMANDS}.report:report",),
    "status": (f"{_COMMANDS}.status.command:read",),
}
_DESCRIBED = "choreo_insights_cli.stack:Stack._describe"
_CALLED = "choreo_insights_cli.stack:Stack.call"
# More rows than any command prints: no pager waits for a key.
_ROWS = 400
# Seconds without a character; the longest command is an export.
_PATIENCE = 300.0
_COMMAND = re.compile(r"`?insights [a-z]+( --?[\w-]+| [\w@./:,-]+)*`?[.:]?")
_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


@dataclass
class Ran:
    """A command as it was called, how it ended, and what stood on the screen then."""

    arguments: tuple[str, ...]
    code: int
    text: str
    # What it learnt, for a session that only shows it.
    learnt: str = ""

    def fits(self, width: int) -> bool:
        """Whether no line is longer that could have been broken: a path is left whole."""
        lines = (line.strip() for line in self.text.splitlines() if cell_len(line) > width)
        return all(" " not in line or _COMMAND.fullmatch(line) for line in lines)


@dataclass
class Session:
    """Runs commands; `width` is that of the terminal, None for a pipe."""

    environment: dict[str, str]
    width: int | None = None
    seen: list[Ran] = field(default_factory=list)

    def __enter__(self) -> "Session":
        if self.width:
            self._ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, self.width, 0, 0))
            streams: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        else:
            self._ours, theirs = os.pipe()
            streams = {"stdin": subprocess.DEVNULL, "stdout": theirs, "stderr": theirs}
        requests, self._requests = os.pipe()
        self._results, results = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.terminal", str(requests), str(results)],
            env=_environment(self.environment),
            pass_fds=[requests, results],
            start_new_session=True,
            **streams,
        )
        for each in (theirs, requests, results):
            os.close(each)
        self._replies = os.fdopen(self._results, encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._requests)
        self._process.wait()
        os.close(self._ours)
        self._replies.close()

    def run(
        self,
        *arguments: str,
        stdin: str | None = None,
        typed: Sequence[tuple[str, str]] = (),
        learnt: str = "",
        **env: str,
    ) -> Ran:
        """Runs a command. `typed` is what the person types at the terminal after which words.

        With what another run has `learnt` it shows that, and does nothing of what it is called for.
        """
        request = {"arguments": arguments, "stdin": stdin, "env": env, "learnt": learnt}
        os.write(self._requests, f"{json.dumps(request)}\n".encode())
        waiting = [(after.encode(), f"{answer}\n".encode()) for after, answer in typed]
        data, seen = b"", 0
        while not data.endswith(_END.encode()):
            # It waits for an answer that nobody types.
            assert select.select([self._ours], [], [], _PATIENCE)[0], data.decode("utf-8")
            data += os.read(self._ours, 65536)
            if waiting and waiting[0][0] in data[seen:]:
                _, answer = waiting.pop(0)
                seen = len(data)
                os.write(self._ours, answer)
        result = json.loads(self._replies.readline())
        shown = screen(data.decode("utf-8").removesuffix(_END))
        ran = Ran(arguments, result["code"], shown, learnt or result["learnt"])
        self.seen.append(ran)
        return ran

    @property
    def transcript(self) -> str:
        """All that was called and seen, in order."""
        return "\n".join(map(_entry, self.seen))


def _environment(given: dict[str, str]) -> dict[str, str]:
    """Without the size of another terminal: readline, once imported, puts that of its own there."""
    own = {name: value for name, value in given.items() if name not in ("LINES", "COLUMNS")}
    return {**own, "TERM": "xterm-256color"}


def _entry(ran: Ran) -> str:
    words = [word if re.fullmatch(r"[\w=,./:-]+", word) else f"'{word}'" for word in ran.arguments]
    return f"$ insights {' '.join(words)}\n{ran.text.rstrip()}\n[{ran.code}]\n"


def screen(data: str) -> str:
    """What is left on a screen that is wide enough, without colours: a progress bar is gone."""
    lines, row, column = [""], 0, 0
    position = 0
    while position < len(data):
        if found := _SEQUENCE.match(data, position):
            position = found.end()
            count = int(found[1]) if found[1].isdigit() else 0
            if found[2] == "A":
                row = max(0, row - max(1, count))
            elif found[2] == "K":
                lines[row] = "" if count == 2 else lines[row][:column]
            continue
        character = data[position]
        position += 1
        if character == "\r":
            column = 0
        elif character == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + character + line[column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines)


@contextmanager
def _recorded(learnt: "Learnt", *, replay: bool, command: str) -> Iterator[None]:
    """Records what the functions that reach the stack give, or gives what was recorded."""
    with ExitStack() as stack:
        for name in (_DESCRIBED, _CALLED, *_LEARNS.get(command, ())):
            module, _, attribute = name.partition(":")
            *owners, last = attribute.split(".")
            owner: Any = import_module(module)
            for each in owners:
                owner = getattr(owner, each)
            real = getattr(owner, last)
            stub = learnt.replaying(name) if replay else learnt.recording(name, real)
            stack.enter_context(patch.object(owner, last, stub))
        yield


class Learnt:
    """What each function gave or raised, in order."""

    def __init__(self, packed: str = "") -> None:
        self._results = pickle.loads(base64.b64decode(packed)) if packed else {}
        self._inside = False

    def packed(self) -> str:
        """It as text; empty where something is in it that only its own process has."""
        try:
            packed = pickle.dumps(self._results)
            pickle.loads(packed)
        except (pickle.PicklingError, TypeError, AttributeError):
            return ""
        return base64.b64encode(packed).decode() if self._results else ""

    def recording(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose results are kept unless another one that is recorded calls it."""

        def call(*arguments: Any, **more: Any) -> Any:
            inside, self._inside = self._inside, True
            result, error = None, None
            try:
                result = real(*arguments, **more)
            except Exception as raised:
                error = raised
                raise
            finally:
                self._inside = inside
                if not inside or name == _DESCRIBED:
                    self._results.setdefault(name, []).append((result, error))
            return result

        return call

    def replaying(self, name: str) -> Callable[..., Any]:
        """In place of the function; the stack's description is given as often as it is wanted."""

        def call(*_: Any, **__: Any) -> Any:
            results = self._results[name]
            result, error = results[0] if name == _DESCRIBED else results.pop(0)
            if error:
                raise error
            return result

        return call


def _serve(requests: IO[str], results: IO[str]) -> None:
    """The other side: runs each request, and marks where it ends and how."""
    from choreo_insights_cli.main import main  # noqa: PLC0415 - not needed in the tests' process

    for line in requests:
        request = json.loads(line)
        stdin = sys.stdin
        if request["stdin"] is not None:
            sys.stdin = io.StringIO(request["stdin"])
        learnt = Learnt(request["learnt"])
        command = request["arguments"][0]
        with (
            patch.dict(os.environ, request["env"]),
            _recorded(learnt, replay=bool(request["learnt"]), command=command),
        ):
            code = main(request["arguments"])
        sys.stdin = stdin
        sys.stdout.flush()
        sys.stderr.flush()
        # First, as it is waited for: a pipe does not hold all that may be learnt.
        os.write(1, _END.encode())
        done = {"code": code, "learnt": learnt.packed()}
        results.write(f"{json.dumps(done)}\n")
        results.flush()


if __name__ == "__main__":
    _, given, gives = sys.argv
    _serve(os.fdopen(int(given), encoding="utf-8"), os.fdopen(int(gives), "w", encoding="utf-8"))
