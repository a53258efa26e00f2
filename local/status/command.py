"""`make status`: shows how the dataset stands."""

import json
import os
import sys
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from insights.errors import InsightsError
from local.errors import CommandError
from local.stack import Stack
from local.status.reading import read
from local.status.show import as_dict, is_whole, show


def main() -> int:
    """Prints the status: ALL=1 each environment and all checks, JSON=1 for a machine.

    Gives the exit code.

    0: nothing is missing and nothing failed. 1: something is or did. 2: it cannot be told.
    """
    try:
        status = read(Stack.of_terminal(), datetime.now(UTC), everything=_asked("ALL"))
    except (CommandError, InsightsError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 2
    if _asked("JSON"):
        print(json.dumps(as_dict(status), indent=2, ensure_ascii=False))
    else:
        show(status, Console(), everything=_asked("ALL"))
    return 0 if is_whole(status) else 1


def _asked(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")
