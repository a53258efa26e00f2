"""`make export`: calls the export function and shows what it did."""

import json
import os
from typing import Any

from local.errors import CommandError
from local.stack import Stack


def main() -> None:
    """Calls the export function with EVENT. Raises CommandError where a partition failed."""
    reply = Stack.of_terminal().call("ExportFunctionName", event(os.environ.get("EVENT", "")))
    print(json.dumps(reply, indent=2, ensure_ascii=False))
    if reply["failed"]:
        raise CommandError(f"{reply['failed']} partitions failed; the others are written.")


def event(text: str) -> dict[str, Any]:
    """The event that the user gave, `{}` where there is none. Raises CommandError."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise CommandError(f"EVENT={text} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise CommandError(f"EVENT={text} is not a JSON object, such as {{}}.")
    return found
