"""`sam build` and `sam deploy`, for the local AWS and for AWS."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from choreo_insights.catalogue import load
from choreo_insights.errors import ConfigurationError
from choreo_insights_cli import options
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import ROOT, STACK_NAME, catalogue
from choreo_insights_cli.releases.announce import announce
from choreo_insights_cli.stack import Stack
from dev.local import background
from dev.local.aws import REGION, LocalAws
from dev.local.parameters import check
from dev.local.paths import Folder, basic_environment, tool

# With `-backfill` it is a state machine's.
_LONGEST_NAME = 71
# Where a build has what its functions know of tables.
_CATALOGUE = Path("InsightsLayer/python/choreo_insights")
# sam itself, with PyYAML's parser in C: with the one in Python it spends half of its time there.
# It does not run long enough for garbage collection, which would take a quarter of the rest.
_SAM = """\
import gc, sys, yaml
gc.disable()
if yaml.__with_libyaml__:
    yaml.SafeLoader, yaml.SafeDumper = yaml.CSafeLoader, yaml.CSafeDumper
from samcli.cli.main import cli
sys.exit(cli(prog_name="sam"))
"""
_DEPLOY = (
    "--resolve-s3",
    "--no-confirm-changeset",
    "--no-fail-on-empty-changeset",
    "--no-progressbar",
    "--capabilities",
    "CAPABILITY_IAM",
    "CAPABILITY_AUTO_EXPAND",
)


def parameters(text: str) -> dict[str, str]:
    """The template parameters in `Name=value Name='a value'`.

    Raises CommandError for a word without a name and a `=`.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise CommandError(f"PARAMETERS={text}: {error}.") from error
    values = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isalnum():
            raise CommandError(
                f"PARAMETERS: {word!r} is not Name=value. A value with spaces needs quotes:"
                " PARAMETERS=\"ExportSchedule='rate(1 hour)'\"."
            )
        values[name] = value
    return values


def given_parameters() -> dict[str, str]:
    """The template parameters in the environment variable PARAMETERS.

    Raises CommandError, also for a name or a value that the template refuses.
    """
    values = parameters(os.environ.get("PARAMETERS", ""))
    check(values)
    check_tables(values)
    return values


def check_stack_name(name: str) -> None:
    """Raises WrongUsage for a name that CloudFormation takes and a resource then does not.

    Its state machine is `<name>-backfill`, of 80 characters at the most; Glue folds capitals, so
    the database would not be found under its name; Parameter Store refuses names whose first part
    begins with `aws` or `ssm`, so no token could be stored.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
    """
    if not re.fullmatch(rf"[a-z][a-z0-9-]{{0,{_LONGEST_NAME - 1}}}", name, re.ASCII):
        fault = "is not of small letters, digits and dashes, a letter first and at most"
        raise WrongUsage(f"STACK_NAME: {name!r} {fault} {_LONGEST_NAME}. Nothing was deployed.")
    if name.startswith(("aws", "ssm")):
        raise WrongUsage(
            f"STACK_NAME: {name!r} begins with {name[:3]!r}, which Parameter Store keeps for AWS,"
            " so no token could be stored: take another name. Nothing was deployed."
        )


def check_tables(values: Mapping[str, str]) -> None:
    """Raises WrongUsage where the parameter `Tables` names one that is none or switched off."""
    names = options.names(values.get("Tables", "all"))
    try:
        catalogue().chosen(None if names == ("all",) else names)
    except ConfigurationError as error:
        remedy = 'Nothing was deployed. PARAMETERS="Tables=all" exports every table.'
        raise WrongUsage(f"{error}. {remedy}") from error


def build_locally(folder: Folder) -> None:
    """Builds the template with a layer for the Python and the machine that run the local AWS."""
    # It fetches packages: proxies, certificates and mirrors of the terminal are for it.
    network = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = (
        network
        | _sam_environment(folder)
        | {
            "LAYER_PLATFORM": "host",
            "PYTHON": str(tool("localaws", "python")),
            "UV": str(tool("uv", "uv")),
        }
    )
    command: list[str | Path]
    command = ["build", "--template-file", ROOT / "template.yaml", "--build-dir", folder.build]
    _sam(folder, "build", [*command, *_no_settings(folder)], environment)


