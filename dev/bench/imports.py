"""The import time of a handler relative to that of its libraries: a cold start pays both."""

import subprocess
import sys
from dataclasses import dataclass

from choreo_insights_cli.paths import ROOT
from dev.bench.errors import BenchError

HANDLERS = ("token", "export")
_LIBRARIES = (
    "import boto3, requests; from aws_lambda_powertools import Logger; Logger(service='probe')"
)
# What programs need that talk to AWS.
_PROGRAM_LIBRARIES = "import boto3, click"
_HELP = "from choreo_insights_cli.main import main; main(['--help'])"
# Up to where it begins a session of AWS.
_COMMAND = """
import botocore.session
def reached(*_, **__):
    raise OSError("reached")
botocore.session.Session = reached
from choreo_insights_cli.main import main
from choreo_insights_cli.errors import NOT_DONE
assert main(["status"]) == NOT_DONE
"""
_PAIRS = 9


@dataclass(frozen=True)
class Imports:
    """Processor time of importing one handler and its libraries, and the libraries alone."""

    function: str
    seconds: float
    libraries: float

    @property
    def ratio(self) -> float:
        """The handler's time, times that of its libraries."""
        return self.seconds / self.libraries


def measure() -> list[Imports]:
    """Each handler. Raises BenchError where one cannot be imported."""
    return [_measure(function) for function in HANDLERS]


def starts() -> tuple[float, float]:
    """The start of `insights --help` and of `insights status`, times importing boto3 and click.

    Raises BenchError where one fails.
    """
    rounds = [tuple(map(_seconds, (_HELP, _COMMAND, _PROGRAM_LIBRARIES))) for _ in range(_PAIRS)]
    help_, command, libraries = map(min, zip(*rounds, strict=True))
    return help_ / libraries, command / libraries


def _measure(function: str) -> Imports:
    handler = f"sys.path.insert(0, {str(ROOT / 'functions' / function)!r}); import app"
    pairs = [(_seconds(handler), _seconds(_LIBRARIES)) for _ in range(_PAIRS)]
    # The least of each: whatever else the machine does only adds to it.
    return Imports(function, min(pair[0] for pair in pairs), min(pair[1] for pair in pairs))


def _seconds(code: str) -> float:
    """Processor time of the statements in a new interpreter."""
    timed = (
        f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'layers/insights')]!r}\n"
        f"from time import process_time as clock; start = clock()\n{code}\nprint(clock() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", timed],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise BenchError(f"import failed:\n{done.stderr[-4000:]}")
    return float(done.stdout.split()[-1])
