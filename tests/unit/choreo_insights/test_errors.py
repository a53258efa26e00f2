"""Errors are short, whoever wrote their text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights import errors
from choreo_insights.errors import MAX_REPLY, MAX_TEXT, BadAnswer, InsightsError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, InsightsError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_keeps_its_beginning_and_its_end(kind: type[InsightsError]) -> None:
    text = "what failed: " + "x" * 5_000_000 + ". What to do"
    shown = str(kind(text))
    assert len(shown) == MAX_TEXT
    assert shown.startswith("what failed: xxx")
    assert shown.endswith("xxx. What to do")


@given(st.text(max_size=2 * MAX_TEXT))
def test_a_text_within_the_bound_is_kept(text: str) -> None:
    shown = str(InsightsError(text))
    assert len(shown) <= MAX_TEXT
    assert (shown == text) is (len(text) <= MAX_TEXT)


def test_a_reply_is_kept_up_to_a_bound() -> None:
    assert BadAnswer("no", reply=b"x" * 3 * MAX_REPLY).reply == b"x" * MAX_REPLY
    assert BadAnswer("no", reply=b"x").reply == b"x"
    assert BadAnswer("no").reply is None
