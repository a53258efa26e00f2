"""How the tables of two releases differ, and the lines that announce it."""

from datetime import date

import pytest

from choreo_insights.catalogue import Catalogue
from choreo_insights_cli.catalogue.compiler import compile_folder, schema
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.releases import changes
from choreo_insights_cli.releases.announce import announced
from choreo_insights_cli.releases.changes import Change, Changes, Retyped, differences, types
from choreo_insights_cli.releases.migrate import shapes
from choreo_insights_cli.sql import shipped

SINCE, TODAY = date(2026, 1, 1), date(2026, 11, 20)
HITS = {"time_span": "timestamp", "hits": "bigint"}


def change(**found) -> Change:
    return Change(
        **{"table": "t", "added": (), "removed": (), "renamed": {}, "retyped": ()} | found
    )


@pytest.mark.parametrize(
    ("before", "renamed", "found"),
    [
        (HITS, {}, ()),
        ({"time_span": "timestamp"}, {}, (change(added=("hits",)),)),
        ({**HITS, "old": "string"}, {}, (change(removed=("old",)),)),
        ({**HITS, "hits": "double"}, {}, (change(retyped=(Retyped("hits", "double", "bigint"),)),)),
        (
            {"time_span": "timestamp", "value": "bigint"},
            {"value": "hits"},
            (change(renamed={"value": "hits"}),),
        ),
        (
            {"time_span": "timestamp", "value": "bigint"},
            {},
            (change(added=("hits",), removed=("value",)),),
        ),
        # Another type under another name is what it would be under the same.
        (
            {"time_span": "timestamp", "value": "double"},
            {"value": "hits"},
            (
                change(
                    renamed={"value": "hits"}, retyped=(Retyped("hits", "double", "bigint"),)
                ),
            ),
        ),
        # It had that name once: there is nothing left to do.
        (HITS, {"value": "hits"}, ()),
        # What has the former name beside today's is a column of its own.
        ({**HITS, "value": "bigint"}, {"value": "hits"}, (change(removed=("value",)),)),
    ],
)  # fmt: skip
def test_a_column_is_added_removed_renamed_or_retyped(before, renamed, found):
    assert differences({"t": before}, {"t": HITS}, {"t": renamed}) == Changes((), (), found)


def test_tables_come_and_go():
    found = differences({"a": HITS, "b": HITS}, {"b": HITS, "c": HITS})
    assert found == Changes(("c",), ("a",), ())
    printed = list(changes.of_tables(found, ["c"], SINCE, TODAY))
    assert printed == [
        "c is new: the next runs export it, from 2026-01-01 on if it has days.",
        "a is removed from SQL: its objects stay in S3 under insights/a/.",
    ]


def test_each_answer_is_told():
    found = Changes(
        (),
        (),
        (
            change(table="latency", added=("p99",)),
            change(table="apis", added=("owner",)),
            change(table="cache", removed=("old",), renamed={"value": "hits"}),
        ),
    )
    printed = "\n".join(changes.of_tables(found, ["latency", "cache"], SINCE, TODAY))
    assert "latency.p99 is new: null on days that are exported already" in printed
    assert "cache.value is hits now. `insights migrate`" in printed
    assert "SQL that names value must name hits" in printed
    assert "cache.old is removed from SQL: existing objects keep it" in printed
    # The past of a list cannot be asked for.
    assert printed.endswith(
        "insights backfill --from 2026-01-01 --to 2026-11-20 --tables latency --again"
    )


def test_what_views_lose_is_told():
    found = Changes((), ("traffic",), (change(table="alerts", removed=("kind",), added=("x",)),))
    assert list(changes.of_views(found)) == [
        "The view traffic is removed: your SQL and dashboards that read it will fail.",
        "The view alerts no longer has kind: your SQL that reads it will fail.",
    ]


@pytest.fixture(scope="module")
def current() -> Catalogue:
    return Catalogue(tuple(compile_folder(ROOT / "choreo_insights_cli/catalogue/tables", schema())))


def deployed(current: Catalogue) -> dict[str, dict[str, str]]:
    """As Glue has it: all names in small letters."""
    every = shapes(current, shipped.OWN)
    return {
        shape.name: {name.lower(): kind for name, kind in types(shape.columns).items()}
        for shape in every
    }


def test_the_same_release_changes_nothing(current: Catalogue):
    views = {view.name: types(view.columns) for view in shipped.views()}
    assert announced(deployed(current), views, current, SINCE, TODAY) == []


def test_an_older_release_is_told_what_changes(current: Catalogue):
    tables = deployed(current)
    del tables["latency"]["response"]
    printed = announced(tables, {"gone": {}}, current, SINCE, TODAY)
    assert "latency.response is new: null on days that are exported already." in printed
    assert printed[-1].startswith("The view gone is removed")


def test_another_type_is_refused_with_what_to_do(current: Catalogue):
    tables = deployed(current)
    tables["latency"]["response"] = "bigint"
    with pytest.raises(
        CommandError, match=r"Nothing was deployed.*\n.*latency.response was bigint"
    ):
        announced(tables, {}, current, SINCE, TODAY)
