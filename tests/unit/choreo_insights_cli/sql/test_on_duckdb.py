"""Every view and saved query: it runs, has the columns that are declared, and adds up nothing
that cannot be added up."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import duckdb
import pytest
from sqlglot import exp, parse_one

from choreo_insights.dataset.registry import Registry
from choreo_insights.dataset.registry_tables import REGISTRY_ENVIRONMENTS_COLUMNS
from choreo_insights_cli.sql import shipped
from choreo_insights_cli.sql.duckdb import connect
from choreo_insights_cli.sql.model import DIALECT, Statement, View
from choreo_insights_cli.sql.translation import translated
from tests.unit.choreo_insights.export.test_run import NOW
from tests.unit.choreo_insights.memory import MemoryDataset
from tests.unit.choreo_insights_cli.sql.conftest import Views

if TYPE_CHECKING:
    from choreo_insights.dataset.store import Dataset

VIEWS = shipped.views()
QUERIES = shipped.queries()
STATEMENTS = [*(view.statement for view in VIEWS), *QUERIES]
# Of no day: newest lists, and sums over days.
WITHOUT_DAY = {
    *("api_names", "application_names", "environment_names", "export_freshness"),
    *("monthly_usage_by_application", "api_inventory"),
}
# Here all is well, so nothing is missing, and the dataset begins this month.
NOTHING_TO_SAY = {
    *("what_is_missing", "usage_of_last_month"),
    *("availability_of_last_month", "resources_not_called_lately"),
}
# A percentile, a median or a rate, by its name.
NOT_ADDITIVE = re.compile(
    r".*(p95|median|_ms|percent|percentage|latency.*)|response|backend|.*_mediation"
)
# A sum of them that is called what it is.
WEIGHTED = {("latency_daily", "hour_p95_ms * requests")}
_WIDER = {"HUGEINT": "bigint", "TIMESTAMP": "timestamp", "VARCHAR": "string"}


def tree_of(statement: Statement) -> exp.Expr:
    return parse_one(statement.text, read=DIALECT)


def named(things: list[View] | list[Statement]) -> list[str]:
    return [thing.name for thing in things]


@pytest.mark.parametrize("view", VIEWS, ids=named(VIEWS))
def test_a_view_has_the_columns_that_are_declared(views: Views, view: View):
    select = translated(view.statement.text, NOW)
    described = views.rows(f"DESCRIBE {select}")
    assert [(row[0], _WIDER.get(row[1], row[1].lower())) for row in described] == [
        (column.name, column.type) for column in view.columns
    ]


@pytest.mark.parametrize("view", VIEWS, ids=named(VIEWS))
def test_a_view_is_filtered_by_its_partition(view: View):
    names = [column.name for column in view.columns]
    assert {"organization", "environment"} <= {*names}
    if view.name not in WITHOUT_DAY:
        assert names[:3] == ["day", "organization", "environment"]


@pytest.mark.parametrize("view", VIEWS, ids=named(VIEWS))
def test_a_view_has_rows_of_this_dataset(views: Views, view: View):
    ((count,),) = views.rows(f"SELECT count(*) FROM {view.name}")
    # Nothing failed here; what the checks find is the dataset's, not the sandbox's. No month began
    # in these days.
    assert count or view.name in {"export_failures", "data_checks", "latency_monthly"}


@pytest.mark.parametrize("query", QUERIES, ids=named(QUERIES))
def test_a_saved_query_answers(views: Views, query: Statement):
    result = views.database.execute(translated(query.text, NOW))
    names = [column[0] for column in result.description or ()]
    assert len({*names}) == len(names) > 3
    assert bool(result.fetchall()) == (query.name not in NOTHING_TO_SAY)
    assert query.title.endswith("?")


@pytest.mark.parametrize("statement", STATEMENTS, ids=named(STATEMENTS))
def test_nothing_is_added_up_that_cannot_be(statement: Statement):
    for summed in tree_of(statement).find_all(exp.Sum, exp.Avg):
        if (statement.name, summed.this.sql()) in WEIGHTED:
            continue
        for column in summed.find_all(exp.Column):
            assert not NOT_ADDITIVE.fullmatch(column.name), f"{statement.name}: {summed.sql()}"
    assert not list(tree_of(statement).find_all(exp.Avg)), (
        "an average of what? weigh it, and say so"
    )


@pytest.mark.parametrize("statement", STATEMENTS, ids=named(STATEMENTS))
def test_a_division_has_a_divisor(statement: Statement):
    for division in tree_of(statement).find_all(exp.Div):
        divisor = division.expression.unnest()
        safe = isinstance(divisor, exp.Nullif | exp.Literal)
        # Counted rows of a group are never none.
        assert safe or divisor.sql() == "d.days", division.sql()


@pytest.mark.parametrize("statement", STATEMENTS, ids=named(STATEMENTS))
def test_no_function_stands_around_a_day_that_filters(statement: Statement):
    for where in tree_of(statement).find_all(exp.Where):
        for comparison in where.find_all(exp.Predicate):
            left = comparison.this
            if any(column.name == "day" for column in left.find_all(exp.Column)):
                assert isinstance(left, exp.Column), comparison.sql()


@pytest.mark.parametrize("statement", STATEMENTS, ids=named(STATEMENTS))
def test_a_file_is_readable(statement: Statement):
    lines = statement.text.splitlines()
    assert max(map(len, lines)) <= 100
    assert statement.text.endswith("\n")
    assert not any(line != line.rstrip() for line in lines)


def test_there_are_ten_questions_and_more():
    assert len(QUERIES) >= 10


def test_a_table_without_partitions_is_read_from_its_folder(tmp_path: Path):
    dataset = MemoryDataset()
    rows = [{"environment_id": "p", "environment_name": "Production"}]
    Registry(cast("Dataset", dataset), "run", lambda: NOW).environments("acme", rows, NOW.date())
    paths = []
    for key, found in dataset.objects.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.body)
        paths.append(path)
    database = connect(paths, NOW)
    [row] = database.execute("SELECT * FROM registry_environments").fetchall()
    assert [column[0] for column in database.description or ()] == [
        column.name for column in REGISTRY_ENVIRONMENTS_COLUMNS
    ]
    assert row[:4] == ("acme", "p", "Production", "Production")
    assert NOW.date() in row


def test_what_is_counted_of_nulls_alone_is_none():
    """As Trino says, also where DuckDB itself would not count at all."""
    sql = "SELECT count_if(x > 1) AS n FROM (VALUES CAST(NULL AS integer)) AS t(x)"
    assert duckdb.connect().execute(translated(sql)).fetchall() == [(0,)]
    sql = "SELECT count_if(x > 1) AS n FROM (VALUES 1, 2, 3, NULL) AS t(x)"
    assert duckdb.connect().execute(translated(sql)).fetchall() == [(2,)]


def test_the_translation_stands_still(tmp_path: Path):
    sql = "SELECT current_date AS d, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) AS t"
    database = duckdb.connect()
    database.execute("SET TimeZone = 'Asia/Colombo'")
    ((day, instant),) = database.execute(translated(sql, NOW)).fetchall()
    assert (day, instant) == (NOW.date(), NOW.replace(tzinfo=None))
