"""Any reader of hive-partitioned Parquet reads a table's folder, with `day` from its name."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from choreo_insights.dataset.partitions import ROOT
from dev.sandbox import SandboxServer, SandboxSettings, World
from tests.unit.choreo_insights.export.test_run import TODAY, Place

# Rows by day, and the type of `day`.
Read = tuple[Mapping[str, int], str]


def _pandas(folder: Path) -> Read:
    day = pd.read_parquet(folder)["day"]
    return _counts(day), str(day.dtype)


def _pyarrow(folder: Path) -> Read:
    day = ds.dataset(folder, partitioning="hive").to_table().column("day")
    return _counts(day.to_pylist()), str(day.type)


def _polars(folder: Path) -> Read:
    day = pl.scan_parquet(folder, hive_partitioning=True).collect()["day"]
    return _counts(day), str(day.dtype)


def _duckdb(folder: Path) -> Read:
    sql = "SELECT day, typeof(day) FROM read_parquet(?, hive_partitioning = true)"
    rows = duckdb.execute(sql, [f"{folder}/*/*.parquet"]).fetchall()
    return _counts(day for day, _ in rows), " ".join({kind for _, kind in rows})


def _fastparquet(folder: Path) -> Read:
    files = sorted(map(str, folder.glob("*/*.parquet")))
    day = fastparquet.ParquetFile(files, root=str(folder)).to_pandas()["day"]
    return _counts(day), str(day.dtype)


def _counts(days: Iterable[Any]) -> Mapping[str, int]:
    return Counter(str(day)[:10] for day in days)


READERS: Mapping[str, tuple[Callable[[Path], Read], str]] = {
    "pandas": (_pandas, "category"),
    "pyarrow": (_pyarrow, "string"),
    "polars": (_polars, "Date"),
    "duckdb": (_duckdb, "DATE"),
    "fastparquet": (_fastparquet, "category"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of an organisation and two days, as files."""
    folder = tmp_path_factory.mktemp("dataset")
    with SandboxServer(World(seed=11), SandboxSettings()) as sandbox:
        place = Place(sandbox, ("acme",))
        place.config = replace(place.config, export_since=TODAY - timedelta(days=1))
        assert place.run().failures == []
    for key, found in place.dataset.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.body)
    return folder / ROOT


def tables(folder: Path) -> list[Path]:
    """The folders of all tables that are partitioned."""
    return sorted(table for table in folder.iterdir() if any(table.glob("day=*")))


def test_no_file_has_a_column_of_the_partition_columns_name(folder: Path) -> None:
    files = list(folder.rglob("*.parquet"))
    assert {"runs", "checks", "success_summary"} <= {file.parts[-3] for file in files}
    assert [str(file) for file in files if "day" in pq.read_schema(file).names] == []


@pytest.mark.parametrize("reader", READERS)
def test_every_tables_folder_is_read(folder: Path, reader: str) -> None:
    read, kind = READERS[reader]
    every = tables(folder)
    assert len(every) > 30
    for table in every:
        stored = {
            day.name.removeprefix("day="): sum(
                pq.read_metadata(file).num_rows for file in day.iterdir()
            )
            for day in table.iterdir()
        }
        rows, found = read(table)
        assert (table.name, dict(rows)) == (table.name, {d: n for d, n in stored.items() if n})
        assert not rows or (table.name, found) == (table.name, kind)
