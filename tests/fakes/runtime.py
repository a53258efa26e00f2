"""Runs a handler in a process of its own, as Lambda does: `runtime.py app.py replies.json`.

Events come as a JSON list on stdin, replies and errors go to the file; what the handler logs is
all that this process writes.
"""

import importlib.util
import json
import sys
from pathlib import Path


class Context:
    """What a handler may ask of its invocation."""

    function_name = "synthetic-token"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:synthetic-token"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """A minute and a half."""
        return 90_000


def main(app: str, replies: str) -> None:
    """Calls the handler once for each event."""
    spec = importlib.util.spec_from_file_location("app", app)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    answers = []
    for event in json.load(sys.stdin):
        try:
            answers.append({"reply": module.handler(event, Context())})
        except Exception as error:
            answers.append({"error": f"{type(error).__name__}: {error}"})
    Path(replies).write_text(json.dumps(answers), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
