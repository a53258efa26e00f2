"""Columns into Parquet and back."""

import contextlib
import io
from datetime import UTC, date, datetime

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.catalogue import Column
from choreo_insights.dataset.parquet import (
    Constant,
    appended,
    batches,
    decode,
    encode,
    names,
    under_todays_names,
    without,
)

COLUMNS = (
    Column("text", "string"),
    Column("count", "bigint"),
    Column("ms", "double"),
    Column("at", "timestamp"),
    Column("yes", "boolean"),
    Column("same", "string"),
)
INT64 = st.integers(-(2**63), 2**63 - 1)
ROW = st.tuples(
    st.none() | st.text(st.characters(codec="utf-8")),
    st.none() | INT64,
    st.none() | st.floats(allow_nan=False),
    st.none() | INT64,
    st.none() | st.booleans(),
)


def read(file: bytes):
    return pq.read_table(io.BytesIO(file))


@given(st.lists(ROW), st.none() | st.text(st.characters(codec="utf-8")))
def test_every_value_comes_back_as_it_was(rows, same):
    names = [c.name for c in COLUMNS[:5]]
    values = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    table = read(encode(COLUMNS, {**values, "same": Constant(same)}, len(rows)))
    assert table.column("at").cast("int64").to_pylist() == values.pop("at")
    for name, column in values.items():
        assert table.column(name).to_pylist() == column
    assert table.column("same").to_pylist() == [same] * len(rows)


@given(st.lists(ROW), st.none() | st.text(st.characters(codec="utf-8")))
def test_what_was_encoded_is_decoded(rows, same):
    names = [c.name for c in COLUMNS[:5]]
    values = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    file = encode(COLUMNS, {**values, "same": Constant(same)}, len(rows))
    assert decode(file) == {**values, "same": [same] * len(rows)}
    assert decode(file, ("at", "count")) == {name: values[name] for name in ("at", "count")}


@given(st.lists(ROW, max_size=5))
def test_a_file_with_former_names_is_read_and_written_under_todays(rows):
    values = {c.name: [row[i] for row in rows] for i, c in enumerate(COLUMNS[:5])}
    old = encode(COLUMNS[:5], values, len(rows))
    renamed = {"count": "requests", "at": "time_span", "never_there": "text"}
    now = {renamed.get(name, name): column for name, column in values.items()}
    assert decode(old, renamed=renamed) == now
    assert decode(old, ("requests", "text"), renamed) == {n: now[n] for n in ("requests", "text")}
    new = under_todays_names(old, renamed)
    assert list(decode(new).items()) == list(now.items())
    assert read(new).schema.types == read(old).schema.types
    assert under_todays_names(new, renamed) is None


def test_a_former_name_is_another_column_where_todays_is_there():
    file = encode((Column("value", "bigint"), Column("hits", "bigint")), {"hits": [2]}, 1)
    assert under_todays_names(file, {"value": "hits"}) is None
    # Of two former names one takes today's.
    assert decode(file, renamed={"value": "n", "hits": "n"}) == {"n": [None], "hits": [2]}
    assert names(file) == ["value", "hits"]


def test_a_column_that_the_file_has_not_is_left_out():
    assert decode(encode(COLUMNS[:2], {"count": [1]}, 1), ("count", "newer")) == {"count": [1]}


@pytest.mark.parametrize("cut", [lambda file: b"text", lambda file: file[:-9], lambda file: b""])
def test_what_is_no_parquet_file_is_refused(cut):
    file = encode(COLUMNS[:2], {"count": [1]}, 1)
    with pytest.raises(ValueError, match="not a whole Parquet file"):
        decode(cut(file))


@pytest.mark.parametrize("at", range(4, 60, 7))
def test_a_file_with_wrong_bytes_ends_no_function(at: int):
    file = bytearray(encode(COLUMNS[:2], {"count": [1] * 100}, 100))
    file[at] ^= 0xFF
    with contextlib.suppress(ValueError):
        decode(bytes(file))


