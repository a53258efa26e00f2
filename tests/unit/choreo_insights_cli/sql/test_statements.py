"""What the files of views and saved queries may say, and the templates made of them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from choreo_insights.catalogue import Column
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.generate import athena, views_page
from choreo_insights_cli.sql import shipped, statements

TABLES = {
    "usage": (Column("api_id", "string"), Column("requests", "bigint"), Column("at", "timestamp"))
}
GOOD = """-- Requests by day
-- Grain: day.
-- From the table usage.
-- most: The most requests
--   at a time.
SELECT day, sum(requests) AS requests, max_by(api_id, at) AS api_id, max(requests) AS most
FROM usage GROUP BY day
"""


def views(folder: Path, **texts: str) -> list[statements.View]:
    for name, text in texts.items():
        (folder / f"{name}.sql").write_text(text, "utf-8")
    return statements.views(folder, TABLES)


def test_a_view_says_what_it_is(tmp_path: Path):
    (view,) = views(tmp_path, busiest=GOOD)
    assert view.statement.title == "Requests by day"
    assert view.statement.grain == "day."
    assert view.statement.notes == "From the table usage."
    assert view.columns == (
        statements.ViewColumn("day", "date", "The UTC day: the partition. Filter by it."),
        statements.ViewColumn("requests", "bigint", "All requests, successes and errors together."),
        statements.ViewColumn(
            "api_id", "string", "Id of the API; where answers left it in doubt, what they said."
        ),
        statements.ViewColumn("most", "bigint", "The most requests at a time."),
    )


def test_views_come_after_those_that_they_read(tmp_path: Path):
    over = "-- Over\n-- Grain: day.\nSELECT day, requests FROM {}\n"
    made = views(tmp_path, zero=GOOD, a=over.format("b"), b=over.format("zero"))
    assert [view.name for view in made] == ["zero", "b", "a"]
    assert made[2].columns[1].type == "bigint"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT 1 AS requests", "must begin with a comment"),
        (GOOD.replace("-- Grain: day.\n", ""), "no line `-- Grain: ...`"),
        (GOOD.replace("SELECT", "SELEKT"), "a file is one SELECT|does not parse"),
        (GOOD + ";\nSELECT 1", "one SELECT without a semicolon"),
        (GOOD.replace("sum(requests)", "sum("), "does not parse"),
        (GOOD.replace("FROM usage", "FROM use"), "unknown table or view use"),
        (GOOD.replace("sum(requests)", "sum(request)"), "'?request'?"),
        (GOOD.replace("max(requests)", "max(f(requests))"), "the type of most is .*CAST"),
        (
            GOOD.replace("-- most: The most requests\n--   at a time.\n", ""),
            "the column most has no meaning",
        ),
        (GOOD.replace("-- most:", "-- more:"), "the column most has no meaning"),
        (
            GOOD.replace("-- From", "-- least: The least.\n-- From"),
            r"unknown columns in its comment: \['least'\]",
        ),
        (GOOD.replace("From the", "From ${the}"), r"has a `\$\{`"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, reason: str):
    with pytest.raises(DocumentError, match=rf"(?s)busiest\.sql.*({reason})"):
        views(tmp_path, busiest=text)


def test_a_view_is_no_table(tmp_path: Path):
    with pytest.raises(DocumentError, match="there is a table of this name"):
        views(tmp_path, usage=GOOD)


def test_views_cannot_read_each_other(tmp_path: Path):
    over = "-- Over\n-- Grain: day.\nSELECT day FROM {}\n"
    with pytest.raises(DocumentError, match=r"views read each other: (a -> b -> a|b -> a -> b)"):
        views(tmp_path, a=over.format("b"), b=over.format("a"))


def test_a_saved_query_names_what_there_is(tmp_path: Path):
    (tmp_path / "views").mkdir()
    made = views(tmp_path / "views", busiest=GOOD)
    (tmp_path / "ask.sql").write_text("-- How many?\nSELECT day, requests FROM busiest\n", "utf-8")
    assert [query.title for query in statements.queries(tmp_path, TABLES, made)] == ["How many?"]
    (tmp_path / "ask.sql").write_text("-- How many?\nSELECT hour FROM busiest\n", "utf-8")
    with pytest.raises(DocumentError, match=r"ask\.sql: .*hour"):
        statements.queries(tmp_path, TABLES, made)


def resources(text: str) -> list[dict[str, Any]]:
    return [found["Properties"] for found in yaml.safe_load(text)["Resources"].values()]


def test_athena_can_decode_a_view():
    made = shipped.views()
    for view, properties in zip(made, resources(athena.render_views(made)), strict=True):
        described = properties["TableInput"]
        assert described["TableType"] == "VIRTUAL_VIEW"
        # Without the list, even an empty one, Athena fails on the view.
        assert described["PartitionKeys"] == []
        # Trino, and with it Athena, knows a view by these.
        assert described["Parameters"] == {"presto_view": "true", "comment": "Presto View"}
        assert described["Description"] == "Presto View"
        empty, (before, encoded, after) = described["ViewOriginalText"]["Fn::Join"]
        text = encoded["Fn::Base64"]["Fn::Sub"].replace("${DatabaseName}", "insights")
        text = text.replace("'${Frozen}'", "'false'")
        assert "${" not in text
        whole = empty.join([before, base64.b64encode(text.encode()).decode(), after])
        assert whole.startswith("/* Presto View: ")
        assert whole.endswith(" */")
        # Glue takes so much.
        assert len(whole) < 409_600
        definition = json.loads(base64.b64decode(whole[len("/* Presto View: ") : -3]))
        assert (definition["catalog"], definition["schema"]) == ("awsdatacatalog", "insights")
        assert definition["originalSql"] == view.statement.text.replace("${Frozen}", "false")
        columns = described["StorageDescriptor"]["Columns"]
        assert [c["name"] for c in definition["columns"]] == [c["Name"] for c in columns]
        assert [statements.TRINO_TYPES[c["Type"]] for c in columns] == [
            c["type"] for c in definition["columns"]
        ]
        assert max(len(column["Comment"]) for column in columns) <= 255


def test_saved_queries_are_in_the_workgroup():
    made = shipped.queries()
    for query, properties in zip(made, resources(athena.render_queries(made)), strict=True):
        assert properties["Name"] == query.name
        assert properties["QueryString"] == query.text
        assert properties["WorkGroup"] == {"Ref": "WorkGroupName"}
        assert query.title in properties["Description"]


def test_the_page_tells_of_each():
    text = views_page.render(shipped.views(), shipped.queries())
    for view in shipped.views():
        assert f"\n## {view.name}\n" in text
    for query in shipped.queries():
        assert query.title in text
