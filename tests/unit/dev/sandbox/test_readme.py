"""The commands in the sandbox's page work as they are printed, but for the port."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from choreo_insights_cli.paths import ROOT
from tests.documents import blocks

COMMANDS = [c for b in blocks("sh") if b.page == "dev/sandbox/README.md" for c in b.commands]
ADDRESS = "http://127.0.0.1:8080"


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_it_serves_and_takes_faults() -> None:
    serve, add_fault = COMMANDS
    words = serve.replace("--port 8080", "--port 0").split()
    assert words.pop(0) == "python"
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/insights'}"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as serving:
        assert serving.stdout
        url = serving.stdout.readline().strip()
        assert ADDRESS in add_fault
        typed = add_fault.replace(ADDRESS, url)
        done = subprocess.run(
            ["/bin/sh", "-c", typed], capture_output=True, encoding="utf-8", check=True
        )
        serving.send_signal(signal.SIGTERM)
    assert serving.returncode == 0
    (rule,) = json.loads(done.stdout)
    assert (rule["fault"], rule["status"], rule["wait"]) == ("status", 429, "date")
