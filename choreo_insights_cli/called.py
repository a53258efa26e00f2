"""Commands that a message names, as the person who reads it calls them."""

import os
import re
import shlex

# The Makefile sets it: who types `make status` may have no `insights` in the PATH.
VARIABLE = "INSIGHTS_CALLED_BY"
# The makefile's names of a command's arguments, of which most are those of its options.
_ARGUMENT = {
    "token": "ACTION",
    "secret": "ORG",
    "query": "SQL",
    "logs": "FUNCTION",
    "tables": "TABLE",
    "access": "FILE",
}
_OPTION = {"prefix": "SECRET_PREFIX", "dry-run": "DRY"}
# How messages name a command; those of the functions name the one that most have at first.
_NAMED = re.compile(r"`insights ([^`\n]+)`|`make secret ORG=([^\s`]+)`")


def called(command: str) -> str:
    """`insights ...`, or `make ...` for who came through make: `backfill --stop NAME` say."""
    if os.environ.get(VARIABLE) != "make":
        return f"insights {command}"
    name, *words = shlex.split(command)
    if name == "tables" and not words:
        # Without arguments the target compiles the documents.
        words = ["--list"]
    parts = ["make", name]
    option = ""
    for word in words:
        if word.startswith("--"):
            parts += [f"{option}=1"] if option else []
            option = word.removeprefix("--")
            option = _OPTION.get(option, option.replace("-", "_").upper())
        else:
            parts.append(f"{option or _ARGUMENT.get(name, '')}={shlex.quote(word)}")
            option = ""
    return " ".join([*parts, *([f"{option}=1"] if option else [])])


def as_called(text: str) -> str:
    """A message in which commands stand in backticks, as the person who reads it calls them."""

    def renamed(found: re.Match[str]) -> str:
        try:
            return f"`{called(found[1] or f'secret {shlex.quote(found[2])}')}`"
        except ValueError:
            return found[0]

    return _NAMED.sub(renamed, text)
