"""Rows that are kept from one time to the next: the same figures, and only changed files read."""

import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from choreo_insights_cli.sql.duckdb import connect

NOW = datetime(2026, 3, 3, tzinfo=UTC)
TABLE = "total_traffic"


def write(folder: Path, day: int, requests: int, *, more: str = "") -> Path:
    path = folder / TABLE / f"day=2026-03-{day:02}" / "acme.Production.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    select = f"SELECT 'acme' AS organization, {requests}::BIGINT AS total_traffic{more}"
    duckdb.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


def figures(files: list[Path], kept: Path | None) -> list[tuple[object, ...]]:
    with connect(files, NOW, kept=kept) as database:
        return database.execute(
            f"SELECT day, organization, environment, total_traffic FROM {TABLE} ORDER BY ALL"
        ).fetchall()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write(tmp_path, day, 10 * day, more=", 7 AS of_a_later_release") for day in (1, 2)]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "it's rows.duckdb"


def test_what_is_kept_follows_the_files(files: list[Path], kept: Path, tmp_path: Path) -> None:
    assert figures(files, kept) == figures(files, None)
    write(tmp_path, 1, 11)
    files = [files[0], write(tmp_path, 3, 30)]
    found = figures(files, kept)
    assert found == figures(files, None)
    assert [row[3] for row in found] == [11, 30]
    assert figures([], kept) == []


def test_a_file_that_did_not_change_is_not_read_again(files: list[Path], kept: Path) -> None:
    found = figures(files, kept)
    for path in files:
        stat = path.stat()
        path.write_bytes(b"-" * stat.st_size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert figures(files, kept) == found


@pytest.mark.parametrize("damage", [b"no database", b""])
def test_a_damaged_database_is_made_again(files: list[Path], kept: Path, damage: bytes) -> None:
    found = figures(files, kept)
    kept.write_bytes(damage)
    assert figures(files, kept) == found


def test_one_of_another_program_is_made_again(files: list[Path], kept: Path) -> None:
    found = figures(files, kept)
    with duckdb.connect(kept) as database:
        database.execute("UPDATE forms SET form = 'of 2025'")
        database.execute(f"ALTER TABLE rows_{TABLE} DROP COLUMN total_traffic")
    assert figures(files, kept) == found


def test_a_run_that_was_cut_off_leaves_nothing_half_done(files: list[Path], kept: Path) -> None:
    figures(files[:1], kept)
    found = figures(files, None)
    bad = files[1].read_bytes()
    files[1].write_bytes(b"no Parquet")
    with pytest.raises(duckdb.Error):
        figures(files, kept)
    files[1].write_bytes(bad)
    assert figures(files, kept) == found


def test_queries_write_to_neither(files: list[Path], kept: Path, tmp_path: Path) -> None:
    with connect(files, NOW, kept=kept) as database:
        for statement in (
            f"DELETE FROM kept.rows_{TABLE}",
            f"COPY (SELECT 1) TO '{tmp_path / 'x.csv'}'",
            "ATTACH '/tmp/other.duckdb'",
            f"SELECT * FROM read_parquet('{files[0]}')",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(statement)
