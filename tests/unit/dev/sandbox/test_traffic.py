"""The generator: the same everywhere, growing while events come late, adding up."""

import itertools
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.sandbox import OrganizationSpec, World
from dev.sandbox.expected import expected_rows
from dev.sandbox.traffic import Traffic, percentile

ROOT = Path(__file__).parents[4]
WORLD = World(organizations=[OrganizationSpec("acme", apis=4)])
PLACE = WORLD.organization("acme").environment("Production")
HOUR = 492_345
PRINT = """
import hashlib
from datetime import UTC, date, datetime
from dev.sandbox import World
from dev.sandbox.expected import TABLES, expected_rows
now = datetime(2026, 3, 9, 20, 15, tzinfo=UTC)
rows = [
    sorted(repr(sorted(row.items())) for row in
           expected_rows(World(7), table, "acme", "Headquarters, Zürich", date(2026, 3, 9), now))
    for table in TABLES
]
print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""


def at(hours: float) -> datetime:
    return datetime.fromtimestamp(HOUR * 3600, UTC) + timedelta(hours=hours)


@given(st.floats(0, 30), st.floats(0, 30), st.integers(0, 24))
@settings(max_examples=200)
def test_what_arrives_only_grows(first: float, second: float, late: int) -> None:
    earlier, later = sorted((first, second))
    traffic = Traffic()
    before = {c.stream.index: c for c in traffic.hour(PLACE, HOUR, at(earlier), late)}
    after = {c.stream.index: c for c in traffic.hour(PLACE, HOUR, at(later), late)}

    assert before.keys() <= after.keys()
    for index, cell in before.items():
        assert cell.ok <= after[index].ok
        assert cell.errors <= after[index].errors
        assert cell.hits <= after[index].hits


def test_cache_misses_never_fall_while_an_hour_arrives() -> None:
    newest: dict[int, int] = {}
    for minute in range(61):
        for cell in Traffic().hour(PLACE, HOUR, at(minute / 60), 0):
            misses = cell.ok - cell.hits
            assert misses >= newest.get(cell.stream.index, 0)
            newest[cell.stream.index] = misses
    assert any(newest.values())


@given(st.floats(25, 1000))
def test_a_day_later_nothing_comes_any_more(hours: float) -> None:
    assert Traffic().hour(PLACE, HOUR, at(hours)) == Traffic().hour(PLACE, HOUR, at(100_000))


def test_some_events_come_hours_late() -> None:
    totals = [
        sum(cell.total for cell in Traffic().hour(PLACE, HOUR, at(hours)))
        for hours in (-1, 0, 0.5, 1, 6, 15, 21, 30)
    ]

    assert totals[0] == totals[1] == 0
    assert totals[2] < totals[3] < totals[4] < totals[5] <= totals[6] == totals[7]


def test_without_late_events_an_hour_is_whole_at_its_end() -> None:
    assert Traffic().hour(PLACE, HOUR, at(1), 0) == Traffic().hour(PLACE, HOUR, at(99), 0)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_same_in_every_process(seed: str) -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": each, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"},
        ).stdout
        for each in (seed, "99")
    }

    assert len(found) == 1


def test_another_seed_is_another_world() -> None:
    now = datetime(2026, 3, 11, tzinfo=UTC)
    first, second = (
        expected_rows(World(seed), "total_traffic", "acme", "Production", date(2026, 3, 9), now)
        for seed in (1, 2)
    )

    assert first != second


def test_worlds_of_one_seed_but_other_sizes_are_kept_apart() -> None:
    now = datetime(2026, 3, 11, tzinfo=UTC)
    small, large = (
        expected_rows(
            World(organizations=[OrganizationSpec("acme", apis=apis)]),
            "total_traffic", "acme", "Production", date(2026, 3, 9), now,
        )[0]["total_traffic"]
        for apis in (3, 9)
    )  # fmt: skip

    assert small < large


def test_days_and_weeks_have_a_rhythm() -> None:
    def day(offset: int) -> int:
        first = HOUR // 24 * 24 + 24 * offset
        cells = (Traffic().hour(PLACE, first + i, at(10_000)) for i in range(24))
        return sum(cell.total for each in cells for cell in each)

    monday = next(i for i in range(7) if at(24 * i).weekday() == 0)
    assert day(monday) > 1.5 * day(monday + 6)
    hours = [sum(c.total for c in Traffic().hour(PLACE, HOUR + i, at(10_000))) for i in range(24)]
    assert max(hours) > 5 * min(hours)


@given(st.integers(0, 60), st.integers(0, 60))
def test_parts_add_up(first: int, second: int) -> None:
    middle = sorted((first, second))
    for cell in Traffic().hour(PLACE, HOUR, at(99)):
        bounds = [0, *middle, 60]
        parts = [cell.part(a, b, 60) for a, b in itertools.pairwise(bounds)]
        assert sum(part.ok for part in parts) == cell.ok
        assert sum(part.errors for part in parts) == cell.errors
        assert sum(part.hits for part in parts) == cell.hits


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), min_size=1))
def test_a_percentile_is_that_of_the_values_written_out(pairs: list[tuple[int, int]]) -> None:
    flat = sorted(value for value, weight in pairs for _ in range(weight))
    rank = -(-95 * len(flat) // 100)

    assert percentile(pairs, 95) == flat[rank - 1]


def test_a_percentile_of_nothing_is_none() -> None:
    assert percentile([], 95) is None


def test_names_are_awkward_on_purpose() -> None:
    world = World()
    apis = [api.name for api in world.organization("acme").environments[0].apis]
    places = [e.name for o in world.organizations.values() for e in o.environments]

    for text in (",", '"'):
        assert any(text in name for name in apis)
        assert any(text in name for name in places)
    assert any(not name.isascii() for name in apis)
    kinds = {e.type for o in world.organizations.values() for e in o.environments}
    assert kinds == {"CHOREO", "CHOREO_PRIVATE", "ON_PREM"}
    assert [e for o in world.organizations.values() for e in o.environments if not e.streams]


def test_ids_are_unique() -> None:
    world = World(organizations=[OrganizationSpec(name, apis=500) for name in ("a", "b")])
    ids = [api.id for o in world.organizations.values() for api in o.environments[0].apis]
    shown = [api.shown for o in world.organizations.values() for api in o.environments[0].apis]

    assert len(set(ids)) == len(ids) == 2 * 501
    assert len(set(shown[:501])) == 501
