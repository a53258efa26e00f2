"""The local AWS: the emulator `ministack`, on 127.0.0.1 and a free port."""

import socket
import urllib.request
from dataclasses import dataclass
from functools import partial
from urllib.error import URLError

from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import ROOT
from dev.local import background
from dev.local.background import Background
from dev.local.paths import Folder, basic_environment, tool

REGION = "eu-central-1"
_ATTEMPTS = 5


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS."""

    process: Background
    port: int
    iam: bool

    @property
    def endpoint(self) -> str:
        """The URL of all of its services."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables for an AWS SDK to reach it, as the account's root.

        The functions get credentials of their own roles; with `iam` those are held to
        their policies.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }


def start(folder: Folder, *, iam: bool = True) -> LocalAws:
    """Starts a local AWS that keeps everything in `folder` and forgets it when it stops.

    Raises CommandError when it does not come up.
    """
    program, log = tool("localaws", "ministack"), folder.log("aws")
    for attempt in range(_ATTEMPTS):
        port = free_port()
        process = background.start([program], _settings(folder, port, iam), log, ROOT)
        try:
            background.wait_until_ready(process, partial(_ready, port), "The local AWS", log)
        except CommandError:
            # Another process may have taken the port since it was chosen.
            if attempt + 1 == _ATTEMPTS or "already in use" not in background.tail(log):
                raise
        else:
            return LocalAws(process, port, iam)
    raise AssertionError


def free_port() -> int:
    """A free TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        # Free now and not reserved: `start` tries again where another process takes it.
        port: int = probe.getsockname()[1]
        return port


def _settings(folder: Folder, port: int, iam: bool) -> dict[str, str]:
    home, temporary = folder.path / "aws" / "home", folder.path / "aws" / "tmp"
    for path in (home, temporary):
        path.mkdir(parents=True, exist_ok=True)
    return basic_environment() | {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "S3_DATA_DIR": str(folder.path / "aws" / "s3"),
        "STATE_DIR": str(folder.path / "aws" / "state"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AUTH": "true" if iam else "false",
        # Unused services, which would listen on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Shortens the waits of state machines to this share.
        "SFN_WAIT_SCALE": "0.02",
        # A Docker engine would change how functions run.
        "DOCKER_HOST": f"unix://{folder.path}/no-docker",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _ready(port: int) -> bool:
    # Without a proxy: the terminal's would be asked for 127.0.0.1 too.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/_ministack/ready", timeout=5) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False
