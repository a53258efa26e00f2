"""The program `insights`: its commands, and how it ends."""

# ruff: noqa: PLC0415 - a start takes as long as its imports: what few calls need, those import

import re
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from choreo_insights.errors import InsightsError
from choreo_insights_cli import output
from choreo_insights_cli.errors import DONE, INTERRUPTED, NOT_DONE, CommandError
from choreo_insights_cli.fitting import fitted
from choreo_insights_cli.paths import DISTRIBUTION, ROOT

# Each is imported when it is called: together they bring botocore, rich and a database.
COMMANDS = {
    "access": "choreo_insights_cli.commands.access",
    "backfill": "choreo_insights_cli.commands.backfill.command",
    "compact": "choreo_insights_cli.commands.compact",
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
# Of a function `command` at the top of its module.
_DOCSTRING = re.compile(r'^def command\(.*?:\n    """(.+?)"""', re.DOTALL | re.MULTILINE)
_DEBUG = "--debug"
_MEANING = re.compile(r"\S {2,}\S")
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
  3    it could not be done: no such stack, AWS or Choreo cannot be reached, ...
  130  interrupted

The stack is that of --stack, --region and --profile; for the local AWS run `. .local/env` first.
"""


def _summary(module: str) -> str:
    """The first sentence of a command's help, from its source.

    Importing all commands for a list of them takes seconds, and parsing them a part of one.
    """
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")
    found = _DOCSTRING.search(source)
    text = " ".join(found[1].split("\n\n")[0].split()) if found else ""
    return text.removesuffix(".")


class _Formatter(click.HelpFormatter):
    """Breaks long lines of examples too, which click leaves as they are.

    What follows a break stands below the meaning, behind two blanks or more, where there is one.
    """

    def getvalue(self) -> str:
        return "\n".join(map(self._fitted, super().getvalue().split("\n")))

    def _fitted(self, line: str) -> str:
        meaning = _MEANING.search(line)
        column = meaning.end() - 1 if meaning else 0
        indent = len(line) - len(line.lstrip())
        return fitted(line, self.width, max(0, column - indent))


# Contexts of all commands, which are made one by one, take it from here.
click.Context.formatter_class = _Formatter


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(COMMANDS[name])) for name in sorted(COMMANDS)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # click knows the commands that are registered, and these are not.
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from choreo_insights_cli.names import nearest

            near = nearest(args[0], COMMANDS) or f"The commands are {', '.join(sorted(COMMANDS))}."
            raise click.UsageError(f"No such command {args[0]!r}. {near}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lazy,
    epilog=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _, asked: _show_version(ctx) if asked else None,
    help="Show the version and exit.",
)
@click.option(_DEBUG, is_flag=True, help="Show where an error arose, for a report of a fault.")
def program(debug: bool) -> None:
    """Your Choreo Insights data in your own S3: how it stands, and what to do with it."""


def _show_version(ctx: click.Context) -> None:
    output.line(_version())
    ctx.exit()


def _version() -> str:
    """The version of the installation, or of the checkout that is run."""
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        return f"{project['version']} (checkout)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its exit code, as `choreo_insights_cli.errors` names them."""
    output.prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # It is understood after a command's name too.
    debug = _DEBUG in given
    try:
        code = program.main(
            [each for each in given if each != _DEBUG], prog_name="insights", standalone_mode=False
        )
        output.finish()
    except click.UsageError as error:
        usage = f"{error.ctx.get_usage()}\n" if error.ctx else ""
        output.line(f"{usage}Error: {error.format_message()}", error=True)
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            import traceback

            output.line(traceback.format_exc(), error=True)
        message, code = _ending(error)
        output.line(message, error=True)
    return code if isinstance(code, int) else DONE


def _ending(error: BaseException) -> tuple[str, int]:
    """The message of an error and the exit code."""
    if isinstance(error, CommandError):
        return str(error), error.exit_code
    if isinstance(error, InsightsError | OSError):
        return str(error), NOT_DONE
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "Interrupted.", INTERRUPTED
    if isinstance(error, click.ClickException):
        return f"Error: {error.format_message()}", error.exit_code
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError | BotoCoreError):
        return f"AWS refused: {error}", NOT_DONE
    from choreo_insights.redaction import redact

    said = redact(f"{type(error).__name__}: {error}")
    return f"insights failed unexpectedly: {said}. {_DEBUG} shows where.", NOT_DONE
