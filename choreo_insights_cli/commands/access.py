"""`insights access`: who may see what, as rules for QuickSight and for drawn dashboards."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from choreo_insights.dataset.access_rules import ACCESS_RULES, ACCESS_RULES_KEY, Rule, encode_rules
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_merge import KnownEnvironment
from choreo_insights.dataset.store import Dataset
from choreo_insights.report.figures import shown_names
from choreo_insights_cli import options, output, spinner
from choreo_insights_cli.errors import BadNews, CommandError, WrongUsage
from choreo_insights_cli.names import nearest
from choreo_insights_cli.stack import Stack

# QuickSight takes so many rules for a user or a group:
# https://docs.aws.amazon.com/quicksight/latest/user/restrict-access-to-a-data-set-using-row-level-security.html
MOST_RULES = 999
_USER, _GROUP = "UserName", "GroupName"
_COLUMNS = (_USER, _GROUP, "organization", "environment", "environment_id")
_ENDED = ("COMPLETED", "FAILED", "CANCELLED")
_WAIT_SECONDS = 900
_EXAMPLES = """\b
Examples:
  insights access rules.csv
  insights access rules.csv --check       looks at the file and changes nothing

The file has the columns UserName, GroupName, organization and environment (a name or an id). An
empty organization or environment means all. Who is in no rule sees nothing; owners of the data sets
see everything. The rules replace the earlier ones. Who may see what: docs/access.md.
"""


@dataclass(frozen=True)
class StoredRules:
    """What became of the rules. `ingestion` is None where the stack has no rules in QuickSight."""

    rules: int
    users: int
    groups: int
    ingestion: str | None


@click.command(epilog=_EXAMPLES)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Look at the file alone; store nothing.")
@options.as_json
@options.of_stack
def command(stack: Stack, file: Path, check: bool, as_json: bool) -> None:
    """Store who may see which organisations and environments."""
    with spinner.shown("reading the dataset") as say:
        rules = read(options.text_of(file, "The file"), environments(stack))
        stored = described(rules, None) if check else store(stack, rules, say)
    if as_json:
        output.as_json(stored.__dict__)
        return
    done = "would be" if check else "are"
    counts = (
        f"{count} {what}{'' if count == 1 else 's'}"
        for count, what in (
            (stored.rules, "rule"),
            (stored.users, "user"),
            (stored.groups, "group"),
        )
    )
    output.line("{} of {} and {} {} stored.".format(*counts, done))
    if stored.ingestion:
        output.line("QuickSight has taken them in.")
    elif not check:
        output.line(
            "The stack has no rules in QuickSight: they restrict `insights dashboard --for` alone."
            " Deploy with QuickSightRules=true to use them there."
        )


def environments(stack: Stack) -> dict[str, tuple[KnownEnvironment, ...]]:
    """Every environment that was ever listed, by organisation. Raises what `Registry` does."""
    dataset = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
    registry = Registry(dataset, "access", lambda: datetime.now(UTC))
    handles = options.names(stack.parameters["Organizations"])
    return {handle: registry.known(handle) for handle in handles}


def read(text: str, known: Mapping[str, Sequence[KnownEnvironment]]) -> list[Rule]:
    """The rules of a CSV file, each once, in order. Raises WrongUsage with all that is wrong."""
    table = csv.DictReader(text.splitlines())
    names = tuple(table.fieldnames or ())
    if unknown := [name for name in names if name not in _COLUMNS]:
        raise WrongUsage(f"The columns {unknown} are none of {', '.join(_COLUMNS)}.")
    if not {_USER, _GROUP} & set(names):
        raise WrongUsage(f"The first line names neither {_USER} nor {_GROUP}.")
    rules: dict[Rule, None] = {}
    faults: list[str] = []
    for number, row in enumerate(table, 2):
        cells = {name: (row.get(name) or "").strip() or None for name in _COLUMNS}
        if None in row:
            faults.append(f"line {number}: it has more cells than the first line")
        try:
            if any(cells.values()):
                rules[_rule(cells, known)] = None
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    faults += _too_many(rules)
    if faults:
        raise WrongUsage("Nothing was stored:\n  " + "\n  ".join(faults))
    return sorted(rules, key=lambda rule: tuple(map(str, rule_values(rule))))


def rule_values(rule: Rule) -> tuple[str | None, ...]:
    """The four values of a rule."""
    return rule.user, rule.group, rule.organization, rule.environment_id


def _rule(cells: Mapping[str, str | None], known: Mapping[str, Sequence[KnownEnvironment]]) -> Rule:
    """A line's rule. Raises ValueError."""
    if not (cells[_USER] or cells[_GROUP]):
        raise ValueError(f"it names neither a {_USER} nor a {_GROUP}")
    for name in (_USER, _GROUP, "organization"):
        # QuickSight reads several values between commas.
        if "," in (cells[name] or ""):
            raise ValueError(f"{name} {cells[name]!r} has a comma: write a line for each")
    organization = cells["organization"]
    if organization is not None and organization not in known:
        near = nearest(organization, known) or f"The stack exports {', '.join(known)}."
        raise ValueError(f"the organisation {organization!r} is not exported. {near}")
    named = {cells["environment"], cells["environment_id"]} - {None}
    ids = {_environment(str(each), organization, known) for each in named}
    if len(ids) > 1:
        raise ValueError("its environment and environment_id are two environments")
    return Rule(cells[_USER], cells[_GROUP], organization, next(iter(ids), None))


