"""Views and saved queries as nested CloudFormation templates.

A view of Athena is a table of Glue whose text holds JSON in base64, in the form of Trino's Hive
connector. The JSON names the database, so CloudFormation encodes it when the stack is made.
"""

import json
from collections.abc import Iterable
from typing import Any

from choreo_insights_cli.generate.glue import HEADER, dump, logical_id
from choreo_insights_cli.sql.model import TRINO_TYPES, Statement, View, ViewColumn

_COMMENT = "Presto View"
# A view may ask for it as '${Frozen}', in its text.
_FROZEN = {
    "Type": "String",
    "Description": "Whether the dataset has ended.",
    "AllowedValues": ["false", "true"],
}
_DATABASE = {"Type": "String", "Description": "The Glue database."}


def render_views(views: Iterable[View]) -> str:
    """The template of the views as YAML text."""
    return HEADER + dump(
        "The dataset's views in the Glue catalogue.",
        {"DatabaseName": _DATABASE, "Frozen": _FROZEN},
        {logical_id(view.name, "View"): _view(view) for view in views},
    )


def render_queries(queries: Iterable[Statement]) -> str:
    """The template of the saved queries as YAML text."""
    return HEADER + dump(
        "Saved queries over the dataset's views.",
        {
            "DatabaseName": _DATABASE,
            "WorkGroupName": {"Type": "String", "Description": "The Athena workgroup."},
        },
        {logical_id(query.name, "Query"): _query(query) for query in queries},
    )


def _view(view: View) -> dict[str, Any]:
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {
            "CatalogId": {"Ref": "AWS::AccountId"},
            "DatabaseName": {"Ref": "DatabaseName"},
            "TableInput": {
                "Name": view.name,
                # Trino recognises a view by this value of the parameter `comment`.
                "Description": _COMMENT,
                "Owner": {"Ref": "AWS::AccountId"},
                "TableType": "VIRTUAL_VIEW",
                # Athena cannot query a view without the list, though Trino can [Glue TableInput].
                "PartitionKeys": [],
                "Parameters": {"presto_view": "true", "comment": _COMMENT},
                "StorageDescriptor": {
                    "Columns": [_column(column) for column in view.columns],
                    "Location": "",
                    "NumberOfBuckets": 0,
                    # Athena refuses a view without one.
                    "SerdeInfo": {"Name": "-", "SerializationLibrary": "-"},
                },
                "ViewOriginalText": {
                    "Fn::Join": [
                        "",
                        [
                            "/* Presto View: ",
                            {"Fn::Base64": {"Fn::Sub": _definition(view)}},
                            " */",
                        ],
                    ]
                },
                "ViewExpandedText": "/* Presto View */",
            },
        },
    }


def _column(column: ViewColumn) -> dict[str, str]:
    # Glue limits a comment to 255 characters.
    return {"Name": column.name, "Type": column.type, "Comment": column.meaning[:255]}


def _definition(view: View) -> str:
    definition = {
        "originalSql": view.statement.text,
        "catalog": "awsdatacatalog",
        "schema": "${DatabaseName}",
        "columns": [{"name": c.name, "type": TRINO_TYPES[c.type]} for c in view.columns],
    }
    return json.dumps(definition, ensure_ascii=False)


def _query(query: Statement) -> dict[str, Any]:
    about = " ".join(filter(None, (query.title, query.notes)))
    return {
        "Type": "AWS::Athena::NamedQuery",
        "Properties": {
            "Name": query.name,
            "Description": about[:1024],
            "Database": {"Ref": "DatabaseName"},
            "WorkGroup": {"Ref": "WorkGroupName"},
            "QueryString": query.text,
        },
    }
