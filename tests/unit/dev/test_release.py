"""What was released stays readable, and what is taken away is told."""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from choreo_insights_cli.generate.everything import version
from choreo_insights_cli.paths import ROOT
from dev import release
from dev.release import CHANGELOG, Release, broken, current, last, missed, renamed, sections

HITS = {"time_span": "timestamp", "hits": "bigint"}
OLD = Release("0.1.0", 1, {"cache": HITS}, {"daily": HITS}, {"daily": {"hits": "INTEGER"}})
TEXT = CHANGELOG.read_text("utf-8")
ADVICE = "files keep their types, so give the column another name"


def changed(**values) -> Release:
    return msgspec.structs.replace(OLD, **values)


def test_no_column_of_the_last_release_has_another_type():
    assert broken(last(), current(), renamed()) == [], ADVICE


def test_what_the_last_release_had_is_there_or_the_change_log_says_so():
    told = sections(TEXT)["Unreleased"]
    lost = [name for name in missed(last(), current(), renamed()) if f"`{name}`" not in told]
    assert lost == [], "under Unreleased in CHANGELOG.md, name what is gone or renamed"


@pytest.mark.parametrize(
    ("now", "names"),
    [
        (OLD, []),
        (changed(tables={"cache": {**HITS, "more": "string"}, "new": HITS}), []),
        (changed(tables={}), ["cache"]),
        (changed(tables={"cache": {"time_span": "timestamp"}}), ["cache.hits"]),
        (changed(tables={"cache": {**HITS, "hits": "double"}}), ["cache.hits"]),
        (changed(tables={"cache": {"time_span": "timestamp", "n": "bigint"}}), ["cache.hits"]),
        (changed(views={}), ["daily"]),
        (changed(data_sets={"daily": {"hits": "DECIMAL"}}), ["daily.hits"]),
        (changed(dataset=2), ["DatasetVersion"]),
    ],
)
def test_what_is_missed_is_named(now: Release, names: list[str]):
    assert list(missed(OLD, now, {"cache": {"hits": "n"}})) == names, now


def test_another_type_breaks_a_table_under_its_own_name_and_under_a_new_one():
    same = changed(tables={"cache": {**HITS, "hits": "double"}})
    other = changed(tables={"cache": {"time_span": "timestamp", "n": "double"}})
    assert broken(OLD, same, {}) == ["cache.hits"]
    assert broken(OLD, other, {"cache": {"hits": "n"}}) == ["cache.n"]
    # Without the history it is a column that goes and one that comes.
    assert broken(OLD, other, {}) == []


def test_the_newest_release_is_this_version():
    unreleased, newest, *_ = sections(TEXT)
    assert unreleased == "Unreleased"
    assert newest == version(ROOT) == last().version
    assert re.fullmatch(r"\d+\.\d+\.\d+", newest)
    dated = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d{2}-\d{2}$", TEXT, re.M)
    assert dated == list(sections(TEXT))[1:]
    assert dated == sorted(dated, key=lambda v: [int(p) for p in v.split(".")], reverse=True)


@dataclass
class Place:
    """A change log and a snapshot of a test's own."""

    log: Path
    file: Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path / "CHANGELOG.md", tmp_path / "released.json")
    monkeypatch.setattr(release, "CHANGELOG", place.log)
    monkeypatch.setattr(release, "FILE", place.file)
    return place


def test_a_release_is_kept_once_its_changes_are_under_its_version(place: Place):
    this = version(ROOT)
    place.log.write_text(
        f"## [Unreleased]\n\n- More.\n\n## [{this}] - 2026-01-01\n\n- All.\n", "utf-8"
    )
    assert release.main() == 1
    assert not place.file.exists()
    place.log.write_text(f"## [Unreleased]\n\n## [{this}] - 2026-01-01\n\n- More.\n", "utf-8")
    assert release.main() == 0
    assert last() == current()


def test_a_version_that_the_change_log_has_not_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
):
    place.log.write_text("## [Unreleased]\n\n## [0.0.1] - 2026-01-01\n\n- All.\n", "utf-8")
    assert release.main() == 1
    assert f"a heading [{version(ROOT)}]" in capsys.readouterr().err
