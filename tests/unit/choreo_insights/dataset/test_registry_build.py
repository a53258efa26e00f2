"""A registry made from a dataset: keys that have objects stay, and doubt needs a person."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.dataset.partitions import safe_name
from choreo_insights.errors import PersonMustAct
from tests.unit.choreo_insights.dataset.test_registry import DAY, TODAY, Runs, api, entry

ENVIRONMENTS = "insights/registry_environments/acme.parquet"


def hashed(own_id: str) -> str:
    return hashlib.sha256(own_id.encode()).hexdigest()[:8]


class Old(Runs):
    """Runs of release 0.1.0: its keys follow from names and from the order of the list."""

    def run(self, *rows: tuple[str, str], lists: bool = True, back: int = 1) -> None:
        """A run of a day, which exports that day and some before it."""
        if lists:
            listed = [entry(own_id, name) for own_id, name in rows]
            self.store("environments", self.day, "acme", listed)
        taken: set[str] = set()
        for own_id, name in rows:
            key = safe_name(name)
            key = f"{key}-{hashed(own_id)}" if key in taken else key
            taken.add(key)
            for number in range(back + 1):
                self.data(self.day - number * DAY, f"acme.{key}", own_id, name)
        self.day += DAY

    def owners(self) -> dict[str, set[str]]:
        """The ids that each key has rows of."""
        found: dict[str, set[str]] = {}
        for key in self.dataset.objects:
            if key.startswith("insights/total_traffic/"):
                place = key.split("acme.")[1].removesuffix(".parquet")
                ids = {row["environment_id"] for row in self.dataset.rows(key)}
                found.setdefault(place, set()).update(ids - {None})
        return found


@pytest.fixture
def old() -> Old:
    return Old()


def refused(old: Old, *rows: tuple[str, str]) -> list[str | None]:
    """The ids of a list that need a person."""
    found = old.list(*(entry(*row) for row in rows))
    return [each.environment_id for each in found.refused]


def test_keys_of_a_dataset_stay_as_they_are(old: Old):
    rows = [("b", "Dev"), ("a", "Dev"), ("c", "Q & A")]
    old.run(*rows)
    assert old.keys(*(entry(*row) for row in rows[::-1])) == {
        "b": "Dev",
        "a": f"Dev-{hashed('a')}",
        "c": safe_name("Q & A"),
    }


def test_what_a_rename_has_doubled_needs_a_person_and_the_others_go_on(old: Old):
    old.run(("a", "Production"), ("b", "Dev"))
    old.run(("a", "Prod EU"), ("b", "Dev"))
    found = old.list(entry("a", "Prod EU"), entry("b", "Dev"))
    assert [each.key_name for each in found.usable] == ["Dev"]
    assert [each.environment_id for each in found.refused] == ["a"]
    reason = str(found.refused[0].reason)
    assert "Prod EU of acme" in reason
    assert "Production, " in reason
    assert "`insights migrate`" in reason
    # The object says so from then on: the dataset is not listed again.
    old.dataset.everything = lambda: pytest.fail("listed again")  # type: ignore[assignment]
    assert refused(old, ("a", "Prod EU"), ("b", "Dev")) == ["a"]


def test_a_rename_under_a_registry_that_was_lost_since_is_in_doubt_for_nobody(old: Old):
    old.run(("a", "Production"))
    old.store("environments", old.day, "acme", [entry("a", "Prod EU")])
    old.data(old.day, "acme.Production", "a", "Prod EU")
    assert old.keys(entry("a", "Prod EU")) == {"a": "Production"}


def test_environments_that_another_order_has_mixed_need_a_person(old: Old):
    old.run(("a", "Dev"), ("b", "Dev"), ("c", "Test"))
    old.run(("b", "Dev"), ("a", "Dev"), ("c", "Test"))
    assert refused(old, ("a", "Dev"), ("b", "Dev"), ("c", "Test")) == ["a", "b"]


def test_an_environment_that_was_made_anew_under_its_name_needs_a_person(old: Old):
    old.run(("a", "Dev"))
    old.run(("b", "Dev"))
    assert refused(old, ("b", "Dev")) == ["b"]


def test_keys_that_were_bound_by_id_are_not_taken_for_those_of_the_order(old: Old):
    # The registry of this dataset was lost: `a` had the plain key, whatever the order of the list.
    old.store("environments", old.day, "acme", [entry("b", "Dev"), entry("a", "Dev")])
    old.data(old.day, "acme.Dev", "a")
    old.data(old.day, f"acme.Dev-{hashed('b')}", "b")
    assert refused(old, ("b", "Dev"), ("a", "Dev")) == ["b", "a"]


def test_without_lists_the_data_says_whose_a_key_is(old: Old):
    old.run(("a", "Dev"), ("b", "Dev"), lists=False)
    old.run(("b", "Live"), lists=False)
    found = old.list(entry("a", "New name"), entry("b", "Live"))
    assert [(each.id, each.key_name) for each in found.usable] == [("a", "Dev")]
    known = {each.id: each for each in old.registry().known("acme")}
    assert known["a"].first_name == "Dev"
    # Older objects first: that is the first name.
    assert known["b"].unmerged_keys == (f"Dev-{hashed('b')}", "Live")
    assert known["b"].key == f"Dev-{hashed('b')}"


def test_without_lists_an_empty_list_needs_a_person(old: Old):
    old.run(("a", "Dev"), ("b", "Prod"), lists=False)
    with pytest.raises(PersonMustAct, match=r"the list of environments of .* acme is empty"):
        old.list()
    # What a list lacks, it lacks: the next empty one is the same failure, and no news of `b`.
    old.list(entry("a", "Dev"))
    assert [(each.id, each.listed) for each in old.registry().known("acme")] == [
        ("a", True),
        ("b", False),
    ]


def test_files_without_rows_say_nothing_and_few_are_read(old: Old):
    old.data(TODAY - 30 * DAY, "acme.Old", "a", "Old")
    for back in range(20):
        old.store("total_traffic", TODAY - back * DAY, "acme.Quiet", [])
    for back in range(1, 7):
        old.store("total_traffic", TODAY - back * DAY, "acme.Old", [])
    reads: list[str] = []
    read = old.dataset.read
    old.dataset.read = lambda key: (reads.append(key), read(key))[1]  # type: ignore[method-assign]
    assert old.keys(entry("a", "New"), entry("b", "Quiet")) == {"a": "Old", "b": "Quiet"}
    assert len([key for key in reads if "Quiet" in key]) == 8


def test_objects_that_are_no_data_bind_no_key(old: Old):
    for table in ("runs", "checks"):
        old.store(table, TODAY, "acme.Dev", [{"environment_id": "a"}])
    old.data(TODAY, "other.Dev", "x")
    old.data(TODAY, "acme-2.Dev", "x")
    assert old.keys(entry("b", "Dev")) == {"b": "Dev"}


def test_a_damaged_list_is_named(old: Old):
    old.run(("a", "Dev"))
    key = f"insights/environments/day={TODAY}/acme.parquet"
    old.dataset.objects[key].body = b"PAR1"
    with pytest.raises(PersonMustAct, match=f"{key} cannot be read"):
        old.list(entry("a", "Dev"))


def test_names_come_from_every_list_that_is_stored(old: Old):
    def listed(day: date, *rows: Mapping[str, Any]) -> None:
        own: Sequence[Mapping[str, Any]] = [{**row, "environment_id": "p"} for row in rows]
        # The key was another environment's once.
        other = {**api("x", "Theirs"), "environment_id": "q"}
        old.store("apis", day, "acme.Production", [*own, other])

    listed(TODAY - 2 * DAY, api("1", "Pay"), api("2", "Orders"))
    listed(TODAY - DAY, api("1", "Payments"))
    application = {"application_id": "s", "application_name": "Shop", "owner": "bob"}
    own = [{**application, "environment_id": "p"}]
    old.store("applications", TODAY - DAY, "acme.Production", own)
    names = old.apis(api("1", "Payments"))
    assert [(each.id, each.name, each.first_listed, each.last_listed) for each in names.known] == [
        ("1", "Payments", TODAY - 2 * DAY, TODAY),
        ("2", "Orders", TODAY - 2 * DAY, TODAY - 2 * DAY),
    ]
    assert [each.id for each in names.queried(TODAY - 2 * DAY)] == ["1", "2"]
    kinds = [
        row["kind"] for row in old.dataset.rows("insights/registry_names/acme.Production.parquet")
    ]
    assert kinds == ["api", "api", "application"]


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["Dev", "Prod", f"Dev-{hashed('a')}"])),
    min_size=1,
    max_size=3,
    unique_by=lambda row: row[0],
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=5), ROWS)
def test_what_is_exported_has_all_of_its_objects_and_no_other_ones_under_its_key(history, newest):
    old = Old()
    for rows in history:
        old.run(*rows)
    owners = old.owners()
    for own_id, key in old.keys(*(entry(*row) for row in newest)).items():
        assert owners.get(key, {own_id}) == {own_id}
        assert all(own_id not in ids for other, ids in owners.items() if other != key)
    known = old.registry().known("acme")
    assert len({each.key for each in known}) == len(known)


def test_nothing_is_written_by_looking(old: Old):
    old.run(("a", "Dev"))
    assert [each.key for each in old.registry().known("acme")] == ["Dev"]
    assert ENVIRONMENTS not in old.dataset.objects
