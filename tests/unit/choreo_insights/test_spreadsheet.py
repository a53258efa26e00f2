"""What a spreadsheet would calculate is text."""

import csv
import io

import pytest

from choreo_insights.spreadsheet import csv_text, safe_cell


@pytest.mark.parametrize(
    "text",
    ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", '=HYPERLINK("http://x")'],
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-5, -1.5, 0, None, "Orders - 1.0.0", "a=b", "", "Größe"])
def test_numbers_and_other_texts_stay(value: object) -> None:
    assert safe_cell(value) == value


def test_names_and_cells_are_safe_and_read_back() -> None:
    rows = [("=cmd|' /C calc'!A0", 'a "quoted", text', None), ("two\nlines", -3, 1.5)]
    text = csv_text(["=name", "b", "c"], rows)
    assert list(csv.reader(io.StringIO(text))) == [
        ["'=name", "b", "c"],
        ["'=cmd|' /C calc'!A0", 'a "quoted", text', ""],
        ["two\nlines", "-3", "1.5"],
    ]
