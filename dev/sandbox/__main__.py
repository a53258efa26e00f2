"""`python -m dev.sandbox`: serves until SIGTERM or SIGINT. Prints its address when it is ready."""

import argparse
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

from dev.sandbox.server import SandboxServer
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.world import DEFAULT_ORGANIZATIONS, OrganizationSpec, World


def main(arguments: list[str] | None = None) -> int:
    """Runs the sandbox. Returns the exit code."""
    args = _parser().parse_args(arguments)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = SandboxServer(World(args.seed, _specs(args)), _settings(args), args.port)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"python -m dev.sandbox: {error}\n")
        return 2
    with sandbox:
        sys.stdout.write(sandbox.url + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def settings_of(arguments: list[str]) -> SandboxSettings:
    """The settings by the command line. Raises ValueError, OSError."""
    return _settings(_parser().parse_args(arguments))


def _settings(given: argparse.Namespace) -> SandboxSettings:
    settings = SandboxSettings()
    if given.like:
        settings.update(json.loads(given.like.read_text("utf-8")))
    settings.update(dict(_setting(text) for text in given.set))
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1 (0: a free one)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another world")
    parser.add_argument("--organizations", help="comma-separated handles in place of the usual two")
    parser.add_argument("--apis", type=int, help="APIs of each organisation")
    parser.add_argument("--applications", type=int, help="applications of each organisation")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting, for example now=2026-03-01T12:00:00Z")  # fmt: skip
    parser.add_argument("--like", metavar="FILE", type=Path,
                        help="behave as `insights doctor --probe --save` recorded")  # fmt: skip
    return parser


def _specs(given: argparse.Namespace) -> list[OrganizationSpec]:
    specs = list(DEFAULT_ORGANIZATIONS)
    if given.organizations:
        known = {spec.handle: spec for spec in specs}
        handles = [h.strip() for h in given.organizations.split(",") if h.strip()]
        specs = [known.get(handle, OrganizationSpec(handle)) for handle in handles]
    sizes = {"apis": given.apis, "applications": given.applications}
    return [replace(spec, **{k: v for k, v in sizes.items() if v is not None}) for spec in specs]


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.isdigit() else value


if __name__ == "__main__":
    sys.exit(main())
