"""A partition's rows as a file, and what APIs are called in answers."""

import pytest

from insights.files import Apis
from insights.questions import Rows

LISTED = Apis.listed(
    Rows(
        {
            "api_id": ["a1", "b1", "b2", "c1"],
            "api_name": ["Orders", "Pay", "Pay", "Zoë - x"],
            "version": ["v1", "1.0", "1.0", "2"],
        },
        4,
    )
)
UUID = "0d1f8d3e-0c5b-4f43-9a0e-2f3c9f0a5b11"


@pytest.mark.parametrize(
    ("answered", "resolved"),
    [
        ("a1", "a1"),
        ("Orders - v1", "a1"),
        ("Zoë - x - 2", "c1"),
        (UUID, UUID),
        ("Pay - 1.0", None),
        ("Orders - v2", None),
        ("", None),
        (None, None),
    ],
)
def test_an_id_is_resolved_only_where_it_is_certain(answered, resolved):
    assert LISTED.resolve(answered) == resolved
