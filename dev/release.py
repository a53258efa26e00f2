"""The tables, views and data sets of the last release: what others rely on, and may not lose."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from choreo_insights.catalogue import load
from choreo_insights.dataset.store import VERSION
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.generate.everything import version
from choreo_insights_cli.generate.quicksight import in_quicksight
from choreo_insights_cli.generate.quicksight.datasets import data_sets
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.releases.changes import Types, differences, types
from choreo_insights_cli.releases.migrate import shapes
from choreo_insights_cli.sql import shipped

FILE = Path(__file__).parent / "release.json"
CHANGELOG = ROOT / "CHANGELOG.md"
_HEADING = re.compile(r"^## \[([^\]]+)\].*$", re.M)


class Release(msgspec.Struct, frozen=True):
    """A release: its version, that of its dataset, and the type of every column by its name."""

    version: str
    dataset: int
    tables: dict[str, dict[str, str]]
    views: dict[str, dict[str, str]]
    data_sets: dict[str, dict[str, str]]


def last() -> Release:
    """The last release."""
    return msgspec.json.decode(FILE.read_bytes(), type=Release)


def current() -> Release:
    """This tree. Raises DocumentError."""
    views = shipped.views()
    return Release(
        version(ROOT),
        VERSION,
        {name: types(columns) for name, columns in shipped.tables().items()},
        {view.name: types(view.columns) for view in views},
        {each.name: dict(each.types) for each in data_sets(in_quicksight(SHEETS), views)},
    )


def renamed() -> Mapping[str, Mapping[str, str]]:
    """Today's names of columns by the former ones, of each table."""
    return {shape.name: shape.renamed for shape in shapes(load(), shipped.OWN)}


def broken(before: Release, now: Release, former: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The columns of tables whose type differs: older days could not be read with them."""
    return [
        f"{table}.{column.column}"
        for table, column in differences(before.tables, now.tables, former).retyped
    ]


def missed(before: Release, now: Release, former: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The removed names of tables, views and columns, as a change log names them."""
    pairs: list[tuple[Mapping[str, Types], Mapping[str, Types], Mapping[str, Mapping[str, str]]]]
    pairs = [
        (before.tables, now.tables, former),
        (before.views, now.views, {}),
        (before.data_sets, now.data_sets, {}),
    ]
    for earlier, later, names in pairs:
        difference = differences(earlier, later, names)
        yield from difference.gone
        for change in difference.changed:
            lost = [*change.removed, *change.renamed, *(each.column for each in change.retyped)]
            yield from (f"{change.table}.{name}" for name in lost)
    if before.dataset != now.dataset:
        yield "DatasetVersion"


def sections(text: str) -> dict[str, str]:
    """The sections of a change log by version, the newest first."""
    parts = _HEADING.split(text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def main() -> int:
    """Keeps this tree as the last release; returns the exit code."""
    unreleased, (newest, _), *_ = sections(CHANGELOG.read_text("utf-8")).items()
    this = version(ROOT)
    if newest != this or unreleased[1].strip():
        sys.stderr.write(
            f"CHANGELOG.md: move the text under Unreleased to a heading [{this}], the version in"
            " pyproject.toml\n"
        )
        return 1
    encoded = msgspec.json.format(msgspec.json.encode(current()), indent=1)
    FILE.write_bytes(encoded + b"\n")
    sys.stdout.write(f"wrote {FILE.name}: {this}. Commit it, and tag the commit v{this}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
