"""The program: the list of its commands."""

import os
import subprocess
import sys

from choreo_insights_cli.main import COMMANDS


def test_the_list_of_commands_imports_none_of_them():
    """Together they bring a database, rich and boto3."""
    code = (
        "import sys; from choreo_insights_cli.main import main; main(['--help']);"
        "print(*(m for m in sys.modules if 'commands' in m or m in"
        " ('botocore', 'rich', 'msgspec', 'tomllib', 'importlib.metadata')), 'end')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    *lines, imported = done.stdout.splitlines()
    assert imported == "end"
    for name in COMMANDS:
        (line,) = (each for each in lines if each.startswith(f"  {name} "))
        assert len(line.split()) > 3
