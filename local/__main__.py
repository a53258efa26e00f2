"""`python -m local COMMAND`: what the Makefile's commands do. Settings come as variables."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Never

from botocore.exceptions import BotoCoreError, ClientError

from local import background, dashboard, demo, deploy, export, secret, token, up
from local.backfill import command as backfill
from local.doctor import command as doctor
from local.errors import CommandError
from local.places import STACK_NAME, Folder
from local.state import State
from local.status import command as status


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
    stopped = [State.load(part).stop(part) for part in (folder, demo.folder_of(folder))]
    print("Stopped." if any(stopped) else "Nothing was running.")


def _demo() -> None:
    demo.main(Folder.default())


_COMMANDS: dict[str, Callable[[], int | None]] = {
    "up": _local_up,
    "down": _local_down,
    "demo": _demo,
    "deploy": deploy.deploy_to_aws,
    "secret": secret.main,
    "token": token.main,
    "export": export.main,
    "backfill": backfill.main,
    "dashboard": dashboard.main,
    "doctor": doctor.main,
    "status": status.main,
}


def main(arguments: list[str]) -> int:
    """Runs a command; its exit status."""
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        print(f"usage: python -m local {'|'.join(_COMMANDS)}", file=sys.stderr)
        return 2
    # A program that a script put into the background ignores Ctrl-C unless it says otherwise.
    for number in background.INTERRUPTS:
        signal.signal(number, _interrupt)
    try:
        return _COMMANDS[arguments[0]]() or 0
    except CommandError as error:
        return _failed(str(error), 1)
    except (ClientError, BotoCoreError) as error:
        return _failed(f"AWS refused: {error}", 1)
    except KeyboardInterrupt:
        return _failed("Interrupted.", 130)
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
