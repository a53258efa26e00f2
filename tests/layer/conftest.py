"""The layer, built for this machine, and an interpreter that sees nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
VENVS = ROOT / (os.environ.get("VENVS") or ".venvs")
RUNTIME = VENVS / "runtime/bin/python"


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` puts under /opt/python, by the layer's own rule."""
    artifacts = tmp_path_factory.mktemp("layer")
    subprocess.run(
        ["make", "-s", "build-InsightsLayer"],
        cwd=ROOT / "layers/insights",
        env={
            **os.environ,
            "ARTIFACTS_DIR": str(artifacts),
            "LAYER_PLATFORM": "host",
            "LAYER_PYTHON": str(RUNTIME),
            "UV": str(VENVS / "uv/bin/uv"),
        },
        check=True,
    )
    return artifacts / "python"
