"""No right is granted of which nobody knows that it is needed."""

from collections import Counter
from pathlib import Path

import pytest

from choreo_insights_cli.template import Template
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