def deploy_locally(folder: Folder, aws: LocalAws, values: Mapping[str, str]) -> None:
    """Deploys the build to the local AWS, otherwise like `deploy_to_aws`."""
    announce(Stack(STACK_NAME, aws.environment), values, load(folder.build / _CATALOGUE))
    # CloudFormation is polled every 5 s by default; the local one is done after a few.
    environment = _sam_environment(folder) | aws.environment | {"SAM_CLI_POLL_DELAY": "0.5"}
    chosen = folder.path / "parameters.yaml"
    # The template leaves out resources that the emulator does not know: saved queries make it
    # refuse the whole change set.
    chosen.write_text(json.dumps({**values, "Emulated": "true"}), "utf-8")
    command: list[str | Path] = [
        *("deploy", "--template-file", folder.build / "template.yaml"),
        *("--stack-name", STACK_NAME, "--region", REGION, *_DEPLOY),
        *("--parameter-overrides", f"file://{chosen}", *_no_settings(folder)),
    ]
    _sam(folder, "deploy", command, environment)


def deploy_to_aws() -> None:
    """Builds for Lambda and deploys to the AWS account of the terminal's credentials.

    What PARAMETERS does not name keeps its value of the last deployment, or its default.
    First prints the changes of existing tables. Raises CommandError where they would break existing
    days, or when sam fails.
    """
    check_stack_name(os.environ.get("STACK_NAME") or STACK_NAME)
    chosen = given_parameters()
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "UV": str(tool("uv", "uv"))}
    # CloudFormation keeps earlier values by itself, but the layer is built before it is asked.
    values = earlier_parameters(Stack.of_terminal()) | chosen
    # A document may be gone since the last deployment.
    check_tables(values)
    environment |= layer_settings(values)
    _sam_here(["build"], environment)
    announce(Stack.of_terminal(), chosen, load(ROOT / ".aws-sam" / "build" / _CATALOGUE))
    _sam_here(["deploy", *_deploy_options(chosen)], environment)


def _sam_here(command: list[str], environment: Mapping[str, str]) -> None:
    """Runs sam in the terminal, which shows its output."""
    if subprocess.run([str(tool("sam", "sam")), *command], env=environment, check=False).returncode:
        raise CommandError(f"sam {command[0]} failed; its output above says why.")


def layer_settings(values: Mapping[str, str]) -> dict[str, str]:
    """The variables for the layer's make rule: the functions' processor and Python."""
    settings = {}
    if architecture := values.get("Architecture"):
        settings["LAYER_PLATFORM"] = "aarch64" if architecture == "arm64" else architecture
    if runtime := values.get("Runtime"):
        settings["LAYER_PYTHON"] = runtime.removeprefix("python")
    return settings


def earlier_parameters(stack: Stack) -> dict[str, str]:
    """The parameters of the stack as it is; none before the first deployment."""
    try:
        return stack.parameters
    except CommandError:
        return {}


def _deploy_options(values: Mapping[str, str]) -> list[str]:
    options = [*_DEPLOY, "--stack-name", os.environ.get("STACK_NAME") or STACK_NAME]
    if values:
        overrides = [f'{name}="{_escaped(value)}"' for name, value in values.items()]
        options += ["--parameter-overrides", *overrides]
    return options


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _sam(
    folder: Folder, step: str, command: list[str | Path], environment: Mapping[str, str]
) -> None:
    log = folder.log(f"sam-{step}")
    log.unlink(missing_ok=True)
    program: list[str | Path] = [tool("sam", "python"), "-c", _SAM]
    if background.run([*program, *command], environment, log, ROOT):
        raise CommandError(f"sam {step} failed:\n{background.tail(log, 60)}")


def _no_settings(folder: Folder) -> tuple[str, Path]:
    """An empty settings file: those in samconfig.toml are for AWS."""
    empty = folder.path / "samconfig.toml"
    empty.write_text("version = 0.1\n", "utf-8")
    return "--config-file", empty


def _sam_environment(folder: Folder) -> dict[str, str]:
    """sam's settings: no telemetry, and a record that it looked for a newer version already."""
    home = folder.path / "sam"
    home.mkdir(parents=True, exist_ok=True)
    (home / "metadata.json").write_text('{"lastVersionCheck": 99999999999}', "utf-8")
    return basic_environment() | {
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(home),
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
