"""A person's terminal, or a pipe, in which commands of the program run one after the other.

One interpreter runs all of them: to start one takes longer than most commands.
"""

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass, field
from typing import IO, Any
from unittest.mock import patch

_END = "\x1e"
# More rows than any command prints: no pager waits for a key.
_ROWS = 400
_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


@dataclass
class Ran:
    """A command as it was called, how it ended, and what stood on the screen then."""

    arguments: tuple[str, ...]
    code: int
    text: str

    @property
    def longest(self) -> int:
        """The length of the longest line; an address is left whole."""
        return max((len(line) for line in self.text.splitlines() if "://" not in line), default=0)


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
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.terminal", str(requests)],
            env=_environment(self.environment),
            pass_fds=[requests],
            start_new_session=True,
            **streams,
        )
        os.close(theirs)
        os.close(requests)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._requests)
        self._process.wait()
        os.close(self._ours)

    def run(self, *arguments: str, stdin: str | None = None, typed: str = "", **env: str) -> Ran:
        """Runs a command. `typed` is what the person types at the terminal meanwhile."""
        request = {"arguments": arguments, "stdin": stdin, "env": env}
        os.write(self._requests, f"{json.dumps(request)}\n".encode())
        if typed:
            os.write(self._ours, typed.encode())
        data = b""
        while data.count(_END.encode()) < 2:
            data += os.read(self._ours, 65536)
        shown, code, _ = data.decode("utf-8").split(_END)
        ran = Ran(arguments, int(code), screen(shown))
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


def _serve(requests: IO[str]) -> None:
    """The other side: runs each request, and marks where it ends and how."""
    from choreo_insights_cli.main import main  # noqa: PLC0415 - not needed in the tests' process

    for line in requests:
        request = json.loads(line)
        stdin = sys.stdin
        if request["stdin"] is not None:
            sys.stdin = io.StringIO(request["stdin"])
        with patch.dict(os.environ, request["env"]):
            code = main(request["arguments"])
        sys.stdin = stdin
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, f"{_END}{code}{_END}".encode())


if __name__ == "__main__":
    _serve(os.fdopen(int(sys.argv[1]), encoding="utf-8"))
