"""A dashboard for a group: nothing else is in the file, neither shown nor packed."""

import base64
import gzip
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from choreo_insights.dataset.access_rules import Rule
from choreo_insights_cli.dashboard.html.render import About, draw
from choreo_insights_cli.sql.duckdb import connect
from choreo_insights_cli.sql.restricted import restrict
from dev.sandbox import World
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW, Dataset

Drawn = Callable[..., str]
WORLD = World()
ACME = WORLD.organization("acme")
LOTUS = WORLD.organization("lotus")
PRODUCTION = ACME.environment("Production")


def unpacked(page: str) -> str:
    """What a page has packed in one of its elements."""
    packed = re.search(r'id="data"[^>]*>\s*([A-Za-z0-9+/=]+)\s*<', page)
    assert packed
    return gzip.decompress(base64.b64decode(packed[1])).decode()


@pytest.fixture
def drawn(dataset: Dataset) -> Drawn:
    """All that a file of these rules holds, unpacked."""

    def text(*rules: Rule) -> str:
        with connect(dataset.folder.rglob("*.parquet"), NOW) as database:
            restrict(database, rules)
            page = draw(database, About("what partners may see", NOW))
        return page + unpacked(page)

    return text


def secrets(organization: object, *but: object) -> set[str]:
    """Ids that tell of an organisation's environments, but for some."""
    found: set[str] = set()
    for environment in organization.environments:  # type: ignore[attr-defined]
        if environment not in but:
            found |= {environment.id, *(api.id for api in environment.apis)}
            found |= {application.id for application in environment.applications}
    return found


def test_a_group_of_one_environment_gets_that_alone(drawn: Drawn) -> None:
    text = drawn(Rule(None, "partners", "acme", PRODUCTION.id))
    assert PRODUCTION.apis[0].name in text
    assert "lotus" not in text
    own = {PRODUCTION.id, *(each.id for each in (*PRODUCTION.apis, *PRODUCTION.applications))}
    hidden = (secrets(LOTUS) | secrets(ACME, PRODUCTION)) - own
    assert len(hidden) > 10
    assert {secret for secret in hidden if secret in text} == set()
    names = {each.name for each in ACME.environments} - {"Production"}
    assert {name for name in names if f"'{name}'" in text} == set()


def test_a_group_of_one_organisation_gets_all_of_its_environments(drawn: Drawn) -> None:
    text = drawn(Rule(None, "partners", "acme", None))
    assert all(each.name in text for each in ACME.environments)
    assert "lotus" not in text
    assert not {secret for secret in secrets(LOTUS) if secret in text}


def test_what_is_searched_for_is_in_the_whole_file(drawn: Drawn) -> None:
    text = drawn(Rule(None, "staff", None, None))
    assert "lotus" in text
    every = (*ACME.environments, *LOTUS.environments)
    assert all(each.name.partition('"')[0] in text for each in every)
    assert {api.name for each in LOTUS.environments for api in each.listed if api.name in text}


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ([], []),
        ([Rule("u", None, "acme", "e1")], [("acme", "e1")]),
        ([Rule("u", None, None, "e1")], [("acme", "e1"), ("lotus", "e1")]),
        ([Rule("u", None, "acme", None)], [("acme", "e1"), ("acme", "e2"), ("acme", None)]),
        (
            [Rule("u", None, "lotus", None), Rule("u", None, "acme", "e2")],
            [("acme", "e2"), ("lotus", "e1")],
        ),
        (
            [Rule("u", None)],
            [("acme", "e1"), ("acme", "e2"), ("acme", None), ("lotus", "e1"), (None, None)],
        ),
        ([Rule("u", None, "' OR true --", None)], []),
    ],
)
def test_rows_that_no_rule_allows_go(
    rules: list[Rule], left: list[tuple[str | None, str | None]], tmp_path: Path
) -> None:
    del tmp_path
    database = duckdb.connect()
    database.execute("CREATE TABLE t (organization VARCHAR, environment_id VARCHAR)")
    database.execute(
        "INSERT INTO t VALUES ('acme', 'e1'), ('acme', 'e2'), ('acme', NULL), ('lotus', 'e1'),"
        " (NULL, NULL)"
    )
    restrict(database, rules)
    assert database.execute("SELECT * FROM t ORDER BY ALL").fetchall() == sorted(
        left, key=lambda row: (row[0] is None, row[0] or "", row[1] is None, row[1] or "")
    )
