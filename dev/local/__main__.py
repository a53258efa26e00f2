"""`python -m dev.local COMMAND`: deploying, here and on AWS. Settings come as variables.

The commands for a deployed stack are those of `insights`, in `choreo_insights_cli`.
"""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Never

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights_cli.errors import INTERRUPTED, NOT_DONE, WRONG_USAGE, CommandError
from choreo_insights_cli.paths import STACK_NAME
from dev.local import background, demo, deploy, up
from dev.local.paths import Folder
from dev.local.state import LocalState


def _local_up() -> None:
    folder = Folder.default()
    state = up.up(folder)
    assert state.aws  # noqa: S101 - narrows the type
    print(f"The stack {STACK_NAME} runs on the local AWS at {state.aws.endpoint}.")
    if state.sandbox:
        print(f"It talks to the sandbox Choreo at {state.sandbox.url}.")
    print(f"For the shell: . {folder.env}\nTo stop it: make local-down")


def _local_down() -> None:
    folder = Folder.default()
    stopped = [LocalState.load(part).stop(part) for part in (folder, demo.folder_of(folder))]
    print("Stopped." if any(stopped) else "Nothing was running.")


def _demo() -> None:
    demo.main(Folder.default())


_COMMANDS: dict[str, Callable[[], int | None]] = {
    "up": _local_up,
    "down": _local_down,
    "demo": _demo,
    "deploy": deploy.deploy_to_aws,
}


def main(arguments: list[str]) -> int:
    """Runs a command; its exit status."""
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        print(f"usage: python -m dev.local {'|'.join(_COMMANDS)}", file=sys.stderr)
        return WRONG_USAGE
    # A program that a script put into the background ignores Ctrl-C unless it says otherwise.
    for number in background.INTERRUPTS:
        signal.signal(number, _interrupt)
    try:
        return _COMMANDS[arguments[0]]() or 0
    except CommandError as error:
        return _failed(str(error), error.exit_code)
    except (ClientError, BotoCoreError) as error:
        return _failed(f"AWS refused: {error}", NOT_DONE)
    except KeyboardInterrupt:
        return _failed("Interrupted.", INTERRUPTED)
    except BaseException:
        background.stop_all()
        raise


def _failed(message: str, status: int) -> int:
    # A second Ctrl-C must not leave half of it running.
    for number in background.INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    background.stop_all()
    print(message, file=sys.stderr)
    return status


def _interrupt(number: int, frame: FrameType | None) -> Never:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
