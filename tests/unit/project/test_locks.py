"""Every package that is installed is pinned, by version and by what its files are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = sorted([*ROOT.glob("dev/requirements/*.txt"), ROOT / "layers/insights/requirements.txt"])
INPUTS = sorted([*ROOT.glob("dev/requirements/*.in"), ROOT / "layers/insights/requirements.in"])
REQUIREMENT = re.compile(
    r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,._-]+\])?==\S+(?: ; [^\\]+?)?(?P<hashes>( --hash=\S+)+)"
)


def requirements(lock: Path) -> list[str]:
    """The lock's requirements, each in one line."""
    text = re.sub(r"\s*\\\n\s*", " ", lock.read_text("utf-8"))
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def test_each_list_of_packages_has_its_lock() -> None:
    assert [path.with_suffix(".txt") for path in INPUTS] == LOCKS
    assert len(LOCKS) >= 7


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name + "/" + lock.name)
def test_each_line_has_a_version_and_hashes(lock: Path) -> None:
    found = requirements(lock)
    assert found
    for line in found:
        match = REQUIREMENT.fullmatch(line)
        assert match, line
        for digest in match["hashes"].split():
            assert re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", digest), line


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name + "/" + lock.name)
def test_no_line_says_where_from(lock: Path) -> None:
    """An index, a link or a file would be taken in place of what the hashes were made of."""
    text = lock.read_text("utf-8")
    assert not re.search(r"index-url|find-links|trusted-host|://|^-e | @ ", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name + "/" + lock.name)
def test_what_was_asked_for_is_in_the_lock(lock: Path) -> None:
    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[\[=<>~!; ]", name)[0]).lower()

    locked = {plain(line) for line in requirements(lock)}
    asked = lock.with_suffix(".in").read_text("utf-8").splitlines()
    names = {plain(line) for line in asked if line and not line.startswith(("#", "-"))}
    assert names <= locked


@pytest.mark.parametrize("recipe", ["dev/make/venvs.mk", "layers/insights/Makefile"])
def test_nothing_is_installed_without_its_hashes(recipe: str) -> None:
    """`pip compile` alone may look at what has none: it writes them."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / recipe).read_text("utf-8"))
    for line in text.splitlines():
        if re.search(r"pip (install|sync)", line):
            assert "--require-hashes" in line or "$(ONLY)" in line, line
    assert "--require-hashes" in text
