"""What the file holds of the dataset."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from choreo_insights_cli.dashboard.data import (
    coverage,
    environments,
    filled,
    frames,
    panels_of,
    unknown_columns,
    values_of,
)
from choreo_insights_cli.dashboard.description import Colour, Filter
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.dashboard.panels.shared import REQUESTS, percent
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW, SINCE, Dataset

PANELS = panels_of(SHEETS)


def rows_of(columns: dict[str, Any]) -> list[dict[str, Any]]:
    decoded = {
        name: [c["texts"][v] if v is not None and "texts" in c else v for v in c["values"]]
        for name, c in columns.items()
    }
    return [dict(zip(decoded, row, strict=True)) for row in zip(*decoded.values(), strict=True)]


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_frame_holds_all_of_its_view(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, in_transaction: bool
) -> None:
    # Of a large organisation a frame is listed in parts.
    monkeypatch.setattr("choreo_insights_cli.dashboard.data._ROWS_AT_ONCE", 100)
    database = dataset.database.cursor()
    if in_transaction:
        database.begin()
    for frame in frames(PANELS).values():
        rows = rows_of(json.loads(filled(database, frame)))
        for value in frame.values:
            function, colon, column = value.partition(":")
            if not colon:
                function, column = "count", value
                found = sum(row[value] is not None for row in rows)
            elif function == "count":
                found = sum(row[value] for row in rows)
            else:
                there = [row[value] for row in rows if row[value] is not None]
                found = {"sum": sum, "max": max, "min": min}[function](there) if there else None
            # A part and a whole of a percentage are of the rows that have both.
            column, *others = column.split("&")
            star = "*" if column == "*" else f'"{column}"'
            known = "".join(f' AND "{name}" IS NOT NULL' for name in others)
            told = dataset.database.execute(
                f'SELECT {function}({star}) FROM "{frame.view}" WHERE true{known}'
            )
            wanted = told.fetchall()[0][0]
            if not hasattr(wanted, "year"):
                assert found == (wanted or (found if not found else wanted)), (frame.name, value)


def test_every_column_of_every_panel_is_there() -> None:
    assert {
        panel.id: [*unknown_columns(panel)] for panel in PANELS if [*unknown_columns(panel)]
    } == {}


def test_the_ledger_says_what_was_exported(dataset: Dataset) -> None:
    days = [(day - SINCE).days for day in (SINCE, NOW.date())]
    found = {
        (entry["table"], entry["organization"], entry["environment"]): entry["days"]
        for entry in coverage(dataset.database)
    }
    first = (SINCE - (NOW - timedelta(seconds=NOW.timestamp())).date()).days
    assert found["total_traffic", "acme", "Production"] == [[first, first + days[1]]]
    assert found["top_platforms", "lotus", "Staging"] == []
    assert found["success_apis_usage_by_applications", "acme", None] == [[first, first + days[1]]]


def test_environments_have_their_type(dataset: Dataset) -> None:
    kinds = {e["environment"]: e["type"] for e in environments(dataset.database)}
    assert kinds["Headquarters, Zürich"] == "ON_PREM"
    assert kinds["Production"] == "CHOREO"


def test_a_percentage_is_of_rows_that_have_all_of_its_figures() -> None:
    """Three days: one without errors, one without requests, and one with both."""
    database = duckdb.connect()
    database.execute(
        "CREATE TABLE traffic_daily AS SELECT * FROM (VALUES"
        " (DATE '2026-03-06', 'acme', 100, NULL), (DATE '2026-03-07', 'acme', NULL, 9),"
        " (DATE '2026-03-08', 'acme', 50, 5)) AS t(day, organization, requests, errors)"
    )
    rate = percent("Error rate", "errors", ("requests",), Colour.VERMILION)
    panel = replace(PANELS[0], view="traffic_daily", measures=(rate, REQUESTS))
    panel = replace(panel, x=None, filters=(Filter.ORGANIZATION,))
    (frame,) = frames([panel]).values()
    (row,) = rows_of(json.loads(filled(database, frame)))
    part, whole = values_of(rate)
    assert (row[part], row[whole], row["sum:requests"]) == (5, 50, 150)
