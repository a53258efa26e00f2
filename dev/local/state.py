"""What of a local deployment runs in the background, remembered between commands."""

import json
import shutil
from dataclasses import asdict, dataclass

from dev.local.aws import LocalAws
from dev.local.background import Background
from dev.local.choreo import Sandbox
from dev.local.paths import Folder


@dataclass
class State:
    """The running parts of a local deployment."""

    aws: LocalAws | None = None
    sandbox: Sandbox | None = None

    @classmethod
    def load(cls, folder: Folder) -> "State":
        """What still runs of what was saved."""
        if not folder.state.exists():
            return cls()
        saved = json.loads(folder.state.read_text())
        state = cls()
        if found := saved["aws"]:
            state.aws = LocalAws(Background(**found.pop("process")), **found)
        if found := saved["sandbox"]:
            state.sandbox = Sandbox(Background(**found.pop("process")), **found)
        return state

    def save(self, folder: Folder) -> None:
        """Writes it down, at once when something was started: Ctrl-C may come any moment."""
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.state.write_text(json.dumps(asdict(self)))

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
