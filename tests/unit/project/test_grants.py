"""No right is granted of which nobody knows that it is needed."""

from collections import Counter
from pathlib import Path

import pytest

from choreo_insights_cli.main import COMMANDS
from choreo_insights_cli.template import Template
from tests import people
from tests.grants import SEEN, UNSEEN, Grant, Unseen, granted

TEMPLATE = Template(Path(__file__).parents[3] / "template.yaml")
ASKED_FOR = [grant for grants in SEEN.values() for grant in grants]
LISTED = [Grant(each.holder, each.sid, action) for each in UNSEEN for action in each.actions]


def test_each_right_is_tried_or_has_its_reason() -> None:
    """A new one goes to SEEN, with a path that breaks without it, or to UNSEEN with its reason."""
    assert Counter(map(str, granted(TEMPLATE))) == Counter(map(str, ASKED_FOR + LISTED))


@pytest.mark.parametrize("each", UNSEEN, ids=lambda each: f"{each.holder}-{each.sid}")
def test_a_reason_says_something(each: Unseen) -> None:
    assert len(each.reason) > 40
    assert each.reason.endswith(".")


def test_a_statement_speaks_of_one_kind_of_resource() -> None:
    """Otherwise one right of it could be needed for one of them alone."""
    for policy in TEMPLATE.policies():
        for statement in policy.statements:
            resources = statement.get("Resource", "")
            if isinstance(resources, list) and len(resources) > 1:
                bucket, objects = resources
                assert statement["Effect"] == "Deny"
                assert objects == f"{bucket}/*"


def test_the_review_counts_the_rights() -> None:
    review = (Path(__file__).parents[3] / "docs/security-review.md").read_text("utf-8")
    assert f"| {len(ASKED_FOR)} of {len(ASKED_FOR + LISTED)} rights |" in review
    assert f"| {len(LISTED)} of {len(ASKED_FOR + LISTED)} |" in review
    needed = people.permissions()
    seen = [
        action
        for command, actions in needed.items()
        for action in actions
        if not people.is_unseen(command, action)
    ]
    whole = sum(map(len, needed.values()))
    assert f"{len(needed)} commands, {whole} permissions" in review
    assert f"the local AWS asks for {len(seen)} |" in review


def test_each_command_has_its_permissions_in_the_docs() -> None:
    assert people.permissions().keys() == COMMANDS.keys() - {"tables"}
    for command, unseen in people.UNSEEN.items():
        listed = people.permissions()[command]
        for each in unseen:
            service = each.removesuffix("*")
            assert any(action.startswith(service) for action in listed), each
