"""The program: the list of its commands."""

import os
import subprocess
import sys

from choreo_insights_cli.main import COMMANDS


def test_the_list_of_commands_imports_none_of_them():
    """Together they bring a database, a plotting library and boto3."""
    code = (
        "import sys; from choreo_insights_cli.main import main; main(['--help']);"
        "print(*(m for m in sys.modules if m.startswith('choreo_insights_cli.commands.')), 'end')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    *lines, imported = done.stdout.splitlines()
    packages = {f"choreo_insights_cli.commands.{n}" for n in ("backfill", "doctor", "restore")}
    assert {*imported.split()} <= {*packages, "choreo_insights_cli.commands.status", "end"}
    for name in COMMANDS:
        (line,) = (each for each in lines if each.startswith(f"  {name} "))
        assert len(line.split()) > 3
