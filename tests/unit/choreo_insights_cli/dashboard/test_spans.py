"""A span is the same days in Python, on the page, in saved queries and in QuickSight."""

import re
from datetime import UTC, date, datetime

import duckdb
import pytest

from choreo_insights_cli.dashboard.spans import DaySpan
from choreo_insights_cli.sql import shipped
from choreo_insights_cli.sql.translation import translated

NAMED = [span for span in DaySpan if span not in (DaySpan.ALL, DaySpan.CUSTOM)]
TODAYS = (date(2026, 3, 1), date(2026, 3, 31), date(2028, 2, 29), date(2026, 1, 7))


@pytest.mark.parametrize("today", TODAYS, ids=str)
@pytest.mark.parametrize("span", NAMED)
def test_sql_selects_the_days_of_a_span(span: DaySpan, today: date) -> None:
    first, last = span.days(today)
    now = datetime(today.year, today.month, today.day, 5, tzinfo=UTC)
    days = "(SELECT DATE '2025-01-01' + CAST(i AS INTEGER) AS day FROM range(1500) AS r(i))"
    condition = translated(f"SELECT 1 FROM days WHERE {span.sql}", now).partition("WHERE")[2]
    found = duckdb.execute(f"SELECT min(day), max(day), count(*) FROM {days} WHERE {condition}")
    lowest, highest, count = found.fetchall()[0]
    assert (_day(lowest), _day(highest)) == (first, last)
    assert count == (last - first).days + 1


@pytest.mark.parametrize("today", TODAYS, ids=str)
@pytest.mark.parametrize("span", NAMED)
def test_quicksights_words_mean_the_days_of_a_span(span: DaySpan, today: date) -> None:
    """With QuickSight's functions as macros of DuckDB."""
    database = duckdb.connect()
    database.execute("CREATE MACRO part(p) AS CASE p WHEN 'DD' THEN 'day' ELSE 'month' END")
    database.execute("CREATE MACRO truncDate(p, t) AS date_trunc(part(p), t)")
    database.execute(
        "CREATE MACRO addDateTime(n, p, t) AS CASE p WHEN 'DD' THEN t + to_days(n)"
        " ELSE t + to_months(n) END"
    )
    condition = span.quicksight.replace("{day}", "day")
    condition = condition.replace("now()", f"TIMESTAMP '{today} 05:00:00'")
    days = (
        "(SELECT TIMESTAMP '2025-01-01' + to_days(CAST(i AS INTEGER)) AS day FROM range(1500) r(i))"
    )
    found = database.execute(f"SELECT min(day), max(day), count(*) FROM {days} WHERE {condition}")
    lowest, highest, count = found.fetchall()[0]
    first, last = span.days(today)
    assert (lowest.date(), highest.date(), count) == (first, last, (last - first).days + 1)


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def test_a_saved_query_means_the_span_that_it_names() -> None:
    named = 0
    for query in shipped.queries():
        text = re.sub(r"\s+", " ", query.text).replace("u.day", "day")
        for words, span in {
            "last 7 full days": DaySpan.LAST_7_DAYS,
            "yesterday": DaySpan.YESTERDAY,
            "last month": DaySpan.LAST_MONTH,
        }.items():
            if words in query.title.lower() and "month = CAST" not in text:
                assert span.sql in text, query.name
                named += 1
    assert named >= 8
