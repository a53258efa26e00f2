"""Remembers between commands which programs of a local deployment run in the background."""

import json
import shutil
from dataclasses import asdict, dataclass

from dev.local.aws import LocalAws
from dev.local.background import Background
from dev.local.choreo import Sandbox
from dev.local.paths import Folder


@dataclass
class LocalState:
    """The running parts of a local deployment."""

    aws: LocalAws | None = None
    sandbox: Sandbox | None = None

    @classmethod
    def load(cls, folder: Folder) -> "LocalState":
        """Loads the saved programs."""
        if not folder.state.exists():
            return cls()
        saved = json.loads(folder.state.read_text("utf-8"))
        state = cls()
        if part := saved["aws"]:
            state.aws = LocalAws(Background(**part.pop("process")), **part)
        if part := saved["sandbox"]:
            state.sandbox = Sandbox(Background(**part.pop("process")), **part)
        return state

    def save(self, folder: Folder) -> None:
        """Saves the state, as soon as a program started: Ctrl-C may come at any moment."""
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.state.write_text(json.dumps(asdict(self)), "utf-8")

    def stop(self, folder: Folder) -> bool:
        """Stops everything; whether anything ran."""
        running = [part.process for part in (self.aws, self.sandbox) if part]
        for process in running:
            process.stop()
        self.aws = self.sandbox = None
        folder.state.unlink(missing_ok=True)
        folder.env.unlink(missing_ok=True)
        shutil.rmtree(folder.path / "aws", ignore_errors=True)
        return bool(running)
