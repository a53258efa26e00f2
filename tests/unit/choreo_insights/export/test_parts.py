"""How a history is divided into parts."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.export.parts import (
    MOST_PARTS,
    Backfill,
    Part,
    Place,
    Span,
    TooManyParts,
    divide,
    spans,
)

DAY = date(2026, 3, 10)
ACME, GLOBEX = Place("acme", "e-1"), Place("globex", None)
days = st.dates(date(2020, 1, 1), date(2030, 1, 1))


@given(days, st.integers(0, 800), st.integers(1, 400))
def test_spans_hold_each_day_once_the_oldest_first(first: date, more: int, length: int) -> None:
    last = first + timedelta(days=more)
    held = []
    for each in spans(first, last, length):
        count = (each.last - each.first).days + 1
        assert 1 <= count <= length
        held += [each.first + timedelta(days=number) for number in range(count)]
    assert held == [first + timedelta(days=number) for number in range(more + 1)]


@given(
    st.lists(
        st.builds(Place, st.sampled_from("abc"), st.none() | st.sampled_from("xyz")),
        min_size=1,
        unique=True,
    ),
    days,
    # Twelve places at most, of whose days one execution holds each as a part.
    st.integers(0, MOST_PARTS // 12 - 1),
    st.none() | st.integers(1, 100),
)
def test_parts_hold_each_day_of_each_place_once(
    where: list[Place], first: date, more: int, length: int | None
) -> None:
    found = divide(where, first, first + timedelta(days=more), span=length)
    held = [
        (part.place, part.span.first + timedelta(days=number))
        for part in found.parts
        for number in range((part.span.last - part.span.first).days + 1)
    ]
    assert len(held) == len(set(held)) == len(where) * (more + 1)
    ends = [part.span.last for part in found.parts]
    assert ends == sorted(ends)
    assert found.fits


def test_spans_grow_until_one_execution_holds_them() -> None:
    where = [Place(f"organization-{number}", "e-1") for number in range(60)]
    found = divide(where, date(2025, 1, 1), date(2026, 3, 1))
    assert found.fits
    assert {(part.span.last - part.span.first).days for part in found.parts} > {27}
    with pytest.raises(TooManyParts, match="3660 parts are too many"):
        divide(where, date(2025, 1, 1), date(2026, 3, 1), span=7)
    many = [Place("a" * 90, "b" * 90)] * 2000
    with pytest.raises(TooManyParts, match="2000 parts are too many"):
        divide(many, DAY, DAY)


def test_a_century_of_days_is_divided_in_a_moment() -> None:
    found = divide([ACME], date(2000, 1, 1), date(2099, 12, 31))
    assert found.fits
    assert found.parts[0].span.first == date(2000, 1, 1)


@given(st.sampled_from([ACME, GLOBEX, Place("a.b", 'Zürich, "Süd"')]), days, st.integers(0, 9))
def test_the_name_follows_from_the_input(where: Place, first: date, more: int) -> None:
    part = Part(where, Span(first, first + timedelta(days=more)))
    one = Backfill((part,))
    assert one.name == Backfill((part,)).name
    since = datetime(2026, 1, 1, tzinfo=UTC)
    others = [{"tables": ("apis",)}, {"again": True}, {"force": True}, {"since": since}]
    assert len({replace(one, **other).name for other in [{}, *others]}) == 5
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,70}", one.name)
    (written,) = json.loads(one.input)["parts"]
    assert Part.of_event({**written, "organizations": [where.organization]}) == part
