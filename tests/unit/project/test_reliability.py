"""`docs/generated/reliability.md` has every fault and every invariant, with existing tests."""

import re
from pathlib import Path

import pytest

from tests.faults import page, selection
from tests.faults.invariants import INVARIANTS
from tests.faults.table import FAULTS, key

FOLDER = Path(__file__).parents[2]
PAGE = FOLDER.parent / "docs/generated/reliability.md"


def test_the_page_has_the_faults_that_there_are() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")][2:]
    # The last column is what a run of `make reliability` counted.
    assert [row.rstrip(" |").rpartition(" | ")[0] + " |" for row in rows] == [
        page.described(fault) for fault in FAULTS
    ], "run `make reliability`"


def test_the_page_says_that_each_fault_was_tried_and_survived() -> None:
    text = PAGE.read_text("utf-8")
    assert "not tried" not in text
    for line in text.splitlines():
        if line.startswith("| ") and " of " in line.rpartition(" | ")[2]:
            survived, _, tried = line.rpartition(" | ")[2].rstrip(" |").partition(" of ")
            assert int(survived) == int(tried) > 0, line


def test_each_fault_has_a_name_of_its_own_and_is_tried() -> None:
    names = [key(fault) for fault in FAULTS]
    assert len(set(names)) == len(names)
    tests = "".join(path.read_text("utf-8") for path in (FOLDER / "faults").glob("test_*.py"))
    for fault in FAULTS:
        assert bool(fault.cases) != bool(fault.by), fault.name
        assert not fault.by or f"def {fault.by}(" in tests
        ids = [case.id for case in fault.cases]
        assert len(set(ids)) == len(ids), fault.name


def test_the_page_has_the_invariants() -> None:
    text = PAGE.read_text("utf-8")
    for invariant in INVARIANTS:
        assert page.section(invariant) in text, "run `make reliability`"


def test_each_invariant_is_proved_by_tests_that_exist() -> None:
    there = {
        name
        for path in FOLDER.rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8"))) <= there
    for invariant in INVARIANTS:
        assert invariant.tests
        assert set(invariant.tests) - there == set(), invariant.name
        assert len(set(invariant.tests)) == len(invariant.tests)


EVERY = [(fault, case) for fault in FAULTS for case in fault.cases]
USUAL = [(fault, case) for fault, case in EVERY if not case.soak]


@pytest.mark.parametrize("first", [1, 2, 739_000])
def test_a_part_has_each_places_outcomes_and_a_few_parts_have_every_fault(first: int) -> None:
    parts = [selection.drawn(EVERY, "1", first + day) for day in range(selection.DAYS)]
    assert parts[0] == selection.drawn(EVERY, "1", first)
    for part in parts:
        assert {(fault.place, case.outcome) for fault, case in part} == {
            (fault.place, case.outcome) for fault, case in USUAL
        }
        assert all(each in USUAL for each in part)
        assert len(part) < len(USUAL) / 3
    assert {key(fault) for part in parts for fault, _ in part} == {key(fault) for fault, _ in USUAL}


def test_every_usual_case_is_drawn_in_time() -> None:
    drawn = {
        (key(fault), case.id)
        for day in range(150)
        for fault, case in selection.drawn(EVERY, "9", day)
    }
    assert drawn == {(key(fault), case.id) for fault, case in USUAL}


@pytest.mark.parametrize("counts", [{}, {key(FAULTS[0]): (3, 2)}])
def test_the_page_tells_what_was_not_survived(counts: page.Counts) -> None:
    text = page.text(counts)
    assert text.count("not tried") == len(FAULTS) - len(counts)
    assert ("| 2 of 3 |" in text) == bool(counts)
    assert f"{2 if counts else 0} of {3 if counts else 0} cases were survived." in text
