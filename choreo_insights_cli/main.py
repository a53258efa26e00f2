"""The program `insights`: its commands, and how it ends."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click
from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.errors import InsightsError
from choreo_insights_cli.errors import DONE, INTERRUPTED, NOT_DONE, CommandError
from choreo_insights_cli.paths import DISTRIBUTION

# Each is imported when it is called: together they bring a database and a plotting library.
COMMANDS = {
    "access": "choreo_insights_cli.commands.access",
    "backfill": "choreo_insights_cli.commands.backfill.command",
    "cost": "choreo_insights_cli.commands.cost",
    "dashboard": "choreo_insights_cli.commands.dashboard",
    "doctor": "choreo_insights_cli.commands.doctor.command",
    "export": "choreo_insights_cli.commands.export",
    "logs": "choreo_insights_cli.commands.logs",
    "migrate": "choreo_insights_cli.commands.migrate",
    "query": "choreo_insights_cli.commands.query",
    "report": "choreo_insights_cli.commands.report",
    "restore": "choreo_insights_cli.commands.restore.command",
    "secret": "choreo_insights_cli.commands.secret",
    "status": "choreo_insights_cli.commands.status.command",
    "tables": "choreo_insights_cli.commands.tables",
    "token": "choreo_insights_cli.commands.token",
}
_EXPECTED = (CommandError, InsightsError, ClientError, BotoCoreError, OSError)
_HELP = """\b
Examples:
  insights status                         how the dataset stands
  insights query "SELECT * FROM traffic_daily LIMIT 5"
  insights backfill --from 2025-01-01 --to 2025-12-31
  insights COMMAND --help                 more of each

\b
Exit codes:
  0    done, and all is well
  1    done, and something needs attention: partitions failed, days are missing, ...
  2    the command was called wrongly
  3    it could not be done: no such stack, AWS or Choreo cannot be asked, ...
  130  interrupted

The stack is that of --stack, --region and --profile; for the local AWS run `. .local/env` first.
"""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


@click.group(
    cls=_Lazy,
    epilog=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(message="%(version)s", package_name=DISTRIBUTION)
def program() -> None:
    """Your Choreo Insights data in your own S3: how it stands, and what to do with it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its exit code, as `choreo_insights_cli.errors` names them."""
    try:
        code = program.main(arguments, prog_name="insights", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # Whoever read the output has enough of it. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (*_EXPECTED, KeyboardInterrupt, click.Abort) as error:
        message, code = _ending(error)
        click.echo(message, err=True)
    return code if isinstance(code, int) else DONE


def _ending(error: BaseException) -> tuple[str, int]:
    """The message of an expected error, and the exit code."""
    if isinstance(error, CommandError):
        return str(error), error.exit_code
    if isinstance(error, InsightsError):
        return str(error), NOT_DONE
    if isinstance(error, ClientError | BotoCoreError):
        return f"AWS refused: {error}", NOT_DONE
    if isinstance(error, OSError):
        return str(error), NOT_DONE
    return "Interrupted.", INTERRUPTED
