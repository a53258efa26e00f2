"""Which names of an API are sent, and what a name stands for."""

from datetime import date

import pytest

from choreo_insights.dataset.registry_merge import KnownName, Names

DAY = date(2026, 11, 20)
BEFORE = date(2026, 11, 1)


def api(
    own_id: str,
    name: str | None = "orders",
    version: str = "v1",
    display: str | None = None,
    last: date = DAY,
) -> KnownName:
    return KnownName("api", own_id, name, version, BEFORE, last, last == DAY, display)


def sent(*known: KnownName, day: date = DAY) -> dict[str, tuple[str, ...]]:
    return {each.id: each.names[1:] for each in Names(known).queried(day)}


def test_all_names_of_an_api_are_sent():
    assert sent(api("a", display="Orders, all of them")) == {
        "a": ("orders - v1", "orders", "Orders, all of them")
    }
    assert sent(api("a", None)) == {"a": ()}


def test_equal_names_are_sent_once():
    assert sent(api("a", "orders", display="orders")) == {"a": ("orders - v1", "orders")}


def test_a_name_that_several_share_is_not_sent():
    versions = sent(api("a", display="Orders"), api("b", version="v2", display="Orders"))
    assert versions == {"a": ("orders - v1",), "b": ("orders - v2",)}
    assert sent(api("a"), api("b")) == {"a": (), "b": ()}
    # The display name of one is the name of the other.
    assert sent(api("a"), api("b", "bills", display="orders")) == {
        "a": ("orders - v1",), "b": ("bills - v1", "bills")
    }  # fmt: skip


def test_a_shared_name_and_version_belongs_to_the_one_that_is_listed():
    gone = api("gone", last=BEFORE)
    assert sent(api("a"), gone, day=BEFORE) == {"a": ("orders - v1",), "gone": ()}
    listed, _ = Names([api("a"), gone]).queried(BEFORE)
    assert listed.shared
    # On a day on which the other one was not there any more, nothing is shared.
    assert sent(api("a"), gone) == {"a": ("orders - v1", "orders")}


def test_those_that_are_listed_come_first():
    found = Names([api("gone", "bills", last=BEFORE), api("a")]).queried(BEFORE)
    assert [(each.id, each.listed) for each in found] == [("a", True), ("gone", False)]


@pytest.mark.parametrize(
    ("known", "answered", "stands_for"),
    [
        ([api("a", display="Orders")], "orders", "a"),
        ([api("a", display="Orders")], "Orders", "a"),
        ([api("a"), api("b", version="v2")], "orders", None),
        ([api("a"), api("b", version="v2")], "orders - v2", "b"),
        ([api("a"), api("b", last=BEFORE)], "orders - v1", "a"),
        ([api("a"), api("b", last=BEFORE)], "orders", None),
        ([api("a"), api("b")], "orders - v1", None),
    ],
)
def test_a_name_stands_for_an_api_where_that_is_certain(known, answered, stands_for):
    assert Names(known).resolve(answered) == stands_for
