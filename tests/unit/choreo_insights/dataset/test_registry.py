"""Keys are bound to ids for ever, whatever the lists say; names outlive what they name."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choreo_insights.catalogue import Column
from choreo_insights.dataset.parquet import decode, encode
from choreo_insights.dataset.partitions import Environment
from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_merge import Environments, Names
from choreo_insights.dataset.registry_tables import REGISTRY_ENVIRONMENTS_COLUMNS
from choreo_insights.errors import PersonMustAct, Retriable
from tests.unit.choreo_insights.memory import MemoryDataset

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ENVIRONMENTS = "insights/registry_environments/acme.parquet"
PRODUCTION = Environment("p", "Production", "ON_PREM", ("p",), "Production")
NAMES = "insights/registry_names/acme.Production.parquet"
DAY = timedelta(days=1)


def entry(
    own_id: str | None, name: str | None, kind: str = "ON_PREM", **ids: str
) -> dict[str, Any]:
    """A row of the table `environments`."""
    row = {"environment_id": own_id, "environment_name": name, "type": kind}
    return {**row, **dict.fromkeys(("external_env_id", "internal_env_id", "sandbox_env_id")), **ids}


def api(own_id: str | None, name: str, version: str = "1.0") -> dict[str, Any]:
    return {"api_id": own_id, "api_name": name, "version": version, "provider": "ann"}


class Runs:
    """Runs over one dataset, a day apart by default."""

    def __init__(self) -> None:
        self.dataset = MemoryDataset()
        self.day = TODAY

    def registry(self) -> Registry:
        """As a new run has it."""
        return Registry(self.dataset, "run", lambda: NOW)

    def list(self, *rows: Mapping[str, Any], force: bool = False) -> Environments:
        return self.registry().environments("acme", rows, self.day, force=force)

    def keys(self, *rows: Mapping[str, Any]) -> dict[str, str]:
        """The key of each environment of a list."""
        return {each.id: each.key_name for each in self.list(*rows).usable}

    def apis(self, *rows: Mapping[str, Any], force: bool = False) -> Any:
        return self.registry().names("acme", PRODUCTION, "api", rows, self.day, force=force)

    def store(self, table: str, day: date, place: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """An object as release 0.1.0 has written it."""
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["environment_id"]
        columns = [Column(name, "string") for name in names]
        body = encode(columns, {n: [row.get(n) for row in rows] for n in names}, len(rows))
        key = f"insights/{table}/day={day}/{place}.parquet"
        self.dataset.put(key, body, queried_at=NOW, run="old")

    def data(self, day: date, place: str, own_id: str, name: str = "E") -> None:
        self.store("total_traffic", day, place, [{"environment_id": own_id, "environment": name}])


@pytest.fixture
def runs() -> Runs:
    return Runs()


# Keys


def test_keys_that_follow_from_names_never_change(runs: Runs):
    # Objects are found by these texts for ever, so neither rule nor length may change.
    rows = [entry("e1", "Headquarters, Zürich"), entry("e2", "Dev"), entry("e3", "Dev")]
    assert runs.keys(*rows) == {
        "e1": "Headquarters-Zurich-cbfae515",
        "e2": "Dev",
        "e3": "Dev-cef7fc13",
    }


def test_a_renamed_environment_keeps_its_key_and_its_legacy_ids(runs: Runs):
    before = runs.list(entry("p", "Production", "CHOREO")).usable[0]
    after = runs.list(entry("p", "Prod EU", "CHOREO")).usable[0]
    assert (after.name, after.key_name, after.ids) == ("Prod EU", "Production", before.ids)
    assert "Production and Sandbox" in after.ids


def test_legacy_ids_belong_to_one_environment_and_not_to_a_name(runs: Runs):
    runs.list(entry("p", "Production", "CHOREO"), entry("x", "Other", "CHOREO"))
    usable = runs.list(
        entry("x", "Production", "CHOREO"), entry("y", "Production", "CHOREO")
    ).usable
    assert [each.ids for each in usable] == [("x",), ("y",)]


def test_a_later_name_brings_no_legacy_ids(runs: Runs):
    runs.list(entry("x", "Other", "CHOREO"))
    assert runs.list(entry("x", "Production", "CHOREO")).usable[0].ids == ("x",)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_order_of_a_list_decides_nothing(order: tuple[int, ...]):
    rows = [entry("a", "Dev", "CHOREO"), entry("b", "Dev", "CHOREO"), entry("c", "Dev-3e23e816")]
    runs = Runs()
    found = {each.id: each for each in runs.list(*(rows[i] for i in order)).usable}
    other = {each.id: each for each in Runs().list(*rows).usable}
    assert found == other


def test_another_order_of_two_environments_of_one_name_swaps_no_keys(runs: Runs):
    a, b = entry("a", "Dev"), entry("b", "Dev")
    assert runs.keys(a, b) == runs.keys(b, a)


def test_a_key_is_not_given_to_another_environment_that_has_the_name_now(runs: Runs):
    assert runs.keys(entry("a", "Dev")) == {"a": "Dev"}
    assert runs.keys(entry("b", "Dev"))["b"] != "Dev"
    assert runs.keys(entry("a", "Dev"), entry("b", "Dev"))["a"] == "Dev"
    # Also after it has been away for a list.
    runs.keys(entry("b", "Dev"))
    assert runs.keys(entry("b", "Dev"), entry("c", "Dev"))["c"] != "Dev"


def test_a_name_may_look_like_the_key_of_another_environment(runs: Runs):
    # The second choice of 3 is the first one of 2.
    rows = [entry("1", "Dev"), entry("2", "Dev-4e074085"), entry("3", "Dev")]
    keys = runs.keys(*rows)
    assert keys == {"1": "Dev", "2": "Dev-4e074085", "3": keys["3"]}
    assert keys["3"] not in (keys["1"], keys["2"])
    assert Runs().keys(*rows[::-1]) == keys


IDS = st.sampled_from("abcde")
NAMES_OF = st.sampled_from(["Dev", "Prod", "Prod EU", "Dev-3e23e816", ""])
LISTS = st.lists(st.dictionaries(IDS, NAMES_OF, min_size=1), max_size=6)


@settings(max_examples=40, deadline=None)
@given(LISTS, st.randoms(use_true_random=False))
def test_an_id_has_one_key_and_a_key_one_id_for_ever(lists, random):
    runs, other = Runs(), Runs()
    seen: dict[str, str] = {}
    for number, named in enumerate(lists):
        runs.day = other.day = TODAY + number * DAY
        rows = [entry(own_id, name, "CHOREO") for own_id, name in named.items()]
        keys = runs.keys(*rows)
        random.shuffle(rows)
        assert other.keys(*rows) == keys
        assert keys.items() <= (seen | keys).items()
        assert all(seen.get(own_id, key) == key for own_id, key in keys.items())
        seen |= keys
        assert len(set(seen.values())) == len(seen)
    held = [each.ids for each in runs.registry().known("acme")]
    assert len({i for ids in held for i in ids}) == sum(map(len, held))


@given(st.permutations(range(3)))
def test_lists_of_different_days_may_come_in_any_order(order):
    lists = (
        [entry("a", "Dev"), entry("b", "Test")],
        [entry("a", "Dev 2"), entry("b", "Test")],
        [entry("a", "Dev 3")],
    )
    runs = Runs()
    runs.list(*lists[0])  # binds the keys
    for number in order:
        runs.day = TODAY + number * DAY
        runs.list(*lists[number])
    found = {each.id: each for each in runs.registry().known("acme")}
    assert [found[i].name for i in "ab"] == ["Dev 3", "Test"]
    assert [found[i].listed for i in "ab"] == [True, False]
    assert [found[i].last_listed for i in "ab"] == [TODAY + 2 * DAY, TODAY + DAY]
    assert found["a"].first_listed == TODAY


def test_all_ids_under_which_data_was_ever_kept_are_queried(runs: Runs):
    runs.list(entry("a", "Dev", external_env_id="x", sandbox_env_id="s"), entry("b", "Test"))
    usable = runs.list(entry("a", "Dev"), entry("b", "Test", internal_env_id="s")).usable
    # `s` is listed with the other one now: its rows would count twice.
    assert [each.ids for each in usable] == [("a", "x"), ("b", "s")]


# Lists that cannot be right


def test_an_empty_list_needs_a_person_where_the_last_one_was_not(runs: Runs):
    assert not runs.list().usable
    runs.list(entry("a", "Dev"))
    with pytest.raises(
        PersonMustAct, match="list of environments of the organisation acme is empty"
    ):
        runs.list()
    assert runs.registry().known("acme")[0].listed


def test_an_empty_list_that_was_accepted_is_quiet_from_then_on(runs: Runs):
    runs.list(entry("a", "Dev"))
    runs.list(force=True)
    assert not runs.registry().known("acme")[0].listed
    assert not runs.list().usable
    assert runs.keys(entry("a", "Dev")) == {"a": "Dev"}


def test_an_entry_that_does_not_say_which_it_is_fails_alone(runs: Runs):
    runs.list(entry("z", "Old"))
    found = runs.list(
        entry(None, "Lost"),
        entry("", "Gone"),
        entry("b", "One"),
        entry("b", "Two"),
        entry("a", "Dev"),
        entry("a", "Dev"),
    )
    assert [each.id for each in found.usable] == ["a"]
    assert [(each.environment_id, each.name) for each in found.refused] == [
        (None, "Gone, Lost"),
        ("b", "One, Two"),
    ]
    assert re.search("2 without an id .Gone, Lost.", str(found.refused[0].reason))
    # What is not there may be one of those without an id.
    assert {each.id: each.listed for each in runs.registry().known("acme")} == {
        "a": True,
        "z": True,
    }


# The object


def test_the_object_is_a_table_of_the_dataset(runs: Runs):
    runs.list(entry("p", "Production", "CHOREO", external_env_id="x"))
    [row] = runs.dataset.rows(ENVIRONMENTS)
    assert [*row] == [column.name for column in REGISTRY_ENVIRONMENTS_COLUMNS]
    assert row["organization"] == "acme"
    assert row["ids"].split(",")[:2] == ["p", "x"]
    assert (row["first_listed"], row["last_listed"], row["listed"]) == (TODAY, TODAY, True)


def test_an_object_is_read_once_a_run_and_written_once_a_day(runs: Runs):
    reads, writes = [], []
    read, replace = runs.dataset.read, runs.dataset.replace
    runs.dataset.read = lambda key: (reads.append(key), read(key))[1]  # type: ignore[method-assign]
    runs.dataset.before = writes.append
    for _ in range(3):
        runs.list(entry("a", "Dev"))
        runs.apis(api("1", "Pay"))
    assert (reads.count(ENVIRONMENTS), reads.count(NAMES)) == (3, 3)
    assert (writes.count(ENVIRONMENTS), writes.count(NAMES)) == (1, 1)
    runs.day += DAY
    runs.list(entry("a", "Dev"))
    assert writes.count(ENVIRONMENTS) == 2
    assert replace


def test_what_another_run_has_written_meanwhile_is_merged(runs: Runs):
    def other(key: str) -> None:
        runs.dataset.before = lambda _: None
        runs.list(entry("b", "Dev"))

    runs.dataset.before = other
    keys = runs.keys(entry("a", "Dev"), entry("b", "Dev"))
    assert keys["b"] == "Dev"
    assert {each.id: each.key for each in runs.registry().known("acme")} == keys


def test_a_run_that_is_always_overtaken_can_be_repeated(runs: Runs):
    runs.list(entry("a", "Dev"))
    days = iter(range(1, 100))

    def other(key: str) -> None:
        before, runs.dataset.before = runs.dataset.before, lambda _: None
        runs.registry().environments("acme", [entry("a", f"{next(days)}")], TODAY)
        runs.dataset.before = before

    runs.dataset.before = other
    with pytest.raises(Retriable, match="written by others 8 times"):
        runs.list(entry("a", "Dev"), entry("b", "Test"))


def test_a_damaged_object_names_the_command_that_makes_it_anew(runs: Runs):
    runs.dataset.put(ENVIRONMENTS, b"PAR1", queried_at=NOW, run="x")
    with pytest.raises(PersonMustAct, match=f"{ENVIRONMENTS} .*--rebuild-registry"):
        runs.list(entry("a", "Dev"))
    body = encode([Column("environment_id", "string")], {"environment_id": ["a"]}, 1)
    runs.dataset.put(ENVIRONMENTS, body, queried_at=NOW, run="x")
    with pytest.raises(PersonMustAct, match=f"{ENVIRONMENTS} .*--rebuild-registry"):
        runs.registry().known("acme")


def test_an_object_of_a_newer_release_stays_as_it_is(runs: Runs):
    runs.list(entry("a", "Dev"))
    columns = [*REGISTRY_ENVIRONMENTS_COLUMNS, Column("region", "string")]
    values = {**decode(runs.dataset.objects[ENVIRONMENTS].body), "region": ["eu"]}
    runs.dataset.put(ENVIRONMENTS, encode(columns, values, 1), queried_at=NOW, run="x")
    with pytest.raises(
        PersonMustAct, match=r"columns of a newer release .region.*--rebuild-registry"
    ):
        runs.list(entry("a", "Dev"))


def test_a_column_that_an_older_object_lacks_is_null(runs: Runs):
    runs.apis(api("1", "Pay"))
    columns = decode(runs.dataset.objects[NAMES].body)
    del columns["display_name"]
    kinds = {"first_listed": "date", "last_listed": "date", "listed": "boolean"}
    of = [Column(name, kinds.get(name, "string")) for name in columns]  # type: ignore[arg-type]
    runs.dataset.put(NAMES, encode(of, columns, 1), queried_at=NOW, run="x")
    assert runs.apis(api("1", "Pay")).known[0].display_name is None


# APIs and applications


def queried(names: Names, day: date) -> list[str]:
    return [each.id for each in names.queried(day)]


def test_an_api_is_queried_for_the_days_on_which_it_was_listed(runs: Runs):
    runs.apis(api("1", "Pay"), api("2", "Orders"))
    runs.day += DAY
    names = runs.apis(api("1", "Pay"))
    assert queried(names, TODAY) == ["1", "2"]
    assert queried(names, TODAY + DAY) == ["1"]
    assert names.listed == {"1"}


def test_an_api_that_is_deleted_during_a_day_is_queried_for_that_day(runs: Runs):
    runs.apis(api("1", "Pay"), api("2", "Orders"))
    names = runs.apis(api("1", "Pay"))
    assert queried(names, TODAY) == ["1", "2"]
    assert names.listed == {"1"}


UUID = "0d1f8d3e-0c5b-4f43-9a0e-2f3c9f0a5b11"


@pytest.mark.parametrize(
    ("answered", "resolved"),
    [
        ("a1", "a1"),
        ("Orders - v1", "a1"),
        ("Zoë - x - 2", "c1"),
        (UUID, UUID),
        ("Orders", "a1"),
        ("Pay - 1.0", None),
        ("Pay", None),
        ("Orders - v2", None),
        ("", None),
        (None, None),
    ],
)
def test_an_id_is_resolved_only_where_it_is_certain(runs: Runs, answered, resolved):
    rows = [
        api("a1", "Orders", "v1"),
        api("b1", "Pay"),
        api("b2", "Pay"),
        api("c1", "Zoë - x", "2"),
    ]
    assert runs.apis(*rows).resolve(answered) == resolved


def test_a_shared_name_belongs_to_the_one_that_is_listed(runs: Runs):
    runs.apis(api("old", "Pay"), api("gone", "Orders"))
    runs.day += DAY
    names = runs.apis(api("new", "Pay"))
    assert names.resolve("Pay - 1.0") == "new"
    assert names.resolve("Orders - 1.0") == "gone"


def test_names_of_both_kinds_are_in_one_object_per_environment(runs: Runs):
    registry = runs.registry()
    registry.names("acme", PRODUCTION, "api", [api("1", "Pay")], TODAY)
    row = {"application_id": "1", "application_name": "Shop", "owner": "bob"}
    found = registry.names("acme", PRODUCTION, "application", [row], TODAY)
    assert [each.name for each in found.known] == ["Shop"]
    assert [
        (r["kind"], r["name"], r["provider"], r["owner"]) for r in runs.dataset.rows(NAMES)
    ] == [
        ("api", "Pay", "ann", None),
        ("application", "Shop", None, "bob"),
    ]


def test_what_is_gone_keeps_its_last_name(runs: Runs):
    runs.apis(api("1", "Pay"), api("2", "Orders"))
    runs.apis(api("2", "Orders", "2.0"))
    kept = {
        row["id"]: (row["name"], row["version"], row["listed"]) for row in runs.dataset.rows(NAMES)
    }
    assert kept == {"1": ("Pay", "1.0", False), "2": ("Orders", "2.0", True)}


def test_an_empty_list_of_apis_needs_a_person_where_the_last_one_was_not(runs: Runs):
    runs.apis()
    runs.apis(api("1", "Pay"))
    with pytest.raises(PersonMustAct, match="list of APIs of the environment Production of acme"):
        runs.apis()
    assert queried(runs.apis(force=True), TODAY) == ["1"]
    assert not runs.apis().listed


def test_all_applications_may_be_deleted(runs: Runs):
    row = {"application_id": "1", "application_name": "Shop", "owner": "bob"}
    registry = runs.registry()
    registry.names("acme", PRODUCTION, "application", [row], TODAY)
    assert not registry.names("acme", PRODUCTION, "application", [], TODAY).listed


def test_a_row_without_an_id_is_no_api_and_deletes_none(runs: Runs):
    runs.apis(api("1", "Pay"), api("2", "Orders"))
    names = runs.apis(api("1", "Pay"), api(None, "?"))
    assert names.listed == {"1", "2"}
