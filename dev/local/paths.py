"""The paths of the project's files, its tools, and the folder of a local deployment."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import ROOT


def tool(venv: str, name: str) -> Path:
    """A program in one of the project's virtual environments, in the folder VENVS.

    Raises CommandError where it was not installed yet.
    """
    venvs = os.environ.get("VENVS") or ".venvs"
    executable = ROOT / venvs / venv / "bin" / name
    if not executable.exists():
        raise CommandError(f"{executable} is missing. Run `make {venvs}/{venv}/.done`.")
    return executable


@dataclass(frozen=True)
class Folder:
    """The folder of one local deployment. Two of them do not know of each other."""

    path: Path

    @classmethod
    def default(cls) -> "Folder":
        """`.local` in the project, or what LOCAL_DIR names."""
        return cls(Path(os.environ.get("LOCAL_DIR") or ROOT / ".local").resolve())

    @property
    def env(self) -> Path:
        """Lines of `export NAME=value` for a shell that wants to use the deployment."""
        return self.path / "env"

    @property
    def state(self) -> Path:
        """The file that remembers the programs in the background."""
        return self.path / "state.json"

    @property
    def build(self) -> Path:
        """Where `sam build` puts its result."""
        return self.path / "build"

    @property
    def dataset(self) -> Path:
        """Copies of the dataset's objects, from one drawing of the dashboard to the next."""
        return self.path / "dataset"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"


def basic_environment() -> dict[str, str]:
    """The few settings that a program needs from the terminal's environment.

    Everything else stays out: an AWS profile or a proxy of the user must not steer local runs.
    """
    kept = ("PATH", "LANG", "LC_ALL", "TERM", "UV_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    return {name: os.environ[name] for name in kept if name in os.environ}


PYTHON = Path(sys.executable)
