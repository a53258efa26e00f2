"""The views and saved queries, unchanged, on a real Trino, beside DuckDB's answers."""

import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights_cli.sql import shipped
from choreo_insights_cli.sql.model import TRINO_TYPES, Statement, View
from choreo_insights_cli.sql.translation import translated
from tests.documents import blocks
from tests.grafana import expanded
from tests.trino.conftest import Both
from tests.trino.server import Answer

VIEWS = shipped.views()
QUERIES = shipped.queries()
GRAFANA = [block.text for block in blocks("sql") if block.page == "docs/other-tools.md"]
# Of the moment of the query.
MOVING = {"age_hours"}


def in_order(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(map(plain, row)) for row in rows), key=repr)


def plain(value: Any) -> Any:
    """Values as both say them: instants and days as texts, figures to the tenth digit."""
    if isinstance(value, datetime):
        # Trino's instants are of milliseconds, rounded.
        return (value + timedelta(microseconds=500)).isoformat(" ", "milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else str(value)
    return value


def compared(both: Both, answer: Answer, sql: str) -> int:
    """Compares an answer of Trino with DuckDB's; gives the count of rows."""
    result = both.duck.execute(sql)
    names = [column[0] for column in result.description or ()]
    assert [name for name, _ in answer.columns] == names
    kept = [number for number, name in enumerate(names) if name not in MOVING]
    expected = in_order([row[n] for n in kept] for row in result.fetchall())
    assert in_order([row[n] for n in kept] for row in answer.rows) == expected
    return len(expected)


def declared(view: View) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, TRINO_TYPES[column.type]) for column in view.columns)


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_a_deployed_view(both: Both, view: View):
    answer = both.trino.ask(f'SELECT * FROM "{view.name}"')
    assert answer.columns == declared(view)
    both.seen.deployed[view.name] = compared(both, answer, f'SELECT * FROM "{view.name}"')


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_the_file_of_a_view(both: Both, view: View):
    answer = both.trino.ask(view.statement.text)
    assert answer.columns == declared(view)
    both.seen.from_file[view.name] = compared(both, answer, f'SELECT * FROM "{view.name}"')


@pytest.mark.parametrize("query", QUERIES, ids=[query.name for query in QUERIES])
def test_a_saved_query(both: Both, query: Statement):
    answer = both.trino.ask(query.text)
    both.seen.queries[query.name] = compared(both, answer, translated(query.text))


@pytest.mark.parametrize("query", GRAFANA)
def test_a_query_of_grafana(both: Both, query: str):
    text = expanded(query, (both.seen.now - timedelta(days=2)).date(), both.seen.now.date())
    compared(both, both.trino.ask(text), translated(text))


@pytest.mark.parametrize(
    "view",
    [view for view in VIEWS if view.columns[0].name == "day"],
    ids=lambda view: view.name,
)
def test_a_day_reads_its_partition_alone(both: Both, view: View):
    day = (both.seen.now - timedelta(days=1)).date().isoformat()
    read = both.trino.reads(f"SELECT * FROM \"{view.name}\" WHERE day = DATE '{day}'")
    assert read
    for table, ranges in read.items():
        if table in UNPARTITIONED:
            both.seen.whole.setdefault(view.name, []).append(table)
            continue
        assert ranges == [(day, day)], table
        both.seen.pruned.setdefault(view.name, []).append(table)


@pytest.mark.parametrize(
    "query", [q for q in QUERIES if q.name != "what_is_missing"], ids=lambda query: query.name
)
def test_a_saved_query_reads_its_days_alone(both: Both, query: Statement):
    read = both.trino.reads(query.text)
    # Of last month there is no partition, so nothing of it is read.
    assert read or query.name.endswith("_of_last_month")
    # Whether a month is final depends on the first day that the ledger has.
    whole = {*UNPARTITIONED, *(("runs",) if query.name == "usage_of_last_month" else ())}
    assert all(ranges for table, ranges in read.items() if table not in whole)
