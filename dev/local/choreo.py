"""The Choreo that a local deployment talks to: the sandbox, or any server that is named."""

import json
import os
import urllib.request
from dataclasses import dataclass
from typing import Any

from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import ROOT
from dev.local import background
from dev.local.background import Background
from dev.local.paths import PYTHON, Folder, basic_environment

_SETTINGS = {"TOKEN_URL": "TokenUrl", "REVOKE_URL": "RevokeUrl", "INSIGHTS_URL": "InsightsUrl"}


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox Choreo."""

    process: Background
    url: str

    @property
    def parameters(self) -> dict[str, str]:
        """The template parameters that point the stack at it."""
        return {
            "TokenUrl": f"{self.url}/oauth2/token",
            "RevokeUrl": f"{self.url}/oauth2/revoke",
            "InsightsUrl": f"{self.url}/93tu/insights/1.0.0/query-api",
        }

    def secrets(self) -> dict[str, dict[str, str]]:
        """The secret of each organisation, by handle."""
        secrets: dict[str, dict[str, str]] = self.admin("secrets")
        return secrets

    def projects(self) -> dict[str, str]:
        """The ids of all projects by name, for the parameter `Projects`."""
        return {
            f"{name} of {handle}": own_id
            for handle, organization in self.admin("world").items()
            for name, own_id in organization["projects"].items()
        }

    def admin(self, path: str, change: Any = None) -> Any:
        """Reads one of its pages for tests and demos, or sends it a change."""
        body = None if change is None else json.dumps(change).encode()
        request = urllib.request.Request(  # noqa: S310 - the URL is the sandbox's own
            f"{self.url}/sandbox/{path}", data=body, headers={"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as reply:
            return json.load(reply)


def start_sandbox(folder: Folder) -> Sandbox:
    """Starts the sandbox on a free port of 127.0.0.1.

    Raises CommandError when it does not come up.
    """
    log = folder.log("sandbox")
    log.unlink(missing_ok=True)
    environment = basic_environment() | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "insights"))),
        "PYTHONUNBUFFERED": "1",
    }
    # As clients of 2026 see the service: with display names and kinds of traffic.
    options = ("--port", "0", "--set", "newer_fields=true", "--set", "traffic_type=same")
    command = (PYTHON, "-m", "dev.sandbox", *options)
    process = background.start(command, environment, log, ROOT)
    background.wait_until_ready(process, lambda: bool(_url(folder)), "The sandbox", log)
    return Sandbox(process, _url(folder))


def _url(folder: Folder) -> str:
    lines = folder.log("sandbox").read_text("utf-8").splitlines(keepends=True)
    return next(
        (line.strip() for line in lines if line.startswith("http://") and line.endswith("\n")), ""
    )


def external() -> dict[str, str]:
    """The template parameters for the server that TOKEN_URL, REVOKE_URL and INSIGHTS_URL name.

    Empty where none is named. Raises CommandError where some but not all are.
    """
    urls = {name: os.environ[name] for name in _SETTINGS if os.environ.get(name)}
    missing = ", ".join(name for name in _SETTINGS if name not in urls)
    if urls and missing:
        raise CommandError(
            f"{missing} is missing. Set all of {', '.join(_SETTINGS)} for a server of your own,"
            " or none for the sandbox."
        )
    return {_SETTINGS[name]: url for name, url in urls.items()}
