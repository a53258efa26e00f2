"""`make local` and `make local-down`: the stack on the local AWS, in the background."""

import os
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from choreo_insights_cli.commands import secret
from choreo_insights_cli.paths import STACK_NAME
from choreo_insights_cli.stack import Stack
from dev.local import aws, choreo, deploy
from dev.local.aws import LocalAws
from dev.local.paths import Folder
from dev.local.state import LocalState

_DAYS = 3
# The limit that protects a real subscription would only slow down the sandbox.
_SANDBOX_REQUESTS = "60000"


def up(folder: Folder) -> LocalState:
    """Deploys the stack and leaves it running. Running programs are reused.

    Raises CommandError.
    """
    external = choreo.external()
    # Checked before anything starts: a mistake costs a second and not a minute.
    chosen = deploy.given_parameters()
    state = LocalState.load(folder)
    start_aws(folder, state, iam=iam_wanted())
    assert state.aws  # noqa: S101 - narrows the type
    start_choreo(folder, state, external)
    earlier = deploy.earlier_parameters(Stack(STACK_NAME, state.aws.environment))
    values = kept(parameters(state, external), earlier) | chosen
    deploy.check_tables(earlier | values)
    store_secrets(state, values)
    deploy.build_locally(folder)
    deploy.deploy_locally(folder, state.aws, values)
    write_env(folder, state.aws)
    return state


def iam_wanted() -> bool:
    """Whether the local AWS enforces IAM policies: unless IAM=0."""
    return os.environ.get("IAM", "1") != "0"


def start_aws(folder: Folder, state: LocalState, *, iam: bool) -> None:
    """Starts the local AWS unless it runs with the same setting."""
    if state.aws and state.aws.process.alive and state.aws.iam == iam:
        return
    if state.aws:
        state.aws.process.stop()
    # Shells that read it would talk to a port that somebody else may have by now.
    folder.env.unlink(missing_ok=True)
    state.aws = aws.start(folder, iam=iam)
    state.save(folder)


def start_choreo(folder: Folder, state: LocalState, external: dict[str, str]) -> None:
    """Starts the sandbox, or stops it where another server replaces it."""
    if state.sandbox and state.sandbox.process.alive and not external:
        return
    if state.sandbox:
        state.sandbox.process.stop()
        state.sandbox = None
    if not external:
        state.sandbox = choreo.start_sandbox(folder)
    state.save(folder)


def parameters(state: LocalState, external: dict[str, str]) -> dict[str, str]:
    """The template parameters of a local deployment, before the user's own."""
    since = datetime.now(UTC).date() - timedelta(days=_DAYS)
    values = {"ExportSince": since.isoformat()}
    if state.sandbox:
        organizations = ",".join(state.sandbox.secrets())
        values |= {"Organizations": organizations, "RequestsPerMinute": _SANDBOX_REQUESTS}
        return values | state.sandbox.parameters
    return values | external | {"Organizations": "acme"}


def kept(values: dict[str, str], earlier: Mapping[str, str]) -> dict[str, str]:
    """The values of a deployment, with those of the stack that is there where it has any.

    Only a stack that talks to the same Choreo: another has other organisations.
    """
    if earlier.get("InsightsUrl") != values.get("InsightsUrl"):
        return values
    return values | {name: earlier[name] for name in values if name in earlier}


def store_secrets(state: LocalState, values: dict[str, str]) -> None:
    """Stores the secrets of the sandbox's organisations. Another server's are for the user."""
    if not state.sandbox or not state.aws:
        return
    stack = Stack(STACK_NAME, state.aws.environment)
    prefix = values.get("SecretPrefix", secret.PREFIX)
    for handle, content in state.sandbox.secrets().items():
        secret.store(stack, prefix, handle, content)


def write_env(folder: Folder, local: LocalAws) -> None:
    """Writes the variables for a shell to use the deployment."""
    settings = local.environment | {"STACK_NAME": STACK_NAME}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    folder.env.write_text("".join(lines), "utf-8")
