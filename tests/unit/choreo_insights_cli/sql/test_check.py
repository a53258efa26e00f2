"""A query is checked before anything is read for it: what Athena refuses is refused."""

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.sql import check, shipped
from choreo_insights_cli.sql.duckdb import all_views, connect, tables

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def known() -> check.Queryable:
    return check.Queryable(tables(), [*all_views().values()])


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "SELECT * FROM trafic_daily",
            r"trafic_daily. Did you mean traffic_daily",
        ),
        ("SELECT requets FROM traffic_daily", r"no column requets. Did you mean requests"),
        ("SELECT * FROM '/etc/passwd'", r"no table or view /etc/passwd"),
        ("SELECT * FROM latency WHERE day = '2026-11-26'", r"Write DATE '2026-11-26'"),
        ("SELECT * FROM latency WHERE day IN ('2026-11-26')", r"Write DATE '2026-11-26'"),
        (
            "SELECT * FROM latency WHERE day BETWEEN '2026-11-26' AND current_date",
            r"compares a date with a text",
        ),
        ("SELECT * FROM latency WHERE day > current_date - 7", r"Write INTERVAL '7' DAY"),
        ("SELECT * FROM latency WHERE time_span > '2026-11-26 10:00'", r"Write TIMESTAMP '2026"),
        (
            "WITH a AS (SELECT day FROM latency) SELECT * FROM a WHERE day < 'x'",
            r"date with a text",
        ),
        ("SELECT * FROM traffic_daily WHERE requests = '5'", r"compares a number with a text"),
        ("SELEC 1", r"not SQL in line 1, column 7, at '1': "),
        ("SELECT 'a", r"not SQL"),
        ("SELECT 1; SELECT 2", r"Give one SELECT"),
        ("DROP TABLE latency", r"the dataset is only read"),
        ("EXPLAIN SELECT 1", r"Give one SELECT"),
        ("", r"Give one SELECT"),
    ],
)
def test_what_athena_refuses_is_refused(sql: str, says: str, known: check.Queryable) -> None:
    with pytest.raises(WrongUsage, match=says) as refused:
        check.check(sql, known)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT day, day FROM traffic_daily WHERE day >= current_date - INTERVAL '7' DAY",
        "SELECT * FROM latency WHERE day = DATE '2026-11-26' AND CAST(day AS varchar) < '2027'",
        "SELECT x FROM UNNEST(ARRAY[1, 2]) AS t(x)",
        "SELECT day d, count(*) c FROM latency GROUP BY 1 ORDER BY c",
        "WITH Own AS (SELECT 1 AS one) SELECT one FROM own",
    ],
)
def test_what_athena_takes_is_taken(sql: str, known: check.Queryable) -> None:
    check.check(sql, known)


def test_every_saved_query_is_taken(known: check.Queryable) -> None:
    for query in shipped.queries():
        check.check(query.text, known)


def test_show_and_describe_are_for_the_engine() -> None:
    assert check.described("show tables") == "show tables"
    assert check.described("SHOW COLUMNS FROM latency;") == "DESCRIBE latency"
    assert check.described("SELECT 1") is None


def test_a_query_reads_and_writes_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", "utf-8")
    with connect([], NOW) as database:
        for sql in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM read_text('{secret}')",
            f"SELECT * FROM '{secret}'",
            f"COPY latency TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'out.db'}'",
            "SELECT * FROM glob('/*')",
            "SET enable_external_access = true",
            "INSTALL httpfs",
            "SELECT * FROM NOW",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(sql).fetchall()
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert re.fullmatch(r".*secret.csv", str(secret))