@pytest.mark.parametrize("rows", [0, 2])
def test_types_do_not_depend_on_the_rows(rows: int):
    schema = read(encode(COLUMNS, {}, rows)).schema
    assert [str(kind) for kind in schema.types] == [
        "string", "int64", "double", "timestamp[us, tz=UTC]", "bool", "string",
    ]  # fmt: skip


def test_it_is_zstd_and_the_same_bytes_each_time():
    values = {"count": list(range(1000)), "at": [0] * 1000}
    file = encode(COLUMNS, values, 1000)
    assert file == encode(COLUMNS, values, 1000)
    metadata = pq.ParquetFile(io.BytesIO(file)).metadata
    assert {metadata.row_group(0).column(i).compression for i in range(6)} == {"ZSTD"}


def test_instants_are_utc():
    table = read(encode(COLUMNS[3:4], {"at": [1_700_000_000_000_000]}, 1))
    assert table.column("at").to_pylist() == [datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)]


def test_a_column_of_another_length_is_refused():
    with pytest.raises(ValueError, match="count has 1 values for 2 rows"):
        encode(COLUMNS, {"count": [1]}, 2)


@given(st.lists(st.none() | st.dates()))
def test_a_date_is_a_date_for_every_reader(days):
    body = encode([Column("day", "date"), Column("same", "date")], {"day": days}, len(days))
    assert read(body).column("day").to_pylist() == days
    assert decode(body)["day"] == days
    constant = encode([Column("day", "date")], {"day": Constant(date(2026, 11, 20))}, 2)
    assert decode(constant)["day"] == [date(2026, 11, 20)] * 2


PARTS = st.lists(
    st.lists(st.sampled_from(range(len(COLUMNS))), unique=True, min_size=1), min_size=2
)


@given(PARTS, st.lists(st.lists(ROW, max_size=4), min_size=2, max_size=2))
def test_appended_rows_are_the_rows_of_both_under_the_columns_of_both(parts, rows):
    """A column that one file lacks is null in its rows."""
    files, expected = [], {}
    for own, part in zip(parts, rows, strict=False):
        columns = [COLUMNS[:5][place % 5] for place in dict.fromkeys(p % 5 for p in own)]
        values = {c.name: [row[COLUMNS.index(c)] for row in part] for c in columns}
        files.append(encode(columns, values, len(part)))
    found = decode(appended(*files))
    first, second = map(decode, files)
    sizes = [len(part) for part in rows]
    for name in {**second, **first}:
        expected[name] = [
            *first.get(name, [None] * sizes[0]),
            *second.get(name, [None] * sizes[1]),
        ]
    assert found == expected
    assert list(found)[: len(second)] == list(second)


def test_a_column_of_two_types_is_not_appended():
    text = encode([Column("a", "string")], {"a": ["1"]}, 1)
    number = encode([Column("a", "bigint")], {"a": [1]}, 1)
    with pytest.raises(ValueError, match="the column a has another type"):
        appended(text, number)


@given(st.lists(ROW, max_size=9), st.integers(1, 4))
def test_batches_are_the_file_bit_by_bit(rows, size):
    columns = COLUMNS[:5]
    values = {c.name: [row[i] for row in rows] for i, c in enumerate(columns)}
    parts = list(batches(encode(columns, values, len(rows)), ["count", "none", "text"], size))
    assert all(len(part["text"]) <= size for part in parts)
    for name in ("count", "text"):
        assert [value for part in parts for value in part[name]] == values[name]
    assert all(list(part) == ["count", "text"] for part in parts)


def test_a_file_without_some_columns():
    file = encode(COLUMNS[:3], {"text": ["a"], "count": [1], "ms": [0.5]}, 1)
    found = without(file, {"count", "none"})
    assert found is not None
    assert decode(found) == {"text": ["a"], "ms": [0.5]}
    assert without(file, {"none"}) is None


@pytest.mark.parametrize("function", [lambda b: appended(b, b), lambda b: list(batches(b, ["a"]))])
def test_what_is_no_file_is_refused(function):
    with pytest.raises(ValueError, match="not a whole Parquet file"):
        function(b"PAR1 and no more")
