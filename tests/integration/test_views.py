"""The views, as the deployed stack has them."""

import base64
import json

import boto3

from choreo_insights_cli.sql import shipped
from tests.integration.conftest import Deployment


def test_the_views_are_in_the_catalogue(deployment: Deployment):
    assert deployment.state.aws
    environment = deployment.state.aws.environment
    glue = boto3.client(
        "glue",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    database = deployment.stack.outputs["DatabaseName"]
    pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
    tables = [table for page in pages for table in page["TableList"]]
    texts = {t["Name"]: t["ViewOriginalText"] for t in tables if t["TableType"] == "VIRTUAL_VIEW"}
    assert texts.keys() == {view.name for view in shipped.views()}
    for view in shipped.views():
        encoded = texts[view.name].removeprefix("/* Presto View: ").removesuffix(" */")
        definition = json.loads(base64.b64decode(encoded, validate=True))
        assert definition["schema"] == database
        assert definition["originalSql"] == view.statement.text.replace("${Frozen}", "false")
