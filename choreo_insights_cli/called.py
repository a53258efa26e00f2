"""Commands that a message names, as the person who reads it calls them."""

import os
import shlex

# The Makefile sets it: who types `make status` may have no `insights` in the PATH.
VARIABLE = "INSIGHTS_CALLED_BY"
# The makefile's names of a command's arguments, of which most are those of its options.
_ARGUMENT = {"token": "ACTION", "secret": "ORG", "query": "SQL", "logs": "FUNCTION"}


def called(command: str) -> str:
    """`insights ...`, or `make ...` for who came through make: `backfill --stop NAME` say."""
    if os.environ.get(VARIABLE) != "make":
        return f"insights {command}"
    name, *words = shlex.split(command)
    parts = ["make", name]
    option = ""
    for word in words:
        if word.startswith("--"):
            parts += [f"{option}=1"] if option else []
            option = word.removeprefix("--").replace("-", "_").upper()
        else:
            parts.append(f"{option or _ARGUMENT.get(name, '')}={shlex.quote(word)}")
            option = ""
    return " ".join([*parts, *([f"{option}=1"] if option else [])])
