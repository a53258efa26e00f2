"""A real Trino server of one node, with the Glue catalogue and S3 of the local AWS."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from choreo_insights_cli.errors import CommandError
from dev.local import background
from dev.local.aws import LocalAws, free_port
from dev.local.background import Background
from dev.local.paths import basic_environment

VERSION = "406"
# Athena's own catalogue has this name, and views say in which catalogue they look for tables. It
# has Iceberg tables beside others; Trino has them in a catalogue of their own, to which the first
# one leads, but for CREATE TABLE.
CATALOGUE = "awsdatacatalog"
ICEBERG = "iceberg"
_JAVA = (
    "-Xmx2G",
    # Its calculation of free memory and its buffers want these.
    "-Djdk.attach.allowAttachSelf=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "-Duser.timezone=UTC",
)


_NO_NODES = "No nodes available to run query"
_TRIES = 60


class QueryError(Exception):
    """What Trino says against a query."""


@dataclass(frozen=True)
class Answer:
    """Rows with the names and types of their columns, values as Trino's JSON has them."""

    columns: tuple[tuple[str, str], ...]
    rows: list[list[Any]]

    def position(self, name: str) -> int:
        """Where a column stands."""
        return [column for column, _ in self.columns].index(name)


@dataclass(frozen=True)
class Trino:
    """A running server."""

    url: str
    schema: str

    def ask(self, sql: str) -> Answer:
        """What a query gives. Raises QueryError."""
        for _ in range(_TRIES):
            try:
                return self._answer(sql)
            except QueryError as error:
                # It answers before it counts itself among the nodes that queries may run on.
                if _NO_NODES not in str(error):
                    raise
                time.sleep(0.5)
        return self._answer(sql)

    def _answer(self, sql: str) -> Answer:
        headers = {
            "X-Trino-User": "tests",
            "X-Trino-Catalog": CATALOGUE,
            "X-Trino-Schema": self.schema,
            "X-Trino-Time-Zone": "UTC",
            # Types with their precision: timestamp(3).
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
        }
        body = sql.encode()
        page = _reply(requests.post(f"{self.url}/v1/statement", body, headers=headers, timeout=600))
        columns: list[dict[str, Any]] = []
        rows: list[list[Any]] = []
        while True:
            if "error" in page:
                raise QueryError(f"{page['error']['message']}\n{sql}")
            columns = page.get("columns") or columns
            rows += page.get("data", [])
            if "nextUri" not in page:
                return Answer(tuple((c["name"], c["type"]) for c in columns), rows)
            page = _reply(requests.get(page["nextUri"], headers=headers, timeout=600))

    def reads(self, sql: str) -> dict[str, list[tuple[str | None, str | None]] | None]:
        """For each table that a query reads the ranges of days; None where it reads all."""
        ((plan,),) = self.ask(f"EXPLAIN (TYPE IO, FORMAT JSON) {sql}").rows
        found = {}
        for table in json.loads(plan)["inputTableColumnInfos"]:
            constraints = table["constraint"].get("columnConstraints", [])
            ranges = [c["domain"]["ranges"] for c in constraints if c["columnName"] == "day"]
            found[table["table"]["schemaTable"]["table"]] = (
                [(r["low"].get("value"), r["high"].get("value")) for r in ranges[0]]
                if ranges
                else None
            )
        return found


def _reply(reply: requests.Response) -> dict[str, Any]:
    reply.raise_for_status()
    page: dict[str, Any] = reply.json()
    return page


def start(
    home: Path, folder: Path, aws: LocalAws, schema: str, s3: str | None = None
) -> tuple[Trino, Background]:
    """Starts a server with the libraries in `home`, keeping everything in `folder`.

    `s3` is where S3 is reached, if not at the local AWS itself. Raises
    CommandError when it ends before it is ready.
    """
    port = free_port()
    _write(folder / "etc" / "config.properties", _server(port))
    for name, catalogue in ((CATALOGUE, _HIVE), (ICEBERG, _ICEBERG)):
        path = folder / "etc" / "catalog" / f"{name}.properties"
        _write(path, {**catalogue, **_storage(aws, s3 or aws.endpoint)})
    node = {
        "config": folder / "etc" / "config.properties",
        "plugin.dir": home / "plugin",
        "node.environment": "tests",
        "node.id": "one",
        "node.data-dir": folder / "data",
        "node.internal-address": "127.0.0.1",
        "node.bind-ip": "127.0.0.1",
    }
    command = ["java", *_JAVA, *(f"-D{name}={value}" for name, value in node.items())]
    command += ["-cp", f"{home}/lib/*", str(Path(__file__).parent / "Start.java"), VERSION]
    environment = basic_environment()
    if java := os.environ.get("JAVA_HOME"):
        environment["PATH"] = f"{java}/bin:{environment['PATH']}"
    log = folder / "trino.log"
    process = background.start(command, environment, log, folder)
    url = f"http://127.0.0.1:{port}"
    while not _ready(url):
        if not process.alive:
            raise CommandError(f"Trino did not start:\n{background.tail(log, 60)}")
        time.sleep(0.5)
    return Trino(url, schema), process


def _ready(url: str) -> bool:
    try:
        info = requests.get(f"{url}/v1/info", timeout=10).json()
    except (requests.RequestException, ValueError):
        return False
    return info.get("starting") is False


def _server(port: int) -> Mapping[str, object]:
    return {
        "coordinator": "true",
        "node-scheduler.include-coordinator": "true",
        "http-server.http.port": port,
        "discovery.uri": f"http://127.0.0.1:{port}",
        "catalog.config-dir": "etc/catalog",
    }


_HIVE = {
    "connector.name": "hive",
    "hive.metastore": "glue",
    "hive.partition-projection-enabled": "true",
    "hive.parquet.time-zone": "UTC",
    "hive.iceberg-catalog-name": ICEBERG,
}
_ICEBERG = {
    "connector.name": "iceberg",
    "iceberg.catalog.type": "glue",
    # As Athena writes them.
    "iceberg.compression-codec": "ZSTD",
}


def _storage(aws: LocalAws, s3: str) -> Mapping[str, object]:
    """Where Glue and S3 are."""
    key, secret = (
        aws.environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    )
    region = aws.environment["AWS_REGION"]
    return {
        "hive.metastore.glue.region": region,
        "hive.metastore.glue.endpoint-url": aws.endpoint,
        "hive.metastore.glue.aws-access-key": key,
        "hive.metastore.glue.aws-secret-key": secret,
        "hive.s3.endpoint": s3,
        "hive.s3.region": region,
        "hive.s3.path-style-access": "true",
        "hive.s3.ssl.enabled": "false",
        "hive.s3.aws-access-key": key,
        "hive.s3.aws-secret-key": secret,
    }


def _write(path: Path, properties: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), "utf-8")
