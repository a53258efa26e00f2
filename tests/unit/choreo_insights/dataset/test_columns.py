"""Columns that are kept as runs, or as lists that repeat."""

from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.dataset.columns import Memo, Runs, Series, distinct, joined, mapped, unfold

RUNS = st.lists(st.tuples(st.none() | st.text(max_size=2), st.integers(0, 4)))
LIST = st.lists(st.none() | st.text(max_size=2))
# Each list stands there a number of times.
SERIES = st.lists(st.tuples(LIST, st.integers(0, 3))).map(
    lambda lists: Series([each for each, count in lists for _ in range(count)])
)
COLUMN = RUNS.map(lambda runs: Runs([v for v, _ in runs], [n for _, n in runs])) | LIST | SERIES


@given(RUNS)
def test_runs_are_the_rows_that_they_stand_for(runs):
    rows = [value for value, count in runs for _ in range(count)]
    column = Runs([value for value, _ in runs], [count for _, count in runs])
    assert (list(column), len(column), column) == (rows, len(rows), rows)
    assert [column.values[i] for i in column.indices()] == rows
    assert column[1:] == rows[1:]


@given(SERIES)
def test_series_are_their_lists_one_after_the_other(column):
    rows = [value for each in column.lists for value in each]
    assert (list(column), len(column), column) == (rows, len(rows), rows)
    assert column[1:] == rows[1:]


@given(COLUMN, st.data())
def test_each_row_becomes_so_many(column, data):
    rows = list(column)
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    unfolded = [value for value, count in zip(rows, counts, strict=True) for _ in range(count)]
    assert list(unfold(column, counts)) == unfolded


@given(st.lists(COLUMN))
def test_columns_are_joined_and_stay_what_they_were(columns):
    rows = [list(column) for column in columns]
    whole = None
    for column in columns:
        whole = joined(whole, column)
    assert list(whole or ()) == [value for column in rows for value in column]
    assert [list(column) for column in columns] == rows


@given(COLUMN)
def test_a_function_is_asked_once_for_equal_values_and_not_for_those_without_rows(column):
    asked = []

    def length(value):
        asked.append(value)
        return len(value or "")

    assert list(mapped(column, Memo(length))) == [len(value or "") for value in column]
    assert asked == list(distinct(column)) == list(dict.fromkeys(column))


def test_what_is_known_does_not_grow_without_end():
    known = Memo(str)
    for number in range(100_000):
        assert known[number] == str(number)
    assert len(known) < 10_000
