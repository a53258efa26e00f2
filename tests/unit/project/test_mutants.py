"""The stored faults of `make mutants` fit the code that there is."""

import pytest

from choreo_insights_cli.paths import ROOT
from tests.mutants.__main__ import DAYS, Patch, patched, patches


@pytest.mark.parametrize("patch", patches(), ids=lambda patch: patch.name)
def test_a_patch_applies_and_names_tests_that_exist(patch: Patch) -> None:
    text = (ROOT / patch.file).read_text("utf-8")
    assert patched(patch, text) != text
    assert patch.tests
    for test in patch.tests:
        path, _, name = (DAYS if test == "days" else test).partition("::")
        assert (ROOT / path).is_file(), test
        assert not name or f"def {name}(" in (ROOT / path).read_text("utf-8"), test


def test_each_patch_has_a_name_and_each_invariant_patches() -> None:
    names = [patch.name for patch in patches()]
    assert len(set(names)) == len(names)
    assert {patch.invariant for patch in patches()} >= {"I1", "I2", "I3", "I4", "I5"}
