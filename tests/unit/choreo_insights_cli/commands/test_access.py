"""`insights access`: what a file of rules may say, and what becomes of them."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from choreo_insights.dataset.access_rules import (
    ACCESS_RULES_KEY,
    Rule,
    decode_rules,
    encode_rules,
)
from choreo_insights.dataset.registry_merge import KnownEnvironment
from choreo_insights.dataset.registry_tables import environments_object
from choreo_insights_cli.commands import access
from choreo_insights_cli.errors import BadNews, CommandError, WrongUsage
from choreo_insights_cli.main import program
from tests.fakes import s3, states
from tests.fakes.deployed import DeployedStack
from tests.fakes.s3 import FakeS3, Object

DAY = date(2026, 1, 1)
OWNER = "arn:aws:quicksight:eu-central-1:111122223333:group/default/owners"


def known(*environments: tuple[str, str]) -> tuple[KnownEnvironment, ...]:
    return tuple(
        KnownEnvironment(own, name, name, name, "CHOREO", (own,), DAY, DAY, listed=True)
        for own, name in environments
    )


KNOWN = {
    "acme": known(("id-p", "Production"), ("id-d", "Development, old")),
    "globex": known(("id-g", "Production"), ("id-t", "Test")),
}


def read(text: str) -> list[Rule]:
    return access.read(text, KNOWN)


def test_names_and_ids_of_environments_become_ids() -> None:
    text = (
        "\ufeffUserName,GroupName,organization,environment\n"
        "jane,,acme,Production\n"
        ',partners,acme,"Development, old"\n'
        ",partners,,id-t\n"
        ",partners,,Test\n"
        ",staff,,\n"
        "\n"
        "kim,both,globex,\n"
    )
    assert read(text.lstrip("\ufeff")) == [
        Rule(None, "partners", None, "id-t"),
        Rule(None, "partners", "acme", "id-d"),
        Rule(None, "staff", None, None),
        Rule("jane", None, "acme", "id-p"),
        Rule("kim", "both", "globex", None),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (",,acme,Production", "line 2: it names neither a UserName nor a GroupName"),
        ('"a,b",,acme,', "line 2: UserName 'a,b' has a comma"),
        (',g,"acme,globex",', "line 2: organization 'acme,globex' has a comma"),
        (",g,initech,", "'initech' is not exported. The stack exports acme, globex."),
        (",g,acme,Tset", "'Tset' is not known. There are Development, old, Production."),
        (",g,acme,Producton", "'Producton' is not known. Did you mean Production?"),
        (",g,acne,", "'acne' is not exported. Did you mean acme?"),
        (",g,,Production", "'Production' is there in several organisations"),
        (",g,acme,id-t", "'id-t' is not known"),
        (",g,acme,Production,more", "line 2: it has more cells than the first line"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line: str, said: str) -> None:
    with pytest.raises(WrongUsage) as error:
        read(f"UserName,GroupName,organization,environment\n{line}\n,ok,acme,\n")
    assert str(error.value).startswith("Nothing was stored:\n  line 2")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names neither UserName nor GroupName"),
        ("organization\nacme\n", "names neither UserName nor GroupName"),
        ("GroupName,colour\na,b\n", "['colour'] are none of UserName"),
    ],
)
def test_a_first_line_that_cannot_be(text: str, said: str) -> None:
    with pytest.raises(WrongUsage) as error:
        read(text)
    assert said in str(error.value)


def test_quicksight_takes_999_rules_of_a_user() -> None:
    many = {"acme": known(*((f"id-{number}", f"E{number}") for number in range(1001)))}
    lines = [f"jane,acme,id-{number}\n" for number in range(1001)]
    head = "UserName,organization,environment_id\n"
    assert len(access.read(head + "".join(lines[:999]), many)) == 999
    with pytest.raises(WrongUsage, match="UserName 'jane' has 1001 rules; QuickSight takes 999"):
        access.read(head + "".join(lines), many)


def test_rules_are_read_back_as_they_were_stored() -> None:
    rules = [Rule("a", None, "acme", None), Rule(None, "g", None, "id")]
    assert decode_rules(encode_rules(rules)) == rules
    assert decode_rules(encode_rules([])) == []


class QuickSight:
    """Ingestions, which take some looks until they end."""

    def __init__(self, *looks: str) -> None:
        self.looks = list(looks)
        self.created: list[dict[str, str]] = []

    def create_ingestion(self, **given: str) -> None:
        self.created.append(given)

    def describe_ingestion(self, **given: str) -> dict[str, Any]:
        assert given.items() <= self.created[0].items()
        ingestion: dict[str, Any] = {"IngestionStatus": self.looks.pop(0)}
        if ingestion["IngestionStatus"] == "FAILED":
            ingestion["ErrorInfo"] = {"Message": "no capacity"}
        return {"Ingestion": ingestion}


@pytest.fixture
def stack() -> Iterator[DeployedStack]:
    """A stack with rules in QuickSight, and two organisations."""
    with s3.running() as fake, states.running() as machine:
        for handle, environments in KNOWN.items():
            kind = environments_object(handle)
            fake.objects[kind.key] = Object(kind.body(environments), '"e"', {})
        yield DeployedStack(
            fake,
            machine,
            Organizations="acme,globex",
            QuickSightPrincipalArn=OWNER,
            QuickSightRules="true",
        )


def stored(stack: DeployedStack) -> list[Rule]:
    body = stack.s3.get_object(Bucket=s3.BUCKET, Key=ACCESS_RULES_KEY)["Body"].read()
    return decode_rules(body)


RULES = [Rule(None, "partners", "acme", None)]


def test_the_rules_are_stored_and_taken_in(stack: DeployedStack) -> None:
    stack.quicksight = QuickSight("INITIALIZED", "RUNNING", "COMPLETED")
    slept: list[float] = []
    done = access.store(stack, RULES, sleep=slept.append)
    assert stored(stack) == RULES
    (created,) = stack.quicksight.created
    assert created == {
        "AwsAccountId": "111122223333",
        "DataSetId": "synthetic-stack-access_rules",
        "IngestionId": done.ingestion,
        "IngestionType": "FULL_REFRESH",
    }
    assert (done.rules, done.users, done.groups, len(slept)) == (1, 0, 1, 2)


def test_an_import_that_fails_is_said(stack: DeployedStack) -> None:
    stack.quicksight = QuickSight("FAILED")
    with pytest.raises(BadNews, match=r"did not take them in \(FAILED: no capacity\)"):
        access.store(stack, RULES)
    stack.quicksight = QuickSight(*["RUNNING"] * 1000)
    with pytest.raises(CommandError, match="has not taken the rules in after 900 s"):
        access.store(stack, RULES, sleep=lambda _: None)


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_the_command_without_rules_in_quicksight(
    stack: DeployedStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    stack.parameters["QuickSightRules"] = "false"
    monkeypatch.setattr("choreo_insights_cli.options.Stack", lambda *_, **__: stack)
    file = tmp_path / "rules.csv"
    file.write_text("\ufeffGroupName,organization,environment\npartners,acme,\n", "utf-8")
    done = CliRunner().invoke(program, ["access", str(file), *arguments])
    assert done.exception is None
    if arguments:
        assert done.output == "1 rule of 0 users and 1 group would be stored.\n"
        objects: FakeS3 | Any = stack.s3.list_objects_v2(Bucket=s3.BUCKET)["Contents"]
        assert ACCESS_RULES_KEY not in {each["Key"] for each in objects}
    else:
        assert "Deploy with QuickSightRules=true" in done.output
        assert stored(stack) == RULES
