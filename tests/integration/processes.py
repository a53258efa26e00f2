"""Which processes belong to a local deployment, and where they listen. Linux only."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

HERE = Path("/proc/net/tcp").exists()
_LISTENING = "0A"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


def of_group(group: int) -> set[int]:
    """The processes of a process group."""
    found = set()
    for pid in _all():
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == group:
                found.add(pid)
    return found


def that_know(text: str) -> set[int]:
    """The processes, but this one, with a text in their environment or among their open files."""
    found = set()
    for pid in _all() - {os.getpid()}:
        with suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            files = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
            if text.encode() in environment or any(text in file for file in files):
                found.add(pid)
    return found


def listening(pids: set[int]) -> set[tuple[str, bool]]:
    """Ports on which the processes listen, each with whether it is on loopback alone."""
    owned = set()
    for pid in pids:
        with suppress(OSError):
            owned |= {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    return {
        (address, address.partition(":")[0] in _LOOPBACK)
        for address, inode in _sockets()
        if f"socket:[{inode}]" in owned
    }


def _sockets() -> Iterator[tuple[str, str]]:
    for name in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):
            for line in Path(f"/proc/net/{name}").read_text("utf-8").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    yield fields[1], fields[9]


def _all() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