def _environment(
    given: str, organization: str | None, known: Mapping[str, Sequence[KnownEnvironment]]
) -> str:
    """The id of an environment by its id or name. Raises ValueError."""
    chosen = {organization: known[organization]} if organization else known
    of_all = [each for environments in chosen.values() for each in environments]
    for each in of_all:
        if each.id == given:
            return given
    matching = [
        own_id
        for environments in chosen.values()
        for own_id, name in shown_names(environments).items()
        if name == given
    ]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ValueError(
            f"the environment {given!r} is there in several organisations: name the organization"
        )
    known_names = sorted({n for each in chosen.values() for n in shown_names(each).values()})
    near = nearest(given, known_names) or f"There are {', '.join(known_names)}."
    raise ValueError(f"the environment {given!r} is not known. {near}")


def _too_many(rules: Mapping[Rule, None]) -> Iterator[str]:
    for kind, counts in (
        (_USER, Counter(rule.user for rule in rules)),
        (_GROUP, Counter(rule.group for rule in rules)),
    ):
        for name, count in counts.items():
            if name is not None and count > MOST_RULES:
                yield f"{kind} {name!r} has {count} rules; QuickSight takes {MOST_RULES}"


def described(rules: Sequence[Rule], ingestion: str | None) -> StoredRules:
    """How many rules there are, and of whom."""
    users, groups = ({getattr(r, kind) for r in rules} - {None} for kind in ("user", "group"))
    return StoredRules(len(rules), len(users), len(groups), ingestion)


def store(
    stack: Stack,
    rules: Sequence[Rule],
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> StoredRules:
    """Stores the rules in place of the earlier ones, and has QuickSight read them.

    Raises BadNews where QuickSight could not, or what botocore raises.
    """
    dataset = Dataset(stack.s3, stack.outputs["DatasetBucketName"])
    now = datetime.now(UTC)
    dataset.put(ACCESS_RULES_KEY, encode_rules(rules), queried_at=now, run="access")
    owner = stack.parameters.get("QuickSightPrincipalArn", "")
    if not owner or stack.parameters.get("QuickSightRules") != "true":
        return described(rules, None)
    say("QuickSight takes them in")
    # The stack's account, which the owner's ARN names.
    where = {"AwsAccountId": owner.split(":")[4], "DataSetId": f"{stack.name}-{ACCESS_RULES}"}
    ingestion = f"access-{now:%Y%m%dT%H%M%S%f}"
    _ingest(stack, where, ingestion, sleep)
    return described(rules, ingestion)


def _ingest(
    stack: Stack, where: dict[str, str], ingestion: str, sleep: Callable[[float], None]
) -> None:
    """Starts the import and waits for its end."""
    stack.quicksight.create_ingestion(**where, IngestionId=ingestion, IngestionType="FULL_REFRESH")
    for _ in range(_WAIT_SECONDS):
        found: dict[str, Any] = stack.quicksight.describe_ingestion(**where, IngestionId=ingestion)[
            "Ingestion"
        ]
        status = found["IngestionStatus"]
        if status == "COMPLETED":
            return
        if status in _ENDED:
            why = found.get("ErrorInfo", {}).get("Message", "no reason given")
            raise BadNews(
                f"The rules are stored, but QuickSight did not take them in ({status}: {why})."
                " Until it does, the earlier rules hold. Call `insights access` again."
            )
        sleep(1)
    raise CommandError(
        f"QuickSight has not taken the rules in after {_WAIT_SECONDS} s: look at the ingestion"
        f" {ingestion} of the data set {where['DataSetId']}."
    )
